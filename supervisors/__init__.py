"""Who restarts whom: OTP's supervisors on our runtime.

In reading order:

- `spec`: children and flags as data, checked before anything starts.
- `strategies`, `window`: who shares whose fate, and how many restarts are too many; pure.
- `requests`, `errors`: what a supervisor can be asked, and what it says instead.
- `stopping`: stopping in order, with deadlines, without blocking.
- `children`, `supervisor`: a fixed list of children, started from the left and stopped from the right.
- `dynamic`: children that come and go.
- `keyed`: children on demand, one for each key.
- `host/`: the same for processes, with its own face: the process tree of a host.

Invariants: nothing starts before every spec has been checked. A supervisor that has started runs all its children.
Children stop before their supervisor does, the last one first, each waited for with a monitor until its deadline and
then killed. Every restart, also one that failed, counts towards the intensity; beyond it the supervisor stops its
children and ends with SHUTDOWN, and its own supervisor decides. A supervisor obeys exit signals of its parent and of
code outside the actors, and of nobody else. It never blocks: it can always be asked for its children.
"""

from .children import FailedToStart
from .dynamic import DynamicSupervisor
from .errors import (
    BusyError,
    ChildExistsError,
    ChildNotFoundError,
    ChildRunningError,
    SpecError,
    SupervisorError,
    TooManyChildrenError,
    UnknownRequestError,
)
from .keyed import KeyedSupervisor
from .requests import (
    ChildCounts,
    ChildInfo,
    CountChildren,
    DeleteChild,
    RestartChild,
    StartActor,
    StartChild,
    StopActor,
    TerminateChild,
    WhichChildren,
)
from .spec import BRUTAL_KILL, INFINITY, ChildSpec, SupervisorFlags
from .strategies import Restart, Strategy
from .supervisor import Supervisor
from .window import RestartWindow

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "BusyError",
    "ChildCounts",
    "ChildExistsError",
    "ChildInfo",
    "ChildNotFoundError",
    "ChildRunningError",
    "ChildSpec",
    "CountChildren",
    "DeleteChild",
    "DynamicSupervisor",
    "FailedToStart",
    "KeyedSupervisor",
    "Restart",
    "RestartChild",
    "RestartWindow",
    "SpecError",
    "StartActor",
    "StartChild",
    "StopActor",
    "Strategy",
    "Supervisor",
    "SupervisorError",
    "SupervisorFlags",
    "TerminateChild",
    "TooManyChildrenError",
    "UnknownRequestError",
    "WhichChildren",
]
