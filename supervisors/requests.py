"""What a supervisor can be asked, and how it answers.

A request that cannot be met is answered with the error itself, as a value: a `SupervisorError` or a `StartError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from runtime import Actor, Pid

    from .spec import ChildSpec, Kind
    from .strategies import Restart

State: TypeAlias = Literal["running", "restarting", "stopped"]


@dataclass(frozen=True, slots=True)
class WhichChildren:
    """Answered with a tuple of ChildInfo, in start order, at any time."""


@dataclass(frozen=True, slots=True)
class CountChildren:
    """Answered with ChildCounts, at any time."""


@dataclass(frozen=True, slots=True)
class StartChild:
    """Add a child and start it; answered with its Pid. A child that does not start is not kept.

    Attributes:
        spec: The child.
    """

    spec: ChildSpec


@dataclass(frozen=True, slots=True)
class TerminateChild:
    """Stop a child, keeping its spec unless it is temporary; answered with None when it has stopped.

    Attributes:
        id: The child.
    """

    id: Hashable


@dataclass(frozen=True, slots=True)
class RestartChild:
    """Start a stopped child again; answered with its Pid.

    Attributes:
        id: The child.
    """

    id: Hashable


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Forget a stopped child; answered with None.

    Attributes:
        id: The child.
    """

    id: Hashable


@dataclass(frozen=True, slots=True)
class StartActor:
    """Start a child of a DynamicSupervisor; answered with its Pid.

    Attributes:
        start: Makes the actor.
        name: A name that it is registered under.
        mailbox_limit: How many messages may wait for it; the runtime's limit if None.
    """

    start: Callable[[], Actor]
    name: Hashable | None = None
    mailbox_limit: int | None = None


@dataclass(frozen=True, slots=True)
class StopActor:
    """Stop a child of a DynamicSupervisor, for good; answered with None when it has stopped.

    Attributes:
        pid: The child.
    """

    pid: Pid


@dataclass(frozen=True, slots=True)
class ChildInfo:
    """One child, as an operator sees it.

    Attributes:
        id: Its name within the supervisor.
        pid: Its process, if it runs.
        kind: worker or supervisor; a supervisor can be asked in its turn.
        restart: permanent, transient or temporary.
        actor: Name of the actor's class.
        state: running, restarting or stopped.
        restarts: How often it was started again since its supervisor started.
    """

    id: Hashable
    pid: Pid | None
    kind: Kind
    restart: Restart
    actor: str
    state: State
    restarts: int


@dataclass(frozen=True, slots=True)
class ChildCounts:
    """A supervisor's children in numbers.

    Attributes:
        specs: Children, running or not.
        active: Those that run.
        supervisors: Those that are supervisors, running or not.
        workers: Those that are not.
    """

    specs: int
    active: int
    supervisors: int
    workers: int
