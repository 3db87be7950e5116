"""Receipts of a group: how many have received and read which messages, in steps by seq. Pure.

Every member adds one to the count of each message from the one with which it joined up to its mark. So the counts
change only at some seqs, and at no more than there are recent messages, however many members there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.limits import RECEIPT_STEPS_MAX
from protocol.messages import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RECENT_SEQS", "Counts", "Standing"]

RECENT_SEQS: Final = RECEIPT_STEPS_MAX
"""So many of the last messages are told of; were each its own step, there would be room."""


class Standing(NamedTuple):
    """A member: the seq with which it joined, and up to which it has received and, as others may see, read."""

    joined: int
    delivered: int
    read: int


class Counts:
    """The counts of the last messages of a group.

    Args:
        last_seq: Of the last message.
        standings: Of all members.

    Attributes:
        behind: Nothing is said of messages up to this one.
    """

    __slots__ = ("_changes", "_last_seq", "behind")

    def __init__(self, last_seq: int, standings: Iterable[Standing]) -> None:
        self.behind = max(0, last_seq - RECENT_SEQS)
        self._last_seq = last_seq
        self._changes: dict[int, list[int]] = {self.behind + 1: [0, 0, 0]}
        for standing in standings:
            self._add(self._changes, standing, 1)

    def _add(self, changes: dict[int, list[int]], standing: Standing, sign: int) -> None:
        """Note at which seqs a member begins to count, and ceases to."""
        last = self._last_seq
        first = max(standing.joined, self.behind + 1)
        if first > last:
            return
        change = changes.get(first) or changes.setdefault(first, [0, 0, 0])
        change[0] += sign
        for index, mark in ((1, standing.delivered), (2, standing.read)):
            if mark >= first:
                change[index] += sign
                if mark < last:
                    (changes.get(mark + 1) or changes.setdefault(mark + 1, [0, 0, 0]))[index] -= sign

    def steps(self, viewer: Standing | None, shows_reads: bool) -> list[Step]:
        """What one member is told: the counts of the others.

        Args:
            viewer: That member, who is not counted; None if it is none.
            shows_reads: Whether it may see that others have read.
        """
        if self._last_seq <= self.behind:
            return []
        changes = self._changes
        if viewer is not None:
            changes = {seq: list(change) for seq, change in changes.items()}
            self._add(changes, viewer, -1)
        firsts = sorted(changes)
        steps: list[Step] = []
        members = delivered = read = 0
        for first, following in zip(firsts, [*firsts[1:], self._last_seq + 1], strict=True):
            change = changes[first]
            members, delivered, read = members + change[0], delivered + change[1], read + change[2]
            step = Step(following - 1, members, delivered, read if shows_reads else 0)
            if steps and _counts(steps[-1]) == _counts(step):
                steps.pop()  # else its end would tell who of the hidden has read
            steps.append(step)
        return steps


def _counts(step: Step) -> tuple[int, int, int]:
    return step.members, step.delivered, step.read
