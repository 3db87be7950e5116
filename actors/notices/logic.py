"""What is told together: all devices that one message did not reach. Pure.

State is mutated in place: a thousand members may miss a message within a moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.messages import NOTICE_DEVICES_MAX

if TYPE_CHECKING:
    from actors.notices.api import Missed

__all__ = ["Collection", "Telling"]

WAITING_MAX: Final = 4_096


class Telling(NamedTuple):
    """One notice: which message did not reach which devices, and under which positions that waits at the group."""

    positions: list[int]
    missed: list[Missed]


class Collection:
    """What a group has to tell.

    Attributes:
        tail: The highest position that is known.
        leaving: Positions whose telling is on its way to the disk.
    """

    __slots__ = ("_count", "_waiting", "leaving", "tail")

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, list[tuple[int, Missed]]]] = {}
        self._count = 0
        self.tail = 0
        self.leaving: set[int] = set()

    def add(self, position: int, missed: Missed) -> None:
        """One more device that a message did not reach; a position that is known changes nothing."""
        if position > self.tail:
            self.tail = position
            self._count += 1
            self._waiting.setdefault(missed.sender, {}).setdefault(missed.seq, []).append((position, missed))

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, nor is on its way to the disk."""
        return not self._waiting and not self.leaving

    @property
    def is_full(self) -> bool:
        """Whether so much waits that it is to be told at once."""
        return self._count >= WAITING_MAX

    @property
    def senders(self) -> list[str]:
        """Who is to be told something."""
        return list(self._waiting)

    def take(self, sender: str) -> list[Telling]:
        """All that a sender is to be told now; it is on its way to the disk from here on."""
        tellings: list[Telling] = []
        for waiting in self._waiting.pop(sender, {}).values():
            for first in range(0, len(waiting), NOTICE_DEVICES_MAX):
                some = waiting[first : first + NOTICE_DEVICES_MAX]
                tellings.append(Telling([position for position, _ in some], [missed for _, missed in some]))
                self.leaving.update(tellings[-1].positions)
            self._count -= len(waiting)
        return tellings
