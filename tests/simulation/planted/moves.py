"""Bugs of shards that are at other nodes, and of shards that move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.placement.actor import PlacementActor
from actors.placement.departure import DepartureActor
from actors.placement.moves import AllRows, Vacate, Vacated
from actors.shard.actor import ShardActor
from actors.shard.api import Reachable
from actors.shard.logic import Inbound
from actors.shard.spreading import Spread
from actors.tree import Parts
from simulation import Scenario, Sizes
from simulation.trap import TrappedStore
from storage.handover import Handover
from storage.import_check import ImportCheck
from tests.simulation.planted.bug import EMPTY, LOST, NUMBERS, ONCE, ONE_NODE, ORDER, RESTS, SUPERVISION, Bug, rough

if TYPE_CHECKING:
    from collections.abc import Iterable

    from storage import Batch, Row

__all__ = ["BUGS"]


class NeverAsksAgain(ShardActor):
    """A link that is back is no reason to ask for what was lost with it."""

    __slots__ = ()

    def _meet(self, reachable: Reachable) -> None:
        """Nothing to do."""

    _routes = ShardActor._routes | {Reachable: _meet}  # type: ignore[misc]  # the parent's is final


class TakenAnew(ShardActor):
    """A source that can be reached anew, or has moved, is taken for one of which nothing was ever heard."""

    __slots__ = ()

    def _meet(self, reachable: Reachable) -> None:
        for source in reachable.shards:
            self._spreading._inbound.pop(source, None)
        super()._meet(reachable)

    _routes = ShardActor._routes | {Reachable: _meet}  # type: ignore[misc]  # the parent's is final


class Hasty(Inbound):
    """Says that it has taken what it has only written."""

    __slots__ = ()

    def news(self) -> int | None:
        if self.told == self.appended:
            return None
        self.told = self.appended
        return self.appended


class TakenBeforeTheCursor(ShardActor):
    """A source is told that its jobs were taken, and forgets them, before the cursor is on the disk."""

    __slots__ = ()

    def _spread(self, spread: Spread) -> None:
        inbound = self._spreading._inbound
        known = inbound.get(spread.source)
        if type(known) is not Hasty:
            inbound[spread.source] = Hasty(0 if known is None else known.appended)
        super()._spread(spread)

    _routes = ShardActor._routes | {Spread: _spread}  # type: ignore[misc]  # the parent's is final


class LetsGoTooSoon(DepartureActor):
    """It is written that the shard has gone when the last row is on its way, not when the copy is on the disk there."""

    __slots__ = ()

    def _tell(self, message: object) -> None:
        super()._tell(message)
        if isinstance(message, AllRows):
            self._is_final = True
            self._store.release(self._shard, self._to, self._transfer, self._released)


class ReleasedBeforeComplete(PlacementActor):
    """Its moves let go too soon."""

    __slots__ = ()

    departure = LetsGoTooSoon


class ForgetsWhatChanged(DepartureActor):
    """What has changed while the shard was copied is not sent once more."""

    __slots__ = ()

    def handle_cast(self, message: Any) -> None:
        if isinstance(message, Vacated) and self._export is not None and self._export.changes is not None:
            changes = self._export.changes
            for names in (changes.devices, changes.conversations, changes.keys, changes.jobs):
                names.clear()
        super().handle_cast(message)


class CopiedOnce(PlacementActor):
    """Its moves bring what was there when they began."""

    __slots__ = ()

    departure = ForgetsWhatChanged


class SnapshotLast(ImportCheck):
    """The first round is applied over the later ones: where both say something of a key, the older word stays."""

    __slots__ = ("_brought",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._brought: set[tuple[int, bytes]] = set()

    def rows(self, rows: list[Row]) -> Batch:
        batch, brought = super().rows(rows), self._brought
        if self._after:
            batch.puts = [put for put in batch.puts if put[:2] not in brought]
            batch.deletes = [pair for pair in batch.deletes if pair not in brought]
            batch.delete_ranges.clear()
        else:
            brought.update(put[:2] for put in batch.puts)
        return batch


class TakesTheSnapshotLast(Handover):
    """Its copies are such."""

    __slots__ = ()

    check = SnapshotLast


class ChangesBeforeSnapshot(TrappedStore):
    """The store with that handover."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._handover.__class__ = TakesTheSnapshotLast


class NotStopped(PlacementActor):
    """A shard that moves is fenced, and its actors go on."""

    __slots__ = ()

    def _vacate(self, vacate: Vacate) -> None:
        self._router.leave(vacate.shard)
        self._estate.remove(vacate.shard)
        self.process.cast(vacate.departure, Vacated())

    _routes = PlacementActor._routes | {Vacate: _vacate}  # type: ignore[misc]  # the parent's is final


class DoorLeftOpen(PlacementActor):
    """A shard that has moved is still sought at the node that it left."""

    __slots__ = ()

    def _vacate(self, vacate: Vacate) -> None:
        household = self._router._households.get(vacate.shard)
        super()._vacate(vacate)
        if household is not None:
            self._router._households[vacate.shard] = household

    _routes = PlacementActor._routes | {Vacate: _vacate}  # type: ignore[misc]  # the parent's is final


class FirstAddressKept(PlacementActor):
    """Where a shard was first is where it is sought for ever."""

    __slots__ = ()

    def _learned(self, shards: Iterable[int]) -> None:
        known = dict(self._router.places)
        super()._learned(shards)
        self._router.places.update(known)


def _planted(faults: dict[str, float] | None = None, **parts: Any) -> Scenario:
    return Scenario(cluster=True, parts=Parts(**parts), faults=rough(**(faults or {})))


MOVING: Final = {"a_shard_is_to_move": 40.0}
SLOWLY: Final = Sizes(copy_page_bytes=200, copy_pages_max=1)

BUGS: Final = {
    "resync not asked after a link came back": Bug(_planted(shard=NeverAsksAgain), LOST, ORDER, EMPTY, RESTS),
    "fan-out doubled after a move": Bug(_planted(MOVING, shard=TakenAnew), ONCE),
    "entry taken before the cursor commits": Bug(
        Scenario(
            parts=Parts(shard=TakenBeforeTheCursor),
            faults=rough(commit_fails=25.0, disk_is_slow=25.0, node_dies=6.0),
        ),
        LOST,
        ORDER,
        EMPTY,
        RESTS,
    ),
    "released before the copy is complete": Bug(
        _planted(MOVING | {"node_dies": 10.0}, placement=ReleasedBeforeComplete), RESTS, LOST
    ),
    "a row changed while its shard was copied and not sent again": Bug(
        Scenario(cluster=True, parts=Parts(placement=CopiedOnce), sizes=SLOWLY, faults=rough(**MOVING)),
        LOST,
        ONCE,
        ORDER,
        RESTS,
        NUMBERS,
    ),
    "changes applied before the copy that they change": Bug(
        Scenario(cluster=True, store=ChangesBeforeSnapshot, sizes=SLOWLY, faults=rough(**MOVING)),
        LOST,
        ONCE,
        ORDER,
        RESTS,
        NUMBERS,
    ),
    "shard not stopped when it moves": Bug(_planted(MOVING, placement=NotStopped), ONE_NODE),
    "activation where the shard is no longer": Bug(_planted(MOVING, placement=DoorLeftOpen), SUPERVISION, RESTS),
    "stale address never corrected": Bug(_planted(MOVING, placement=FirstAddressKept), RESTS, LOST),
}
