"""A supervisor of children that come and go, all of one kind, any number of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from runtime import NOPROC, SHUTDOWN, Actor, Exit, From, ReentryError, StartError

from .children import counts, start_linked
from .errors import ChildNotFoundError, SupervisorError, TooManyChildrenError, UnknownRequestError
from .requests import ChildInfo, CountChildren, StartActor, StopActor, WhichChildren
from .spec import WORKER_SHUTDOWN_S, check_choice, check_count, check_intensity, check_shutdown
from .stopping import Group, Stopping
from .strategies import Restart, wants_restart
from .window import RestartWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from runtime import Message, Pid, Reason

    from .requests import State
    from .spec import ShutdownDeadline


@dataclass(slots=True, eq=False)
class _Child:
    """A child; `start` is kept only where it may be needed again, and a child being stopped is wanted no more."""

    id: Hashable
    actor: str
    start: Callable[[], Actor] | None
    name: Hashable | None
    mailbox_limit: int | None
    restarts: int = 0
    is_wanted: bool = True


@dataclass(frozen=True, slots=True)
class _TryAgain:
    """The message a supervisor sends itself when a restart has failed, so that its mailbox gets a turn."""

    child: _Child


class DynamicSupervisor(Actor):
    """Starts children on request, restarts each alone, and stops all of them at the same time.

    The same object may be started again after it has ended: its state is made in `init`.

    Args:
        restart: What becomes of a child that ended: permanent, transient or temporary.
        children_max: How many children it may have.
        intensity: How many restarts a period may see before the supervisor gives up and ends.
        period_s: The period, in seconds.
        shutdown_s: How many seconds the children may take to stop before they are killed; BRUTAL_KILL or INFINITY.

    Raises:
        SpecError: An argument is wrong.
    """

    __slots__ = (
        "_children",
        "_children_max",
        "_final",
        "_intensity",
        "_period_s",
        "_restart",
        "_restarting",
        "_shutdown_s",
        "_starting",
        "_stopping",
        "_stops",
        "_window",
    )

    def __init__(
        self,
        *,
        restart: Restart = "temporary",
        children_max: int = 1_000_000,
        intensity: int = 3,
        period_s: float = 5.0,
        shutdown_s: ShutdownDeadline = WORKER_SHUTDOWN_S,
    ) -> None:
        check_choice("restart", restart, get_args(Restart))
        check_count("children_max", children_max, 1)
        check_intensity(intensity, period_s)
        check_shutdown(shutdown_s)
        self._restart = restart
        self._children_max = children_max
        self._intensity = intensity
        self._period_s = period_s
        self._shutdown_s = shutdown_s

    def init(self) -> None:
        """Begin without children."""
        self.process.trap_exit = True
        self._children: dict[Pid, _Child] = {}
        self._restarting: dict[_Child, None] = {}
        self._window = RestartWindow(self._intensity, self._period_s)
        self._stops: dict[Stopping, None] = {}
        self._final: Reason | None = None
        self._starting = False

    def start_actor(
        self, start: Callable[[], Actor], *, name: Hashable | None = None, mailbox_limit: int | None = None
    ) -> Pid:
        """Start a child now; any code in the runtime's thread may call this, as a request would take its place.

        Args:
            start: Makes the actor; called again for each restart.
            name: A name that it is registered under.
            mailbox_limit: How many messages may wait for it; the runtime's limit if None.

        Raises:
            StartError: It did not start, or this supervisor is ending or has ended.
            TooManyChildrenError: There are as many as there may be.
            ReentryError: Called from inside the start of another child of this supervisor.
        """
        return self._add(name, start, name, mailbox_limit)

    def which_children(self) -> tuple[ChildInfo, ...]:
        """The children, in order of their latest start, then those being restarted; a child's id is its name."""
        running = [self._info(child, pid) for pid, child in self._children.items()]
        return (*running, *(self._info(child, None) for child in self._restarting))

    def handle_call(self, request: Message, caller: From) -> None:
        """Answer a request."""
        reply: object = None
        try:
            match request:
                case WhichChildren():
                    reply = self.which_children()
                case CountChildren():
                    reply = counts(self.which_children())
                case StartActor(start, name, mailbox_limit):
                    reply = self.start_actor(start, name=name, mailbox_limit=mailbox_limit)
                case StopActor(pid):
                    self._stop_actor(pid, caller)
                    return
                case _:
                    raise UnknownRequestError(type(request).__name__)
        except (SupervisorError, StartError) as error:
            reply = error
        self.process.reply(caller, reply)

    def handle_cast(self, message: Message) -> None:
        """A supervisor takes no casts, and does not end by one either."""
        self.process.ignore(message)

    def handle_info(self, message: Message) -> None:
        """Hear of ended children, and of the wish that the supervisor itself should end."""
        if any(stopping.handle(message) for stopping in tuple(self._stops)):
            return
        match message:
            case Exit(source, reason) if source in (self.process.parent, self.process.runtime.outside):
                self._shut_down(reason)
            case Exit(source, reason):
                self._child_ended(source, reason)
            case _TryAgain(child):
                if child in self._restarting and self._final is None:
                    self._start_again(child)
            case _:
                self.process.ignore(message)

    def _add(self, id: Hashable, start: Callable[[], Actor], name: Hashable | None, mailbox_limit: int | None) -> Pid:
        process = getattr(self, "process", None)
        if process is None or not process.runtime.is_alive(process.pid):
            raise StartError(NOPROC, type(self).__name__)
        if self._final is not None:
            raise StartError(SHUTDOWN, type(self).__name__)
        if self._starting:
            raise ReentryError(f"{type(self).__name__} is starting another child: its init must not ask for a second")
        if len(self._children) + len(self._restarting) >= self._children_max:
            raise TooManyChildrenError(self._children_max)
        kept = None if self._restart == "temporary" else start
        self._starting = True
        try:
            pid, actor = start_linked(process, start, name, mailbox_limit)
        finally:
            self._starting = False
        self._children[pid] = _Child(id, actor, kept, name, mailbox_limit)
        return pid

    def _info(self, child: _Child, pid: Pid | None) -> ChildInfo:
        state: State = "restarting" if pid is None else "running"
        return ChildInfo(child.id, pid, "worker", self._restart, child.actor, state, child.restarts)

    def _child_ended(self, pid: Pid, reason: Reason) -> None:
        child = self._children.pop(pid, None)
        if child is None or not child.is_wanted or self._final is not None:
            return
        if wants_restart(self._restart, reason):
            self._start_again(child)

    def _start_again(self, child: _Child) -> None:
        assert child.start is not None
        self._restarting.pop(child, None)
        self._window, is_within = self._window.restarted(self.process.runtime.clock.now_s())
        if not is_within:
            self._shut_down(SHUTDOWN)
            return
        child.restarts += 1
        self._starting = True
        try:
            pid, child.actor = start_linked(self.process, child.start, child.name, child.mailbox_limit)
        except StartError:
            self._restarting[child] = None
            self.process.send_after(0, _TryAgain(child))
        else:
            self._children[pid] = child
        finally:
            self._starting = False

    def _stop_actor(self, pid: Pid, caller: From) -> None:
        child = self._children.get(pid)
        if child is None:
            raise ChildNotFoundError(pid)

        def stopped() -> None:
            self._children.pop(pid, None)
            self.process.reply(caller, None)

        child.is_wanted = False
        self._stop((pid,), stopped)

    def _shut_down(self, reason: Reason) -> None:
        if self._final is None:
            self._final = reason
            self._stop(tuple(self._children), lambda: self.process.stop(reason))

    def _stop(self, pids: tuple[Pid, ...], then: Callable[[], None]) -> None:
        def done() -> None:
            self._stops.pop(stopping, None)
            then()

        stopping = Stopping(self.process, (Group(pids, self._shutdown_s),), done, self.process.exit)
        self._stops[stopping] = None
        stopping.begin()
