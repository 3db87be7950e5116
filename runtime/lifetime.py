"""How processes begin and end, and how exit signals travel between them.

Signals wait in one queue and are applied after the callback that caused them has returned, before any other callback
runs. So a chain of a million links ends in a loop and not in a recursion, and no callback runs inside another's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .actor import Actor
from .errors import NameTakenError, StartError
from .mailbox import Info, content, deliver
from .messages import Exit
from .pid import Pid
from .process import Process
from .reasons import KILLED, NAME_TAKEN, NORMAL, Crash
from .ties import add_link, links_of, remove_link, stop_watching, tell_watchers

if TYPE_CHECKING:
    from collections.abc import Hashable

    from .reasons import Reason
    from .runtime import Runtime


def start(
    runtime: Runtime,
    actor: Actor,
    parent: Process | None,
    linked: bool,
    name: Hashable | None,
    mailbox_limit: int | None,
) -> Process:
    """Make a process for the actor and run its `init`.

    Raises:
        StartError: `init` raised or stopped, or the name is taken; nothing of the process is left.
        TypeError: The object is not an Actor.
        ValueError: The actor object belongs to a living process.
    """
    if not isinstance(actor, Actor):
        raise TypeError(f"only an Actor can be started, and a {type(actor).__name__} is none")
    former: Process | None = getattr(actor, "process", None)
    if former is not None and former._actor is not None:
        raise ValueError(f"this {type(actor).__name__} runs already, as {former.pid}: start another object")
    serial = runtime._serial = runtime._serial + 1
    pid = Pid(runtime.node, serial, runtime.incarnation)
    limit = runtime.mailbox_limit if mailbox_limit is None else mailbox_limit
    process = Process(runtime, pid, actor, None if parent is None else parent.pid, limit)
    if name is not None:
        try:
            runtime._registry.register(name, pid)
        except NameTakenError as error:
            raise StartError(NAME_TAKEN, type(actor).__name__) from error
        process._names = (name,)
    pid._process = process
    runtime._processes[serial] = process
    actor.process = process
    if linked and parent is not None:
        add_link(process, parent)
    _initialize(process, actor, parent)
    return process


def _initialize(process: Process, actor: Actor, parent: Process | None) -> None:
    runtime = process.runtime
    process._running = True
    try:
        actor.init()
    except Exception as error:
        runtime._crashed(process, error)
        process._ending = reason = Crash(error)
        _abandon(process, parent, reason)
        raise StartError(reason, type(actor).__name__, process.pid) from error
    process._running = False
    if process._ending is not None:
        _abandon(process, parent, process._ending)
        raise StartError(process._ending, type(actor).__name__, process.pid)
    runtime._counters.started += 1
    if runtime.hooks.started is not None:
        runtime._notify(runtime.hooks.started, process.pid, actor)


def _abandon(process: Process, parent: Process | None, reason: Reason) -> None:
    """End a process whose start failed. The parent gets a StartError, so no exit signal as well."""
    if parent is not None:
        remove_link(process, parent)
    _bury(process, reason)


def end(process: Process, reason: Reason) -> None:
    """End a living process that is not in a callback: `terminate`, then tell those who are tied to it."""
    actor = process._actor
    assert actor is not None
    runtime = process.runtime
    process._ending = reason
    if reason is not KILLED:
        process._running = True
        try:
            actor.terminate(reason)
        except Exception as error:
            runtime._crashed(process, error)
            process._ending = reason = Crash(error)
        process._running = False
    _bury(process, reason)
    runtime._counters.ended += 1
    if runtime.hooks.ended is not None:
        runtime._notify(runtime.hooks.ended, process.pid, actor, reason)


def _bury(process: Process, reason: Reason) -> None:
    runtime = process.runtime
    pid = process.pid
    linked = links_of(process)
    process._links = None
    process._parent_linked = False
    pid._process = None
    del runtime._processes[pid.serial]
    runtime._registry.forget(process._names)
    process._names = ()
    process._actor = None
    mailbox = process._mailbox
    process._mailbox = None
    for item in mailbox or ():
        runtime._drop(pid, content(item))
    stop_watching(process)
    tell_watchers(process, reason)
    for other in linked:
        runtime._signals.append((other, pid, reason, process))
    runtime._scheduler.wake_for_signals()


def settle(runtime: Runtime) -> None:
    """Apply the exit signals that wait, and those that come of it."""
    signals = runtime._signals
    while signals:
        target, source, reason, linked = signals.popleft()
        if not isinstance(target, Process):
            runtime.foreign.pass_on(target, source, reason, linked)
            continue
        if target._actor is None:
            continue
        if linked is not None:
            if not remove_link(target, linked):
                continue
            runtime.foreign.retire(linked)
        elif reason is KILLED:
            end(target, KILLED)
            continue
        if target.trap_exit:
            deliver(target, Info(Exit(source, reason)))
        elif reason != NORMAL:
            end(target, reason)
