"""A scheduler for tests and the simulator: the seed decides who runs next, and time moves only when told."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING

from .clock import VirtualClock
from .errors import ReentryError
from .scheduler import Scheduler
from .turns import take_deferred_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Process

_EARLY_DEFERRED_PERCENT = 5


class SeededScheduler(Scheduler):
    """Takes a random runnable process at each step; the same seed over the same actors gives the same run.

    Order between any two processes holds, as always; every order that the rules leave open occurs under some seed.

    Args:
        seed: Print it with every failure.
        turn_messages_max: A turn handles one to this many messages.
    """

    ready: list[Process]

    def __init__(self, seed: int, turn_messages_max: int = 3) -> None:
        self.seed = seed
        self.ready = []
        self.deferred = []
        self.asleep = False
        self._random = random.Random(seed)
        self._turn_messages_max = turn_messages_max
        self._posted: deque[Callable[[], None]] = deque()
        self._stepping = False
        self._closed = False

    def wake(self) -> None:
        """Whoever calls `step` is awake."""

    def arm(self, due_s: float) -> None:
        """Time passes in `run_for` alone."""

    def post_threadsafe(self, function: Callable[[], None]) -> None:
        """Run a function at one of the next steps; functions keep their order among themselves."""
        self._posted.append(function)

    def report(self, error: Exception) -> None:
        """Fail the test.

        Raises:
            Exception: The error itself.
        """
        raise error

    def close(self) -> None:
        """Run nothing more."""
        self._closed = True

    @property
    def busy(self) -> bool:
        """Whether a step would find something to run."""
        return bool(self.ready or self.deferred or self._posted or self._runtime._signals)

    def next_due_s(self) -> float | None:
        """When a timer is due next, by the runtime's clock, in seconds; None while none waits."""
        return self._runtime._timers.next_visit_s()

    def fire_due(self) -> int:
        """Fire the timers that are due by the clock; what they wake runs in later steps.

        Returns:
            How many fired.
        """
        return self._runtime._timers.advance()

    def step(self) -> bool:
        """Run one turn of one process, one deferred callback or one posted function.

        Returns:
            Whether there was anything to run.
        """
        if self._stepping:
            raise ReentryError("the scheduler is running already")
        if self._closed:
            return False
        self._stepping = True
        runtime = self._runtime
        try:
            if runtime._signals:
                runtime._settle()
            is_busy = self._choose()
            if runtime._signals:
                runtime._settle()
        finally:
            self._stepping = False
        return is_busy

    def run_until_idle(self, steps_max: int = 1_000_000) -> int:
        """Fire what is due, then step until nothing is left to run; time stands still.

        Args:
            steps_max: More than that means that the actors chase each other for ever.

        Returns:
            The number of steps.

        Raises:
            RuntimeError: There were more steps.
        """
        self.fire_due()
        for steps in range(steps_max):
            if not self.step():
                return steps
        raise RuntimeError(f"the actors are still busy after {steps_max} steps (seed {self.seed})")

    def run_for(self, duration_s: float) -> None:
        """Let virtual time pass, stopping at each moment at which a timer is due, until nothing is left to run.

        Args:
            duration_s: How much time.

        Raises:
            TypeError: The runtime's clock is not a VirtualClock.
        """
        clock = self._runtime.clock
        if not isinstance(clock, VirtualClock):
            raise TypeError("only a VirtualClock can be told to let time pass")
        until_s = clock.now_s() + duration_s
        self.run_until_idle()
        while (due_s := self.next_due_s()) is not None and due_s <= until_s:
            clock.advance_to(max(due_s, clock.now_s()))
            self.run_until_idle()
        clock.advance_to(until_s)
        self.run_until_idle()

    def _choose(self) -> bool:
        chance = self._random
        if self.deferred and (not self.ready or _below(100, chance) < _EARLY_DEFERRED_PERCENT):
            self._take_deferred_turn(_take(self.deferred, chance))
            return True
        count = len(self.ready) + bool(self._posted)
        if not count:
            return False
        if self._posted and _below(count, chance) == 0:
            self._posted.popleft()()
            return True
        process = _take(self.ready, chance)
        self._runtime._counters.messages += self._take_turn(process, 1 + _below(self._turn_messages_max, chance))
        return True

    def _take_deferred_turn(self, process: Process) -> None:
        take_deferred_turn(process)


def _take(processes: list[Process], chance: random.Random) -> Process:
    """Remove a random one, in constant time."""
    index = _below(len(processes), chance)
    processes[index], processes[-1] = processes[-1], processes[index]
    return processes.pop()


def _below(end: int, chance: random.Random) -> int:
    """The very number that `chance.randrange(end)` takes, in half its time; each step takes a few."""
    bits = end.bit_length()
    number = chance.getrandbits(bits)
    while number >= end:
        number = chance.getrandbits(bits)
    return number
