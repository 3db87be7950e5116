"""How long to wait before the next attempt: exponential, with full jitter, within bounds.

Full jitter (a uniform draw between nothing and the ceiling) spreads a crowd of clients that lost
the same server over the whole interval; see "Exponential Backoff And Jitter", AWS, 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from roost.ports import Randomness

__all__ = ["RECONNECT_DELAY_S_MAX", "RECONNECT_DELAY_S_MIN", "Backoff", "jittered_s"]

RECONNECT_DELAY_S_MIN: Final = 0.5
RECONNECT_DELAY_S_MAX: Final = 60.0
_DOUBLINGS_MAX: Final = 16


class Backoff:
    """The growing delay of one thing that keeps failing."""

    __slots__ = ("_attempts", "_delay_s_max", "_delay_s_min")

    def __init__(
        self,
        delay_s_min: float = RECONNECT_DELAY_S_MIN,
        delay_s_max: float = RECONNECT_DELAY_S_MAX,
    ) -> None:
        """Start with no failures.

        Args:
            delay_s_min: the ceiling of the first delay; no delay is shorter than half of it.
            delay_s_max: the ceiling that no delay exceeds.
        """
        self._delay_s_min = delay_s_min
        self._delay_s_max = delay_s_max
        self._attempts = 0

    def next_delay_s(self, randomness: Randomness) -> float:
        """Return the delay before the next attempt and count this failure."""
        ceiling_s = min(self._delay_s_max, self._delay_s_min * float(1 << self._attempts))
        self._attempts = min(self._attempts + 1, _DOUBLINGS_MAX)
        floor_s = self._delay_s_min / 2
        return floor_s + (ceiling_s - floor_s) * randomness.random()

    def reset(self) -> None:
        """Forget the failures: the last attempt succeeded."""
        self._attempts = 0


def jittered_s(delay_ms: int, randomness: Randomness) -> float:
    """Return a delay the server asked for, lengthened by up to a quarter so that clients spread.

    Args:
        delay_ms: what the server asked for, in milliseconds; never shortened.
        randomness: where the jitter comes from.
    """
    return delay_ms / 1000 * (1 + randomness.random() / 4)
