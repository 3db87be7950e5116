"""The placement of one node, over a real store and a supervisor of shards that are hollow."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from actors.placement.actor import PlacementActor
from actors.placement.api import PLACEMENT, Gone, Holdings, Place, Unowned
from actors.placement.estate import Estate
from actors.placement.moves import AllRows, Declined, Offer, Rows, Welcome
from actors.placement.residents import SHARDS_SUPERVISOR
from actors.router.api import Router
from actors.shard.api import Reachable
from cluster import LinkCode, NodeDown, NodeUp
from protocol.ids import SHARDS
from runtime import KILLED, Actor, Hooks, InlineTasks, Runtime, SeededScheduler, VirtualClock
from storage import EngineError
from storage.handover import EPOCHS_A_STAY
from supervisors import ChildSpec, Supervisor, SupervisorFlags
from tests.storage.desk import Desk, Move

if TYPE_CHECKING:
    from runtime import Message, Pid
    from runtime.signals import Kind, Signal

SHARD, TRANSFER = 1, b"T1".ljust(16)
THEIRS = {shard: 1 for shard in range(SHARDS) if shard != SHARD}


class Hollow(Actor):
    """In place of all that lives in a shard."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    def handle_cast(self, message: Message) -> None:
        self.heard.append(message)


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
        self.estate = Estate({}, self.shard)
        self.runtime.start(Supervisor(SupervisorFlags("one_for_one"), []), name=SHARDS_SUPERVISOR)
        self.warnings: list[str] = []
        self.hollow = Hollow()
        self.router = Router(self.runtime)
        self.placement = self.begun()

    def shard(self, shard: int, epoch: int) -> ChildSpec:
        """The child of a shard."""
        return ChildSpec(("shard", shard), lambda: self.hollow, name=("shard", shard))

    def begun(self) -> Pid:
        """The placement, at the start of the node or after a crash."""
        placement = self.runtime.start(
            PlacementActor(
                {"a": 1.0, "b": 1.0},
                self.desk.store,
                self.router,
                self.estate,
                lambda event, **_: self.warnings.append(event),
            ),
            name=PLACEMENT,
        )
        self.settle()
        return placement

    def settle(self) -> None:
        """Until nothing moves, on the disk neither."""
        self.desk.run()
        self.scheduler.run_until_idle()

    def takes(self) -> None:
        """The shard is this node's, and that is durable."""
        self.hears(Holdings("a", THEIRS, {}, {SHARD: Gone("b", TRANSFER, self.epoch)}, {}))
        self.settle()

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
    assert house.estate.shards == {SHARD: EPOCHS_A_STAY}
    assert house.runtime.whereis(("shard", SHARD)) is not None
    assert house.warnings == []


def test_a_shard_whose_ownership_the_disk_would_not_note_is_taken_once_more() -> None:
    house = House()
    house.hears(Holdings("a", THEIRS, {}, {SHARD: Gone("b", TRANSFER, house.epoch)}, {}))
    first = house.runtime.whereis(("shard", SHARD))
    house.desk.store.flush()
    assert house.desk.committer.fail(EngineError("no room for it"))
    house.runtime.cast(house.placement, Unowned(SHARD, EPOCHS_A_STAY))
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


def test_a_shard_that_another_node_has_under_a_higher_epoch_is_stopped_in_every_life() -> None:
    """The second time it is no news, for this node has written it down."""
    house = House()
    house.takes()
    house.hears(Holdings("a", THEIRS | {SHARD: 5 * EPOCHS_A_STAY}, {}, {}, {}))
    assert house.warnings == ["shard_fenced"]
    assert house.runtime.whereis(("shard", SHARD)) is None
    house.settle()

    def ends_and_begins() -> None:
        house.runtime.exit(house.placement, KILLED)
        house.scheduler.run_until_idle()
        house.placement = house.begun()

    ends_and_begins()
    assert house.estate.shards == {}, "its data are here still, and are not taken for those of a move that crashed"
    house.estate.add(SHARD, house.desk.store.take_ownership([SHARD])[SHARD])  # as a node does that starts
    ends_and_begins()
    house.hears(Holdings("a", THEIRS | {SHARD: 5 * EPOCHS_A_STAY}, {}, {}, {}))
    assert house.crashes == []
    assert house.estate.shards == {}
    assert house.warnings == ["shard_fenced"] * 2
    assert house.router.node_of(SHARD) == "a"


def test_a_node_whose_folder_was_restored_from_a_copy_goes_on_above_the_epochs_that_others_remember() -> None:
    house = House()
    house.takes()
    remembered = EPOCHS_A_STAY + 9
    house.hears(Holdings("a", THEIRS, {}, {}, {SHARD: Place("b", remembered)}))
    house.settle()
    assert house.crashes == []
    assert house.warnings == ["shard_restored"]
    assert house.estate.shards == house.desk.store.holdings() == {SHARD: remembered + 1}
    assert house.runtime.whereis(("shard", SHARD)) is not None


