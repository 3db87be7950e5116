"""The election alone, over lines that carry cards in order and as late as they like."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.election import HASTE_S, LIVES_MAX, PATIENCE_S, SERVICES_MAX, Card, Election, Start, State, Stop
from runtime import Pid

SERVICES = tuple(f"service {number}" for number in range(5))


def life(node: str, serial: int = 1) -> Pid:
    return Pid(node, serial, 7)


def introduce(*elections: Election) -> None:
    """Let all hear each other, until nobody knows more than another."""
    for one in elections:
        for other in elections:
            one.meet(other.mine.life)
    for _ in elections:
        for one in elections:
            for other in elections:
                one.hear(list(other.cards.values()))


class Net:
    """Elections, and lines between them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now_s = 0.0
        self.serial = 0
        self.elections: dict[str, Election] = {}
        self.lines: dict[frozenset[str], dict[str, deque[list[Card]]]] = {}
        self.told: dict[tuple[str, str], int] = {}
        self.nodes = "abcdefg"[: self.chance.randint(2, 7)]
        for node in self.nodes:
            self.bear(node)

    def bear(self, node: str) -> None:
        self.serial += 1
        weight = 1.0 + self.chance.randrange(3)
        self.elections[node] = Election(life(node, self.serial), SERVICES, weight)

    def kill(self, node: str) -> None:
        for line in [line for line in self.lines if node in line]:
            self.part(*line)
        del self.elections[node]

    def join(self, one: str, other: str) -> None:
        if frozenset((one, other)) not in self.lines:
            self.lines[frozenset((one, other))] = {one: deque(), other: deque()}
            for near, far in ((one, other), (other, one)):
                self.elections[near].meet(self.elections[far].mine.life)

    def part(self, one: str, other: str) -> None:
        if self.lines.pop(frozenset((one, other)), None) is not None:
            for near, far in ((one, other), (other, one)):
                self.elections[near].lose(self.elections[far].mine.life)
                self.told.pop((near, far), None)

    def speak(self) -> bool:
        """Let everybody decide, and tell neighbours what is new; whether anything was."""
        was_new = False
        for election in self.elections.values():
            for decision in election.decide(self.now_s):
                spent = isinstance(decision, Start) and self.chance.random() < 0.1
                started = State.SPENT if spent else State.RUNNING
                election.put(decision.service, started if isinstance(decision, Start) else State.STOPPING)
        for line, ways in self.lines.items():
            for node in sorted(line):
                (other,) = line - {node}
                election = self.elections[node]
                if self.told.get((node, other)) != election.edition:
                    self.told[node, other] = election.edition
                    ways[other].append(list(election.cards.values()))
                    was_new = True
        return was_new

    def deliver(self) -> bool:
        """Let one message arrive; whether there was one."""
        waiting = [(node, way) for ways in self.lines.values() for node, way in sorted(ways.items()) if way]
        if waiting:
            node, way = self.chance.choice(waiting)
            self.elections[node].hear(way.popleft())
        return bool(waiting)

    def end_stops(self) -> bool:
        """Let what stops have stopped; whether anything did."""
        ended = False
        for election in self.elections.values():
            for service, state in election.mine.states.items():
                if state is State.STOPPING:
                    election.put(service, State.IDLE)
                    ended = True
        return ended

    def act(self) -> None:
        chance = self.chance
        one, other = chance.sample(self.nodes, 2)
        match chance.randrange(12):
            case 0 | 1 | 2 if {one, other} <= self.elections.keys():
                self.join(one, other)
            case 3:
                self.part(one, other)
            case 4 if one in self.elections and chance.random() < 0.3:
                self.kill(one)
            case 5 if one not in self.elections:
                self.bear(one)
            case 6:
                self.now_s += chance.random() * 2
            case 7 if one in self.elections and chance.random() < 0.2:
                self.give_up(one)
            case 8:
                self.end_stops()
            case 9 | 10:
                self.speak()
            case _:
                self.deliver()

    def give_up(self, node: str) -> None:
        election = self.elections[node]
        running = [service for service, state in election.mine.states.items() if state is State.RUNNING]
        if running:
            election.put(self.chance.choice(running), State.SPENT)

    def settle(self) -> None:
        for _ in range(len(self.nodes) + 2):
            for _ in range(100_000):
                if not (self.speak() | self.deliver() | self.end_stops()):
                    break
            else:
                raise AssertionError("they tell each other the same for ever")
            self.now_s += PATIENCE_S

    def parts(self) -> list[set[str]]:
        found: list[set[str]] = []
        for node in self.elections:
            near = [part for part in found if any(frozenset((node, other)) in self.lines for other in part)]
            found = [part for part in found if part not in near] + [{node}.union(*near)]
        return found


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150)
def test_whatever_happened_a_connected_part_agrees_and_runs_each_service_once(seed: int) -> None:
    net = Net(seed)
    for _ in range(net.chance.randrange(200)):
        net.act()
    net.settle()
    for part in net.parts():
        elections = [net.elections[node] for node in sorted(part)]
        for election in elections:
            assert {card.life.node for card in election.cards.values()} == part
            assert election.versions() == elections[0].versions()
            assert election.next_due_s(net.now_s) is None
        for service in SERVICES:
            states = [election.mine.states[service] for election in elections]
            assert states.count(State.RUNNING) == (State.IDLE in states or State.RUNNING in states)
            assert elections[0].is_abandoned(service) is (set(states) == {State.SPENT})


