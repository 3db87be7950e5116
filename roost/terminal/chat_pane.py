"""The open chat: who it is with and whether they are there, the scrollback, and the composer."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text
from textual.containers import Vertical
from textual.widgets import Static

from protocol import is_group
from roost.conversations import other_account
from roost.errors import GroupError
from roost.events import OnlookersChanged, PresenceChanged
from roost.plain import clock_time, day_name, duration, one_line, shown
from roost.terminal.composer import WRITE, Composer
from roost.terminal.names import Names, group_title
from roost.terminal.palette import FAINT, PRESENT, TYPING
from roost.terminal.scrollback import Scrollback
from roost.terminal.shortened import shortened
from roost.terminal.standing import company_words, why_silent
from roost.terminal.typists import typing_words

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from protocol import ConversationId
    from roost.client import Client
    from roost.events import TypingChanged
    from roost.group import Group
    from roost.history import StoredMessage
    from roost.terminal.typists import Typists

__all__ = ["ChatHeader", "ChatPane", "Intent", "Purpose"]

_PAGE: Final = 40
_SHOWN_MAX: Final = 600
"""Messages on the screen's scrollback at once; older ones are in `roost history`."""


class ChatHeader(Static):
    """The other one's name or the group's, and what is known of them at this moment."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="chat-header")
        self.presence: PresenceChanged | None = None
        self.typing = ""
        self.company = ""
        self.name_shown = ""
        self.timer_s = 0

    def on_resize(self) -> None:
        """Lay the line out anew."""
        self.draw()

    def draw(self) -> None:
        """Draw the line."""
        words, style = self._words()
        width = max(10, self.size.width - 2)
        title = f"{self.name_shown} ◔ {duration(self.timer_s)}" if self.timer_s else self.name_shown
        name = shortened(title, max(4, width - cell_len(words) - 2))
        gap = " " * max(1, width - cell_len(name) - cell_len(words))
        self.update(Text.assemble((name, "bold"), gap, (words, style)))

    def _words(self) -> tuple[str, str]:
        if self.typing:
            return self.typing, f"italic {TYPING}"
        if self.presence is None or self.presence.online is None:
            return self.company, FAINT
        if self.presence.online:
            return "online", PRESENT
        if not self.presence.last_seen_ms:
            return "", FAINT
        day = day_name(self.presence.last_seen_ms, time.time_ns() // 1_000_000)
        return f"last seen {day.lower()} {clock_time(self.presence.last_seen_ms)}", FAINT


class Purpose(Enum):
    """What the next text is for, other than to be sent."""

    REPLY = "Reply to"
    EDIT = "Edit"


@dataclass(frozen=True, slots=True)
class Intent:
    """What the next text is for, and which message it is about."""

    purpose: Purpose
    message: StoredMessage


class ContextLine(Static):
    """What becomes of the next text, above the composer; not there while it is simply sent."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="context")
        self._words = ""

    def on_resize(self) -> None:
        """Lay the line out anew."""
        self.show(self._words)

    def show(self, words: str) -> None:
        """Show the words, or nothing."""
        self._words = words
        self.display = bool(words)
        self.update(Text(shortened(words, max(10, self.size.width - 2)), style=FAINT))


