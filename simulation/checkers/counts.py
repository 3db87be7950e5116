"""Receipts of a group: who has written sees how many of the others have it, and have read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.receipts.api import RECENT_SEQS
from roost.group import Progress
from roost.history import MessageState
from simulation.checkers.receipts import bounds_of
from simulation.witness import Checker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.groups.api import GroupState
    from simulation.checkers.receipts import MarkBound
    from simulation.device import SimulatedDevice
    from simulation.people import Person
    from simulation.witness import Witness
    from simulation.world import World
    from storage.records import Accepted

__all__ = ["CountsAreTrue"]

TICKED: Final = (MessageState.SENT, MessageState.DELIVERED, MessageState.READ)
NONE_TOLD: Final = Progress(0, 0, 0)


class CountsAreTrue(Checker):
    """What members' screens say of their own messages, against what the devices of the other members have."""

    name = "groups: what is told of receipts ends up true"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._last_seqs: dict[str, int] = {}

    def grouped(self, record: Accepted, before: GroupState, after: GroupState) -> None:
        """Counts are told of the last messages alone."""
        self._last_seqs[record.conversation] = record.seq

    def unrest(self, world: World) -> list[str]:
        """Screens that say something else."""
        people = {str(person.account): person for person in world.people}
        found: list[str] = []
        for group, state in self.witness.groups.items():
            for author in state.members:
                others = {account: people[account] for account in state.members if account != author}
                for device in people[author].devices:
                    if device.running and not device.doomed:
                        wrong = [*self._wrong(group, state, author, device, others, people[author].secretive)]
                        found += wrong[-1:]  # one stands for all of them
        return found

    def _wrong(
        self,
        group: str,
        state: GroupState,
        author: str,
        device: SimulatedDevice,
        others: dict[str, Person],
        secretive: bool,
    ) -> Iterator[str]:
        """Where a screen is wrong; who hides what they read, or has ever done so, sees nothing of the others'.

        Who has left and come back is told of what they wrote since: the group before that is none of their business.
        """
        marks = [(state.members[it].joined_seq, *bounds_of(self.witness, it, group)) for it in others]
        secretive = secretive or any(it.secretive for it in others.values())
        for message in device.store.history(group, 2 * RECENT_SEQS):
            if message.state not in TICKED or message.seq <= self._last_seqs[group] - RECENT_SEQS:
                continue
            if message.seq < state.members[author].joined_seq:
                continue
            shown = message.progress or NONE_TOLD
            meant = [(delivered, read) for joined, delivered, read in marks if joined <= message.seq]
            delivered, read = (
                (_count(bounds, message.seq) for bounds in zip(*meant, strict=True)) if meant else (NO, NO)
            )
            if shown.read_by_all and read[0] == len(meant):
                continue  # nobody asks any more, so some may have left unnoticed
            is_so = shown.members == len(meant) and delivered[0] <= shown.delivered <= delivered[1]
            if not is_so or not (secretive or read[0] <= shown.read <= read[1]):
                yield f"{device} sees {shown} of {group} {message.seq}, not {len(meant)}, {delivered[0]}, {read[0]}"


NO: Final = (0, 0)


def _count(marks: tuple[MarkBound, ...], seq: int) -> tuple[int, int]:
    """How many have a message at least, and at most."""
    return sum(mark.least >= seq for mark in marks), sum(mark.most >= seq for mark in marks)
