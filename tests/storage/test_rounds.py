"""A shard is copied while it works: whatever happens in it meanwhile is in the copy, once, and in order."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from storage import (
    Acked,
    Entries,
    ExportOverrunError,
    Marked,
    MemoryEngine,
    Removed,
    Row,
    ShardAwayError,
    StorageError,
    Table,
    TransferError,
)
from storage.changes import CHANGES_MAX, Changes
from storage.directory import KEY_SIZE_BYTES_MAX
from storage.export import AGAIN
from storage.inbox import Summary, entries_prefix, entry_key, summary_key
from storage.meta import POSITION_KEY, ROWS_KEY, epoch_key
from storage.outbox import outbox_key
from storage.records import Entry, encode_entry, position_key
from tests.storage.audit import audit
from tests.storage.desk import PHONE, TABLET, Desk, Move, entry_for, message
from tests.storage.test_handover import SMALL, DiedError, again, empty, lived_in, picture, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

WATCH = b"watch".ljust(16)


def _writes(desk: Desk) -> None:
    desk.append(1, message(3, ("ann2", TABLET), ("bob1", PHONE), ("bob1", TABLET), conversation="talk1"))


def _begins(desk: Desk) -> None:
    desk.append(1, message(1, ("bob1", WATCH), conversation="new1"))


def _enters(desk: Desk) -> None:
    for number in range(18, 22):
        desk.append(1, entry_for(PHONE, number, expires_ms=4_000 * (number % 2)))


def _acks(desk: Desk) -> None:
    desk.append(1, Acked(PHONE, desk.read()[4].position, "bob1"))


def _acks_all(desk: Desk) -> None:
    desk.append(1, Acked(PHONE, desk.read()[-1].position, "bob1"))
    desk.append(1, Acked(TABLET, desk.read(TABLET)[-1].position, "bob1"))


def _acks_and_enters(desk: Desk) -> None:
    _acks_all(desk)
    _enters(desk)


def _removes(desk: Desk) -> None:
    positions = [desk.read()[1].position, desk.read()[-1].position]
    desk.append(1, Removed(PHONE, "bob1", positions, 1, [("ann2", "talk2", 1)], [("ann2", [b"far"])], [b"no"]))


def _marks(desk: Desk) -> None:
    desk.append(1, Marked("talk1", "bob1", 2, 2, 2))


def _puts(desk: Desk) -> None:
    desk.store.directory.put(b"shard1/a", b"newer", lambda _: None)
    desk.store.directory.put(b"shard1/c", b"added", lambda _: None)


def _deletes(desk: Desk) -> None:
    desk.store.directory.delete(b"shard1/a", lambda _: None)
    desk.store.directory.take(b"shard1/b", lambda _: None)


def _is_taken_from(desk: Desk) -> None:
    first = desk.shard(1).outbox[0][0]
    desk.store.taken(1, first, 2)


def _moves(desk: Desk) -> None:
    desk.store.move()


def _most(desk: Desk) -> None:
    for happens in (_writes, _begins, _enters, _removes, _acks, _marks, _puts, _deletes):
        happens(desk)
        desk.run()


def _everything(desk: Desk) -> None:
    _most(desk)
    _is_taken_from(desk)  # not durable: a crash forgets it


HAPPENINGS: list[Callable[[Desk], None]] = [
    _writes,
    _begins,
    _enters,
    _acks,
    _acks_all,
    _acks_and_enters,
    _removes,
    _marks,
    _puts,
    _deletes,
    _is_taken_from,
    _moves,
    _everything,
]


class _Walk:
    """A copy of which each step is counted, so that something can happen before any of them."""

    def __init__(self, happens: Callable[[Desk], None], at: int, moved: int = -1) -> None:
        self.happens, self.at, self.moved, self.steps = happens, at, moved, 0
        self.source, self.target = lived_in(), empty()
        self.move = Move(self.source, self.target, 1, size_bytes=1, live=True)

    def step(self) -> None:
        if self.steps == self.at:
            self.happens(self.source)
            self.source.run()
        if self.steps == self.moved:
            self.source.store.move()  # and it goes on by itself
        self.steps += 1

    def copy(self, *, live: bool = True) -> None:
        while rows := self.move.rows():
            assert self.move.write(rows) is None
            if live:
                self.step()

    def run(self) -> None:
        self.step()
        self.copy()
        self.move.go_on(stop=False)
        self.step()
        self.copy()
        self.move.go_on(stop=True)
        self.copy(live=False)
        assert self.move.export.is_last
        self.source.run()
        before = picture(self.source, 1)
        assert self.move.complete() is None
        assert self.move.release() is None
        self.target.epochs.update(self.target.store.take_ownership([1]))
        self.target.run()
        assert picture(self.target, 1) == before
        assert audit(self.target.engine, counted=True) <= 3
        assert rows_of(self.source, 1) == {}
        assert picture(again(self.target), 1) == before


@pytest.mark.parametrize("happens", HAPPENINGS, ids=lambda it: it.__name__)
def test_whatever_happens_before_any_step_of_a_copy_is_in_it(happens: Callable[[Desk], None]) -> None:
    for at in itertools.count():
        walk = _Walk(happens, at)
        walk.run()
        if at >= walk.steps:
            assert at > 20
            return


@pytest.mark.parametrize("moved", [0, 3, 9, 20, 33])
def test_so_it_is_while_the_hot_journal_moves_to_the_tables(moved: int) -> None:
    for at in range(0, 28, 2):
        _Walk(_everything, at, moved).run()


@pytest.mark.parametrize(
    "tables", [(), (Table.META, Table.JOURNAL, Table.OUTBOX), tuple(Table)], ids=["none", "META", "all"]
)
@pytest.mark.parametrize("victim", [0, 1])
def test_a_death_at_any_commit_of_a_copy_in_rounds_leaves_the_shard_at_one_node_whole(
    victim: int, tables: Collection[Table]
) -> None:
    """People go on between the rounds; what they were told of is not lost, whoever dies."""
    for commits in itertools.count():
        nodes = (lived_in(), empty())
        move = Move(*nodes, 1, size_bytes=2_000, live=True)
        before = picture(nodes[0], 1)
        nodes[victim].commits_left = commits
        try:
            move.copy()
            for happens in (_most, _acks):
                left, nodes[victim].commits_left = nodes[victim].commits_left, 1 << 30
                happens(nodes[0])
                nodes[0].run()
                before, nodes[victim].commits_left = picture(nodes[0], 1), left
                move.go_on(stop=happens is _acks)
                move.copy()
            assert move.complete() is None
            assert move.release() is None
            nodes[1].epochs.update(nodes[1].store.take_ownership([1]))
            nodes[1].run()
            nodes[0].run()
        except DiedError:
            nodes[victim].die(tables)
        else:
            assert commits > 3
            return
        source, target = again(nodes[0]), again(nodes[1])
        held = 1 in source.store.holdings()
        if held:
            assert target.ask(partial(target.store.discard_arrival, 1)) is None
        elif 1 in target.store.arrivals():
            target.epochs.update(target.store.take_ownership([1]))
        home, other = (source, target) if held else (target, source)
        home.run()
        other.run()
        assert 1 in home.store.holdings()
        assert 1 not in other.store.holdings()
        assert picture(home, 1) == before
        assert rows_of(other, 1) == {}
        if not held:
            home.append(1, entry_for(TABLET, 99))
            home.run()
            assert home.told[-1].position > max(entry.position for entry in home.read() + home.read(TABLET)[:-1])


def test_a_copy_without_the_round_of_a_shard_that_stands_still_is_not_whole() -> None:
    source, target = lived_in(), empty()
    move = Move(source, target, 1, live=True)
    move.copy()
    assert isinstance(move.complete(), TransferError)
    move = Move(source, target, 1, b"T2", live=True)
    move.copy()
    move.go_on(stop=False)
    move.copy()
    assert isinstance(move.complete(), TransferError)


def test_the_last_round_ends_when_somebody_takes_the_shard() -> None:
    source, target = lived_in(), empty()
    move = Move(source, target, 1)
    assert move.rows()
    source.epochs.update(source.store.take_ownership([1]))
    with pytest.raises(ShardAwayError, match="when somebody took it"):
        move.rows()


def test_a_transfer_that_begins_anew_takes_nothing_over_from_one_that_was_given_up() -> None:
    source, target = lived_in(), empty()
    given_up = Move(source, target, 1, b"T1", live=True)
    given_up.copy()
    _acks_and_enters(source)
    source.run()
    move = Move(source, target, 1, b"T2", live=True)
    move.copy()
    given_up.go_on(stop=False)
    with pytest.raises(ShardAwayError, match="another export"):
        given_up.rows()
    move.go_on(stop=True)
    move.copy()
    before = picture(source, 1)
    assert move.complete() is None
    assert move.release() is None
    target.epochs.update(target.store.take_ownership([1]))
    target.run()
    assert picture(target, 1) == before


def test_a_shard_goes_on_where_it_was_when_its_copy_is_given_up_in_the_last_round() -> None:
    source, target = lived_in(), empty()
    move = Move(source, target, 1, live=True)
    move.copy()
    move.go_on(stop=True)
    assert move.write(move.rows()) is None
    source.store.end_export(move.export)
    source.epochs.update(source.store.take_ownership([1]))
    _enters(source)
    source.run()
    before = picture(source, 1)
    assert target.ask(partial(target.store.discard_arrival, 1)) is None
    assert rows_of(target, 1) == {}
    Move(source, target, 1, b"T2").run()
    assert picture(target, 1) == before


def test_nothing_is_remembered_of_a_shard_that_is_not_copied_any_more() -> None:
    source, target = lived_in(), empty()
    watches = source.store._memtable.watches
    move = Move(source, target, 1, live=True)
    move.copy()
    _writes(source)
    source.run()
    assert len(watches[1]) > 0
    source.store.end_export(move.export)
    assert watches == {}
    move = Move(source, target, 1, b"T2", live=True)
    move.copy()
    newer = Move(source, target, 1, b"T3", live=True)
    assert newer.write(newer.rows()) is None
    source.store.end_export(move.export)
    assert watches.keys() == {1}, "an older export ends no newer one"
    newer.run(1)
    assert watches == {}


def test_a_shard_that_changes_more_than_may_be_remembered_is_not_copied() -> None:
    source, target = lived_in(), empty()
    move = Move(source, target, 1, live=True)
    move.copy()
    changes = move.export.changes
    assert changes is not None
    for number in range(CHANGES_MAX + 1):
        changes.note_key(b"%d" % number)
    move.go_on(stop=True)
    errors: list[StorageError] = []
    source.store.read_export(move.export, 1, lambda rows: None, errors.append)
    source.run()
    assert isinstance(errors[0], ExportOverrunError)
    assert "faster" in str(errors[0])


def test_names_of_changes_are_bounded_and_counted_once() -> None:
    changes = Changes(10, 5)
    for _ in range(3):
        changes.note(1, Removed(PHONE, "bob1", [3, 4, 11], 1, [], [], []), int)
        changes.note_job(4)
        changes.note_job(11)
    assert (len(changes), changes.devices, changes.jobs) == (4, {PHONE: {3, 4}}, {4})
    changes.note(1, Entries(0, 1, [("bob1", [TABLET])], 0, "talk0", 1, "ann2", 0, 0, b""), int)
    assert not changes.has_overrun
    changes.note(1, Marked("talk1", "bob1", 1, 1, 1), int)
    changes.note_key(b"later")
    assert changes.has_overrun
    assert len(changes) == 0


def test_a_row_of_many_mebibytes_moves() -> None:
    source, target = lived_in(), empty()
    large = bytes(range(256)) * (5 << 12)
    source.store.directory.put(b"shard1/large", large, lambda _: None)
    source.run()
    Move(source, target, 1, live=True).run(2)
    (pair,) = target.ask(partial(target.store.directory.scan, b"shard1/large", 1))
    assert pair == (b"shard1/large", large)


QUEUE = Summary(1, 1, 68, 5, 5).encode()
LONE = Summary(1, 1, 68, 5, 5, is_lone=True).encode()
ENTRY = encode_entry(Entry(5, 0, "talk0", 1, "ann2", 0, 0, b"body"))
BEGIN: list[Row] = [(Table.META, POSITION_KEY, position_key(10))]
ROUND: list[Row] = [
    (Table.INBOX, summary_key(PHONE), QUEUE),
    (Table.INBOX, entry_key(entries_prefix(PHONE), 5), ENTRY),
    (Table.META, ROWS_KEY, position_key(3)),
]
LAST: list[Row] = [
    (Table.META | AGAIN, POSITION_KEY, position_key(20)),
    (Table.META, epoch_key(1), position_key(3)),
]


def _told(*pages: list[Row]) -> Any:
    target = Desk(MemoryEngine(), SMALL, owned=())
    error: Any = None
    for page in (BEGIN, *pages):
        assert error is None
        error = target.ask(partial(target.store.import_rows, 1, "node", b"T", page))
    return error


@pytest.mark.parametrize(
    ("pages", "sentence"),
    [
        ([[LAST[0]]], "before the end of another"),
        ([ROUND, [(Table.META | AGAIN, POSITION_KEY, position_key(9))]], "before the end of another"),
        ([ROUND, ROUND], "behind the last one"),
        ([ROUND, [*LAST, (Table.META | AGAIN, epoch_key(1), position_key(3))]], "none that comes again"),
        ([ROUND, [*LAST, (Table.META, ROWS_KEY, position_key(5))]], "6 rows came of 5"),
        ([ROUND, [*LAST, (Table.INBOX, entry_key(entries_prefix(PHONE), 5), ENTRY)]], "does not announce"),
        ([ROUND, [*LAST, *ROUND[:2]]], "does not announce"),
        ([ROUND, [*LAST, (Table.INBOX | AGAIN, summary_key(PHONE), QUEUE + b"odd")]], "cannot be read"),
        ([ROUND, [*LAST, (Table.INBOX | AGAIN, summary_key(PHONE), LONE)]], "in place of an entry"),
        ([ROUND, [*LAST, (Table.INBOX | AGAIN, b"s", QUEUE)]], "no queue of this shard"),
        (
            [ROUND, [*LAST, (Table.INBOX | AGAIN, summary_key(TABLET), QUEUE), (Table.DIRECTORY, b"shard1/a", b"")]],
            "a queue has 0 entries, and 1 are announced",
        ),
        (
            [
                ROUND,
                [
                    *LAST,
                    (Table.INBOX | AGAIN, summary_key(PHONE), QUEUE + position_key(5)),
                    (Table.META, ROWS_KEY, position_key(6)),
                ],
            ],
            "a queue has 0 entries, and 1 are announced",
        ),
        ([ROUND, [*LAST, (Table.OUTBOX | AGAIN, outbox_key(0, 5), b"")]], "another shard"),
        ([ROUND, [*LAST, (Table.OUTBOX | AGAIN, b"\x01", b"")]], "cannot be read"),
        ([ROUND, [*LAST, (Table.DIRECTORY | AGAIN, bytes(KEY_SIZE_BYTES_MAX + 1), b"")]], "481 bytes"),
        ([ROUND, [*LAST, (Table.JOURNAL | AGAIN, b"key", b"")]], "table 129"),
    ],
)
def test_a_round_that_does_not_fit_what_came_before_ends_the_transfer(pages: list[list[Row]], sentence: str) -> None:
    error = _told(*pages)
    assert isinstance(error, TransferError)
    assert sentence in str(error)


def test_a_queue_that_changed_while_it_was_read_has_to_come_again() -> None:
    target = Desk(MemoryEngine(), SMALL, owned=())
    lacking = [(Table.INBOX, summary_key(PHONE), Summary(1, 2, 136, 5, 9).encode()), *ROUND[1:]]
    for page in (BEGIN, lacking, [*LAST, (Table.META, ROWS_KEY, position_key(6))]):
        assert target.ask(partial(target.store.import_rows, 1, "node", b"T", page)) is None
    error = target.ask(partial(target.store.import_complete, 1, b"T"))
    assert "not whole" in str(error)


def test_a_round_takes_away_no_pair_that_is_not_of_its_shard() -> None:
    target = Desk(MemoryEngine(), SMALL, owned=[0])
    for key in (b"node", b"shard0/a"):
        target.store.directory.put(key, b"ours", lambda _: None)
    target.run()
    rows = [*LAST, (Table.DIRECTORY | AGAIN, b"node", b""), (Table.DIRECTORY | AGAIN, b"shard0/a", b"")]
    for page in (BEGIN, ROUND, rows):
        assert target.ask(partial(target.store.import_rows, 1, "node", b"T", page)) is None
    assert len(target.ask(partial(target.store.directory.scan, b"", 9))) == 2
