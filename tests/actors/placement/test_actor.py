"""The placement of one node, over a real store and a supervisor of shards that are hollow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actors.placement.actor import SHARDS_SUPERVISOR, PlacementActor
from actors.placement.api import PLACEMENT, Gone, Holdings, Unowned
from actors.placement.estate import Estate
from actors.router.api import Router
from protocol.ids import SHARDS
from runtime import Actor, Hooks, InlineTasks, Runtime, SeededScheduler, VirtualClock
from storage import EngineError
from supervisors import ChildSpec, Supervisor, SupervisorFlags
from tests.storage.desk import Desk, Move

if TYPE_CHECKING:
    from runtime import Pid

SHARD, TRANSFER = 1, b"T1".ljust(16)
THEIRS = {shard: 1 for shard in range(SHARDS) if shard != SHARD}


class Hollow(Actor):
    """In place of all that lives in a shard."""


class House:
    """A node named b, to which a shard of node a has been copied whole."""

    def __init__(self) -> None:
        source, self.desk = Desk(), Desk(owned=())
        self.epoch = source.epochs[SHARD]
        Move(source, self.desk, SHARD, TRANSFER).copy()
        assert self.desk.ask(partial(self.desk.store.import_complete, SHARD, TRANSFER)) is None
        self.scheduler = SeededScheduler(1)
        self.crashes: list[BaseException] = []
        self.runtime = Runtime(
            node="b",
            clock=VirtualClock(),
            scheduler=self.scheduler,
            tasks=InlineTasks(),
            hooks=Hooks(crashed=lambda _, actor, error: self.crashes.append(error)),
        )
        self.estate = Estate({}, lambda shard, epoch: ChildSpec(("shard", shard), Hollow, name=("shard", shard)))
        self.runtime.start(Supervisor(SupervisorFlags("one_for_one"), []), name=SHARDS_SUPERVISOR)
        self.router = Router(self.runtime)
        self.warnings: list[str] = []
        self.placement: Pid = self.runtime.start(
            PlacementActor(
                {"a": 1.0, "b": 1.0},
                self.desk.store,
                self.router,
                self.estate,
                lambda event, **_: self.warnings.append(event),
            ),
            name=PLACEMENT,
        )
        self.desk.run()
        self.scheduler.run_until_idle()

    def hears(self, holdings: Holdings) -> None:
        """Another node has spoken; nothing becomes durable meanwhile."""
        self.runtime.cast(self.placement, holdings)
        self.scheduler.run_until_idle()


def test_a_shard_that_has_come_is_taken_once_however_often_its_source_says_that_it_has_gone() -> None:
    """Found by the simulator (seeds 1 and 2 of a cluster): two shards moved at once, so it was said twice."""
    house = House()
    for _ in range(2):
        house.hears(Holdings("a", THEIRS, {}, {SHARD: Gone("b", TRANSFER, house.epoch)}, {}))
    assert house.crashes == []
    assert house.estate.shards == {SHARD: house.epoch + 1}
    assert house.runtime.whereis(("shard", SHARD)) is not None
    assert house.warnings == []


def test_a_shard_whose_ownership_the_disk_would_not_note_is_taken_once_more() -> None:
    house = House()
    house.hears(Holdings("a", THEIRS, {}, {SHARD: Gone("b", TRANSFER, house.epoch)}, {}))
    first = house.runtime.whereis(("shard", SHARD))
    house.desk.store.flush()
    assert house.desk.committer.fail(EngineError("no room for it"))
    house.runtime.cast(house.placement, Unowned(SHARD, house.epoch + 1))
    house.scheduler.run_until_idle()
    assert house.estate.shards == {}
    assert house.runtime.whereis(("shard", SHARD)) is None
    house.scheduler.run_for(0.3)
    house.desk.run()
    house.scheduler.run_until_idle()
    assert house.crashes == []
    assert house.desk.store.holdings() == {SHARD: house.estate.shards[SHARD]}
    assert house.runtime.whereis(("shard", SHARD)) not in (None, first)


def test_word_of_an_ownership_that_was_taken_again_since_changes_nothing() -> None:
    house = House()
    house.hears(Holdings("a", THEIRS, {}, {SHARD: Gone("b", TRANSFER, house.epoch)}, {}))
    running = house.runtime.whereis(("shard", SHARD))
    house.runtime.cast(house.placement, Unowned(SHARD, house.epoch))
    house.scheduler.run_until_idle()
    assert house.runtime.whereis(("shard", SHARD)) == running


def test_a_shard_that_leaves_its_node_is_nowhere_until_somebody_has_it() -> None:
    house = House()
    house.hears(Holdings("a", THEIRS, {}, {}, {}))
    assert house.router.node_of(5) == "a"
    house.hears(Holdings("a", {shard: 1 for shard in THEIRS if shard != 5}, {5: TRANSFER}, {}, {}))
    assert house.router.node_of(5) is None
    house.hears(Holdings("a", THEIRS, {}, {}, {}))
    assert house.router.node_of(5) == "a"
