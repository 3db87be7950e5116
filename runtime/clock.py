"""Time as a port: the machine's clock, or one that a test turns by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the runtime, and every actor, reads time."""

    def now_s(self) -> float:
        """Seconds that never go backwards; only differences mean anything."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970 by the calendar; may jump."""


class SystemClock:
    """The machine's clock. `now_s` is `time.monotonic` itself, with no method around it: it is read at every turn."""

    __slots__ = ()

    now_s = staticmethod(time.monotonic)

    def wall_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000


class VirtualClock:
    """A clock that stands still until told otherwise.

    Args:
        now_s: Where the monotonic clock starts.
        wall_ms: What the calendar shows at that moment.
    """

    __slots__ = ("_now_s", "_offset_ms")

    def __init__(self, now_s: float = 0.0, wall_ms: int = 1_700_000_000_000) -> None:
        self._now_s = now_s
        self._offset_ms = wall_ms - round(now_s * 1000)

    def now_s(self) -> float:
        """The virtual seconds."""
        return self._now_s

    def wall_ms(self) -> int:
        """The virtual calendar, which moves with the seconds."""
        return self._offset_ms + round(self._now_s * 1000)

    def advance(self, delay_s: float) -> None:
        """Let time pass.

        Args:
            delay_s: How much, not negative.
        """
        self.advance_to(self._now_s + delay_s)

    def advance_to(self, now_s: float) -> None:
        """Let time pass until a moment.

        Args:
            now_s: The moment, not before the present one.

        Raises:
            ValueError: The moment has passed.
        """
        if now_s < self._now_s:
            raise ValueError(f"a clock does not go back: it shows {self._now_s} s and was told {now_s} s")
        self._now_s = now_s

    def jump_wall(self, offset_ms: int) -> None:
        """Set the calendar forward or back without letting time pass, as an operator or NTP does.

        Args:
            offset_ms: By how much; negative sets it back.
        """
        self._offset_ms += offset_ms
