"""Children and flags as data, checked field by field before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from .errors import SpecError
from .strategies import Restart, Strategy

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from runtime import Actor

Kind: TypeAlias = Literal["worker", "supervisor"]
ShutdownDeadline: TypeAlias = "float | Literal['brutal_kill']"

BRUTAL_KILL: Final = "brutal_kill"
"""A child with this deadline is killed outright and gets no chance to clean up."""
INFINITY: Final = math.inf
"""A child with this deadline may take as long as it likes to stop; the default for supervisors."""
WORKER_SHUTDOWN_S: Final = 5.0
_BY_KIND: Final = -1.0


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to start, restart and stop one child.

    Attributes:
        id: Its name within the supervisor.
        start: Makes a new actor for each start.
        restart: permanent, transient or temporary.
        shutdown_s: How many seconds it may take to stop before it is killed; BRUTAL_KILL or INFINITY. When not given,
            5 for a worker and INFINITY for a supervisor.
        kind: worker or supervisor.
        name: A name that it is registered under.
        mailbox_limit: How many messages may wait for it; the runtime's limit if None.
        adopts: Whether this supervisor looks itself after what a former one has left, and so need not wait for it.

    Raises:
        SpecError: A field is wrong.
    """

    id: Hashable
    start: Callable[[], Actor]
    restart: Restart = "permanent"
    shutdown_s: ShutdownDeadline = _BY_KIND
    kind: Kind = "worker"
    name: Hashable | None = None
    mailbox_limit: int | None = None
    adopts: bool = False

    def __post_init__(self) -> None:
        check_hashable("id", self.id)
        if not callable(self.start):
            raise SpecError("start", "must be a function without arguments that makes an actor")
        check_choice("restart", self.restart, get_args(Restart))
        check_choice("kind", self.kind, get_args(Kind))
        if self.shutdown_s == _BY_KIND:
            object.__setattr__(self, "shutdown_s", WORKER_SHUTDOWN_S if self.kind == "worker" else INFINITY)
        check_shutdown(self.shutdown_s)
        check_hashable("name", self.name)
        if self.mailbox_limit is not None:
            check_count("mailbox_limit", self.mailbox_limit, 1)


@dataclass(frozen=True, slots=True)
class SupervisorFlags:
    """What a supervisor does when a child ends, and when it gives up.

    Attributes:
        strategy: one_for_one, one_for_all or rest_for_one.
        intensity: How many restarts a period may see before the supervisor gives up and ends.
        period_s: The period, in seconds.

    Raises:
        SpecError: A field is wrong.
    """

    strategy: Strategy = "one_for_one"
    intensity: int = 3
    period_s: float = 5.0

    def __post_init__(self) -> None:
        check_choice("strategy", self.strategy, get_args(Strategy))
        check_intensity(self.intensity, self.period_s)


def check_choice(field: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise a SpecError unless the value is one of the choices."""
    if value not in choices:
        raise SpecError(field, f"must be one of {', '.join(choices)}, not {value!r}")


def check_count(field: str, value: object, least: int) -> None:
    """Raise a SpecError unless the value is a whole number, and not too small."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise SpecError(field, f"must be a whole number of at least {least}, not {value!r}")


def check_hashable(field: str, value: object) -> None:
    """Raise a SpecError unless the value can be a key."""
    try:
        hash(value)
    except TypeError:
        raise SpecError(field, f"must be hashable, and a {type(value).__name__} is not") from None


def check_intensity(intensity: object, period_s: object) -> None:
    """Raise a SpecError unless these two make a restart window."""
    check_count("intensity", intensity, 0)
    if not isinstance(period_s, int | float) or not 0 < period_s < math.inf:
        raise SpecError("period_s", f"must be a number of seconds above 0, not {period_s!r}")


def check_shutdown(shutdown_s: object) -> None:
    """Raise a SpecError unless this says how long a stop may take."""
    if shutdown_s != BRUTAL_KILL and not (isinstance(shutdown_s, int | float) and shutdown_s >= 0):
        raise SpecError("shutdown_s", f"must be seconds, BRUTAL_KILL or INFINITY, not {shutdown_s!r}")
