"""Clock and randomness as ports: the session never reads either from the system itself.

The names and meanings are those of the runtime's ports, so its virtual clock and seeded
randomness fit here without an adapter.
"""

from __future__ import annotations

import random
import secrets
import time
from typing import Protocol

__all__ = ["Clock", "Randomness", "SystemClock", "SystemRandomness"]


class Clock(Protocol):
    """Where the session gets the time from."""

    def now_s(self) -> float:
        """Return seconds on a clock that never goes back; only differences mean anything."""
        ...

    def wall_ms(self) -> int:
        """Return milliseconds since 1970, for showing to people; never used for order."""
        ...


class Randomness(Protocol):
    """Where the session gets ids and jitter from."""

    def bytes(self, size: int) -> bytes:
        """Return `size` unpredictable bytes."""
        ...

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...


class SystemClock:
    """The clock of this machine."""

    __slots__ = ()

    def now_s(self) -> float:
        """Return the monotonic time in seconds."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return the wall time in milliseconds since 1970."""
        return time.time_ns() // 1_000_000


class SystemRandomness:
    """The randomness of this machine: ids from the operating system, jitter from a generator."""

    __slots__ = ("_jitter",)

    def __init__(self) -> None:
        self._jitter = random.SystemRandom()

    def bytes(self, size: int) -> bytes:
        """Return `size` bytes fit for keys and ids."""
        return secrets.token_bytes(size)

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return self._jitter.random()
