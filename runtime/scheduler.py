"""Who runs next: the port, and the scheduler that lives on an asyncio or uvloop event loop."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING, Final

from .errors import ReentryError
from .turns import take_deferred_turn, take_turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from .process import Process
    from .runtime import Runtime

TURN_MESSAGES_MAX: Final = 64
"""What one process may handle before the next one's turn."""
DRAIN_S_MAX: Final = 0.002
"""How long all may run before the loop looks at its sockets again; one turn may take it a little beyond that."""
LOW_S_MAX: Final = 0.0005
"""How long processes of low priority may run at the end of a round, even if nobody else was ready."""
LOW_WAIT_S_MAX: Final = 0.1
"""When some of them have waited for so long, all of them take a turn among the others."""


class Scheduler(ABC):
    """Runs a runtime's processes; every call but `post_threadsafe` comes from the runtime's thread.

    Attributes:
        ready: Processes with messages; each stands here at most once while it lives.
        deferred: Processes that asked for `handle_deferred`.
        asleep: Whether nothing will run before `wake` is called.
    """

    ready: deque[Process] | list[Process]
    deferred: list[Process]
    asleep: bool
    _runtime: Runtime

    def attach(self, runtime: Runtime) -> None:
        """Serve this runtime; called once, by its constructor."""
        self._runtime = runtime

    @abstractmethod
    def wake(self) -> None:
        """See to it that what is ready runs soon; called only while `asleep`."""

    def wake_for_signals(self) -> None:
        """See to it that exit signals are applied soon."""
        if self.asleep:
            self.wake()

    @abstractmethod
    def arm(self, due_s: float) -> None:
        """See to it that the timers are advanced at this moment of the clock."""

    @abstractmethod
    def post_threadsafe(self, function: Callable[[], None]) -> None:
        """Run a function in the runtime's thread, soon; may be called from any thread."""

    @abstractmethod
    def report(self, error: Exception) -> None:
        """Make known what a function that belongs to no actor raised."""

    @abstractmethod
    def close(self) -> None:
        """Run nothing more."""

    @property
    def runnable(self) -> int:
        """How many processes wait for their turn."""
        return len(self.ready)

    def _take_turn(self, process: Process, budget: int) -> int:
        """A turn that an operator's `handled` hook watches."""
        hook = self._runtime.hooks.handled
        actor = process._actor
        if hook is None or actor is None:
            return take_turn(process, budget)
        began_s = self._runtime.clock.now_s()
        handled = take_turn(process, budget)
        self._runtime._notify(hook, process.pid, actor, handled, self._runtime.clock.now_s() - began_s)
        return handled


class LoopScheduler(Scheduler):
    """Runs processes inside one callback of an event loop, a bounded number of messages at a time.

    Args:
        loop: The loop; the running one if None.
    """

    ready: deque[Process]

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self.ready = deque()
        self.deferred = []
        self.asleep = True
        self._low: deque[Process] = deque()  # taken out of `ready`, to run when that is empty
        self._low_since_s = 0.0
        self._equal_turns = 0  # so many of `ready` take their turn whatever their priority
        self._draining = False
        self._closed = False
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def runnable(self) -> int:
        """How many processes wait for their turn."""
        return len(self.ready) + len(self._low)

    def wake(self) -> None:
        """Drain the run queue in the loop's next round."""
        if not self._closed:
            self.asleep = False
            self._loop.call_soon(self._drain)

    def arm(self, due_s: float) -> None:
        """Keep the one timer of the loop for the wheel's next slot."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._loop.call_later(max(0.0, due_s - self._runtime.clock.now_s()), self._advance)

    def post_threadsafe(self, function: Callable[[], None]) -> None:
        """Run a function in the loop's thread; nothing happens if the loop has closed meanwhile."""
        with contextlib.suppress(RuntimeError):  # raised by a closed loop, and for no other reason
            self._loop.call_soon_threadsafe(function)

    def report(self, error: Exception) -> None:
        """Give the error to the loop's exception handler."""
        self._loop.call_exception_handler({"message": "a scheduled function raised", "exception": error})

    def close(self) -> None:
        """Run nothing more and let go of the loop's timer."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _advance(self) -> None:
        self._alarm = None
        self._runtime._timers.advance()

    def _drain(self) -> None:
        if self._draining:
            raise ReentryError("the scheduler is running already")
        self._draining = True
        try:
            if not self._closed:
                self._runtime._counters.messages += self._run_ready()
                self._run_deferred()
        finally:
            self._draining = False
            if self.ready or self._low or self.deferred or self._runtime._signals:
                self.wake()
            else:
                self.asleep = True

    def _run_ready(self) -> int:
        """Run who is ready for some time, and behind them, for a little, whoever has low priority."""
        ready, low = self.ready, self._low
        next_process = ready.popleft
        signals = self._runtime._signals
        settle = self._runtime._settle
        now_s = self._runtime.clock.now_s
        turn = take_turn if self._runtime.hooks.handled is None else self._take_turn
        handled = 0
        if signals:
            settle()
        began_s = now_s()
        until_s = began_s + DRAIN_S_MAX
        if low and began_s - self._low_since_s > LOW_WAIT_S_MAX:
            ready.extend(low)
            low.clear()
            self._equal_turns = len(ready)
        while ready and now_s() < until_s:
            process = next_process()
            if self._equal_turns:
                self._equal_turns -= 1
            elif process.is_low:
                if not low:
                    self._low_since_s = now_s()
                low.append(process)
                continue
            handled += turn(process, TURN_MESSAGES_MAX)
            if signals:
                settle()
        if low:
            until_s = now_s() + LOW_S_MAX
            while low and now_s() < until_s:
                handled += turn(low.popleft(), TURN_MESSAGES_MAX)
                if signals:
                    settle()
        return handled

    def _run_deferred(self) -> None:
        deferred, self.deferred = self.deferred, []
        for process in deferred:
            take_deferred_turn(process)
            self._runtime._settle()