class Crowded:
    """A link to node a that has no room at first; a port of the runtime, see `runtime.Distribution`."""

    def __init__(self) -> None:
        self.incarnations = {"a": 1}
        self.has_room = False
        self.told: list[Message] = []

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        if self.has_room:
            self.told.append(message)
        return self.has_room

    def carry(self, node: str, signal: Signal) -> bool:
        return True


def test_a_node_is_told_again_if_there_was_no_room_on_its_link() -> None:
    """Otherwise it might never hear that it has a shard now, which nobody would run."""
    house, link = House(), Crowded()
    house.runtime.foreign.attach(link)
    house.runtime.send(house.placement, NodeUp("a", 1))
    house.takes()
    house.scheduler.run_for(1.0)
    link.has_room = True
    assert link.told == []
    house.scheduler.run_for(1.0)
    (holdings,) = link.told
    assert isinstance(holdings, Holdings)
    assert holdings.shards == {SHARD: EPOCHS_A_STAY}


def test_shards_ask_for_what_was_lost_even_if_their_node_speaks_over_the_next_link_before_word_of_the_last() -> None:
    """A link that is replaced ends and begins in one moment, and `NodeDown` goes a longer way than frames."""
    house, link = House(), Crowded()
    house.runtime.foreign.attach(link)
    house.takes()
    holdings = Holdings("a", THEIRS, {}, {}, {})
    house.hears(holdings)
    house.hollow.heard.clear()
    house.hears(holdings)
    assert house.hollow.heard == []
    house.runtime.send(house.placement, NodeDown("a", 1, LinkCode.REPLACED, ""))
    house.runtime.send(house.placement, NodeUp("a", 1))
    house.scheduler.run_until_idle()
    assert house.hollow.heard == [Reachable(tuple(THEIRS))]


def test_what_is_taken_is_told_when_it_is_on_the_disk_and_not_before() -> None:
    """Else the others would remember that this node has it, and it would come back from a crash without knowing."""
    house = House()
    house.hears(Holdings("a", THEIRS, {}, {SHARD: Gone("b", TRANSFER, house.epoch)}, {}))
    (epoch,) = house.estate.shards.values()
    assert epoch > house.epoch, "it runs already"
    process = house.placement._process
    assert process is not None
    actor: Any = process._actor
    said = actor._holdings()
    assert SHARD not in said.shards
    assert SHARD not in said.places
    assert SHARD in said.leaving, "so nobody takes it for lost"
    house.desk.run()
    house.scheduler.run_until_idle()
    assert actor._holdings().shards == {SHARD: epoch}
    assert actor._holdings().leaving == {}


def test_a_shard_that_is_stopped_for_a_moment_is_named_so_that_nobody_takes_it_for_lost() -> None:
    house = House()
    house.takes()
    process = house.placement._process
    assert process is not None
    actor: Any = process._actor
    assert actor._holdings().leaving == {}
    house.runtime.cast(house.placement, Unowned(SHARD, EPOCHS_A_STAY))
    house.settle()
    assert house.estate.shards == {}
    assert actor._holdings().leaving == {SHARD: b""}
    house.scheduler.run_for(0.3)
    house.settle()
    assert actor._holdings().leaving == {}
    assert house.estate.shards.keys() == {SHARD}


def test_an_offer_of_a_third_node_takes_nothing_from_a_whole_copy_whose_source_may_have_let_go_of_it() -> None:
    """It may be of an old copy of the folder of that node; its rows would have purged the only copy there is."""
    house = House()
    third = house.runtime.start(Hollow())
    house.runtime.cast(house.placement, Offer(SHARD, "c", b"T9".ljust(16), third))
    house.settle()
    assert house.desk.store.arrivals()[SHARD].transfer == TRANSFER
    process = third._process
    assert process is not None
    actor: Any = process._actor
    (declined,) = actor.heard
    assert isinstance(declined, Declined)
    assert "whole copy of shard 1 from node" in declined.sentence
    house.takes()
    assert house.estate.shards == {SHARD: EPOCHS_A_STAY}


def test_a_half_copy_that_nobody_goes_on_with_is_discarded_whoever_has_the_shard_by_now() -> None:
    """Seed 272: its source had given the shard to a third node, and so never said again that it had it."""
    house, other = House(), SHARD + 1
    rows = Move(Desk(), house.desk, other).rows()
    tell = partial(house.desk.store.import_rows, other, "c", b"T2".ljust(16), rows)
    assert house.desk.ask(tell) is None
    assert not house.desk.store.arrivals()[other].complete
    house.hears(Holdings("a", THEIRS, {}, {}, {}))
    house.settle()
    assert other not in house.desk.store.arrivals()


