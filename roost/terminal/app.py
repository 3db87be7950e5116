"""The application: the screen, what each key does, and what each event changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import App
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import MountError
from textual.widgets import OptionList, Static, TextArea

from roost.conversations import other_account
from roost.errors import DevicesForgedError, RoostError
from roost.events import (
    ConnectionChanged,
    ConnectionState,
    DeviceAdded,
    DeviceRemoved,
    DevicesForged,
    GroupChanged,
    MessageDelayed,
    MessageReceived,
    OnlookersChanged,
    PresenceChanged,
    ServerComplained,
    TypingChanged,
)
from roost.plain import device_sentence, identity_sentence, one_line
from roost.terminal.chat_pane import ChatPane, Purpose
from roost.terminal.composer import Composer
from roost.terminal.conversation_list import ConversationList
from roost.terminal.device_screen import DeviceScreen
from roost.terminal.group_screen import GroupScreen
from roost.terminal.key_help import KeyHelp
from roost.terminal.message_actions import MessageActions
from roost.terminal.new_chat import NewChat
from roost.terminal.palette import THEME
from roost.terminal.status_bar import StatusBar
from roost.terminal.typists import Typists

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.events import AppBlur, AppFocus, Resize
    from textual.screen import Screen

    from protocol import AccountId, ConversationId, DeviceId
    from roost.client import Client
    from roost.events import Event
    from roost.group import Group
    from roost.terminal.message_view import MessageView
    from roost.terminal.scrollback import Scrollback

__all__ = ["RoostApp"]

_REFRESH_DELAY_S: Final = 0.05
"""Events within this time are shown together: a hundred messages in a burst are drawn once."""
_STOPPED_SHOWN_S: Final = 60.0
_DEVICE_NEWS_SHOWN_S: Final = 300.0
_NOT_ENCRYPTED: Final = (
    "This chat is not yet end-to-end encrypted: the server's operator can read it.",
    "Not yet end-to-end encrypted.",
    "Not E2E encrypted.",
)
"""The same for windows ever narrower: always one line, because a small window has no more to give."""


class RoostApp(App[None]):
    """The terminal client over an open `Client`.

    Args:
        client: the account; closed by whoever opened it.
        conversation: the chat to open first; None for the latest.
    """

    TITLE = "Roost"
    CSS_PATH = "roost.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-wide")]  # noqa: RUF012  # the base class declares it so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (10, "-low"), (30, "-tall")]  # noqa: RUF012  # the same
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+n", "new_chat", "New chat", priority=True),
        Binding("tab", "switch", "Chats/text", priority=True),
        Binding("alt+up,ctrl+up", "neighbour(-1)", "Previous", show=False, priority=True),
        Binding("alt+down,ctrl+down", "neighbour(1)", "Next", show=False, priority=True),
        Binding("pageup", "page(-1)", "Scroll", show=False, priority=True),
        Binding("pagedown", "page(1)", "Scroll", show=False, priority=True),
        Binding("ctrl+p", "pick", "Pick a message", show=False, priority=True),
        Binding("ctrl+t", "timer", "Timer", show=False, priority=True),
        Binding("ctrl+o", "view_once", "View once", show=False, priority=True),
        Binding("escape", "retreat", "Back", show=False),
        Binding("ctrl+g", "group", "Group", show=False),
        Binding("ctrl+l", "devices", "Devices", show=False, priority=True),
        Binding("ctrl+r", "retry", "Reconnect", show=False, priority=True),
        Binding("ctrl+q", "quit", "Quit", priority=True),
    ]

    def __init__(self, client: Client, conversation: ConversationId | None = None) -> None:
        super().__init__()
        self.client = client
        self._first = conversation
        self._looked_at = True
        self._refreshing = False
        self._checked: set[AccountId] = set()
        self._confirmed: set[DeviceId] = set()
        self.status = StatusBar(client.account, str(client.server))
        self.typists = Typists()
        self.conversations = ConversationList(client.account, self.typists)
        self.chat = ChatPane(client, self.typists)
        self.message_actions = MessageActions(self, client, self.chat)
        self.keys = KeyHelp()
        self.not_encrypted = Static(_NOT_ENCRYPTED[0], id="not-encrypted", markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield self.status
        with Horizontal(id="body"):
            yield self.conversations
            yield self.chat
        yield self.not_encrypted
        yield self.keys

    async def on_mount(self) -> None:
        """Open the first chat and begin to read events."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.status.show(self.client.connection)
        self.run_worker(self._read_events(), name="events", exclusive=True)
        self._tell_device_news()
        chats = await self.client.conversations()
        first = self._first or (chats[0].conversation if chats else None)
        if first is not None:
            await self.open_chat(first)
        else:
            await self._refresh_all()
            self.conversations.focus()

    @property
    def _base(self) -> Screen[object]:
        """The screen below any window that is open."""
        return self.screen_stack[0]

    @property
    def _asking(self) -> bool:
        """Whether a window is open above the screen."""
        return len(self.screen_stack) > 1

    # Events of the client.

    async def _read_events(self) -> None:
        async for event in self.client.events():
            if self.screen_stack:
                self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case ConnectionChanged():
                self._connection_changed(event)
            case PresenceChanged():
                self._presence_changed(event)
            case TypingChanged():
                self.typists.take(event)
                self.chat.take(event)
                self.refresh_soon()
            case OnlookersChanged():
                self.chat.take(event)
            case ServerComplained(sentence=sentence) | MessageDelayed(sentence=sentence):
                self.notify(one_line(sentence), severity="warning", markup=False)
            case DeviceAdded() | DeviceRemoved() | DevicesForged():
                self._tell_device_news()
            case GroupChanged(group=group):
                self._group_changed(group)
            case MessageReceived(ephemeral=True):
                pass  # for this moment only, and nothing of the terminal client's makes use of it yet
            case _:
                self.refresh_soon()

    def _tell_device_news(self) -> None:
        """Say which of our devices are new, once somebody looks: it may be a stranger's."""
        for change in self.client.device_news if self._looked_at else ():
            if not isinstance(change, DeviceAdded) or change.device not in self._confirmed:
                text = device_sentence(change)
                self.notify(text, severity="warning", timeout=_DEVICE_NEWS_SHOWN_S, markup=False)
            self.client.device_news_told(change)

    def _connection_changed(self, event: ConnectionChanged) -> None:
        self.status.show(event)
        if event.state is ConnectionState.STOPPED:
            # For good, so the whole reason is due; the top line has room for its beginning only.
            self.notify(one_line(event.sentence), severity="error", timeout=_STOPPED_SHOWN_S, markup=False)
        if event.state is not ConnectionState.ONLINE:
            # Without a connection nobody knows who is there.
            self.typists.clear()
            self.chat.alone()
            self.conversations.present.clear()
        self.refresh_soon()

    def _presence_changed(self, event: PresenceChanged) -> None:
        conversation = self.client.conversation_with(event.account)
        present = self.conversations.present
        (present.add if event.online else present.discard)(conversation)
        self.chat.take(event)
        self.refresh_soon()

    def _group_changed(self, group: Group) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, GroupScreen):
                screen.changed(group)
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Show the history as it is in a moment."""
        if not self._refreshing:
            self._refreshing = True
            self.set_timer(_REFRESH_DELAY_S, self._refresh_all)

    async def _refresh_all(self) -> None:
        self._refreshing = False
        try:
            await self.chat.refresh_messages()
        except MountError:
            return  # the application is closing under a refresh that had begun
        self.call_after_refresh(self._mark_read)
        chats = await self.client.conversations()
        if self.conversations.is_attached:
            self.conversations.show(chats, self.chat.names, time.time_ns() // 1_000_000, self.chat.conversation)
            self._show_keys()

    async def _mark_read(self) -> None:
        """Count the open chat as read if somebody looks at its end; a narrow window shows it or the list."""
        conversation = self.chat.conversation if self.chat.display and self._looked_at else None
        if conversation is not None and self.chat.scrollback.at_end:
            await self.client.mark_read(conversation)

    # What the person does.

    async def open_chat(self, conversation: ConversationId) -> None:
        """Show a chat and put the cursor into its composer."""
        before = self.chat.conversation
        if before is not None and before != conversation:
            self.client.close_chat(before)
            self.conversations.present.discard(before)
            self.typists.forget(before)
        if before != conversation:
            self.client.open_chat(conversation)
            if (other := other_account(conversation, self.client.account)) is not None:
                self.run_worker(self._check_identity(other))
            self.stop_picking()
            await self.chat.open(conversation)
        self._base.set_class(True, "-chatting")
        self.chat.composer.focus()
        await self._refresh_all()

    async def _check_identity(self, account: AccountId) -> None:
        """Say it if the devices of whom we write to are not signed by whom we knew; once in this run for each."""
        if account == self.client.account or account in self._checked:
            return
        try:
            peer = await self.client.devices.of(account)
        except DevicesForgedError as error:
            self.notify(one_line(error.sentence), severity="error", timeout=_DEVICE_NEWS_SHOWN_S, markup=False)
            return
        except RoostError:
            return  # offline, or too many questions: the next time the chat is opened
        self._checked.add(account)
        if peer.changed:
            text = identity_sentence(account)
            self.notify(text, severity="warning", timeout=_DEVICE_NEWS_SHOWN_S, markup=False)

    async def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Open the chosen chat."""
        if event.option_id is not None:
            await self.open_chat(self.client.conversation_with(event.option_id))

    def on_conversation_list_wished(self, event: ConversationList.Wished) -> None:
        """Archive or mute a conversation, or name whom it is with."""
        self.message_actions.do_with_chat(event.wish, event.chat)

    async def on_composer_submitted(self, event: Composer.Submitted) -> None:
        """Send what was typed; what cannot be sent stays in the composer."""
        if self.chat.conversation is None:
            return
        try:
            await self._say(self.chat.conversation, event.text)
        except RoostError as error:
            self.notify(one_line(error.sentence), severity="error", markup=False)
            return
        self.chat.intend(None)
        self.chat.composer.clear()
        self.chat.scrollback.follow()
        self.refresh_soon()

    async def _say(self, conversation: ConversationId, text: str) -> None:
        intent = self.chat.intent
        if intent is None:
            await self.client.send(conversation, text, view_once=self.chat.view_once)
        elif intent.purpose is Purpose.REPLY:
            await self.client.reply(intent.message, text)
        else:
            await self.client.edit(intent.message, text)

    # Picking a message.

    def on_composer_left_upwards(self) -> None:
        """Pick the latest message."""
        self.action_pick()

    def on_message_view_clicked(self, event: MessageView.Clicked) -> None:
        """Pick the message that was clicked on."""
        self.chat.scrollback.pick(event.key)
        self._show_keys()

    def on_scrollback_left(self) -> None:
        """Go on writing."""
        self.stop_picking()
        self.chat.composer.focus()

    def on_scrollback_asked(self, event: Scrollback.Asked) -> None:
        """Do something with the picked message."""
        self.message_actions.do(event.wish, event.message)

    def stop_picking(self) -> None:
        """Let go of the picked message."""
        self.chat.scrollback.pick(None)
        self._show_keys()

    def _show_keys(self) -> None:
        picking, listing = self.chat.scrollback.can_focus, self.conversations.has_focus
        self.keys.show(picking=picking, listing=listing, in_group=self.chat.group is not None)

    def on_descendant_focus(self) -> None:
        """Show the keys of what has the focus now."""
        self._show_keys()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Let the other one see that we type."""
        if self.chat.conversation is not None and isinstance(event.text_area, Composer):
            self.client.typing(self.chat.conversation, active=bool(event.text_area.text))

    def on_app_focus(self, event: AppFocus) -> None:
        """Somebody looks again."""
        del event
        self._looked_at = True
        self.client.set_foreground(True)
        self._tell_device_news()
        self.refresh_soon()

    def on_app_blur(self, event: AppBlur) -> None:
        """Nobody looks: what comes now is not read yet."""
        del event
        self._looked_at = False
        self.client.set_foreground(False)

    def on_resize(self, event: Resize) -> None:
        """Choose the notice that fits the new width."""
        fitting = [text for text in _NOT_ENCRYPTED if len(text) + 2 <= event.size.width]
        self.not_encrypted.update(fitting[0] if fitting else _NOT_ENCRYPTED[-1])

    # Keys.

    def action_new_chat(self) -> None:
        """Ask with whom to begin a chat."""
        if not self._asking:
            self.push_screen(NewChat(self.client), self._chosen)

    def action_devices(self) -> None:
        """Show our devices, and link a new one."""
        if not self._asking:
            self.push_screen(DeviceScreen(self.client, self._confirmed))

    def action_group(self) -> None:
        """Show who is in the open group, and what can be done with it."""
        if self._asking:
            return
        if self.chat.group is None:
            self.notify("No group is open. Ctrl+N makes one, or joins one by an invite.", markup=False)
        else:
            self.push_screen(GroupScreen(self.client, self.chat.group.conversation, self.chat.names))

    async def _chosen(self, conversation: ConversationId | None) -> None:
        if conversation is not None:
            await self.open_chat(conversation)

    def action_switch(self) -> None:
        """Go from the list to the composer and back."""
        if self._asking:
            return
        self.stop_picking()
        if self.conversations.has_focus and self.chat.conversation is not None:
            self._base.set_class(True, "-chatting")
            self.chat.composer.focus()
            self.refresh_soon()
        else:
            self.action_list()

    def action_list(self) -> None:
        """Go to the list."""
        self._base.set_class(False, "-chatting")
        self.conversations.focus()

    def action_pick(self) -> None:
        """Pick the latest message, to do something with it."""
        if not self._asking and self.chat.conversation is not None:
            self.chat.scrollback.pick_last()
            self._show_keys()

    def action_ask(self, name: str) -> None:
        """Do something with the picked message."""
        self.chat.scrollback.action_ask(name)

    def action_wish(self, wish: str) -> None:
        """Do something with the conversation that the list's cursor is on."""
        self.conversations.action_wish(wish)

    def action_show_archived(self) -> None:
        """Show the archived conversations, or not."""
        self.conversations.action_show_archived()

    def action_retreat(self) -> None:
        """Let go of the picked message, or of what the next text was for; else go to the list."""
        if self.chat.scrollback.can_focus:
            self.on_scrollback_left()
        elif self.chat.intent is not None or self.chat.view_once:
            self.chat.intend(None)
        else:
            self.action_list()

    def action_timer(self) -> None:
        """Ask after how long the messages of the open chat disappear."""
        if not self._asking:
            self.message_actions.choose_timer()

    def action_view_once(self) -> None:
        """Let the next message be shown once, or not."""
        if not self._asking and self.chat.conversation is not None:
            self.stop_picking()
            self.chat.intend(None, view_once=not self.chat.view_once)

    async def action_neighbour(self, step: int) -> None:
        """Open the chat above or below."""
        conversation = self.conversations.neighbour(self.chat.conversation, step)
        if conversation is not None:
            await self.open_chat(conversation)

    async def action_page(self, direction: int) -> None:
        """Scroll the chat by a page."""
        scrollback = self.chat.scrollback
        if direction < 0 and scrollback.scroll_y <= 0:
            await self.chat.show_older()
        elif direction < 0:
            scrollback.scroll_page_up(animate=False)
        else:
            scrollback.scroll_page_down(animate=False)
        self.refresh_soon()

    def action_new_line(self) -> None:
        """Begin a new line in the composer."""
        self.chat.composer.action_new_line()

    def action_retry(self) -> None:
        """Connect at once."""
        self.client.retry_now()
