"""What spans two nodes goes on whole or ends for both: the promise of links, seen by the couriers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulation.couriers import Answered, Began, Came, Ended, Left
from simulation.witness import Checker

if TYPE_CHECKING:
    from runtime import Pid
    from simulation.witness import Witness
    from simulation.world import World

__all__ = ["Journeys"]


@dataclass
class _Journey:
    """What one courier says to another until it hears of an end.

    Attributes:
        source: Who says it.
        target: To whom.
        left: How many parcels have left.
        came: How many have come.
        ended: Whether its end was told.
    """

    source: Pid
    target: Pid
    left: int = 0
    came: int = 0
    ended: bool = False


class Journeys(Checker):
    """Nothing is missing or repeated in a journey, an earlier one is over, and an answer is that to its question."""

    name = "what spans two nodes goes on whole, or ends for both"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._journeys: dict[int, _Journey] = {}
        self._latest: dict[tuple[Pid, Pid], int] = {}

    def travelled(self, event: object) -> None:
        """Follow the couriers."""
        match event:
            case Began(number, source, target):
                self._journeys[number] = _Journey(source, target)
            case Left(number, parcel):
                self._journeys[number].left = parcel
            case Came():
                self._came(event)
            case Ended(number):
                self._journeys[number].ended = True
            case Answered(node, asked, answered, courier):
                if asked != answered or courier.node != node:
                    self.breaks(f"{node} was asked question {asked}, and an answer to {answered} came for it")

    def _came(self, parcel: Came) -> None:
        number = parcel.journey
        journey = self._journeys[number]
        what = f"parcel {parcel.number} of {journey.source} to {journey.target}"
        if parcel.number != journey.came + 1:
            self.breaks(f"{what} came behind {journey.came}, and nobody was told of a break")
        journey.came = parcel.number
        way = (journey.source, journey.target)
        if number < self._latest.get(way, 0):
            self.breaks(f"{what} came from behind a break, after what was said since")
        self._latest[way] = max(number, self._latest.get(way, 0))
        if parcel.target != journey.target:
            self.breaks(f"{what} came to {parcel.target}")

    def unrest(self, world: World) -> list[str]:
        """At rest every journey that goes on has come to its target, which lives; and everybody is linked."""
        found = []
        for journey in self._journeys.values():
            if journey.ended or not _lives(world, journey.source):
                continue
            if not _lives(world, journey.target):
                found.append(f"{journey.source} was not told that {journey.target} has ended")
            elif journey.came != journey.left:
                missing = journey.left - journey.came
                found.append(f"{missing} parcels of {journey.source} never came to {journey.target}")
        return found


def _lives(world: World, pid: Pid) -> bool:
    """Whether a process runs, wherever it is."""
    return any(
        node.up
        and (node.runtime.node, node.runtime.incarnation) == (pid.node, pid.incarnation)
        and pid.serial in node.runtime._processes
        for node in world.nodes
    )
