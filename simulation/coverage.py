"""The coverage of the weather: how often each fault struck, and which rare branches were reached.

A fault that lies in wait has struck when it springs, not when it is set.

A suite of runs that never reached a branch has not tested it; `Coverage.missing` names it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from simulation.ambush import ACTORS, ACTORS_OF_CLUSTERS, CALL, HANDLERS, MOMENTS, crash_at, crash_in, crash_of
from simulation.clubs import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["SOMETIMES", "SOMETIMES_BETWEEN_NODES", "Coverage"]

SOMETIMES: Final = (
    "a fan-out is taken up again after a restart",
    "a large fan-out goes out a few shards at a time",
    "a fenced writer is refused",
    "a journal is replayed",
    "a retry is answered with its old seq",
    "a message is delivered again",
    "a session is resumed",
    "an older session is closed by a newer one",
    "a poison message leaves with a notice",
    "an expired message leaves with a notice",
    "a full queue lets a message go with a notice",
    "a revoked device's message leaves with a notice",
    "a notice reaches the sender",
    "a group tells what its members missed",
    "entries move to the inbox",
    "entries move to the inbox while their device drains",
    "several devices share a body",
    "what a shard has yet to take moves to the outbox",
    "a commit fails",
    "a commit in flight is lost with its node",
    "a commit in flight outlives its node, untold",
    "a commit in flight is torn between tables",
    "a send is refused because the disk is full",
    "a read fails",
    "a gap in the numbers is refused",
    "a client dies between commit and ack",
    "a client dies of a message",
    "a device numbers its messages anew",
    "an actor crashes in the middle of a callback",
    "an actor dies with its mail",
    *map(crash_of, ACTORS),
    *map(crash_in, HANDLERS),
    *map(crash_at, MOMENTS),
    "a supervisor gives up and its own one restarts it",
    "a slow reader stops its queue",
    "a segment is lost",
    "a segment comes twice",
    "a segment overtakes another",
    "a half-open connection",
    "a node leaves with a reset",
    "a node leaves without a word",
    "a calendar jumps",
    "a device is linked while people write",
    "a device is linked by its primary",
    "a device tells another what that has missed of their state",
    "a bundle is accepted",
    "a message is refused that lacks a payload for a device",
    "a message is refused that has a payload too many",
    *(f"a group changes: {kind}" for kind in KINDS),
)
"""What a suite has to reach somewhere, in the words of the report."""

SOMETIMES_BETWEEN_NODES: Final = (
    "a link comes up again",
    "a node is linked in another life",
    "a link ends: SILENT",
    "a link ends: STALLED",
    "a link ends: LOST",
    "a link ends: REPLACED",
    "a link ends: CLOSING",
    "a node takes in less than another has for it",
    "a message crosses from node to node",
    "a message crosses when its link is back",
    "another node has an actor started",
    "a node is lost while it owes a tick",
    "a shard moves",
    "a move is refused or given up",
    "a node dies while a shard leaves it",
    "a node dies while a shard comes to it",
    "a link ends while a shard moves over it",
    "something comes to a node whose shard has moved",
    "a copy of a shard that did not move is purged",
    "a shard changes while it is copied",
    *map(crash_of, ACTORS_OF_CLUSTERS),
    crash_in(CALL),
)
"""The same for a suite of clusters."""


SPRINGS: Final = {"an actor crashes in the middle of a callback": "actor crashes"}
"""Branches that show that a fault of one kind springs, each time once."""


class Coverage:
    """Counts of one run, or of many.

    Attributes:
        faults: By kind: how often it struck.
        branches: By name: how often it was reached.
    """

    __slots__ = ("branches", "faults")

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.branches: Counter[str] = Counter()

    def struck(self, fault: str) -> None:
        """A fault did something."""
        self.faults[fault] += 1

    def striking(self, fault: str, branch: str) -> Callable[[], None]:
        """For a fault that lies in wait: to be called whenever it springs.

        Args:
            fault: Its kind; it counts once, however often it springs.
            branch: What is reached whenever it does.
        """
        is_new = True

        def strike() -> None:
            nonlocal is_new
            self.reached(branch)
            if is_new:
                is_new = False
                self.struck(fault)

        return strike

    def reached(self, branch: str) -> None:
        """A rare branch was taken."""
        self.branches[branch] += 1
        if branch in SPRINGS:
            self.struck(SPRINGS[branch])

    def add(self, other: Coverage) -> None:
        """Count another run's as well."""
        self.faults.update(other.faults)
        self.branches.update(other.branches)

    def missing(self, branches: Iterable[str], faults: Iterable[str] = ()) -> list[str]:
        """Those of these faults that never struck, and of these branches that no run reached."""
        never = [fault for fault in faults if not self.faults[fault]]
        return never + [branch for branch in branches if not self.branches[branch]]