def test_a_whole_copy_is_discarded_when_its_source_has_given_the_shard_away_by_another_move() -> None:
    """Seed 384675892 of clusters: its rows stayed for ever, and no other node could have moved the shard here."""
    house = House()
    house.hears(Holdings("node", THEIRS, {}, {SHARD: Gone("c", b"T9".ljust(16), house.epoch + 1)}, {}))
    house.settle()
    assert house.desk.store.arrivals() == {}
    third = house.runtime.start(Hollow())
    house.runtime.cast(house.placement, Offer(SHARD, "c", b"T8".ljust(16), third))
    house.settle()
    process = third._process
    assert process is not None
    actor: Any = process._actor
    assert isinstance(actor.heard[0], Welcome)


OTHER = SHARD + 1


def coming(house: House, third: Pid) -> Pid:
    """The process that brings another shard from node c, of which some rows are on the disk."""
    house.runtime.cast(house.placement, Offer(OTHER, "c", b"T2".ljust(16), third))
    house.settle()
    process = third._process
    assert process is not None
    actor: Any = process._actor
    (welcome,) = actor.heard
    arrival: Pid = welcome.arrival
    house.runtime.cast(arrival, Rows(Move(Desk(), house.desk, OTHER).rows()))
    house.scheduler.run_until_idle()
    house.settle()
    return arrival


def test_a_half_copy_is_discarded_when_nobody_brings_the_rest_though_nobody_speaks_again() -> None:
    """Seeds 5025, 5068 and 5128 of clusters: its source had said that it kept the shard before the copying ended."""
    house = House()
    third = house.runtime.start(Hollow())
    coming(house, third)
    house.hears(Holdings("c", {**THEIRS, OTHER: 1}, {}, {}, {}))
    house.settle()
    assert not house.desk.store.arrivals()[OTHER].complete, "it is on its way"
    house.runtime.exit(third, KILLED)
    house.scheduler.run_until_idle()
    house.settle()
    assert OTHER not in house.desk.store.arrivals()


def test_a_half_copy_is_discarded_by_the_successor_of_a_placement_that_crashed() -> None:
    house = House()
    coming(house, house.runtime.start(Hollow()))
    house.runtime.exit(house.placement, KILLED)
    house.settle()
    assert not house.desk.store.arrivals()[OTHER].complete
    house.placement = house.begun()
    house.settle()
    assert OTHER not in house.desk.store.arrivals()


def test_a_word_from_before_a_copy_was_whole_takes_nothing_from_it() -> None:
    """It may be heard late, when the source lets go of the shard for this very copy: that is all there is, then."""
    house = House()
    arrival = coming(house, house.runtime.start(Hollow()))
    house.runtime.cast(arrival, AllRows())
    house.scheduler.run_until_idle()
    house.desk.run()
    assert house.desk.store.arrivals()[OTHER].complete
    house.hears(Holdings("c", {**THEIRS, OTHER: 99}, {}, {}, {}))
    house.settle()
    assert house.desk.store.arrivals()[OTHER].complete
    assert not house.runtime.is_alive(arrival)
    house.hears(Holdings("c", {**THEIRS, OTHER: 99}, {}, {}, {}))
    house.settle()
    assert OTHER not in house.desk.store.arrivals(), "now it can only have kept the shard"


def test_an_offer_of_the_same_node_is_taken_for_it_has_begun_anew() -> None:
    house = House()
    third = house.runtime.start(Hollow())
    house.runtime.cast(house.placement, Offer(SHARD, "node", b"T9".ljust(16), third))
    house.settle()
    process = third._process
    assert process is not None
    actor: Any = process._actor
    assert isinstance(actor.heard[0], Welcome)


def test_a_placement_that_crashes_while_a_shard_is_stopped_leaves_nothing_that_keeps_it_from_running_again() -> None:
    for steps in range(30):
        house = House()
        house.takes()
        shard = house.runtime.whereis(("shard", SHARD))
        house.runtime.cast(house.placement, Unowned(SHARD, EPOCHS_A_STAY))
        for _ in range(steps):
            house.scheduler.step()
        house.runtime.exit(house.placement, KILLED)
        house.settle()
        house.placement = house.begun()
        for _ in range(3):
            house.scheduler.run_for(0.3)
            house.settle()
        assert house.crashes == []
        running = house.runtime.whereis(("shard", SHARD))
        assert running is not None, steps
        assert house.estate.shards == house.desk.store.holdings()
        assert steps == 0 or running != shard
