"""The checkers: each file an invariant or a few that belong together, each with the name under which it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.checkers.bounds import Bounds
from simulation.checkers.bundles import RightPayload
from simulation.checkers.counts import CountsAreTrue
from simulation.checkers.delivery import AcceptedIsDurable, DeletedOnAck, NothingIsLost, ShownOnce
from simulation.checkers.emptiness import NothingIsLeft, RestartFinds
from simulation.checkers.finality import Finality
from simulation.checkers.journeys import Journeys
from simulation.checkers.membership import Membership
from simulation.checkers.numbers import NumbersHold
from simulation.checkers.order import Order
from simulation.checkers.own_state import OwnStateConverges
from simulation.checkers.ownership import FormerOwnersAreFenced, RunAtOneNode
from simulation.checkers.presence import PresenceConverges
from simulation.checkers.receipts import ReceiptsAreTrue
from simulation.checkers.reentry import Reentry
from simulation.checkers.supervision import Supervision

if TYPE_CHECKING:
    from simulation.witness import Checker, Witness

__all__ = ["CHECKERS", "all_checkers"]

CHECKERS: tuple[type[Checker], ...] = (
    AcceptedIsDurable,
    NothingIsLost,
    ShownOnce,
    RightPayload,
    Order,
    DeletedOnAck,
    ReceiptsAreTrue,
    Membership,
    NumbersHold,
    FormerOwnersAreFenced,
    RunAtOneNode,
    Finality,
    PresenceConverges,
    NothingIsLeft,
    RestartFinds,
    Supervision,
    Reentry,
    Bounds,
    Journeys,
    CountsAreTrue,  # these two are the last to be asked: they read the clients' databases
    OwnStateConverges,
)


def all_checkers(witness: Witness) -> list[Checker]:
    """One of each, reporting to this witness."""
    return [checker(witness) for checker in CHECKERS]
