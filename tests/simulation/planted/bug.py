"""What a planted bug is: a world with one rule broken, and the invariants that may give it away."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from simulation import Faults, Scenario
from simulation.checkers.bundles import RightPayload
from simulation.checkers.delivery import AcceptedIsDurable, DeletedOnAck, NothingIsLost, ShownOnce
from simulation.checkers.emptiness import NothingIsLeft, RestartFinds
from simulation.checkers.journeys import Journeys
from simulation.checkers.numbers import NumbersHold
from simulation.checkers.order import Order
from simulation.checkers.own_state import OwnStateConverges
from simulation.checkers.ownership import FormerOwnersAreFenced, RunAtOneNode
from simulation.checkers.presence import PresenceConverges
from simulation.checkers.receipts import ReceiptsAreTrue
from simulation.checkers.supervision import Supervision
from simulation.world import SETTLED

__all__ = [
    "ACCEPTED",
    "DELETED",
    "EMPTY",
    "FENCED",
    "JOURNEYS",
    "LOST",
    "NUMBERS",
    "ONCE",
    "ONE_NODE",
    "ORDER",
    "OWN_STATE",
    "PAYLOAD",
    "PRESENCE",
    "RECEIPTS",
    "RESTART",
    "RESTS",
    "SUPERVISION",
    "Bug",
    "rough",
]

ACCEPTED: Final = AcceptedIsDurable.name
LOST: Final = NothingIsLost.name
ONCE: Final = ShownOnce.name
ORDER: Final = Order.name
DELETED: Final = DeletedOnAck.name
RECEIPTS: Final = ReceiptsAreTrue.name
NUMBERS: Final = NumbersHold.name
FENCED: Final = FormerOwnersAreFenced.name
RESTS: Final = SETTLED
PRESENCE: Final = PresenceConverges.name
SUPERVISION: Final = Supervision.name
RESTART: Final = RestartFinds.name
EMPTY: Final = NothingIsLeft.name
JOURNEYS: Final = Journeys.name
ONE_NODE: Final = RunAtOneNode.name
PAYLOAD: Final = RightPayload.name
OWN_STATE: Final = OwnStateConverges.name


@dataclass(frozen=True)
class Bug:
    """A believable bug.

    Attributes:
        scenario: The world that has it.
        invariants: Those that it breaks: any of them gives it away, nothing else does.
    """

    scenario: Scenario
    invariants: frozenset[str]

    def __init__(self, scenario: Scenario, *invariants: str) -> None:
        object.__setattr__(self, "scenario", scenario)
        object.__setattr__(self, "invariants", frozenset(invariants))


def rough(**means: float) -> Faults:
    """The weather with more of some faults, where the usual one would need too many seeds.

    Args:
        means: By kind, with underscores for spaces: how many are to be expected.
    """
    faults = Faults()
    wanted = {kind.replace("_", " "): mean for kind, mean in means.items()}
    between = {kind: wanted.pop(kind, mean) for kind, mean in faults.between.items()}
    return replace(faults, mean=faults.mean | wanted, between=between)
