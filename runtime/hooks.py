"""Places where an operator looks in: each hook is a plain function, and an absent one costs nothing."""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .actor import Actor
    from .messages import Message
    from .pid import Pid
    from .reasons import Reason


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions that the runtime calls; they must be quick. One that raises is counted and otherwise ignored.

    Attributes:
        started: A process is running: its pid and its actor.
        ended: A process has ended: its pid, its actor, and why.
        crashed: A callback raised: the pid, the actor and the exception; comes before `ended`.
        refused: A full mailbox refused a message: the target and the message.
        dropped: A message was for a dead process: its pid and the message.
        handled: A turn is over: the pid, the actor, the number of messages and the seconds it took.
    """

    started: Callable[[Pid, Actor], None] | None = None
    ended: Callable[[Pid, Actor, Reason], None] | None = None
    crashed: Callable[[Pid, Actor, BaseException], None] | None = None
    refused: Callable[[Pid, Message], None] | None = None
    dropped: Callable[[Pid, Message], None] | None = None
    handled: Callable[[Pid, Actor, int, float], None] | None = None


def print_crash(pid: Pid, actor: Actor, exception: BaseException) -> None:
    """A `crashed` hook for programs without a log: the traceback, on the error stream."""
    print(f"{pid} {type(actor).__name__} crashed", file=sys.stderr)
    traceback.print_exception(exception, file=sys.stderr)
