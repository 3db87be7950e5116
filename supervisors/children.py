"""A child as its supervisor knows it, and the one way to start it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime import Crash, StartError

from .requests import ChildCounts, ChildInfo
from .spec import INFINITY
from .stopping import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from runtime import Actor, Pid, Process, Reason, Runtime

    from .requests import State
    from .spec import ChildSpec


@dataclass(slots=True, eq=False)
class Child:
    """A child and what became of it.

    Attributes:
        spec: How it is started, restarted and stopped.
        pid: Its process, as long as the supervisor has not heard of its end.
        latest: Its latest process, which may have ended, or not even started.
        actor: Name of the actor's class; empty before the first start.
        restarts: How often it was started again.
        is_restarting: Whether a failed restart will be tried again.
    """

    spec: ChildSpec
    pid: Pid | None = None
    latest: Pid | None = None
    actor: str = ""
    restarts: int = 0
    is_restarting: bool = False

    @property
    def state(self) -> State:
        """Running, restarting or stopped."""
        if self.pid is not None:
            return "running"
        return "restarting" if self.is_restarting else "stopped"

    def start(self, process: Process) -> Pid:
        """Start it, linked to its supervisor.

        Raises:
            StartError: It did not start.
        """
        spec = self.spec
        try:
            self.pid, self.actor = start_linked(process, spec.start, spec.name, spec.mailbox_limit)
        except StartError as error:
            self.latest = error.pid or self.latest
            raise
        self.latest = self.pid
        self.is_restarting = False
        return self.pid

    def info(self) -> ChildInfo:
        """What an operator sees."""
        spec = self.spec
        return ChildInfo(spec.id, self.pid, spec.kind, spec.restart, self.actor, self.state, self.restarts)


@dataclass(frozen=True, slots=True)
class FailedToStart:
    """The detail of the Shutdown with which a supervisor ends when a child does not start with it.

    Attributes:
        id: The child.
        reason: Why it did not start.
    """

    id: Hashable
    reason: Reason

    def __str__(self) -> str:
        return f"child {self.id!r} did not start ({self.reason})"


def start_linked(
    process: Process, start: Callable[[], Actor], name: Hashable | None, mailbox_limit: int | None
) -> tuple[Pid, str]:
    """Make an actor and start it, linked; returns its pid and the name of its class.

    Raises:
        StartError: Making it raised, or it did not start.
    """
    try:
        actor = start()
        return process.start_link(actor, name=name, mailbox_limit=mailbox_limit), type(actor).__name__
    except StartError:
        raise
    except Exception as error:
        raise StartError(Crash(error), getattr(start, "__qualname__", type(start).__name__)) from error


def groups_right_to_left(runtime: Runtime, children: Iterable[Child]) -> tuple[Group, ...]:
    """The running ones among the children, each a group of its own, the last one first.

    Behind them come the orphans: a supervisor that has crashed, was killed or did not start leaves supervisors that
    still stop their own children. Whoever takes its place would find their names taken, and work beside them.
    """
    groups, dead = [], set()
    for child in children:
        leaves_orphans = child.spec.kind == "supervisor" and not child.spec.adopts
        if child.pid is not None and runtime.is_alive(child.pid):
            groups.append(Group((child.pid,), child.spec.shutdown_s, awaits_orphans=leaves_orphans))
        elif child.latest is not None and leaves_orphans:
            dead.add(child.latest)
    orphans = Group(runtime.children_of(dead), INFINITY, is_asked=False, awaits_orphans=True)
    return (*reversed(groups), orphans)


def counts(children: Iterable[ChildInfo]) -> ChildCounts:
    """Children in numbers."""
    infos = tuple(children)
    supervisors = sum(info.kind == "supervisor" for info in infos)
    active = sum(info.pid is not None for info in infos)
    return ChildCounts(len(infos), active, supervisors, len(infos) - supervisors)
