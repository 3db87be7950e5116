"""The chain between a source and a target shard: whatever is lost, doubled or restarted, each job is taken once."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.shard.api import PaceLimits
from actors.shard.logic import JOBS_MAX, Inbound, Job, Outbound
from actors.shard.pace import Pace

JOBS_KEPT = 6
PAGE = 3
TARGET = 7
NEVER_AT_ONCE = PaceLimits(shards_burst=0)


def job(position: int) -> Job:
    record: Any = f"job {position}"  # the chain never looks into a record
    return position, record


class Chain(RuleBasedStateMachine):
    """A source with a durable journal, a target with a durable cursor, and a wire between them that loses and doubles.

    As in the actors: messages between two living shards keep their order; a restart of either side loses what lay in
    its mailbox, and a restarted target asks for what it lacks.
    """

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Job] = []
        self.taken_at_source: set[int] = set()
        self.outbound = Outbound(JOBS_KEPT)
        self.pace = Pace(NEVER_AT_ONCE, 0.0)
        self.inbound = Inbound()
        self.page: tuple[Outbound, int, list[Job], bool] | None = None
        self.to_target: deque[tuple[int, list[Job]]] = deque()
        self.to_source: deque[tuple[str, int]] = deque()
        self.in_flight: deque[tuple[Job, object]] = deque()
        self.on_disk: list[int] = []

    def _send(self, jobs: list[Job]) -> None:
        previous, fresh = self.outbound.send(self.pace.joined(TARGET, jobs))
        if fresh:
            self.to_target.append((previous, list(fresh)))

    def _read_on(self) -> None:
        """Ask the disk, whose answer comes later, but before word of anything that is committed later."""
        after = self.outbound.wants()
        if after is not None:
            found = [each for each in self.journal if each[0] > after and each[0] not in self.taken_at_source]
            self.page = (self.outbound, after, found[:PAGE], len(found) < PAGE)

    @precondition(lambda self: self.page)
    @rule()
    def page_comes(self) -> None:
        assert self.page is not None
        (asker, after, found, complete), self.page = self.page, None
        if asker is self.outbound:
            previous, fresh = asker.read(found[-1][0] if found else after, found, complete)
            if fresh:
                self.to_target.append((previous, list(fresh)))
            self._read_on()

    @rule()
    def link_breaks_and_comes_back(self) -> None:
        self.to_target.clear()
        self.to_source.clear()
        self.outbound.forget()
        self.inbound.told = 0
        self._ask()

    def _ask(self) -> None:
        self.to_source.append(("resync", self.inbound.appended))

    @precondition(lambda self: self.pace.waits)
    @rule()
    def it_is_its_turn(self) -> None:
        assert self.pace.turns() == [TARGET]
        self._send([])

    @rule(count=st.integers(1, 4), gap=st.integers(1, 3), large=st.booleans())
    def more(self, count: int, gap: int, large: bool) -> None:
        first = (self.journal[-1][0] if self.journal else 0) + gap
        if self.page is not None:
            self.page_comes()
        jobs = [job(position) for position in range(first, first + count)]
        self.journal += jobs
        if large:
            assert self.pace.holds({TARGET: jobs}, 0.0)
        else:
            self._send(jobs)

    @precondition(lambda self: self.to_target)
    @rule()
    def arrives(self) -> None:
        previous, jobs = self.to_target.popleft()
        fresh = self.inbound.take(previous, jobs)
        if fresh is None:
            self._ask()
        else:
            self.in_flight.extend((each, self.inbound.attempt) for each in fresh)

    @precondition(lambda self: self.to_target)
    @rule()
    def is_lost(self) -> None:
        self.to_target.popleft()

    @precondition(lambda self: self.to_target)
    @rule()
    def comes_twice(self) -> None:
        self.to_target.append(self.to_target[0])

    @precondition(lambda self: self.in_flight)
    @rule()
    def is_durable(self) -> None:
        (position, _), _ = self.in_flight.popleft()
        self.on_disk.append(position)
        self.inbound.durable = position

    @precondition(lambda self: self.in_flight)
    @rule(heard_at_once=st.booleans())
    def a_commit_fails(self, heard_at_once: bool) -> None:
        """All that was written fails, and is heard of; each failure on its own."""
        failed, self.in_flight = self.in_flight, deque()
        for _, attempt in failed:
            if self.inbound.failed(attempt):
                self._ask()
        if not heard_at_once and failed:  # the same news once more, late
            assert not self.inbound.failed(failed[0][1])

    @precondition(lambda self: self.to_source)
    @rule()
    def source_hears(self) -> None:
        kind, position = self.to_source.popleft()
        if kind == "taken":
            self.taken_at_source.update(self.outbound.taken(position))
        else:
            jobs = self.outbound.resend(position)
            if jobs:
                self.to_target.append((position, jobs))
        self._read_on()

    @rule()
    def target_tells(self) -> None:
        news = self.inbound.news()
        if news is not None:
            self.to_source.append(("taken", news))

    @rule()
    def target_restarts(self) -> None:
        self.to_target.clear()
        self.in_flight.clear()
        self.inbound = Inbound(self.on_disk[-1] if self.on_disk else 0)
        self._ask()

    @rule(forgets=st.booleans())
    def source_restarts(self, forgets: bool) -> None:
        """With the outbox that the disk still has; what was taken is durable there only sometimes."""
        self.to_source.clear()
        if forgets:
            self.taken_at_source = {position for position in self.taken_at_source if position % 2}
        self.outbound = Outbound(JOBS_KEPT)
        self.pace = Pace(NEVER_AT_ONCE, 0.0)
        waiting = [each for each in self.journal if each[0] not in self.taken_at_source]
        if waiting:
            self._send(waiting)

    @invariant()
    def in_order_and_once(self) -> None:
        assert self.on_disk == [position for position, _ in self.journal][: len(self.on_disk)]

    def teardown(self) -> None:
        """Undisturbed, all of it arrives, and the source forgets all of it."""
        self._ask()
        for _ in range(1_000):
            if self.pace.waits:
                self.it_is_its_turn()
            elif self.to_source:
                self.source_hears()
            elif self.to_target:
                self.arrives()
            elif self.in_flight:
                self.is_durable()
            elif self.page:
                self.page_comes()
            elif self.inbound.durable != self.inbound.told:
                self.target_tells()
            else:
                break
        assert self.on_disk == [position for position, _ in self.journal]
        assert len(self.outbound) == 0
        assert not self.outbound.is_behind


TestChain = Chain.TestCase
TestChain.settings = settings(max_examples=120, stateful_step_count=40)


def test_a_target_that_takes_nothing_costs_memory_up_to_a_limit_and_is_served_from_the_disk_later() -> None:
    outbound = Outbound()
    disk = [job(position) for position in range(1, 2 * JOBS_MAX)]
    for one in disk:
        outbound.send([one])
    assert len(outbound) == JOBS_MAX
    assert outbound.is_behind
    assert outbound.wants() is None, "what is on its way comes first"
    assert outbound.taken(JOBS_MAX) == list(range(1, JOBS_MAX + 1))
    assert outbound.wants() == JOBS_MAX
    assert outbound.wants() is None, "it is being read"
    outbound.send([job(2 * JOBS_MAX)])
    previous, jobs = outbound.read(disk[-1][0], disk[JOBS_MAX:], complete=True)
    assert (previous, [position for position, _ in jobs]) == (JOBS_MAX, list(range(JOBS_MAX + 1, 2 * JOBS_MAX)))


def test_what_a_target_lacks_that_was_away_is_read_from_the_beginning_and_known_once() -> None:
    outbound = Outbound()
    outbound.send([job(3), job(5)])
    outbound.forget()
    assert outbound.send([job(7)])[1] == ()
    assert outbound.resend(3) == []
    assert outbound.wants() == 0
    assert outbound.read(7, [job(3), job(5), job(7)], complete=True) == (0, [job(3), job(5), job(7)])
    assert outbound.send([job(7), job(9)]) == (7, [job(9)])
