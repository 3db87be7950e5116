"""Who is replaced, who is killed, and when the host ends: the supervisor's decisions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from supervisors.host.plan import BEAT_S, REFUSED, STOPPED

if TYPE_CHECKING:
    from supervisors.window import RestartWindow

__all__ = ["HUNG_SWEEPS", "START_SWEEPS", "Effect", "Kill", "Leave", "Staff", "Start", "Stop"]

HUNG_SWEEPS: Final = round(4 / BEAT_S)
"""So many looks in a row at the same beat mean that the worker hangs. Looks, not seconds: while the whole host is
frozen (a suspended laptop, a stopped container), nobody looks."""
START_SWEEPS: Final = round(120 / BEAT_S)
"""The same before the first beat: a replay of the journal takes a while."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a worker; `status` is how the one before it ended, None for the first."""

    worker: int
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL a worker that hangs; its end is heard of as any other."""

    worker: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask a worker to stop."""

    worker: int


@dataclass(frozen=True, slots=True)
class Leave:
    """End the host with this exit status, because of `event`."""

    status: int
    event: str


Effect = Start | Kill | Stop | Leave


@dataclass(slots=True)
class _Seat:
    running: bool = True
    beats: int = 0
    looks: int = 0


class Staff:
    """The workers of a host.

    Args:
        workers: How many.
        window: How often they may be replaced.
    """

    __slots__ = ("_clean", "_draining", "_seats", "_window")

    def __init__(self, workers: int, window: RestartWindow) -> None:
        self._seats = [_Seat() for _ in range(workers)]
        self._window = window
        self._draining = False
        self._clean = True

    def begin(self) -> list[Effect]:
        """The first of everyone."""
        return [Start(worker) for worker in range(len(self._seats))]

    def ended(self, worker: int, status: int, now_s: float) -> list[Effect]:
        """A worker has ended.

        Args:
            worker: Which.
            status: Its exit status; negative: the signal that killed it.
            now_s: When, by a clock that never goes back.
        """
        seat = self._seats[worker]
        if self._draining:
            seat.running = False
            self._clean &= status == STOPPED
            return self._gone()
        if status == REFUSED:
            return [Leave(1, "worker_cannot_start")]
        self._window, allowed = self._window.restarted(now_s)
        if not allowed:
            return [Leave(1, "host_gave_up")]
        self._seats[worker] = _Seat()
        return [Start(worker, status)]

    def looked(self, worker: int, beats: int) -> list[Effect]:
        """A look at a worker's pulse, one every `BEAT_S`."""
        seat = self._seats[worker]
        if not seat.running or beats != seat.beats:
            seat.beats = beats
            seat.looks = 0
            return []
        seat.looks += 1
        if seat.looks < (HUNG_SWEEPS if beats else START_SWEEPS):
            return []
        seat.looks = 0
        return [Kill(worker)]

    def drain(self) -> list[Effect]:
        """Everyone is to stop; whoever ends from now on is not replaced. A second time changes nothing."""
        if self._draining:
            return []
        self._draining = True
        return [Stop(worker) for worker in range(len(self._seats))]

    def _gone(self) -> list[Effect]:
        if any(seat.running for seat in self._seats):
            return []
        return [Leave(0, "host_stopped") if self._clean else Leave(1, "host_stopped_uncleanly")]