def test_a_service_waits_for_its_patience_and_in_haste_for_less() -> None:
    patient, hasty = (Election(life("a"), ["one"]) for _ in range(2))
    assert patient.decide(10.0) == hasty.decide(10.0) == []
    assert patient.next_due_s(10.0) == 10.0 + PATIENCE_S
    hasty.hasten(10.2)
    assert hasty.next_due_s(10.2) == 10.2 + HASTE_S
    assert hasty.decide(10.2 + HASTE_S) == [Start("one")]
    assert patient.decide(10.0 + PATIENCE_S) == [Start("one")]


def test_nobody_starts_what_another_has_not_stopped_yet() -> None:
    a, b = Election(life("a"), ["one"]), Election(life("b"), ["one"])
    a.put("one", State.STOPPING)
    introduce(a, b)
    b.decide(0.0)
    assert b.decide(100.0) == []
    a.put("one", State.IDLE)
    introduce(a, b)
    b.decide(100.0)
    a.decide(100.0)
    assert [a.decide(200.0), b.decide(200.0)].count([Start("one")]) == 1


def test_of_two_that_run_the_same_the_draw_keeps_it() -> None:
    a, b = Election(life("a"), ["one"], 1e-9), Election(life("b"), ["one"])
    for election in (a, b):
        election.put("one", State.RUNNING)
    introduce(a, b)
    assert (a.decide(0.0), b.decide(0.0)) == ([Stop("one")], [])
    assert a.owner("one") == b.owner("one") == b.mine.life


def test_a_service_that_only_some_nodes_know_runs_with_them() -> None:
    old, new = Election(life("a"), ["one"]), Election(life("b"), ["one", "two"], 1e-9)
    introduce(old, new)
    for election in (old, new):
        election.decide(0.0)
    assert old.decide(2.0) == [Start("one")]
    assert new.decide(2.0) == [Start("two")]


@pytest.mark.parametrize(
    "change",
    [
        {"weight": 0.0},
        {"weight": float("nan")},
        {"states": {"": State.IDLE}},
        {"states": {"x" * 65: State.IDLE}},
        {"states": {f"service {number}": State.IDLE for number in range(SERVICES_MAX + 1)}},
        {"neighbours": tuple(life("x", serial) for serial in range(LIVES_MAX + 1))},
    ],
)
def test_a_card_that_breaks_a_limit_is_left_out(change: dict[str, object]) -> None:
    election = Election(life("a"), ["one"])
    election.meet(life("b"))
    good = Card(life("b"), 1, 1.0, (life("a"),), {"one": State.RUNNING})
    election.hear([replace(good, **change)])  # type: ignore[arg-type]
    assert election.owner("one") is None
    election.hear([good])
    assert election.owner("one") == life("b")


def test_no_more_lives_are_believed_in_than_may_be() -> None:
    election = Election(life("a"), ["one"])
    election.meet(life("b"))
    for first in (2, 40, 80):
        crowd = tuple(life("x", serial) for serial in range(first, first + 60))
        cards = [Card(each, 1, 1.0, (life("b"),), {}) for each in crowd]
        election.hear([Card(life("b"), first, 1.0, (life("a"), *crowd), {}), *cards])
        assert len(election.cards) <= LIVES_MAX
