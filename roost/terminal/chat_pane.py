"""The open chat: who it is with and whether they are there, the scrollback, and the composer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text
from textual.containers import Vertical
from textual.widgets import Static

from roost.conversations import other_account
from roost.plain import clock_time, day_name, duration, one_line, shown
from roost.terminal.composer import Composer
from roost.terminal.palette import FAINT, PRESENT, TYPING
from roost.terminal.scrollback import Scrollback
from roost.terminal.shortened import shortened

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from protocol import ConversationId
    from roost.client import Client
    from roost.events import PresenceChanged
    from roost.history import StoredMessage

__all__ = ["ChatHeader", "ChatPane", "Intent", "Purpose"]

_PAGE: Final = 40
_SHOWN_MAX: Final = 600
"""Messages on the screen's scrollback at once; older ones are in `roost history`."""


class ChatHeader(Static):
    """The other one's name, and what is known of them at this moment."""

    def __init__(self) -> None:
        super().__init__(markup=False, id="chat-header")
        self.presence: PresenceChanged | None = None
        self.typing = False
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
            return "typing…", f"italic {TYPING}"
        if self.presence is None or self.presence.online is None:
            return "", FAINT
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

    def __init__(self, client: Client) -> None:
        super().__init__(id="chat")
        self._client = client
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
        other = other_account(conversation, self._client.account)
        header = self.header
        header.presence, header.typing = None, False
        group = self._client.groups.get(conversation) if other is None else None
        header.name_shown = (
            "Note to self"
            if other == self._client.account
            else other or one_line(group.name if group else conversation)
        )
        header.draw()
        names = await self._client.state.names()
        if other is not None and other in names:
            header.name_shown = f"{one_line(names[other])} ({other})"
            header.draw()
        self.set_class(True, "-open")
        self.intend(None)
        await self.scrollback.clear()
        await self.refresh_messages()
        self.scrollback.follow()

    async def refresh_messages(self) -> None:
        """Show the history as it is now."""
        conversation = self.conversation
        if conversation is None:
            return
        self.header.timer_s = self._client.timer(conversation)
        self.header.draw()
        messages = await self._client.history(conversation, limit=self._limit)
        self._complete = len(messages) < self._limit
        if conversation == self.conversation and self.scrollback.is_attached:
            await self.scrollback.show(messages, time.time_ns() // 1_000_000)

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
            words = f"{intent.purpose.value} {one_line(intent.message.sender)}: {said}"
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
