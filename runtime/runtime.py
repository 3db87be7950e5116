"""The runtime: everything that processes share, and the way in from outside."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, ParamSpec

from . import lifetime
from .actor import Actor
from .clock import Clock, SystemClock
from .errors import CallError, TasksFullError
from .foreign import Foreign
from .hooks import Hooks
from .mailbox import Info, content, deliver, enqueue
from .messages import NoReply, Reply, TaskDone, TaskFailed
from .pid import Pid, Ref
from .randomness import Randomness, SystemRandomness
from .reasons import SHUTDOWN
from .registry import Registry
from .scheduler import LoopScheduler, Scheduler
from .signals import Kind
from .statistics import Counters, Statistics
from .tasks import Tasks, ThreadTasks
from .timers import Timer, TimerWheel

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from .messages import Message
    from .process import Process
    from .reasons import Reason
    from .ties import Tied

Arguments = ParamSpec("Arguments")


class Scheduled(Timer):
    """A function that waits for its time; made by `Runtime.schedule`."""

    __slots__ = ("_function", "_runtime")

    def __init__(self, runtime: Runtime, function: Callable[[], None]) -> None:
        super().__init__()
        self._runtime = runtime
        self._function = function

    def cancel(self) -> bool:
        """Do not run it; returns whether it was still waiting."""
        return self._runtime._timers.cancel(self)

    def fire(self) -> None:
        """Run the function; what it raises goes to the scheduler's report."""
        try:
            self._function()
        except Exception as error:
            self._runtime._scheduler.report(error)


class _Asker(Actor):
    """The process behind a call from outside: it asks, tells, and ends."""

    __slots__ = ("_answered", "_pid", "_request", "_timeout_s")

    def __init__(
        self, pid: Pid, request: Message, answered: Callable[[Reply | NoReply], None], timeout_s: float | None
    ) -> None:
        self._pid = pid
        self._request = request
        self._answered = answered
        self._timeout_s = timeout_s

    def init(self) -> None:
        self.process.call(self._pid, self._request, self._timeout_s)

    def handle_info(self, message: Message) -> None:
        self.process.stop()
        self._answered(message)


