"""What the runtime raises, each error with the fields a caller needs to act on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .pid import Pid
    from .reasons import Reason


class StartError(Exception):
    """A process ended before its `init` was done; nothing of it is left.

    Attributes:
        reason: Why; for an `init` that raised, a `Crash` (and `__cause__` is the exception).
        actor: Name of the actor's class.
        pid: The process that it was; what its `init` had started may outlive it. None if it did not come to `init`.
    """

    def __init__(self, reason: Reason, actor: str, pid: Pid | None = None) -> None:
        super().__init__(f"{actor} did not start: {reason}")
        self.reason = reason
        self.actor = actor
        self.pid = pid


class CallError(Exception):
    """A call from outside the actors got no answer.

    Attributes:
        reason: `TIMEOUT`, `NOPROC`, `MAILBOX_FULL`, or the reason with which the target ended.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"the call was not answered: {reason}")
        self.reason = reason


class NameTakenError(Exception):
    """A living process holds this name already.

    Attributes:
        name: The name.
        pid: Its holder.
    """

    def __init__(self, name: Hashable, pid: Pid) -> None:
        super().__init__(f"the name {name!r} belongs to {pid}: unregister it first, or choose another")
        self.name = name
        self.pid = pid


class UnhandledError(Exception):
    """An actor got a cast or a call for which its class has no handler; this ends it, as in OTP.

    Attributes:
        actor: Name of the actor's class.
        callback: The callback that it lacks.
        message: Name of the message's class (never its content).
    """

    def __init__(self, actor: str, callback: str, message: str) -> None:
        super().__init__(f"{actor} has no {callback} for {message}: define it, or send elsewhere")
        self.actor = actor
        self.callback = callback
        self.message = message


class ProcessEndedError(Exception):
    """Code of an actor went on using its process after the process had ended."""

    def __init__(self, pid: Pid) -> None:
        super().__init__(f"{pid} has ended and can no longer link, monitor, call, start or register")
        self.pid = pid


class TasksFullError(Exception):
    """As many tasks wait for a thread as may wait; try again later, or give the pool more threads.

    Attributes:
        waiting_max: The limit.
    """

    def __init__(self, waiting_max: int) -> None:
        super().__init__(f"{waiting_max} tasks wait for a thread already, which is the limit")
        self.waiting_max = waiting_max


class ReentryError(RuntimeError):
    """Something that runs once at a time was called from inside itself: a scheduler, or the start of a child."""
