"""The actor runtime: Erlang's semantics in plain Python, standard library only, usable alone.

In reading order:

- `actor`: what an actor is: callbacks that never wait.
- `process`: what an actor can do; the verbs.
- `messages`, `reasons`, `pid`, `errors`: what it says, hears, names and raises.
- `runtime`: the way in from outside.
- `mailbox`, `turns`: how a message gets to a callback; the hot path.
- `lifetime`, `ties`, `registry`: how processes begin and end, and who hears of it.
- `scheduler`, `seeded`: who runs next, on an event loop or under a seed.
- `timers`: any number of them on one alarm.
- `clock`, `randomness`, `tasks`: the world as ports.
- `foreign`, `standin`: processes of other nodes; `signals`, `distribution`: what runtimes say, and the port it goes by.
- `hooks`, `statistics`: looking in.

Invariants: messages from one actor to another keep their order. A Down arrives exactly once for each monitor, and
after everything that its process had sent. Of Reply and NoReply exactly one arrives for each call, and a late answer
is dropped and counted. A message to a dead pid is dropped and counted. Mailboxes are bounded for what actors send, and
only the system's own messages (Down, Exit, Reply, timers, task results) pass a full one; each of those answers
something the receiver asked for. No callback runs inside another callback of its actor, and none but `init` and
`terminate` inside any callback at all. A name, a link and a monitor end in the same step as their process.
What spans two nodes keeps all of this while they are linked; when the link breaks, each link, monitor and call that
spanned it ends with `NODEDOWN`, on both sides, and nothing of the node's earlier life is heard afterwards.
"""

from .actor import Actor
from .clock import Clock, SystemClock, VirtualClock
from .distribution import Distribution
from .errors import (
    CallError,
    NameTakenError,
    ProcessEndedError,
    ReentryError,
    StartError,
    TasksFullError,
    UnhandledError,
)
from .foreign import Foreign
from .hooks import Hooks, print_crash
from .messages import Down, Exit, From, Message, NoReply, Reply, TaskDone, TaskFailed
from .pid import FarRef, Named, Pid, Ref
from .process import Process
from .randomness import Randomness, SeededRandomness, SystemRandomness
from .reasons import (
    KILLED,
    MAILBOX_FULL,
    NAME_TAKEN,
    NODEDOWN,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    TIMEOUT,
    Crash,
    Reason,
    RemoteCrashError,
    Shutdown,
)
from .runtime import Runtime, Scheduled
from .scheduler import LoopScheduler, Scheduler
from .seeded import SeededScheduler
from .signals import (
    Answer,
    Call,
    Demonitor,
    Ended,
    ExitSignal,
    Kind,
    Link,
    Monitor,
    Signal,
    Unlink,
    Unlinked,
    WhereIs,
)
from .statistics import Statistics
from .tasks import InlineTasks, Tasks, ThreadTasks

__all__ = [
    "KILLED",
    "MAILBOX_FULL",
    "NAME_TAKEN",
    "NODEDOWN",
    "NOPROC",
    "NORMAL",
    "SHUTDOWN",
    "TIMEOUT",
    "Actor",
    "Answer",
    "Call",
    "CallError",
    "Clock",
    "Crash",
    "Demonitor",
    "Distribution",
    "Down",
    "Ended",
    "Exit",
    "ExitSignal",
    "FarRef",
    "Foreign",
    "From",
    "Hooks",
    "InlineTasks",
    "Kind",
    "Link",
    "LoopScheduler",
    "Message",
    "Monitor",
    "NameTakenError",
    "Named",
    "NoReply",
    "Pid",
    "Process",
    "ProcessEndedError",
    "Randomness",
    "Reason",
    "ReentryError",
    "Ref",
    "RemoteCrashError",
    "Reply",
    "Runtime",
    "Scheduled",
    "Scheduler",
    "SeededRandomness",
    "SeededScheduler",
    "Shutdown",
    "Signal",
    "StartError",
    "Statistics",
    "SystemClock",
    "SystemRandomness",
    "TaskDone",
    "TaskFailed",
    "Tasks",
    "TasksFullError",
    "ThreadTasks",
    "UnhandledError",
    "Unlink",
    "Unlinked",
    "VirtualClock",
    "WhereIs",
    "print_crash",
]
