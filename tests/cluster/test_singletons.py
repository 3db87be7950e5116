"""Services of which one runs in every connected part of the cluster: who has them, who takes them over, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import (
    MEMBERSHIP,
    SINGLETONS,
    LinkLimits,
    NodeUp,
    RetrySingleton,
    SingletonPlace,
    Singletons,
    Subscribe,
    Unsubscribe,
    rendezvous,
    singletons_spec,
)
from cluster.election import Election, State, Stop
from cluster.whereabouts import process_name
from runtime import KILLED, SHUTDOWN, Named, Reply
from supervisors import ChildNotFoundError, ChildSpec, SpecError, UnknownRequestError, WhichChildren
from tests.cluster.office import SERVICES, Office
from tests.runtime.cast import Puppet, boom

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.election import Start
    from runtime import Message, Pid


def settled(seed: int, nodes: str = "abc") -> Office:
    """An office in which everything runs."""
    office = Office(seed, nodes)
    office.watch(2.0)
    assert all(len(at) == 1 for at in office.places().values())
    return office


def time_until(office: Office, done: Callable[[], bool], within_s: float) -> float:
    """How long it takes."""
    began_s = office.clock.now_s()
    while not done():
        assert office.clock.now_s() - began_s <= within_s, f"not within {within_s} s"
        office.wait(0.01)
    return office.clock.now_s() - began_s


def ask(office: Office, node: str, request: Message) -> object:
    puppet, pid = office.puppet(node), office.runtimes[node].whereis(SINGLETONS)
    assert pid is not None
    office.play(puppet, lambda process: process.call(pid, request))
    (reply,) = puppet.heard
    assert isinstance(reply, Reply)
    return reply.value


def test_each_service_runs_once_and_everybody_knows_where(seed: int) -> None:
    office = settled(seed)
    for service, (node,) in office.places().items():
        assert {office.place(each, service) for each in "abc"} == {Named(node, process_name(service))}
    assert len({node for (node,) in office.places().values()}) > 1
    assert office.place("a", "nobody") is None


def test_a_lone_node_runs_everything(seed: int) -> None:
    office = Office(seed, "a")
    office.watch(2.0)
    assert office.places() == {service: ["a"] for service in SERVICES}


def test_a_node_that_comes_later_takes_nothing_that_runs(seed: int) -> None:
    office = Office(seed, "abcdefg", start=False)
    office.bear("a")
    office.watch(2.0)
    history = list(office.history)
    for node in "bcdefg":
        office.bear(node)
    office.watch(5.0)
    assert office.history == history
    assert office.places() == {service: ["a"] for service in SERVICES}


def test_a_node_that_stops_hands_over_at_once_and_stops_its_services_from_the_right(seed: int) -> None:
    office = Office(seed, "ab", start=False)
    office.bear("a")
    office.watch(2.0)
    office.bear("b")
    office.watch(2.0)
    office.history.clear()
    office.stop("a")
    took_s = time_until(office, lambda: office.places() == {service: ["b"] for service in SERVICES}, 0.2)
    assert took_s > 0
    assert [entry[1:] for entry in office.history] == [
        *(("a", service, "stops") for service in reversed(SERVICES)),
        *(("b", service, "starts") for service in SERVICES),
    ]


@pytest.mark.parametrize(("silently", "within_s"), [(False, 1.2), (True, 4.0)])
def test_a_node_that_dies_is_succeeded_in_time(seed: int, silently: bool, within_s: float) -> None:
    office = settled(seed)
    (node,) = office.running("sweeper")
    office.kill(node, silently=silently)
    survivors = [other for other in "abc" if other != node]
    time_until(office, lambda: len(office.running("sweeper")) == 1, within_s)
    office.settle()
    (successor,) = office.running("sweeper")
    assert {office.place(each, "sweeper") for each in survivors} == {Named(successor, process_name("sweeper"))}


def test_a_node_that_stood_still_gives_up_what_others_have_taken_over(seed: int) -> None:
    office = settled(seed)
    (node,) = office.running("sweeper")
    office.frozen.add(node)
    time_until(office, lambda: len(office.running("sweeper")) == 2, 4.0)
    office.wait(5.0)
    office.frozen.clear()
    time_until(office, lambda: len(office.running("sweeper")) == 1, 4.0)
    office.watch(3.0)


def test_a_link_that_breaks_and_is_back_moves_nothing(seed: int) -> None:
    office = settled(seed)
    history = list(office.history)
    for _ in range(5):
        for end in office.lines():
            office.cut(end)
        office.watch(2.0)
    assert office.history == history


def test_in_a_partition_each_side_runs_all_and_after_it_one_of_each_is_left(seed: int) -> None:
    office = settled(seed)
    office.block("a", "b")
    office.block("a", "c")
    office.watch(6.0)
    assert all(len(at) == 2 for at in office.places().values())
    assert all("a" in at for at in office.places().values())
    office.history.clear()
    office.blocked.clear()
    time_until(office, lambda: len(office.neighbours("a")) == 2, 4.0)
    assert all(len(at) == 1 for at in office.places().values())
    assert {what for *_, what in office.history} == {"stops"}
    office.watch(2.0)


def test_two_nodes_that_are_linked_only_by_way_of_a_third_share_their_services(seed: int) -> None:
    office = settled(seed)
    history = list(office.history)
    office.block("a", "c")
    office.watch(8.0)
    assert not office.are_linked("a", "c")
    assert office.history == history


def test_a_service_that_crashes_is_restarted_where_it_is(seed: int) -> None:
    office = settled(seed)
    (node,) = office.running("sweeper")
    crash(office, node, "sweeper")
    assert office.running("sweeper") == [node]
    office.watch(2.0)
    assert [entry[1:] for entry in office.history if entry[2] == "sweeper"] == [
        (node, "sweeper", "starts"),
        (node, "sweeper", "stops"),
        (node, "sweeper", "starts"),
    ]


def crash(office: Office, node: str, service: str) -> None:
    """End a service as a crash would."""
    pid = office.runtimes[node].whereis(process_name(service))
    assert pid is not None
    office.runtimes[node].cast(pid, boom)
    office.settle()


def test_one_that_holds_nowhere_goes_round_once_is_told_and_comes_back_only_on_request(seed: int) -> None:
    office = settled(seed)
    puppet = office.puppet("a")
    pid = office.runtimes["a"].whereis(SINGLETONS)
    assert pid is not None
    office.play(puppet, lambda process: process.cast(pid, Subscribe(process.pid)))
    office.cursed = {(node, "sweeper") for node in "abc"}
    office.history.clear()
    crash(office, office.running("sweeper")[0], "sweeper")
    office.watch(30.0)
    starts = [node for _, node, _, what in office.history if what == "starts"]
    assert office.running("sweeper") == []
    assert len(starts) == 3 + 1 + 1
    assert sorted(set(starts)) == ["a", "b", "c"]
    assert puppet.heard[-1] == SingletonPlace("sweeper", None, is_abandoned=True)
    office.cursed.clear()
    office.watch(30.0)
    assert office.running("sweeper") == []
    assert ask(office, "b", RetrySingleton("sweeper")) is None
    office.watch(2.0)
    assert office.running("sweeper") == ["b"]
    assert puppet.heard[-1] == SingletonPlace("sweeper", Named("b", process_name("sweeper")))
    assert ask(office, "b", RetrySingleton("sweeper")) is None
    assert isinstance(ask(office, "b", RetrySingleton("nobody")), ChildNotFoundError)


def test_one_that_does_not_hold_where_it_is_goes_to_another_node(seed: int) -> None:
    office = settled(seed)
    (node,) = office.running("sweeper")
    office.cursed = {(node, "sweeper")}
    crash(office, node, "sweeper")
    office.watch(2.0)
    (successor,) = office.running("sweeper")
    assert successor != node
    assert office.spent(node, "sweeper")


def test_a_subscriber_hears_where_all_services_are_and_of_every_move_until_it_does_not_want_to(seed: int) -> None:
    office = settled(seed)
    (node,) = office.running("sweeper")
    other = min(set("abc") - {node})
    puppet, leaver = office.puppet(other), office.puppet(other)
    pid = office.runtimes[other].whereis(SINGLETONS)
    assert pid is not None
    for message in (Subscribe(puppet.pid), Subscribe(puppet.pid), Subscribe(leaver.pid), Unsubscribe(leaver.pid)):
        office.runtimes[other].cast(pid, message)
    office.runtimes[other].cast(pid, Unsubscribe(leaver.pid))
    office.settle()
    assert [place.service for place in puppet.heard] == list(SERVICES)
    assert puppet.heard[0].at == Named(node, process_name("sweeper"))
    office.kill(node)
    office.watch(2.0)
    moves = [place.at for place in puppet.heard[3:] if place.service == "sweeper"]
    assert moves[0] is None
    assert [at.node for at in moves[1:]] == office.running("sweeper")
    assert len(leaver.heard) == 3
    office.play(puppet, lambda process: process.stop())
    office.watch(1.0)


def test_a_service_can_be_called_by_its_name_from_anywhere(seed: int) -> None:
    office = settled(seed)
    for node in "abc":
        at = office.place(node, "sweeper")
        assert at is not None
        puppet = office.puppet(node)
        office.play(puppet, lambda process, at=at: process.monitor(at))  # type: ignore[misc]
        assert puppet.heard == []
    (node,) = office.running("sweeper")
    crash(office, node, "sweeper")


@pytest.mark.parametrize("cruelty", [KILLED, SHUTDOWN])
def test_while_an_orphaned_service_takes_its_time_nobody_starts_another(seed: int, cruelty: object) -> None:
    office = settled(seed)
    office.stop_takes_s = 0.0
    (node,) = office.running("sweeper")
    office.stop_takes_s = 3.0
    crash(office, node, "sweeper")  # the next one is slow
    pid = office.runtimes[node].whereis(SINGLETONS)
    assert pid is not None
    if cruelty is KILLED:
        office.runtimes[node].exit(pid, KILLED)
    else:
        office.stop(node)
    office.wait(2.5)
    assert office.running("sweeper") == [node]
    time_until(office, lambda: office.running("sweeper") not in ([], [node]) or cruelty is KILLED, 1.0)
    office.wait(3.0)
    assert len(office.running("sweeper")) == 1
    assert never_two(office, "sweeper")


@pytest.mark.parametrize("is_stopped_first", [True, False])
def test_a_service_whose_supervisor_dies_when_its_node_stops_is_waited_for(seed: int, is_stopped_first: bool) -> None:
    office = settled(seed)
    (node,) = office.running("sweeper")
    office.stop_takes_s = 3.0
    crash(office, node, "sweeper")  # the next one is slow
    infos = ask(office, node, WhichChildren())
    assert isinstance(infos, tuple)
    if is_stopped_first:
        office.stop(node)
        office.wait(0.5)
    office.runtimes[node].exit(infos[0].pid, KILLED)
    office.wait(0.5)
    if not is_stopped_first:
        office.stop(node)
    office.wait(1.5)
    assert office.running("sweeper") == [node]
    office.wait(5.0)
    assert len(office.running("sweeper")) == 1
    assert never_two(office, "sweeper")


def never_two(office: Office, service: str) -> bool:
    """Whether every start of a service came after the stop of the one before."""
    acts = [what for _, _, name, what in office.history if name == service]
    return acts == [("starts", "stops")[number % 2] for number in range(len(acts))]


def test_a_service_whose_supervisor_is_killed_goes_to_another_node(seed: int) -> None:
    office = settled(seed)
    (node,) = office.running("sweeper")
    infos = ask(office, node, WhichChildren())
    assert isinstance(infos, tuple)
    assert [info.id for info in infos] == list(SERVICES)
    office.runtimes[node].exit(infos[0].pid, KILLED)
    office.wait(1.0)
    office.watch(2.0)
    (successor,) = office.running("sweeper")
    assert successor != node


def test_without_a_membership_a_node_waits_for_it(seed: int) -> None:
    office = settled(seed)
    for node in "abc":
        pid = office.runtimes[node].whereis(MEMBERSHIP)
        assert pid is not None
        office.runtimes[node].exit(pid, KILLED)
    office.watch(2.0)
    office.kill("a")
    office.watch(2.0)
    office.bear("a")
    office.watch(4.0)
    assert all(len(at) == 1 for at in office.places().values())


def test_a_neighbour_whose_link_was_full_is_told_when_it_is_not(seed: int) -> None:
    office = Office(seed, "ab", limits=LinkLimits(outbound_size_bytes_max=10_000))
    office.watch(2.0)
    (node,) = office.running("sweeper")
    (other,) = set("ab") - {node}
    sender, far = office.puppet(node), office.puppet(other)
    pid = office.seen(node, far.pid)
    office.block(node, other)
    for _ in range(60):
        office.play(sender, lambda process: [process.cast(pid, bytes(10)) for _ in range(1000)])
    office.cursed = {(node, "sweeper")}
    crash(office, node, "sweeper")
    singletons = office.runtimes[node].whereis(SINGLETONS)
    assert singletons is not None
    office.runtimes[node].send(singletons, NodeUp(other, office.runtimes[other].incarnation))
    office.wait(0.1)
    office.blocked.clear()
    office.settle()
    assert office.place(other, "sweeper") == Named(node, process_name("sweeper"))
    office.wait(0.6)
    assert office.place(other, "sweeper") is None
    office.wait(1.2)
    office.watch(1.0)
    assert office.running("sweeper") == [other]


def test_what_nobody_understands_ends_no_service(seed: int) -> None:
    office = settled(seed)
    history = list(office.history)
    pid = office.runtimes["a"].whereis(SINGLETONS)
    assert pid is not None
    office.runtimes["a"].cast(pid, 1.5)
    office.runtimes["a"].send(pid, "what?")
    office.settle()
    assert office.runtimes["a"].statistics().ignored == 2
    assert isinstance(ask(office, "a", "what?"), UnknownRequestError)
    assert office.history == history


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("no spec", "must be ChildSpecs, not str"),
        (ChildSpec(1, Puppet), "must be 1 to 64 characters of ASCII"),
        (ChildSpec("x" * 65, Puppet), "must be 1 to 64 characters of ASCII"),
        (ChildSpec("one", Puppet), "stands for two services"),
        (ChildSpec("x", Puppet, restart="transient"), "must be permanent"),
        (ChildSpec("x", Puppet, name="y"), "must be left out"),
    ],
)
def test_a_service_that_cannot_be_is_refused_with_a_sentence(spec: ChildSpec, sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        Singletons([ChildSpec("one", Puppet), spec])


def test_too_many_services_or_no_weight_are_refused_with_a_sentence() -> None:
    with pytest.raises(SpecError, match="at most 64"):
        singletons_spec(ChildSpec(f"service {number}", Puppet) for number in range(65))
    with pytest.raises(SpecError, match="above 0"):
        singletons_spec([], weight=0.0)


class Story:
    """Random acts and faults upon an office; what was promised is looked up all the time."""

    def __init__(self, seed: int, election: type[Election] = Election) -> None:
        self.nodes = "abcd" if seed % 2 else "abc"
        self.office = Office(seed, self.nodes, election=election)
        self.chance = self.office.chance
        self.office.stop_takes_s = self.chance.choice((0.0, 0.0, 0.7))

    def act(self) -> None:
        office, chance = self.office, self.chance
        one, other = chance.sample(self.nodes, 2)
        match chance.randrange(8):
            case 0 | 1:
                office.block(one, other, both=chance.random() < 0.5)
            case 2:
                for node in set(self.nodes) - {one}:
                    office.block(one, node)
            case 3:
                office.blocked.clear()
            case 4 if office.lines():
                office.cut(chance.choice(office.lines()))
            case 5 if one in office.runtimes:
                office.kill(one, silently=chance.random() < 0.5)
            case 6 if one not in office.runtimes:
                office.bear(one)
            case 7:
                self.disturb(one)

    def disturb(self, node: str) -> None:
        office, chance = self.office, self.chance
        service = chance.choice(SERVICES)
        if chance.random() < 0.3:
            office.cursed ^= {(node, service)}
        if node in office.running(service):
            crash(office, node, service)

    def play(self, acts: int) -> None:
        for _ in range(acts):
            self.act()
            for _ in range(self.chance.randrange(30)):
                self.office.step()
            self.office.watch(self.chance.choice((0.0, 0.5, 2.0, 5.0)))
        self.office.blocked.clear()
        for node in self.nodes:
            if node not in self.office.runtimes:
                self.office.bear(node)
        self.office.watch(12.0)
        assert len(self.office.parts()) == 1
        starts = len(self.office.history)
        self.office.watch(10.0)
        assert len(self.office.history) == starts, "something starts for ever"
        self.office.close()


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_in_any_weather_one_of_each_runs_in_every_connected_part(seed: int) -> None:
    Story(seed).play(15)


class BothKeep(Election):
    """After a partition whoever runs a service keeps it."""

    def decide(self, now_s: float) -> list[Start | Stop]:
        return [decision for decision in super().decide(now_s) if not isinstance(decision, Stop)]


class DeathsIgnored(Election):
    """Who was there once is taken to be there for ever."""

    def lose(self, life: Pid) -> None:
        pass


class Restless(Election):
    """A service goes to whoever the draw is for, though it runs well where it is."""

    def decide(self, now_s: float) -> list[Start | Stop]:
        weights = {card.life.node: card.weight for card in self.cards.values()}
        running = [service for service, state in self.mine.states.items() if state is State.RUNNING]
        moves = [Stop(service) for service in running if rendezvous(service, weights) != self.mine.life.node]
        return list(dict.fromkeys([*super().decide(now_s), *moves]))


class Tireless(Election):
    """A service that did not hold somewhere is tried there again."""

    def put(self, service: str, state: State) -> None:
        super().put(service, State.IDLE if state is State.SPENT else state)


@pytest.mark.parametrize("election", [BothKeep, DeathsIgnored, Restless, Tireless])
def test_a_planted_bug_is_found(election: type[Election]) -> None:
    def play() -> None:
        for seed in range(10):
            Story(seed, election).play(15)

    with pytest.raises(AssertionError):
        play()
