"""When to connect again: after a back-off that a session which lasted resets, and never before the server asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import Code
from roost.backoff import Backoff, jittered_s

if TYPE_CHECKING:
    from roost.ports import Randomness

__all__ = ["FINAL_CODES", "NO_DEVICE_ANY_MORE", "Reconnection"]

_STABLE_AFTER_S: Final = 5.0
"""A session that lasted this long forgets earlier failures; a shorter one counts as one more."""
_RETRY_AFTER_MS_MAX: Final = 600_000
"""However long a server asks to wait, a client looks again after ten minutes."""

FINAL_CODES: Final = frozenset(
    {
        Code.REPLACED,
        Code.VERSION_UNSUPPORTED,
        Code.ADDRESS_INVALID,
        Code.ACCOUNT_UNKNOWN,
        Code.DEVICE_UNKNOWN,
        Code.DEVICE_REVOKED,
    }
)
"""After these a new connection would end the same way, or throw out the one that replaced us."""


NO_DEVICE_ANY_MORE: Final = frozenset({Code.DEVICE_UNKNOWN, Code.DEVICE_REVOKED})
"""What the server says to a device that was removed, or has expired."""


class Reconnection:
    """The failures of a session's connections."""

    __slots__ = ("_backoff", "_randomness", "_ready_at_s")

    def __init__(self, randomness: Randomness) -> None:
        self._backoff = Backoff()
        self._randomness = randomness
        self._ready_at_s: float | None = None

    def ready(self, now_s: float) -> None:
        """Count a login as done."""
        self._ready_at_s = now_s

    def failed(self, now_s: float, retry_after_ms: int) -> float:
        """Count a connection as ended and return the delay in seconds before the next.

        Args:
            now_s: the present time.
            retry_after_ms: how long the server asked to wait; -1 if it did not.
        """
        if self._ready_at_s is not None and now_s >= self._ready_at_s + _STABLE_AFTER_S:
            self._backoff.reset()
        self._ready_at_s = None
        delay_s = self._backoff.next_delay_s(self._randomness)
        if retry_after_ms >= 0:
            delay_s = max(delay_s, jittered_s(min(retry_after_ms, _RETRY_AFTER_MS_MAX), self._randomness))
        return delay_s
