"""What happens next, and when: the one queue of events under which everything in a simulation runs."""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Agenda", "HostClock", "chance_of"]

WALL_START_MS: Final = 1_700_000_000_000
_ROUNDING_S: Final = 1e-6


class Agenda:
    """Events in order of time, then of the order in which they were put in.

    Attributes:
        now_s: Simulated seconds since the beginning.
    """

    __slots__ = ("_count", "_heap", "now_s")

    def __init__(self) -> None:
        self.now_s = 0.0
        self._heap: list[tuple[float, int, Callable[[], object]]] = []
        self._count = 0

    def at(self, time_s: float, action: Callable[[], object]) -> None:
        """Let something happen at a moment; one that has passed means now."""
        self._count += 1
        heapq.heappush(self._heap, (time_s if time_s > self.now_s else self.now_s, self._count, action))

    def after(self, delay_s: float, action: Callable[[], object]) -> None:
        """Let something happen after a while."""
        self.at(self.now_s + delay_s, action)

    def next_s(self) -> float | None:
        """When something happens next; None if nothing ever will."""
        return self._heap[0][0] if self._heap else None

    def run_next(self) -> None:
        """Go to the next event and let it happen.

        Raises:
            IndexError: There is none.
        """
        self.now_s, _, action = heapq.heappop(self._heap)
        action()


class HostClock:
    """The clock of one machine: it may run a little fast or slow, and its calendar may jump.

    Fits the ports of the runtime and of the client alike.

    Args:
        agenda: True time.
        rate: Seconds that this clock counts in a true second.
        offset_ms: By how much its calendar is wrong.
    """

    __slots__ = ("_agenda", "offset_ms", "rate")

    def __init__(self, agenda: Agenda, rate: float = 1.0, offset_ms: int = 0) -> None:
        self._agenda = agenda
        self.rate = rate
        self.offset_ms = offset_ms

    def now_s(self) -> float:
        """Seconds that never go backwards."""
        return self._agenda.now_s * self.rate

    def wall_ms(self) -> int:
        """Milliseconds since 1970, as this machine believes."""
        return WALL_START_MS + int(self._agenda.now_s * self.rate * 1000) + self.offset_ms

    def true_s(self, now_s: float) -> float:
        """The true moment at which this clock will have reached `now_s` for certain."""
        return now_s / self.rate + _ROUNDING_S


def chance_of(seed: int, name: str) -> random.Random:
    """The part of a seed's luck that belongs to one name, so that taking from it disturbs no other."""
    return random.Random(f"{seed} {name}")
