"""What a host is to consist of, and what a worker is given; as data, complete before the first process starts."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisors.host.pulse import Pulses

__all__ = ["BEAT_S", "GAVE_UP", "PLAN", "PULSES", "REFUSED", "STOPPED", "HostPlan", "Shift", "WorkerSpec"]

BEAT_S: Final = 0.5
"""How often a worker shows that its event loop turns, and how often the supervisor looks."""

PLAN: Final = "Roost Plan"
PULSES: Final = "Roost Pulses"
"""The names under which every process of the host finds the plan and the pulses among Thespian's capabilities."""

STOPPED: Final = 0
"""Exit status of a worker that was asked to stop and has."""
REFUSED: Final = 78
"""Exit status of a worker that cannot start and has said why (EX_CONFIG of sysexits.h): another try would say
the same, so the host ends."""
GAVE_UP: Final = 70
"""Exit status of a worker that failed (EX_SOFTWARE of sysexits.h): it is replaced."""


class Shift:
    """One life of a worker process, as the code that it runs sees it.

    Args:
        cell: The worker's, in the pulses.
        pulses: Of the host.
    """

    __slots__ = ("_asked", "_cell", "_lock", "_parent", "_pulses", "_stop")

    def __init__(self, cell: int, pulses: Pulses) -> None:
        self._cell = cell
        self._parent = os.getppid()
        self._pulses = pulses
        self._lock = threading.Lock()
        self._asked = False
        self._stop: Callable[[], object] | None = None

    def beat(self) -> None:
        """Show that the event loop turns; to be called from it, every `BEAT_S`. A worker that stops to is replaced."""
        if os.getppid() != self._parent:
            os._exit(GAVE_UP)  # the kernel has been faster, unless it failed us
        self._pulses.beat(self._cell)

    @property
    def is_first(self) -> bool:
        """Whether no life of this worker before has announced itself."""
        return not self._pulses.announced(self._cell)

    def announce(self) -> bool:
        """Note that this worker serves; true once in the life of a host, for the last of its workers that does."""
        return self._pulses.announce(self._cell)

    def on_stop(self, stop: Callable[[], object]) -> None:
        """Have something called when the worker is to stop: once, from another thread; at once if it was asked before.

        Args:
            stop: Returns at once; a `call_soon_threadsafe` does.
        """
        with self._lock:
            self._stop = stop
            if self._asked:
                stop()

    def ask_to_stop(self) -> None:
        """The other end of `on_stop`; a second time does nothing."""
        with self._lock:
            if not self._asked and self._stop is not None:
                self._stop()
            self._asked = True


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A worker process.

    Attributes:
        name: For the log.
        serve: Runs in a thread of the process, with an event loop of its own, until it is stopped; returns the exit
            status: `STOPPED`, `REFUSED`, or anything else for a failure.
    """

    name: str
    serve: Callable[[Shift], int]


@dataclass(frozen=True, slots=True)
class HostPlan:
    """A host.

    Attributes:
        workers: Each keeps to data of its own.
        log: A structured logger.
        stop_s_max: How long the workers may take to stop; then they are killed.
        intensity: How many replacements of workers a period may see; one more ends the host.
        period_s: The length of that period.
    """

    workers: tuple[WorkerSpec, ...]
    log: Any
    stop_s_max: float
    intensity: int = 10
    period_s: float = 30.0
