"""What the runtime itself says to an actor, all of it through `handle_info`, and the address of a call's answer.

The classes are not frozen, because making a frozen dataclass takes three times as long; nobody changes a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .pid import Pid, Ref
    from .reasons import Reason

Message: TypeAlias = Any
"""Any object may be a message; it must not be changed once sent."""


@dataclass(slots=True, eq=False)
class From:
    """Where the answer to a call goes; any process may answer, now or later.

    Attributes:
        pid: The caller.
        ref: The call, as the caller knows it.
    """

    pid: Pid
    ref: Ref


@dataclass(slots=True)
class Reply:
    """A call was answered.

    Attributes:
        ref: What `call` returned.
        value: The answer.
    """

    ref: Ref
    value: Message


@dataclass(slots=True)
class NoReply:
    """A call will not be answered; should an answer still come, it is dropped and counted.

    Attributes:
        ref: What `call` returned.
        reason: `TIMEOUT`, `NOPROC`, `MAILBOX_FULL`, or the reason with which the target ended.
    """

    ref: Ref
    reason: Reason


@dataclass(slots=True)
class Down:
    """A monitored process has ended; arrives exactly once for each monitor.

    Attributes:
        ref: What `monitor` returned.
        pid: The process that ended.
        reason: Why; `NOPROC` if it had ended before it was monitored.
    """

    ref: Ref
    pid: Pid
    reason: Reason


@dataclass(slots=True)
class Exit:
    """An exit signal, as a process that traps exits sees it.

    Attributes:
        source: The linked process that ended, or the one that called `exit`.
        reason: Why.
    """

    source: Pid
    reason: Reason


@dataclass(slots=True)
class TaskDone:
    """A task returned.

    Attributes:
        ref: What `task` returned.
        value: What the function returned.
    """

    ref: Ref
    value: Message


@dataclass(slots=True)
class TaskFailed:
    """A task raised, or found no place in the pool.

    Attributes:
        ref: What `task` returned.
        error: What it raised; `TasksFullError` if it never ran.
    """

    ref: Ref
    error: BaseException
