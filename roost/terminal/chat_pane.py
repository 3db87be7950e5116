"""The open chat: who it is with and whether they are there, the scrollback, and the composer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Static

from roost.conversations import other_account
from roost.plain import clock_time, day_name
from roost.terminal.composer import Composer
from roost.terminal.conversation_list import shortened
from roost.terminal.message_view import DaySeparator, MessageView
from roost.terminal.palette import FAINT, PRESENT, TYPING

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from protocol import ConversationId
    from roost.client import Client
    from roost.events import PresenceChanged
    from roost.history import StoredMessage

__all__ = ["ChatHeader", "ChatPane", "Scrollback"]

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

    def on_resize(self) -> None:
        """Lay the line out anew."""
        self.draw()

    def draw(self) -> None:
        """Draw the line."""
        words, style = self._words()
        width = max(10, self.size.width - 2)
        name = shortened(self.name_shown, max(4, width - cell_len(words) - 2))
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


class Scrollback(VerticalScroll):
    """The messages, the latest at the bottom."""

    class TopReached(Message):
        """The reader has scrolled to the oldest message shown."""

    def __init__(self) -> None:
        super().__init__(id="scrollback", can_focus=False)
        self._views: dict[str, MessageView] = {}
        self._items: list[str] = []

    @property
    def at_end(self) -> bool:
        """Whether the latest message is in view."""
        # A chat shorter than the pane stands at its bottom, at a negative offset.
        return self.max_scroll_y == 0 or self.scroll_offset.y >= self.max_scroll_y - 1

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell when the top is reached."""
        super().watch_scroll_y(old_value, new_value)
        if new_value <= 0 < old_value:
            self.post_message(self.TopReached())

    async def clear(self) -> None:
        """Show nothing."""
        self._views.clear()
        self._items.clear()
        await self.remove_children()

    async def show(self, messages: list[StoredMessage], now_ms: int) -> None:
        """Show these messages; only what differs from before is drawn anew."""
        wanted = _with_days(messages, now_ms)
        items = [key for key, _, _ in wanted]
        at_end, below = self.at_end, self.max_scroll_y - self.scroll_y
        known = len(self._items)
        if self._items and items[:known] == self._items:
            await self.mount_all([self._made(item) for item in wanted[known:]])
        elif self._items and items[-known:] == self._items:
            await self.mount_all([self._made(item) for item in wanted[:-known]], before=0)
        elif items != self._items:
            await self.clear()
            await self.mount_all([self._made(item) for item in wanted])
        self._items = items
        for key, message, _ in wanted:
            if message is not None:
                self._views[key].show(message)
        if not at_end:
            self.call_after_refresh(self._keep, below)

    def follow(self) -> None:
        """Show the end, and stay there as messages come until the reader scrolls up."""
        self.anchor()

    def _keep(self, below: float) -> None:
        self.scroll_to(y=self.max_scroll_y - below, animate=False, immediate=True)

    def _made(self, item: tuple[str, StoredMessage | None, str]) -> MessageView | DaySeparator:
        key, message, day = item
        if message is None:
            return DaySeparator(day)
        self._views[key] = MessageView(message)
        return self._views[key]


def _with_days(messages: list[StoredMessage], now_ms: int) -> list[tuple[str, StoredMessage | None, str]]:
    items: list[tuple[str, StoredMessage | None, str]] = []
    day = ""
    for message in messages:
        name = day_name(message.time_ms, now_ms)
        if name != day:
            day = name
            items.append((f"day {name} {message.key}", None, name))
        items.append((message.key, message, ""))
    return items


class ChatPane(Vertical):
    """One chat; nothing but a hint while none is open."""

    def __init__(self, client: Client) -> None:
        super().__init__(id="chat")
        self._client = client
        self._limit = _PAGE
        self._complete = False
        self.conversation: ConversationId | None = None
        self.header = ChatHeader()
        self.scrollback = Scrollback()
        self.composer = Composer()

    def compose(self) -> ComposeResult:
        """Lay out the pane."""
        yield self.header
        yield self.scrollback
        yield Static("Choose a chat on the left,\nor begin one with Ctrl+N.", id="hint", markup=False)
        yield self.composer

    async def open(self, conversation: ConversationId) -> None:
        """Show a chat from its end."""
        self.conversation = conversation
        self._limit, self._complete = _PAGE, False
        other = other_account(conversation, self._client.account)
        header = self.header
        header.presence, header.typing = None, False
        header.name_shown = "Note to self" if other == self._client.account else other
        header.draw()
        self.set_class(True, "-open")
        await self.scrollback.clear()
        await self.refresh_messages()
        self.scrollback.follow()

    async def refresh_messages(self) -> None:
        """Show the history as it is now."""
        conversation = self.conversation
        if conversation is None:
            return
        messages = await self._client.history(conversation, limit=self._limit)
        self._complete = len(messages) < self._limit
        if conversation == self.conversation and self.scrollback.is_attached:
            await self.scrollback.show(messages, time.time_ns() // 1_000_000)

    async def on_scrollback_top_reached(self) -> None:
        """Show older messages, if there are any."""
        await self.show_older()

    async def show_older(self) -> None:
        """Show older messages, if there are any."""
        if not self._complete and self._limit < _SHOWN_MAX:
            self._limit += _PAGE
            await self.refresh_messages()
