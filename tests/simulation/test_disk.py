"""The simulated disk does to a store what disks do, and nothing that no disk does."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from actors.directory_keys import account_key
from protocol import AccountId
from simulation.agenda import Agenda
from simulation.coverage import Coverage
from simulation.disk import COMMIT_FATES, NOUNS, DiskCommitter, SimulatedDisk
from storage import Acked, Batch, Committed, EngineError, EngineFullError, Store, StoreLimits, Table
from storage.records import encode_record, position_key
from tests.storage.desk import PHONE
from tests.storage.plain import SHARDS, directory_shard, shard_of
from tests.storage.twin import NOUNS as NOUNS_OF_THE_STORE

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD: Final = Acked(PHONE, 7, "bob1")
KEYS: Final = {table: b"key of %d" % table for table in Table if table is not Table.JOURNAL}
ACCOUNT: Final = account_key(AccountId("ann"))


class Bench:
    """A disk and its committer under an agenda, and what they tell."""

    def __init__(self, seed: int = 1) -> None:
        self.agenda = Agenda()
        self.coverage = Coverage()
        self.durable: list[tuple[int, int, object]] = []
        self.moved: list[tuple[Table, bytes]] = []
        self.listed: list[bytes] = []
        self.done: list[Exception | None] = []
        self.settled = 0
        self.chance = random.Random(seed)
        self.disk = SimulatedDisk(
            lambda position, shard, record: self.durable.append((position, shard, record)),
            lambda table, key: self.moved.append((table, key)),
            self.listed.append,
        )
        self.committer = self._committer()

    def _committer(self) -> DiskCommitter:
        return DiskCommitter(self.disk, self.agenda, self.chance, self.coverage, self._settle)

    def _settle(self) -> None:
        self.settled += 1

    def submit(self, batch: Batch | None = None) -> None:
        self.committer.submit(batch or everything(), lambda error: self.done.append(error))

    def rest(self) -> None:
        """Let everything happen that ever will."""
        while self.agenda.next_s() is not None:
            self.agenda.run_next()

    def die(self, fate: str) -> None:
        """The process ends, and its successor finds the disk."""
        self.committer.die(self.disk, fate)
        self.disk = self.disk.reopened()
        self.committer = self._committer()

    def present(self) -> set[Table]:
        """The tables in which what `everything` writes can be found."""
        found = {table for table, key in KEYS.items() if self.disk.get(table, key) == b"value"}
        return found | ({Table.JOURNAL} if self.disk.get(Table.JOURNAL, position_key(9)) is not None else set())


def everything() -> Batch:
    """A commit that writes to every table, at position 9."""
    puts: list[tuple[Table, bytes, bytes]] = [(table, key, b"value") for table, key in KEYS.items()]
    return Batch(appends=[(position_key(9), encode_record(3, RECORD))], puts=puts)


# A commit and its node's death.


def test_a_commit_is_durable_when_its_time_has_come_and_told_then() -> None:
    bench = Bench()
    bench.submit()
    assert (bench.done, bench.durable, bench.moved) == ([], [], [])
    bench.rest()
    assert bench.done == [None]
    assert bench.present() == set(Table)
    assert bench.durable == [(9, 3, RECORD)]
    assert {table for table, _ in bench.moved} == {Table.INBOX, Table.OUTBOX, Table.BODIES}
    assert bench.settled == 1


@pytest.mark.parametrize(("fate", "tables"), [("lost", set()), ("kept", set(Table))])
def test_a_commit_in_flight_is_lost_or_outlives_its_node_and_nobody_is_told(fate: str, tables: set[Table]) -> None:
    bench = Bench()
    bench.submit()
    bench.die(fate)
    assert bench.present() == tables
    assert bench.durable == ([(9, 3, RECORD)] if tables else [])
    bench.rest()
    assert bench.done == [], "a dead process hears nothing"
    assert bench.settled == 0
    assert bench.coverage.branches.total() == 1


def test_a_torn_commit_tears_between_nouns_only_and_in_every_way() -> None:
    """Seed 765123: a crash came between two tables of the journal, which no engine may show."""
    assert {frozenset(noun) for noun in NOUNS} == set(NOUNS_OF_THE_STORE)
    assert sorted(table for noun in NOUNS for table in noun) == sorted(Table), "every table is of one noun"
    ways = set()
    for seed in range(200):
        bench = Bench(seed)
        bench.submit()
        bench.die("torn")
        present = bench.present()
        for noun in NOUNS:
            assert present.issuperset(noun) or present.isdisjoint(noun), f"seed {seed} tore {noun}"
        assert bool(bench.durable) == (Table.JOURNAL in present)
        assert {table for table, _ in bench.moved} == present & {Table.INBOX, Table.OUTBOX, Table.BODIES}
        assert bench.coverage.branches["a commit in flight is torn between tables"] == 1
        ways.add(frozenset(present))
    assert len(ways) == 2 ** len(NOUNS)


@pytest.mark.parametrize("fate", COMMIT_FATES)
def test_what_was_committed_outlives_every_death_and_what_is_to_come_is_committed(fate: str) -> None:
    bench = Bench()
    bench.submit(Batch(puts=[(Table.DIRECTORY, b"old", b"1")]))
    bench.rest()
    bench.die(fate)
    assert bench.coverage.branches.total() == 0, "nothing was in flight"
    assert bench.disk.get(Table.DIRECTORY, b"old") == b"1"
    bench.submit()
    bench.rest()
    assert bench.done == [None, None]
    assert bench.present() == set(Table)


def test_the_timer_of_a_dead_life_commits_nothing_of_the_next_one() -> None:
    bench = Bench()
    bench.committer.latency_s = (5.0, 5.0)
    bench.submit()
    bench.committer.die(bench.disk, "lost")
    bench.committer.latency_s = (9.0, 9.0)
    bench.disk.abandon()
    bench.submit()
    bench.agenda.run_next()
    assert bench.agenda.now_s == 5.0
    assert bench.done == []
    bench.rest()
    assert (bench.done, bench.agenda.now_s) == ([None], 9.0)


def test_what_lies_in_wait_for_a_commit_comes_once_and_in_its_middle() -> None:
    bench = Bench()
    struck: list[tuple[float, bool]] = []
    bench.committer.latency_s = (4.0, 4.0)
    bench.committer.interrupts = lambda: struck.append((bench.agenda.now_s, bench.committer.waiting))
    for _ in range(2):
        bench.submit()
        bench.rest()
    assert struck == [(2.0, True)]
    bench.committer.interrupts = lambda: struck.append((0.0, False))
    bench.committer.calm_down()
    bench.submit()
    bench.rest()
    assert len(struck) == 1, "in the calm nothing lies in wait"


def test_an_account_is_told_of_as_it_is_written_and_only_if_it_is() -> None:
    for fate, expected in (("kept", [b"ann's"]), ("lost", [])):
        bench = Bench()
        bench.submit(Batch(puts=[(Table.DIRECTORY, ACCOUNT, b"ann's"), (Table.DIRECTORY, b"\x00other", b"no")]))
        bench.die(fate)
        assert bench.listed == expected


# A disk that is slow, full, or refuses.


def test_a_slow_disk_takes_as_long_as_it_is_told_until_it_is_calm_again() -> None:
    bench = Bench()
    bench.committer.latency_s = (2.0, 3.0)
    bench.submit()
    while not bench.done:
        bench.agenda.run_next()
    assert 2.0 <= bench.agenda.now_s <= 3.0
    begun_s = bench.agenda.now_s
    bench.committer.calm_down()
    bench.submit(Batch(puts=[(Table.META, b"x", b"1")]))
    bench.rest()
    assert bench.agenda.now_s - begun_s < 0.01


def test_a_commit_that_is_refused_leaves_nothing_and_the_next_one_passes() -> None:
    bench = Bench()
    failures: list[float] = []
    bench.committer.commits_to_fail = 2
    bench.committer.commit_failed = lambda: failures.append(bench.agenda.now_s)
    for _ in range(3):
        bench.submit()
        bench.rest()
        if bench.done[-1] is not None:
            assert bench.present() == set()
            assert bench.durable == []
    assert [type(error) for error in bench.done] == [EngineError, EngineError, type(None)]
    assert bench.present() == set(Table)
    assert bench.settled == 3
    assert len(failures) == 2
    bench.committer.commits_to_fail = 1
    bench.committer.calm_down()
    assert bench.committer.commits_to_fail == 0


def test_a_commit_for_which_there_is_no_room_fails_alone() -> None:
    bench = Bench()
    bench.disk.size_bytes_max = 100
    bench.submit()
    bench.rest()
    bench.submit(Batch(puts=[(Table.META, b"small", b"1")]))
    bench.rest()
    assert [type(error) for error in bench.done] == [EngineFullError, type(None)]
    assert bench.present() == set()
    bench.submit()
    bench.die("kept")
    assert bench.present() == set(), "a commit that did not fit was never in flight"


def test_a_store_on_a_full_disk_refuses_messages_until_there_is_space_again() -> None:
    bench = Bench()
    store = Store.open(
        bench.disk,
        bench.committer,
        bench.agenda.after,
        lambda: int(bench.agenda.now_s * 1_000),
        StoreLimits(),
        "node",
        shard_of,
        directory_shard,
    )
    epochs = store.take_ownership(range(SHARDS))
    committed: list[Committed] = []
    store.subscribe(committed.extend)

    def write() -> None:
        store.append(1, epochs[1], RECORD)
        store.flush()
        store.maintain()
        until_s = bench.agenda.now_s + 5.0
        while (next_s := bench.agenda.next_s()) is not None and next_s < until_s:
            bench.agenda.run_next()

    usual = bench.disk.free_space_bytes
    for free_bytes, accepts in ((usual, True), (1 << 10, False), (usual, True)):
        bench.disk.free_space_bytes = free_bytes
        write()
        refusal = store.accepting()
        assert (refusal is None) == accepts
        assert refusal is None or "The server's disk is full" in refusal.sentence
    assert [it.error for it in committed if it.record == RECORD] == [None] * 3, (
        "what takes little room, as an ack, still passes"
    )


# A disk that cannot be read.


@pytest.mark.parametrize("count", [0, 1, 2])
def test_as_many_reads_fail_as_are_to_and_the_next_finds_what_was_there(count: int) -> None:
    bench = Bench()
    bench.submit()
    bench.rest()
    failures: list[float] = []
    bench.disk.reads_to_fail = count
    bench.disk.read_failed = lambda: failures.append(bench.agenda.now_s)
    reads: list[Callable[[], object]] = [
        partial(bench.disk.get, Table.META, KEYS[Table.META]),
        partial(bench.disk.scan, Table.META, b"", b"\xff", 9),
    ]
    for number in range(count):
        with pytest.raises(EngineError, match="could not be read"):
            reads[number % 2]()
    assert reads[0]() == b"value"
    assert reads[1]() == [(KEYS[Table.META], b"value")]
    assert bench.disk.reads_to_fail == 0
    assert len(failures) == count


def test_the_next_life_reads_what_the_last_one_could_not() -> None:
    bench = Bench()
    bench.submit()
    bench.rest()
    bench.disk.reads_to_fail = 5
    bench.die("lost")
    assert bench.present() == set(Table)
