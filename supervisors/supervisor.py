"""A supervisor of a fixed list of children, each with a spec of its own.

It starts them from the left and stops them from the right. It never blocks: while children are being stopped, exits
and requests wait in a queue of its own, and only WhichChildren and CountChildren are answered meanwhile.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from runtime import SHUTDOWN, Actor, Exit, From, Shutdown, StartError

from .children import Child, FailedToStart, counts, groups_right_to_left
from .errors import (
    BusyError,
    ChildExistsError,
    ChildNotFoundError,
    ChildRunningError,
    SpecError,
    SupervisorError,
    UnknownRequestError,
)
from .requests import CountChildren, DeleteChild, RestartChild, StartChild, TerminateChild, WhichChildren
from .spec import ChildSpec, SupervisorFlags
from .stopping import Reaper, Stopping
from .strategies import fate, wants_restart
from .window import RestartWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from runtime import Message, Pid, Reason

    from .requests import ChildInfo


@dataclass(frozen=True, slots=True)
class _TryAgain:
    """The message a supervisor sends itself when a restart has failed, so that its mailbox gets a turn."""

    child: Child


_Waiting: TypeAlias = "Exit | _TryAgain | tuple[Message, From]"


class Supervisor(Actor):
    """Starts, restarts and stops a list of children.

    Ends with SHUTDOWN when there were too many restarts, after stopping its children; its own supervisor then decides.
    An exit signal from its parent, or from outside the actors, stops it in the same orderly way.

    Args:
        flags: Strategy, intensity and period.
        children: Their specs, in start order.

    Raises:
        SpecError: The flags or a spec are of another type, or two specs have the same id.
    """

    __slots__ = ("_children", "_final", "_flags", "_specs", "_stopping", "_waiting", "_window")

    def __init__(self, flags: SupervisorFlags, children: Iterable[ChildSpec]) -> None:
        if not isinstance(flags, SupervisorFlags):
            raise SpecError("flags", f"must be SupervisorFlags, not {type(flags).__name__}")
        self._flags = flags
        self._specs = tuple(children)
        seen: set[Hashable] = set()
        for spec in self._specs:
            if not isinstance(spec, ChildSpec):
                raise SpecError("children", f"must be ChildSpecs, not {type(spec).__name__}")
            if spec.id in seen:
                raise SpecError("id", f"{spec.id!r} stands for two children")
            seen.add(spec.id)

    def init(self) -> None:
        """Start the children from the left; if one does not start, stop the others and do not start either."""
        self.process.trap_exit = True
        self._children = {spec.id: Child(spec) for spec in self._specs}
        self._window = RestartWindow(self._flags.intensity, self._flags.period_s)
        self._waiting: deque[_Waiting] = deque()
        self._stopping: Stopping | None = None
        self._final: Reason | None = None
        for child in self._children.values():
            try:
                child.start(self.process)
            except StartError as error:
                self._abandon_start()
                self.process.stop(Shutdown(FailedToStart(child.spec.id, error.reason)))
                return

    def which_children(self) -> tuple[ChildInfo, ...]:
        """The children, in start order."""
        return tuple(child.info() for child in self._children.values())

    def handle_call(self, request: Message, caller: From) -> None:
        """Answer a request, or let it wait until children have stopped."""
        if isinstance(request, WhichChildren):
            self.process.reply(caller, self.which_children())
        elif isinstance(request, CountChildren):
            self.process.reply(caller, counts(self.which_children()))
        elif self._stopping is None:
            self._answer(request, caller)
        elif len(self._waiting) < self.process.mailbox_limit:
            self._waiting.append((request, caller))
        else:
            self.process.reply(caller, BusyError())

    def handle_cast(self, message: Message) -> None:
        """A supervisor takes no casts, and does not end by one either."""
        self.process.ignore(message)

    def handle_info(self, message: Message) -> None:
        """Hear of ended children, and of the wish that the supervisor itself should end."""
        if self._stopping is not None and self._stopping.handle(message):
            self._resume()
            return
        if isinstance(message, Exit) and message.source in (self.process.parent, self.process.runtime.outside):
            self._shut_down(message.reason)
        elif not isinstance(message, Exit | _TryAgain):
            self.process.ignore(message)
        elif self._stopping is None:
            self._take(message)
        else:
            self._waiting.append(message)

    def _abandon_start(self) -> None:
        """Hand those that did start to a reaper, which stops them in order after this supervisor is gone."""
        groups = groups_right_to_left(self.process.runtime, self._children.values())
        for pid in (pid for group in groups if group.is_asked for pid in group.pids):
            self.process.unlink(pid)
        if any(group.pids for group in groups):
            self.process.start(Reaper(groups))

    def _take(self, item: _Waiting) -> None:
        if isinstance(item, Exit):
            self._child_ended(item.source, item.reason)
        elif isinstance(item, _TryAgain):
            if item.child.is_restarting:
                self._restart(item.child)
        else:
            self._answer(*item)

    def _child_ended(self, pid: Pid, reason: Reason) -> None:
        child = next((child for child in self._children.values() if child.pid == pid), None)
        if child is None:
            return
        child.pid = None
        if wants_restart(child.spec.restart, reason):
            self._restart(child)
        elif child.spec.restart == "temporary":
            del self._children[child.spec.id]

    def _restart(self, failed: Child) -> None:
        self._window, is_within = self._window.restarted(self.process.runtime.clock.now_s())
        if not is_within:
            self._shut_down(SHUTDOWN)
            return
        failed.is_restarting = True
        children = fate(self._flags.strategy, tuple(self._children.values()), failed)
        self._stop(children, lambda: self._start_again(children))

    def _start_again(self, children: Iterable[Child]) -> None:
        """Start them from the left, the temporary ones excepted; where one fails, try again from there later."""
        for child in children:
            if child.spec.restart == "temporary":
                del self._children[child.spec.id]
        for child in children:
            if child.spec.restart == "temporary":
                continue
            child.restarts += 1
            try:
                child.start(self.process)
            except StartError:
                child.is_restarting = True
                self.process.send_after(0, _TryAgain(child))
                return

    def _stop(self, children: Iterable[Child], then: Callable[[], None]) -> None:
        """Stop those that run, from the right, then go on, unless the supervisor itself is to end meanwhile."""
        stopped = tuple(children)

        def done() -> None:
            for child in stopped:
                child.pid = None
            self._stopping = None
            if self._final is None:
                then()
            else:
                self._stop_all(self._final)

        groups = groups_right_to_left(self.process.runtime, stopped)
        self._stopping = Stopping(self.process, groups, done, self.process.exit)
        self._stopping.begin()

    def _resume(self) -> None:
        """Take up what waited, until children are being stopped once more."""
        while self._waiting and self._stopping is None:
            self._take(self._waiting.popleft())

    def _shut_down(self, reason: Reason) -> None:
        if self._final is None:
            self._final = reason
            if self._stopping is None:
                self._stop_all(reason)

    def _stop_all(self, reason: Reason) -> None:
        groups = groups_right_to_left(self.process.runtime, self._children.values())
        self._stopping = Stopping(self.process, groups, lambda: self.process.stop(reason), self.process.exit)
        self._stopping.begin()

    def _answer(self, request: Message, caller: From) -> None:
        reply: object = None
        try:
            match request:
                case StartChild(spec):
                    reply = self._start_child(spec)
                case RestartChild(id):
                    reply = self._find_stopped(id).start(self.process)
                case DeleteChild(id):
                    del self._children[self._find_stopped(id).spec.id]
                case TerminateChild(id):
                    self._terminate_child(self._find(id), caller)
                    return
                case _:
                    raise UnknownRequestError(type(request).__name__)
        except (SupervisorError, StartError) as error:
            reply = error
        self.process.reply(caller, reply)

    def _start_child(self, spec: ChildSpec) -> Pid:
        if not isinstance(spec, ChildSpec):
            raise SpecError("spec", f"must be a ChildSpec, not {type(spec).__name__}")
        known = self._children.get(spec.id)
        if known is not None:
            raise ChildExistsError(spec.id, known.pid)
        child = Child(spec)
        pid = child.start(self.process)
        self._children[spec.id] = child
        return pid

    def _terminate_child(self, child: Child, caller: From) -> None:
        def terminated() -> None:
            if child.spec.restart == "temporary":
                del self._children[child.spec.id]
            self.process.reply(caller, None)

        child.is_restarting = False
        self._stop((child,), terminated)

    def _find(self, id: Hashable) -> Child:
        child = self._children.get(id)
        if child is None:
            raise ChildNotFoundError(id)
        return child

    def _find_stopped(self, id: Hashable) -> Child:
        child = self._find(id)
        if child.state != "stopped":
            raise ChildRunningError(id)
        return child