class Runtime:
    """One node's processes, all in one thread.

    Args:
        node: The node's name, which its pids carry.
        incarnation: Which life of the node this is; a node among others takes one that it never had.
        clock: Where time is read; the machine's if None.
        randomness: Where actors take chance from; the machine's if None.
        scheduler: Who runs next; a LoopScheduler on the running loop if None.
        tasks: Where slow work runs; a pool of threads if None.
        hooks: Functions that look in.
        mailbox_limit: How many messages may wait for a process that was started without a limit of its own.

    Attributes:
        node: As given.
        incarnation: As given.
        foreign: What ties these processes to those of other nodes.
        clock: As given.
        randomness: As given.
        scheduler: As given.
        hooks: As given.
        mailbox_limit: As given.
        whereis: The living process of a name, if there is one.
        outside: The pid that stands for code outside the actors: the source of exit signals sent by it.
    """

    def __init__(
        self,
        *,
        node: str = "local",
        incarnation: int = 0,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
        scheduler: Scheduler | None = None,
        tasks: Tasks | None = None,
        hooks: Hooks | None = None,
        mailbox_limit: int = 10_000,
    ) -> None:
        self.node = node
        self.incarnation = incarnation
        self.clock: Clock = clock or SystemClock()
        self.randomness: Randomness = randomness or SystemRandomness()
        self.hooks = hooks or Hooks()
        self.mailbox_limit = mailbox_limit
        self._scheduler = scheduler or LoopScheduler()
        self._tasks: Tasks = tasks or ThreadTasks()
        self._timers = TimerWheel(self.clock, self._scheduler.arm)
        self._registry = Registry()
        self.whereis: Callable[[Hashable], Pid | None] = self._registry.whereis
        self._processes: dict[int, Process] = {}
        self._serial = 0
        self._signals: deque[tuple[Tied, Pid, Reason, Tied | None]] = deque()
        self._counters = Counters()
        self.outside = Pid(node, 0, incarnation)
        self.foreign = Foreign(self)
        self._scheduler.attach(self)

    @property
    def scheduler(self) -> Scheduler:
        """Who runs next."""
        return self._scheduler

    def start(self, actor: Actor, *, name: Hashable | None = None, mailbox_limit: int | None = None) -> Pid:
        """Start an actor that has no parent; returns after its `init`.

        Args:
            actor: An object that runs nowhere yet.
            name: A name to register before `init`.
            mailbox_limit: How many messages may wait; the runtime's limit if None.

        Raises:
            StartError: `init` raised or stopped, or the name is taken.
        """
        return lifetime.start(self, actor, None, False, name, mailbox_limit).pid

    def cast(self, pid: Pid, message: Message) -> bool:
        """Send a message to `handle_cast`; False if the process is dead or its mailbox full."""
        target = pid._process
        return self.foreign.post(pid, Kind.CAST, message) if target is None else enqueue(target, message)

    def send(self, pid: Pid, message: Message) -> bool:
        """Send a message to `handle_info`; False if the process is dead or its mailbox full."""
        target = pid._process
        return self.foreign.post(pid, Kind.SEND, message) if target is None else enqueue(target, Info(message))

    def cast_sheddable(self, pid: Pid, message: Message) -> bool:
        """Cast what may be lost under load: refused, and counted, above half the mailbox limit."""
        target = pid._process
        if target is None:
            return self.foreign.post(pid, Kind.SHEDDABLE, message)
        if target._mailbox is not None and len(target._mailbox) >= target.mailbox_limit // 2:
            self._counters.shed += 1
            return False
        return enqueue(target, message)

    async def ask(self, pid: Pid, request: Message, timeout_s: float | None = 5.0) -> Message:
        """Call an actor from outside the actors.

        Args:
            pid: Whose `handle_call` is asked.
            request: What is asked.
            timeout_s: How long to wait; None waits until the actor ends.

        Returns:
            The answer.

        Raises:
            CallError: There was none, and why.
        """
        future: asyncio.Future[Reply | NoReply] = asyncio.get_running_loop().create_future()

        def answered(answer: Reply | NoReply) -> None:
            if not future.done():
                future.set_result(answer)

        self.ask_nowait(pid, request, answered, timeout_s)
        answer = await future
        if isinstance(answer, NoReply):
            raise CallError(answer.reason)
        return answer.value

    def ask_nowait(
        self,
        pid: Pid,
        request: Message,
        answered: Callable[[Reply | NoReply], None],
        timeout_s: float | None = 5.0,
    ) -> None:
        """Call an actor from outside the actors, without waiting.

        Args:
            pid: Whose `handle_call` is asked.
            request: What is asked.
            answered: Called once, later, in the runtime's thread.
            timeout_s: How long to wait; None waits until the actor ends.
        """
        self.start(_Asker(pid, request, answered, timeout_s))

    def names(self) -> tuple[Hashable, ...]:
        """All registered names, in order of registration."""
        return self._registry.names()

    def is_alive(self, pid: Pid) -> bool:
        """Whether the process lives at this moment.

        Of a process on another node only this is known: whether that life of its node is linked with this one.
        """
        return pid._process is not None or self.foreign.unreachable(pid) is None

    def children_of(self, pids: Collection[Pid]) -> tuple[Pid, ...]:
        """The living processes that any of these has started, the oldest first; a look at all processes, so a slow one.

        Args:
            pids: Living or dead.
        """
        return tuple(process.pid for process in self._processes.values() if process.parent in pids) if pids else ()

    def exit(self, pid: Pid, reason: Reason) -> None:
        """Send a process an exit signal from outside; see `Process.exit`."""
        self._signal(pid, self.outside, reason)

    def schedule(self, delay_s: float, function: Callable[[], None]) -> Scheduled:
        """Run a function after a while, for parts that are no actors.

        Args:
            delay_s: How long from now; what is not positive means the next millisecond.
            function: Runs in the runtime's thread.

        Returns:
            What to call `cancel` on.
        """
        scheduled = Scheduled(self, function)
        self._timers.insert(scheduled, delay_s)
        return scheduled

    def post_threadsafe(self, function: Callable[[], None]) -> None:
        """Run a function in the runtime's thread, soon; may be called from any thread."""
        self._scheduler.post_threadsafe(function)

    def statistics(self) -> Statistics:
        """The runtime at this moment."""
        counters = {name: getattr(self._counters, name) for name in Counters.__slots__}
        return Statistics(
            processes=len(self._processes),
            names=len(self._registry),
            timers=len(self._timers),
            runnable=self._scheduler.runnable,
            **counters,
        )

    def close(self) -> None:
        """End every process that is left, the youngest first, then the timers, the tasks and the scheduler."""
        while self._processes:
            self._settle()
            if self._processes:
                lifetime.end(next(reversed(self._processes.values())), SHUTDOWN)
        self._signals.clear()
        self._timers.clear()
        self._scheduler.close()
        self._tasks.close()

    def _start(
        self, actor: Actor, parent: Process, linked: bool, name: Hashable | None, mailbox_limit: int | None
    ) -> Process:
        return lifetime.start(self, actor, parent, linked, name, mailbox_limit)

    def _settle(self) -> None:
        if self._signals:
            lifetime.settle(self)

    def _signal(self, pid: Pid, source: Pid, reason: Reason) -> None:
        target = pid._process
        if target is None:
            self.foreign.exit(pid, source, reason)
            return
        self._signals.append((target, source, reason, None))
        self._scheduler.wake_for_signals()

    def _task(self, pid: Pid, function: Callable[..., object], args: tuple[object, ...]) -> Ref:
        ref = Ref()

        def work() -> None:
            result: TaskDone | TaskFailed
            try:
                result = TaskDone(ref, function(*args))
            except Exception as error:
                result = TaskFailed(ref, error)
            self._scheduler.post_threadsafe(lambda: self._deliver(pid, result))

        try:
            self._tasks.run(work)
        except TasksFullError as error:
            self._deliver(pid, TaskFailed(ref, error))
        return ref

    def _deliver(self, pid: Pid, message: Message) -> None:
        """Put a message of the system into a mailbox, or drop it if its process has ended."""
        target = pid._process
        if target is None:
            self._drop(pid, message)
        else:
            deliver(target, Info(message))

    def _drop(self, pid: Pid, message: Message) -> bool:
        self._counters.dropped += 1
        if self.hooks.dropped is not None:
            self._notify(self.hooks.dropped, pid, message)
        return False

    def _refuse(self, target: Process, item: object) -> bool:
        self._counters.refused += 1
        if self.hooks.refused is not None:
            self._notify(self.hooks.refused, target.pid, content(item))
        return False

    def _crashed(self, process: Process, error: Exception) -> None:
        self._counters.crashed += 1
        if self.hooks.crashed is not None and process._actor is not None:
            self._notify(self.hooks.crashed, process.pid, process._actor, error)

    def _notify(self, hook: Callable[Arguments, None], /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            self._counters.hook_failures += 1
