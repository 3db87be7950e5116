"""The behaviour that every actor fills in, as OTP's gen_server: a loop of ours, callbacks of theirs.

actor                     runtime
-----                     -------
init             <-----   start, start_link, start_monitor
handle_cast      <-----   cast, cast_sheddable
handle_call      <-----   call, ask
handle_info      <-----   send, timers, Down, Exit, Reply, NoReply, TaskDone, TaskFailed
handle_deferred  <-----   defer, once the run queue has drained
terminate        <-----   stop, an exception, an exit signal
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import UnhandledError

if TYPE_CHECKING:
    from .messages import From, Message
    from .process import Process
    from .reasons import Reason


class Actor:
    """State, and callbacks that run one at a time and never wait.

    A callback is synchronous: slow work goes to `process.task`, and its result comes back as a message. A callback
    that raises ends the process with `Crash`. Subclasses that exist in great numbers declare `__slots__`.

    Attributes:
        process: The actor's handle on itself, there from just before `init`.
    """

    __slots__ = ("process",)

    process: Process

    def init(self) -> None:
        """Make the state; the one who starts the actor waits for the end of it. Raising means: not started."""

    def handle_cast(self, message: Message) -> None:
        """Act on a message that expects no answer.

        Raises:
            UnhandledError: The class takes no casts.
        """
        raise UnhandledError(type(self).__name__, "handle_cast", type(message).__name__)

    def handle_call(self, request: Message, caller: From) -> None:
        """Answer a request with `process.reply(caller, value)`, now or from a later callback.

        Raises:
            UnhandledError: The class takes no calls.
        """
        raise UnhandledError(type(self).__name__, "handle_call", type(request).__name__)

    def handle_info(self, message: Message) -> None:
        """Act on what was sent, on a timer, or on what the runtime says; by default it is ignored and counted."""
        self.process.ignore(message)

    def handle_deferred(self) -> None:
        """Do once what many messages asked for with `process.defer`: flush a buffer, write a batch."""

    def terminate(self, reason: Reason) -> None:
        """Let go of sockets and files; runs at every end but a kill, and not after an `init` that failed."""
