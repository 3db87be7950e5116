"""What a person does with a message that they have picked: reply, react, edit, delete, forward, open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from roost.content import Text, ViewOnce
from roost.errors import RoostError
from roost.group import GroupChange
from roost.plain import duration, one_line, plain
from roost.terminal.chat_pane import Intent, Purpose
from roost.terminal.choice import Choice, ShownOnce
from roost.terminal.message_info import InfoScreen
from roost.terminal.name_screen import NameScreen
from roost.terminal.new_chat import NewChat
from roost.terminal.standing import why_silent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from roost.client import Client
    from roost.history import Chat, StoredMessage
    from roost.terminal.app import RoostApp
    from roost.terminal.chat_pane import ChatPane

__all__ = ["MessageActions"]

_EMOJI: Final = ("\U0001f44d", "\u2764\ufe0f", "\U0001f602", "\U0001f62e", "\U0001f622", "\U0001f64f", "\U0001f389")
_TIMERS_S: Final = (0, 300, 3_600, 86_400, 604_800, 7_776_000)


class MessageActions:
    """The actions of the application on messages; what cannot be done is said.

    Args:
        app: the application.
        client: the account.
        chat: the chat on the screen.
    """

    def __init__(self, app: RoostApp, client: Client, chat: ChatPane) -> None:
        self._app = app
        self._client = client
        self._chat = chat
        self._by_name: dict[str, Callable[[StoredMessage], None]] = {
            "reply": self._reply,
            "react": self._react,
            "edit": self._edit,
            "delete": self._delete,
            "forward": self._forward,
            "open": self._open,
            "info": self._info,
        }

    def do(self, name: str, message: StoredMessage) -> None:
        """Do what the key or button says with a message."""
        self._by_name[name](message)

    def _carry_out(self, doing: Awaitable[object]) -> None:
        self._app.run_worker(self._watched(doing), name="message action")

    async def _watched(self, doing: Awaitable[object]) -> None:
        try:
            await doing
            self._app.refresh_soon()
        except RoostError as error:
            self._app.notify(one_line(error.sentence), severity="error", markup=False)

    def _may_write(self) -> bool:
        silent = why_silent(self._chat.group)
        if silent:
            self._app.notify(silent, severity="error", markup=False)
        return not silent

    def _reply(self, message: StoredMessage) -> None:
        if not self._may_write():
            return
        self._app.stop_picking()
        self._chat.intend(Intent(Purpose.REPLY, message))

    def _edit(self, message: StoredMessage) -> None:
        if message.sender != self._client.account or not isinstance(message.content, Text):
            self._app.notify("Only a text of your own can be edited.", severity="error", markup=False)
            return
        if not self._may_write():
            return
        self._app.stop_picking()
        self._chat.intend(Intent(Purpose.EDIT, message))

    def _react(self, message: StoredMessage) -> None:
        answers = [(emoji, one_line(emoji)) for emoji in _EMOJI]
        if any(one.account == self._client.account for one in message.reactions):
            answers.append(("", "take it back"))

        def chosen(emoji: str | None) -> None:
            if emoji is not None:
                self._carry_out(self._client.react(message, emoji))

        self._app.push_screen(Choice("React", answers), chosen)

    def _delete(self, message: StoredMessage) -> None:
        answers = [("me", "for me, on all my devices")]
        changed = isinstance(message.content, GroupChange)
        if message.sender == self._client.account and message.message_id is not None and not changed:
            answers.append(("everyone", "for everyone"))

        def chosen(whom: str | None) -> None:
            if whom == "me":
                self._carry_out(self._client.delete(message))
            elif whom == "everyone":
                self._carry_out(self._client.delete_for_everyone(message))

        self._app.push_screen(Choice("Delete this message", answers), chosen)

    def _forward(self, message: StoredMessage) -> None:
        def chosen(conversation: str | None) -> None:
            if conversation is not None:
                self._carry_out(self._client.forward(message, conversation))

        self._app.push_screen(NewChat(self._client, "Forward to", "Enter sends it, Esc goes back."), chosen)

    def _open(self, message: StoredMessage) -> None:
        if isinstance(message.content, ViewOnce):
            self._carry_out(self._show_once(message))

    async def _show_once(self, message: StoredMessage) -> None:
        text = await self._client.open_once(message)
        self._app.push_screen(ShownOnce(plain(text)))

    def _info(self, message: StoredMessage) -> None:
        self._carry_out(self._show_info(message))

    async def _show_info(self, message: StoredMessage) -> None:
        info = await self._client.groups.message_info(message)
        self._app.push_screen(InfoScreen(message, info, self._chat.names))

    def do_with_chat(self, wish: str, chat: Chat) -> None:
        """Do what a key says with a conversation of the list: archive or mute it, or the opposite, or name somebody."""
        if wish == "archive":
            self._carry_out(self._client.state.archive(chat.conversation, not chat.archived))
            if not chat.archived:
                self._app.notify("Archived, on all your devices. x shows archived chats.", markup=False)
        elif wish == "mute":
            self._carry_out(self._client.state.mute(chat.conversation, not chat.muted))
        else:
            self._name(chat)

    def _name(self, chat: Chat) -> None:
        if chat.other_account in (None, self._client.account):
            group = "Its admins name a group, for all its members: open it, then Ctrl+G."
            words = group if chat.other_account is None else "Nobody needs a name in the note to self."
            self._app.notify(words, severity="error", markup=False)
            return

        def changed(_: bool | None) -> None:
            self._app.refresh_soon()

        self._app.push_screen(NameScreen(self._client, chat.other_account, chat.name), changed)

    def choose_timer(self) -> None:
        """Ask after how long the messages of the open chat disappear."""
        conversation = self._chat.conversation
        if conversation is None:
            return
        answers = [(str(seconds), duration(seconds) if seconds else "never") for seconds in _TIMERS_S]

        def chosen(seconds: str | None) -> None:
            if seconds is not None:
                self._carry_out(self._client.set_timer(conversation, int(seconds)))

        self._app.push_screen(Choice("Messages disappear, once read, after", answers), chosen)
