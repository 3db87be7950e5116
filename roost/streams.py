"""Events for the application: bounded, so that a reader that stands still costs bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from roost.events import EventsLost, PresenceChanged, TypingChanged

if TYPE_CHECKING:
    from roost.events import Event

__all__ = ["EVENTS_MAX", "EventStream"]

EVENTS_MAX: Final = 10_000
_SHEDDABLE: Final = (TypingChanged, PresenceChanged)


class EventStream:
    """An async iterator of events; ends when the client is closed or has stopped for good.

    At `EVENTS_MAX` unread events, typing and presence are dropped silently; when only more important ones are left,
    the oldest go and an `EventsLost` stands in their place. Nothing is lost from the history.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._lost = 0
        self._ended = False
        self._news = asyncio.Event()

    def put(self, event: Event) -> None:
        """Append an event."""
        if len(self._events) >= EVENTS_MAX:
            self._make_room()
        self._events.append(event)
        self._news.set()

    def _make_room(self) -> None:
        kept = [event for event in self._events if not isinstance(event, _SHEDDABLE)]
        surplus = len(kept) - EVENTS_MAX * 9 // 10
        if surplus > 0:
            self._lost += surplus
            kept = kept[surplus:]
        self._events = deque(kept)

    def end(self) -> None:
        """Let the iteration end after what is there."""
        self._ended = True
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        if self._lost:
            lost, self._lost = self._lost, 0
            return EventsLost(lost)
        return self._events.popleft()
