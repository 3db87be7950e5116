"""What the runtime counts while it works, and the snapshot that it shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistics:
    """The runtime at one moment.

    Attributes:
        processes: Living processes.
        names: Registered names.
        timers: Timers that wait.
        runnable: Processes with messages that wait for their turn.
        started: Processes started since the beginning.
        ended: Processes that ended.
        crashed: Callbacks that raised and so ended their process.
        messages: Messages handled.
        dropped: Messages for a dead process, those in its mailbox when it ended included.
        refused: Messages that a full mailbox refused.
        shed: Sheddable casts refused because the mailbox was more than half full.
        late_replies: Answers that came after their call had ended.
        ignored: Messages that no `handle_info` knew.
        hook_failures: Hooks that raised.
        stale: Messages, answers and signals for an earlier life of a node, all of them dropped.
    """

    processes: int
    names: int
    timers: int
    runnable: int
    started: int
    ended: int
    crashed: int
    messages: int
    dropped: int
    refused: int
    shed: int
    late_replies: int
    ignored: int
    hook_failures: int
    stale: int


@dataclass(slots=True)
class Counters:
    """The figures of `Statistics` that only grow, as the runtime keeps them."""

    started: int = 0
    ended: int = 0
    crashed: int = 0
    messages: int = 0
    dropped: int = 0
    refused: int = 0
    shed: int = 0
    late_replies: int = 0
    ignored: int = 0
    hook_failures: int = 0
    stale: int = 0
