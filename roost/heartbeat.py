"""Is the other side still there? Speak before the agreed interval ends, and notice a silent server.

A server that does not answer two pings in a row is taken for dead: a socket that looks alive proves
nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from roost.power import Power

__all__ = ["FOREGROUND_HEARTBEAT_S", "Beat", "Heartbeat", "heartbeat_wanted_s"]

FOREGROUND_HEARTBEAT_S: Final = 60
_BACKGROUND_HEARTBEAT_S: Final = 240
_SAVING_HEARTBEAT_S: Final = 900
_ANSWER_WAIT_S_MAX: Final = 10.0
_MISSED_MAX: Final = 2
_SAFETY: Final = 0.75
"""The part of the agreed interval after which a silent client speaks: the rest is for the network."""


class Beat(Enum):
    """What the heartbeat asks for."""

    QUIET = auto()
    PING = auto()
    DEAD = auto()


def heartbeat_wanted_s(*, foreground: bool, power: Power) -> int:
    """Return the interval to ask the server for: a client that nobody looks at saves its battery."""
    if power is Power.SAVING:
        return _SAVING_HEARTBEAT_S
    return FOREGROUND_HEARTBEAT_S if foreground else _BACKGROUND_HEARTBEAT_S


class Heartbeat:
    """The silence of one connection."""

    __slots__ = ("_heard_at_s", "_interval_s", "_missed", "_pinged_at_s", "_spoke_at_s")

    def __init__(self, now_s: float) -> None:
        self._interval_s = float(FOREGROUND_HEARTBEAT_S)
        self._heard_at_s = now_s
        self._spoke_at_s = now_s
        self._pinged_at_s: float | None = None
        self._missed = 0

    def agreed(self, interval_s: int) -> None:
        """Take over the interval that the server will keep."""
        self._interval_s = float(max(1, interval_s))

    def heard(self, now_s: float) -> None:
        """Count anything from the server as a sign of life."""
        self._heard_at_s = now_s
        self._pinged_at_s = None
        self._missed = 0

    def spoke(self, now_s: float) -> None:
        """Count anything we send as our sign of life."""
        self._spoke_at_s = now_s

    @property
    def _answer_wait_s(self) -> float:
        return min(_ANSWER_WAIT_S_MAX, self._interval_s)

    def next_deadline_s(self) -> float:
        """Return when `beat` is to be called."""
        if self._pinged_at_s is not None:
            return self._pinged_at_s + self._answer_wait_s
        return min(self._spoke_at_s, self._heard_at_s) + self._interval_s * _SAFETY

    def beat(self, now_s: float) -> Beat:
        """Say what is to be done now."""
        if now_s < self.next_deadline_s():
            return Beat.QUIET
        if self._pinged_at_s is not None:
            self._missed += 1
            if self._missed >= _MISSED_MAX:
                return Beat.DEAD
        self._pinged_at_s = now_s
        self._spoke_at_s = now_s
        return Beat.PING
