"""Stopping processes in order, each with a deadline, without ever blocking."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime import KILLED, SHUTDOWN, Actor, Down

from .spec import BRUTAL_KILL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime import Message, Pid, Process, Reason, Ref

    from .spec import ShutdownDeadline


@dataclass(frozen=True, slots=True)
class Group:
    """Processes that are stopped at the same time.

    Attributes:
        pids: The processes.
        shutdown_s: How many seconds they may take before they are killed; BRUTAL_KILL or INFINITY.
        is_asked: Whether they are told to; False if they are about to end already.
        awaits_orphans: Whether what they leave, if they crash instead, is waited for, too; for supervisors.
    """

    pids: tuple[Pid, ...]
    shutdown_s: ShutdownDeadline
    is_asked: bool = True
    awaits_orphans: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Deadline:
    """The timer message that says: kill what is left of this stop's present group."""

    stopping: Stopping
    number: int


class Stopping:
    """One stop in progress. Each process is waited for with a monitor, because it may have unlinked.

    Args:
        process: Who stops them; it hands every message of its `handle_info` to `handle`.
        groups: What to stop, in this order: the next group begins when the last of one has ended.
        done: Called when all have ended; at once if there are none.
        signal: How an exit signal is sent: `process.exit`, if the process is their parent.
    """

    __slots__ = (
        "_awaits_orphans",
        "_crashed",
        "_done",
        "_groups",
        "_is_overdue",
        "_number",
        "_process",
        "_signal",
        "_timer",
        "_waiting",
    )

    def __init__(
        self,
        process: Process,
        groups: Iterable[Group],
        done: Callable[[], None],
        signal: Callable[[Pid, Reason], None],
    ) -> None:
        self._process = process
        self._signal = signal
        self._groups = deque(group for group in groups if group.pids)
        self._done = done
        self._waiting: dict[Ref, Pid] = {}
        self._crashed: set[Pid] = set()
        self._awaits_orphans = False
        self._is_overdue = False
        self._number = 0
        self._timer: Ref | None = None

    def begin(self) -> None:
        """Ask the first group to stop."""
        if not self._groups:
            self._done()
            return
        group = self._groups.popleft()
        self._number += 1
        self._awaits_orphans = group.awaits_orphans
        self._is_overdue = group.shutdown_s == BRUTAL_KILL
        self._wait_for(group.pids)
        if self._is_overdue:
            self._signal_all(kill=True)
            return
        if group.is_asked:
            self._signal_all(kill=False)
        if group.shutdown_s != math.inf:
            self._timer = self._process.send_after(float(group.shutdown_s), Deadline(self, self._number))

    def handle(self, message: Message) -> bool:
        """Take a message if it belongs to this stop.

        Returns:
            Whether it does.
        """
        if isinstance(message, Down) and message.ref in self._waiting:
            del self._waiting[message.ref]
            if self._awaits_orphans and message.reason != SHUTDOWN:  # with that reason it has stopped them itself
                self._crashed.add(message.pid)
            if not self._waiting and self._crashed:
                self._wait_for_orphans()
            if not self._waiting:
                if self._timer is not None:
                    self._process.cancel(self._timer)
                    self._timer = None
                self.begin()
            return True
        if isinstance(message, Deadline) and message.stopping is self:
            if message.number == self._number:
                self._is_overdue = True
                self._signal_all(kill=True)
            return True
        return False

    def _wait_for(self, pids: Iterable[Pid]) -> None:
        self._waiting.update((self._process.monitor(pid), pid) for pid in pids)

    def _wait_for_orphans(self) -> None:
        """They end for the same reason as their parents, and have no deadline but that of the whole group."""
        self._wait_for(self._process.runtime.children_of(self._crashed))
        self._crashed.clear()
        if self._is_overdue:
            self._signal_all(kill=True)

    def _signal_all(self, kill: bool) -> None:
        for pid in self._waiting.values():
            self._signal(pid, KILLED if kill else SHUTDOWN)


class Reaper(Actor):
    """Stops what a supervisor had started when its own start failed, since the supervisor is no longer there to.

    Args:
        groups: What to stop, in this order.
    """

    __slots__ = ("_groups", "_stopping")

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups = tuple(groups)

    def init(self) -> None:
        """Prepare; what a supervisor starts obeys its parent and the outside, so the signals come from there."""
        self._stopping = Stopping(self.process, self._groups, self.process.stop, self.process.runtime.exit)
        self.process.defer()

    def handle_deferred(self) -> None:
        """Ask the first group, now that nobody's start can fail by it."""
        self._stopping.begin()

    def handle_info(self, message: Message) -> None:
        """Go on when one has ended."""
        self._stopping.handle(message)
