"""The messages of a chat, the latest at the bottom; one of them can be picked."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message

from protocol import is_group
from roost.history import MessageState
from roost.plain import day_name
from roost.terminal.message_view import DaySeparator, MessageView, is_quiet
from roost.terminal.names import Names

if TYPE_CHECKING:
    from roost.history import StoredMessage

__all__ = ["Scrollback"]


class Scrollback(VerticalScroll):
    """The messages. It has the focus only while one is picked; then letters say what to do with that one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("r", "ask('reply')", show=False),
        Binding("t", "ask('react')", show=False),
        Binding("e", "ask('edit')", show=False),
        Binding("d,delete", "ask('delete')", show=False),
        Binding("f", "ask('forward')", show=False),
        Binding("o,enter", "ask('open')", show=False),
        Binding("i", "ask('info')", show=False),
    ]

    class Asked(Message):
        """Something is to be done with the picked message."""

        def __init__(self, wish: str, message: StoredMessage) -> None:
            self.wish = wish
            self.message = message
            super().__init__()

    class Left(Message):
        """The reader has moved down, out of the messages."""

    class TopReached(Message):
        """The reader has scrolled to the oldest message shown."""

    def __init__(self) -> None:
        super().__init__(id="scrollback", can_focus=False)
        self._picked: str | None = None
        self._views: dict[str, MessageView] = {}
        self._items: list[str] = []
        self._names = Names()

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
        self._picked = None
        await self.remove_children()

    async def show(self, messages: list[StoredMessage], names: Names, now_ms: int) -> None:
        """Show these messages; only what differs from before is drawn anew."""
        self._names = names
        wanted = _with_days(messages, now_ms)
        items = [item.key for item in wanted]
        at_end, below = self.at_end, self.max_scroll_y - self.scroll_y
        known = len(self._items)
        if self._items and items[:known] == self._items:
            await self.mount_all([self._made(item) for item in wanted[known:]])
        elif self._items and items[-known:] == self._items:
            await self.mount_all([self._made(item) for item in wanted[:-known]], before=0)
        elif items != self._items:
            picked = self._picked
            await self.clear()
            await self.mount_all([self._made(item) for item in wanted])
            self._picked = picked
        self._items = items
        if self._picked is not None:
            self._show_picked()
        for item in wanted:
            if item.message is not None:
                self._views[item.key].show(item.message, names, named=item.named)
        if not at_end:
            self.call_after_refresh(self._keep, below)

    # Picking.

    def pick(self, key: str | None) -> None:
        """Pick a message, or none."""
        before = self._views.get(self._picked or "")
        if before is not None:
            before.set_class(False, "-picked")
        self._picked = key
        self.can_focus = key is not None
        if key is not None:
            self.focus(scroll_visible=False)
            self._show_picked()

    def pick_last(self) -> None:
        """Pick the latest message."""
        messages = self._messages()
        if messages:
            self.pick(messages[-1])

    def _messages(self) -> list[str]:
        return [item for item in self._items if item in self._views]

    def _show_picked(self) -> None:
        view = self._views.get(self._picked or "")
        if view is None:
            self.post_message(self.Left())  # it is not there any more
            return
        view.set_class(True, "-picked")
        self.scroll_to_widget(view, animate=False)

    def action_move(self, step: int) -> None:
        """Pick the message above or below; below the last one the reader leaves."""
        messages = self._messages()
        if self._picked not in messages:
            return
        place = messages.index(self._picked) + step
        if place == len(messages):
            self.post_message(self.Left())
        elif place < 0:
            self.post_message(self.TopReached())
        else:
            self.pick(messages[place])

    def action_ask(self, wish: str) -> None:
        """Let something be done with the picked message."""
        view = self._views.get(self._picked or "")
        if view is not None:
            self.post_message(self.Asked(wish, view.message))

    def follow(self) -> None:
        """Show the end, and stay there as messages come until the reader scrolls up."""
        self.anchor()

    def _keep(self, below: float) -> None:
        self.scroll_to(y=self.max_scroll_y - below, animate=False, immediate=True)

    def _made(self, item: _Item) -> MessageView | DaySeparator:
        if item.message is None:
            return DaySeparator(item.day)
        self._views[item.key] = MessageView(item.message, self._names, named=item.named)
        return self._views[item.key]


class _Item(NamedTuple):
    """A message, and whether who wrote it stands above it; or the day of those below it."""

    key: str
    message: StoredMessage | None = None
    named: bool = False
    day: str = ""


def _with_days(messages: list[StoredMessage], now_ms: int) -> list[_Item]:
    items: list[_Item] = []
    day = before = ""
    for message in messages:
        name = day_name(message.time_ms, now_ms)
        if name != day:
            day, before = name, ""
            items.append(_Item(f"day {name} {message.key}", day=name))
        speaker = message.sender if message.state is MessageState.RECEIVED and not is_quiet(message) else ""
        named = bool(speaker) and speaker != before and is_group(message.conversation)
        items.append(_Item(message.key, message, named))
        before = speaker
    return items
