"""Links and monitors: who hears of whose end.

A link is kept on both sides. The link of a child to its parent is a flag on the child, because every supervised
process has it and a dictionary would cost it 200 bytes.

Either side may be a process of another node, for which a stand-in (`standin`) keeps the ties here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from .mailbox import Info, deliver
from .messages import NoReply
from .reasons import TIMEOUT
from .timers import Timer

if TYPE_CHECKING:
    from .messages import Message
    from .pid import Pid, Ref
    from .process import Process
    from .reasons import Reason
    from .runtime import Runtime


class Tied(ABC):
    """Whoever can be linked and monitored: a process of this runtime, or the stand-in of one elsewhere.

    Attributes:
        pid: Its address.
        runtime: The runtime that keeps these ties.
        parent: The process that started it.
        is_here: Whether it is a process of this runtime.
    """

    __slots__ = ("_links", "_monitors", "_parent_linked", "_watchers", "parent", "pid", "runtime")

    is_here: ClassVar[bool]

    def __init__(self, runtime: Runtime, pid: Pid, parent: Pid | None) -> None:
        self.pid = pid
        self.runtime = runtime
        self.parent = parent
        self._parent_linked = False
        self._links: dict[Tied, None] | None = None
        self._monitors: dict[Ref, Tied] | None = None
        self._watchers: dict[Ref, Tied] | None = None

    @abstractmethod
    def _hear_end(self, ref: Ref, pid: Pid, reason: Reason) -> None:
        """What was watched has ended; the tie is gone already."""

    @abstractmethod
    def _forgotten(self, watcher: Tied, ref: Ref) -> None:
        """A watcher does not want to hear any more."""


class CallRef(Timer):
    """A call that waits for its answer, and the timer that ends the waiting."""

    __slots__ = ("caller",)

    def __init__(self, caller: Process) -> None:
        super().__init__()
        self.caller = caller

    def fire(self) -> None:
        """The time is over: the caller learns it, and a late answer will find no call."""
        forget_call(self)
        deliver(self.caller, Info(NoReply(self, TIMEOUT)))


class MessageTimer(Timer):
    """A message that a process gets after a while. It holds the pid only, so it keeps no dead actor in memory."""

    __slots__ = ("message", "pid")

    def __init__(self, pid: Pid, message: Message) -> None:
        super().__init__()
        self.pid = pid
        self.message = message

    def fire(self) -> None:
        """Deliver the message, if its process still lives."""
        target = self.pid._process
        if target is not None:
            deliver(target, Info(self.message))


def add_link(one: Tied, other: Tied) -> None:
    """Tie the fates of two living processes."""
    _add_half(one, other)
    _add_half(other, one)


def remove_link(one: Tied, other: Tied) -> bool:
    """Untie them; returns whether they were tied."""
    _remove_half(other, one)
    return _remove_half(one, other)


def links_of(process: Tied) -> list[Tied]:
    """Everyone the process is linked to, the parent first, then in order of linking."""
    linked = list(process._links) if process._links else []
    if process._parent_linked and process.parent is not None and process.parent._process is not None:
        linked.insert(0, process.parent._process)
    return linked


def _add_half(holder: Tied, other: Tied) -> None:
    if other.pid is holder.parent:
        holder._parent_linked = True
    elif holder._links is None:
        holder._links = {other: None}
    else:
        holder._links[other] = None


def _remove_half(holder: Tied, other: Tied) -> bool:
    if other.pid is holder.parent:
        was_linked = holder._parent_linked
        holder._parent_linked = False
        return was_linked
    links = holder._links
    if links is None or other not in links:
        return False
    del links[other]
    if not links:
        holder._links = None
    return True


def add_watch(watcher: Tied, target: Tied, ref: Ref) -> None:
    """Let a living watcher hear of a living target's end."""
    if watcher._monitors is None:
        watcher._monitors = {}
    watcher._monitors[ref] = target
    if target._watchers is None:
        target._watchers = {}
    target._watchers[ref] = watcher


def untie_watch(watcher: Tied, ref: Ref) -> Tied | None:
    """Take a monitor off both sides; returns whom it watched, or None if it was not waiting."""
    monitors = watcher._monitors
    if monitors is None or ref not in monitors:
        return None
    target = monitors.pop(ref)
    if not monitors:
        watcher._monitors = None
    watchers = target._watchers
    if watchers is not None:
        watchers.pop(ref, None)
        if not watchers:
            target._watchers = None
    return target


def remove_watch(watcher: Tied, ref: Ref) -> bool:
    """Let it hear no more; returns whether the monitor was still waiting."""
    target = untie_watch(watcher, ref)
    if target is None:
        return False
    if not target.is_here:
        target._forgotten(watcher, ref)
    return True


def forget_call(call: CallRef) -> None:
    """End the waiting for an answer, on both sides and on the wheel."""
    remove_watch(call.caller, call)
    call.caller.runtime._timers.cancel(call)


def tell_watchers(process: Tied, reason: Reason) -> None:
    """Send each watcher of an ended process its one Down, or its one NoReply."""
    watchers = process._watchers
    process._watchers = None
    for ref, watcher in (watchers or {}).items():
        untie_watch(watcher, ref)
        watcher._hear_end(ref, process.pid, reason)


def stop_watching(process: Tied) -> None:
    """Take back every monitor and call of a process that ends."""
    for ref in tuple(process._monitors or ()):
        remove_watch(process, ref)
        if type(ref) is CallRef:
            process.runtime._timers.cancel(ref)
