"""Who writes to people that are away, and who comes back for what waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from bench.client import Client, Sender

if TYPE_CHECKING:
    from bench.person import Person

__all__ = ["Returner", "Writer"]

WINDOW: Final = 16


class Writer(Sender):
    """Sends its messages, a window of them without their tick.

    Args:
        person: Who writes.
        other: To whom.
        count: How many messages.

    Attributes:
        ticks: How many had their tick.
        done: Set with the last one.
    """

    def __init__(self, person: Person, other: Person, count: int) -> None:
        super().__init__(person, other)
        self.ticks = 0
        self.done = asyncio.Event()
        self._count = count

    def begin(self) -> None:
        """Fill the window."""
        for _ in range(WINDOW):
            self.say_next()
        self.flush()

    def sent(self, sent: Any) -> None:
        """A tick: the next message."""
        self.ticks += 1
        if self.number < self._count:
            self.say_next()
        elif self.ticks == self._count:
            self.done.set()


class Returner(Client):
    """Counts what comes; `done` once all of it is here and acknowledged."""

    def __init__(self, *person: Any) -> None:
        super().__init__(*person)
        self.count = 0
        self.done = asyncio.Event()

    def delivered(self, deliver: Any) -> None:
        """One more."""
        self.count += 1

    def drained(self) -> None:
        """That was all of it."""
        self.done.set()