class ChatPane(Vertical):
    """One chat; nothing but a hint while none is open."""

    def __init__(self, client: Client, typists: Typists) -> None:
        super().__init__(id="chat")
        self._client = client
        self._typists = typists
        self._members = 0
        self._counted: Group | None = None
        self._onlookers = 0
        self.group: Group | None = None
        self.names = Names()
        self._limit = _PAGE
        self._complete = False
        self.conversation: ConversationId | None = None
        self.intent: Intent | None = None
        self.view_once = False
        self.context = ContextLine()
        self.header = ChatHeader()
        self.scrollback = Scrollback()
        self.composer = Composer()

    def compose(self) -> ComposeResult:
        """Lay out the pane."""
        yield self.header
        yield self.scrollback
        yield Static("Choose a chat on the left,\nor begin one with Ctrl+N.", id="hint", markup=False)
        yield self.context
        yield self.composer

    async def open(self, conversation: ConversationId) -> None:
        """Show a chat from its end."""
        self.conversation = conversation
        self._limit, self._complete = _PAGE, False
        self.group, self._counted, self._members = None, None, 0
        self.alone()
        self.set_class(True, "-open")
        self.intend(None)
        await self.scrollback.clear()
        await self.refresh_messages()
        self.scrollback.follow()

    async def refresh_messages(self) -> None:
        """Show the history as it is now, and with whom it is."""
        self.names = Names(await self._client.state.names())
        conversation = self.conversation
        if conversation is None:
            return
        await self._refresh_group(conversation)
        messages = await self._client.history(conversation, limit=self._limit)
        if conversation != self.conversation or not self.scrollback.is_attached:
            return
        self._complete = len(messages) < self._limit
        self.draw_header()
        await self.scrollback.show(messages, self.names, time.time_ns() // 1_000_000)

    async def _refresh_group(self, conversation: ConversationId) -> None:
        before, self.group = self.group, self._client.groups.get(conversation) if is_group(conversation) else None
        if before is not None and self.group is not None and before.is_open != self.group.is_open:
            # Whoever comes back is told again who is there, and who was removed no more.
            self.alone()
            self._client.close_chat(conversation)
            self._client.open_chat(conversation)
        if self.group is not None and self.group != self._counted:
            with suppress(GroupError):  # it is on its way to the disk: the next time
                details = await self._client.groups.details(self.group)
                self._counted, self._members = details.group, len(details.members)
        silent = why_silent(self.group)
        self.composer.read_only = bool(silent)
        self.composer.placeholder = silent or WRITE

    # What is known of the others at this moment.

    def take(self, event: TypingChanged | PresenceChanged | OnlookersChanged) -> None:
        """Show who types or is there, if it is about this chat."""
        if isinstance(event, PresenceChanged):
            if self.conversation is None or event.account != other_account(self.conversation, self._client.account):
                return
            self.header.presence = event
        elif event.conversation != self.conversation:
            return
        elif isinstance(event, OnlookersChanged):
            self._onlookers = event.members
        self.draw_header()

    def alone(self) -> None:
        """Nobody tells any more who is there."""
        self.header.presence, self._onlookers = None, 0
        self.draw_header()

    def draw_header(self) -> None:
        """Say with whom the chat is, and what they do."""
        header, conversation = self.header, self.conversation
        if conversation is None:
            return
        other = other_account(conversation, self._client.account)
        if self.group is not None:
            header.name_shown = group_title(self.group)
        elif other == self._client.account:
            header.name_shown = "Note to self"
        else:
            header.name_shown = one_line(conversation) if other is None else self.names.full(other)
        header.timer_s = self._client.timer(conversation)
        typing = [self.names.of(one) for one in self._typists.of(conversation)]
        header.typing = typing_words(typing, in_group=self.group is not None)
        header.company = company_words(self.group, self._members, self._onlookers) if self.group is not None else ""
        header.draw()

    def intend(self, intent: Intent | None, *, view_once: bool = False) -> None:
        """Say what the next text is for; None to send it as it is."""
        if intent is not None and intent.purpose is Purpose.EDIT:
            self.composer.text = getattr(intent.message.content, "text", "")
            self.composer.move_cursor(self.composer.document.end)
        elif self.intent is not None and self.intent.purpose is Purpose.EDIT:
            self.composer.clear()
        self.intent, self.view_once = intent, view_once
        words = ""
        if intent is not None:
            said = one_line(shown(intent.message.content))
            words = f"{intent.purpose.value} {self.names.of(intent.message.sender)}: {said}"
        elif view_once:
            words = "The next message is shown once. Ctrl+O takes that back."
        self.context.show(words)
        self.composer.focus()

    async def on_scrollback_top_reached(self) -> None:
        """Show older messages, if there are any."""
        await self.show_older()

    async def show_older(self) -> None:
        """Show older messages, if there are any."""
        if not self._complete and self._limit < _SHOWN_MAX:
            self._limit += _PAGE
            await self.refresh_messages()
