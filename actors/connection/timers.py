"""The timers of a connection, as messages that carry nothing."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

__all__ = ["HURRY", "REST", "Check", "Hurry", "Rest", "TooSlow", "check"]

STAYS_EVERY_S: Final = 43_200.0
"""Twice a day: the account counts a day more than a device may be idle, so that word of it may be lost once."""


class Hurry:
    """The timer before which the handshake, and then the login, must be done."""


class Check:
    """The timer that looks for a sign of life.

    Args:
        half_day: In which it was set: so it is known, and kept nowhere, when the account is to hear of the device.
    """

    __slots__ = ("_half_day",)

    def __init__(self, half_day: int) -> None:
        self._half_day = half_day

    def stays(self, now_s: float) -> bool:
        """Whether another half day has begun since it was set."""
        return now_s // STAYS_EVERY_S != self._half_day


class Rest:
    """The timer that puts the ciphers of a quiet connection away."""


class TooSlow:
    """The timer of a socket that takes nothing."""


# One of each for all connections: 10,000 quiet ones would hold 20,000 of them.
HURRY: Final = Hurry()
REST: Final = Rest()
_check = lru_cache(maxsize=4)(Check)


def check(now_s: float) -> Check:
    """The one for all timers that are set in this half day."""
    return _check(int(now_s // STAYS_EVERY_S))
