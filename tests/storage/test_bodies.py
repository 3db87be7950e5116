from __future__ import annotations

from collections import Counter

import pytest

from storage import Acked, EngineError, MemoryEngine, Removed, StoreCorruptError, StoreLimits, Table
from storage.bodies import COUNT_PREFIX, body_key, count_key, decode_count
from storage.engine import Batch, commit_now
from storage.inbox import ENTRY_PREFIX, SUMMARY_PREFIX
from storage.memory_engine import MemoryPrepared
from tests.storage.audit import audit
from tests.storage.desk import PHONE, TABLET, Desk, Move, entry_for, group_entry
from tests.storage.twin import NOUNS

SMALL = StoreLimits(move_operations_max=3, trim_records_max=2)
MEMBERS = [b"member%d" % number for number in range(9)]


def moved(*devices: bytes, count: int = 1, limits: StoreLimits = SMALL) -> Desk:
    """A desk on which messages to these devices wait in the inbox."""
    desk = Desk(limits=limits)
    for number in range(1, count + 1):
        desk.append(1, group_entry(number, *devices))
    desk.run()
    move(desk)
    return desk


def move(desk: Desk) -> None:
    desk.run()
    desk.store.move()
    desk.run()


def ack(desk: Desk, device: bytes) -> None:
    desk.append(1, Acked(device, desk.view(device).tail_position, "bob1"))


def rows_of(desk: Desk) -> dict[bytes, int]:
    """How many rows of each kind the inbox has, but for the counts of bodies."""
    kinds = Counter(key[:1] for key, _ in desk.engine.scan(Table.INBOX, b"", b"\xff" * 500, 9_999))
    del kinds[COUNT_PREFIX]
    return dict(kinds)


def size_bytes(desk: Desk, table: Table) -> int:
    return sum(len(key) + len(value) for key, value in desk.engine.scan(table, b"", b"\xff" * 500, 9_999))


def test_a_message_to_many_devices_lies_there_once_and_each_has_a_small_entry() -> None:
    desk = moved(*MEMBERS)
    assert audit(desk.engine, counted=True) == 1
    assert size_bytes(desk, Table.BODIES) < 1_300
    assert size_bytes(desk, Table.INBOX) / len(MEMBERS) < 100
    for device in MEMBERS:
        (entry,) = desk.read(device)
        assert entry.body == bytes(1_200)
        assert desk.view(device).size_bytes == 1_264, "a quota counts what the device will get"


@pytest.mark.parametrize(("devices", "size"), [((PHONE,), 60_000), ((PHONE, TABLET), 500), (tuple(MEMBERS), 100)])
def test_what_few_wait_for_or_what_is_small_stays_with_its_entries(devices: tuple[bytes, ...], size: int) -> None:
    desk = Desk()
    desk.append(1, group_entry(1, *devices, body=bytes(size)))
    desk.run()
    move(desk)
    assert audit(desk.engine, counted=True) == 0
    assert [entry.body for entry in desk.read(devices[0])] == [bytes(size)]


def test_a_body_goes_with_the_last_device_that_lets_go_of_it_however_it_does() -> None:
    desk = moved(PHONE, TABLET, b"third", count=2)
    (position, _) = (entry.position for entry in desk.read())
    ack(desk, PHONE)
    desk.append(1, Removed(TABLET, "bob1", [position], 1, [], [], []))
    move(desk)
    assert audit(desk.engine, counted=True) == 2
    desk.append(1, Removed(b"third", "bob1", [position], 1, [], [], []))
    move(desk)
    assert audit(desk.engine, counted=True) == 1
    ack(desk, TABLET)
    ack(desk, b"third")
    move(desk)
    assert size_bytes(desk, Table.BODIES) == size_bytes(desk, Table.INBOX) == 0


def test_what_was_acknowledged_before_the_move_is_not_counted() -> None:
    desk = Desk(limits=SMALL)
    desk.append(1, group_entry(1, PHONE, TABLET))
    desk.run()
    ack(desk, PHONE)
    move(desk)
    ((_, value),) = desk.engine.scan(Table.INBOX, b"n", b"o", 9)
    assert decode_count(value) == 1


def dead_after(desk: Desk, commits: int, through: tuple[Table, ...]) -> Desk | None:
    """The store after a death in the middle of a move, of whose last commit some came through; None: it was over."""
    assert isinstance(desk.engine, MemoryEngine)
    desk.store.move()
    for _ in range(commits):
        desk.tick()
        desk.committer.step()
    desk.tick()
    if not desk.store.moving:
        return None
    prepared = desk.committer.crash()
    if isinstance(prepared, MemoryPrepared):
        prepared.tear(through)
    return Desk(desk.engine.crash(), SMALL)


@pytest.mark.parametrize("through", [(), tuple(NOUNS[1]), tuple(NOUNS[0]), tuple(Table)])
@pytest.mark.parametrize("late", [False, True])
def test_a_death_at_any_commit_of_a_move_leaves_every_body_counted(through: tuple[Table, ...], late: bool) -> None:
    """Before the move ends, the next life counts; what is acknowledged in between is not counted twice."""
    for commits in range(99):
        desk = Desk(limits=SMALL)
        for number in range(1, 4):
            desk.append(1, group_entry(number, *MEMBERS))
        desk.append(1, entry_for(MEMBERS[0], 4))
        desk.run()
        survivor = dead_after(desk, commits, through)
        if survivor is None:
            assert commits > 5
            return
        audit(survivor.engine, counted=False)
        if late:
            for device in MEMBERS[:5]:
                ack(survivor, device)
        else:
            move(survivor)
            assert audit(survivor.engine, counted=True) == 3
        assert [len(survivor.read(device)) for device in MEMBERS[5:]] == [3] * 4
        survivor.run()
        for device in MEMBERS:
            ack(survivor, device)
        survivor.run()
        move(survivor)
        assert size_bytes(survivor, Table.BODIES) == size_bytes(survivor, Table.INBOX) == 0
    raise AssertionError("the move has no end")


def test_a_death_at_any_commit_that_takes_entries_away_keeps_the_counts() -> None:
    for commits in range(99):
        desk = moved(*MEMBERS, count=3)
        for device in MEMBERS[:7]:
            ack(desk, device)
        desk.run()
        survivor = dead_after(desk, commits, tuple(NOUNS[1]))
        if survivor is None:
            assert commits > 3
            return
        audit(survivor.engine, counted=True)
        move(survivor)
        assert audit(survivor.engine, counted=True) == 3
        assert [len(survivor.read(device)) for device in MEMBERS[6:]] == [0, 3, 3]
    raise AssertionError("the move has no end")


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_shard_that_moves_takes_each_body_along_once(hot: bool, size: int) -> None:
    source, target = Desk(limits=SMALL), Desk(limits=SMALL, owned=())
    for number in range(1, 4):
        source.append(1, group_entry(number, *MEMBERS, expires_ms=9_000))
    source.run()
    if not hot:
        move(source)
    transfer = Move(source, target, 1, size_bytes=size)
    waiting = {device: source.read(device) for device in MEMBERS}
    transfer.run()
    move(source)
    assert {device: target.read(device) for device in MEMBERS} == waiting
    assert audit(target.engine, counted=True) == 3
    assert size_bytes(source, Table.BODIES) == size_bytes(source, Table.INBOX) == 0
    for device in MEMBERS:
        ack(target, device)
    target.run()
    move(target)
    assert size_bytes(target, Table.BODIES) == size_bytes(target, Table.INBOX) == 0


@pytest.mark.parametrize("hot", [False, True])
def test_what_lets_go_of_a_body_while_it_is_copied_is_not_counted_at_the_target(hot: bool) -> None:
    source, target = Desk(limits=SMALL), Desk(limits=SMALL, owned=())
    for number in range(1, 4):
        source.append(1, group_entry(number, *MEMBERS))
    source.run()
    if not hot:
        move(source)
    transfer = Move(source, target, 1, live=True)
    transfer.copy()
    last = source.view(MEMBERS[0]).tail_position
    for device in MEMBERS:
        source.append(1, Acked(device, last - 1, "bob1"))
    for device in MEMBERS[3:]:
        source.append(1, Removed(device, "bob1", [last], 1, [], [], []))
    source.append(1, group_entry(4, *MEMBERS[:2]))
    source.run()
    transfer.go_on(stop=False)
    transfer.run(1)
    assert audit(target.engine, counted=True) == 2
    assert [len(target.read(device)) for device in MEMBERS] == [2, 2, 1, 0, 0, 0, 0, 0, 0]


def test_a_shard_that_goes_after_a_move_was_broken_off_leaves_no_body_behind() -> None:
    for commits in range(1, 9):
        source, target = Desk(limits=SMALL), Desk(limits=SMALL, owned=())
        source.append(1, group_entry(1, *MEMBERS))
        source.run()
        source.store.move()
        for _ in range(commits):
            source.tick()
            source.committer.step()
        source.tick()
        source.committer.fail(EngineError("the disk broke"))
        source.run()
        Move(source, target, 1).run()
        move(source)
        assert size_bytes(source, Table.BODIES) == size_bytes(source, Table.INBOX) == 0
        assert audit(target.engine, counted=True) == 1


def test_a_body_that_nobody_refers_to_is_found_out_when_it_arrives() -> None:
    source, target = moved(*MEMBERS), Desk(owned=())
    transfer = Move(source, target, 1, size_bytes=1 << 20)
    rows = transfer.rows()
    (body,) = (row for row in rows if row[0] == Table.BODIES)
    extra = (Table.BODIES, body_key(1, 1), body[2].replace(body[2][1:2], b"\x01", 1))
    rows = [*rows[:-1], extra, (Table.META, b"rows", (len(rows)).to_bytes(8, "big"))]
    assert transfer.write(rows) is None
    assert "not whole" in str(transfer.complete())


@pytest.mark.parametrize("key", [None, b"short"])
def test_an_entry_without_its_body_is_said_to_be_damaged(key: bytes | None) -> None:
    desk = moved(PHONE, TABLET)
    ((where, _),) = desk.engine.scan(Table.BODIES, b"", b"\xff" * 9, 9)
    put = [] if key is None else [(Table.BODIES, where, key)]
    commit_now(desk.engine, Batch(deletes=[(Table.BODIES, where)], puts=put))
    errors: list[Exception] = []
    desk.store.read_queue(1, PHONE, 0, 9, 1 << 30, lambda entries: None, errors.append)
    desk.run()
    assert [type(error) for error in errors] == [StoreCorruptError]


@pytest.mark.parametrize("value", [None, b"bad", bytes(4)])
def test_a_move_that_cannot_count_says_so_and_loses_nothing(value: bytes | None) -> None:
    desk = moved(PHONE, TABLET)
    ((where, _),) = desk.engine.scan(Table.BODIES, b"", b"\xff" * 9, 9)
    put = [] if value is None else [(Table.INBOX, count_key(where), value)]
    commit_now(desk.engine, Batch(deletes=[(Table.INBOX, count_key(where))], puts=put))
    ack(desk, PHONE)
    with pytest.raises(StoreCorruptError):
        move(desk)
    desk.run()
    assert [entry.body for entry in desk.read(TABLET)] == [bytes(1_200)]
    assert desk.read(PHONE) == []


def test_who_waits_for_one_message_of_many_has_one_row_and_for_the_second_a_row_each() -> None:
    desk = moved(*MEMBERS)
    assert rows_of(desk) == {SUMMARY_PREFIX: len(MEMBERS)}
    desk.append(1, group_entry(2, *MEMBERS[:2]))
    desk.run()
    move(desk)
    assert rows_of(desk) == {SUMMARY_PREFIX: len(MEMBERS), ENTRY_PREFIX: 4}
    assert audit(desk.engine, counted=True) == 2
    assert [entry.seq for entry in desk.read(MEMBERS[0])] == [1, 2]


def test_a_small_move_is_two_commits() -> None:
    """The rows with the counts of their bodies, and then the journal's head with the trim: each costs some 0.3 ms."""
    desk = Desk()
    desk.append(1, group_entry(1, *MEMBERS))
    desk.run()
    before = desk.engine.statistics().commits
    move(desk)
    assert desk.engine.statistics().commits - before == 2
    assert rows_of(desk) == {SUMMARY_PREFIX: len(MEMBERS)}
    assert audit(desk.engine, counted=True) == 1
    assert size_bytes(desk, Table.JOURNAL) == 0


def test_a_device_of_which_nothing_has_to_be_moved_counts_as_work() -> None:
    """Or else a move would go through all who are online in one slice."""
    desk = Desk()
    desk.append(1, group_entry(1, *MEMBERS))
    desk.run()
    for member in MEMBERS:
        ack(desk, member)
    desk.run()
    writer = desk.store._mover._inbox_writer
    writer.begin(Batch())
    assert list(writer.move(MEMBERS, 99))
    assert writer.operations() >= len(MEMBERS)


@pytest.mark.parametrize("differs", ["acked", "removed", "more"])
@pytest.mark.parametrize("late", [False, True])
def test_devices_that_have_one_queue_in_memory_part_when_one_of_them_differs(differs: str, late: bool) -> None:
    """Before a move, or while its slice is on its way to the disk: in one commit with it, and said before it is."""
    desk = Desk()
    desk.append(1, group_entry(1, *MEMBERS))
    desk.run()
    (entry,) = desk.read(MEMBERS[0])
    if differs == "acked":
        desk.append(1, Acked(MEMBERS[0], entry.position, "bob1"))
    elif differs == "removed":
        desk.append(1, Removed(MEMBERS[0], "bob1", [entry.position], 1, [], [], []))
    else:
        desk.append(1, group_entry(2, MEMBERS[0]))
    if late:
        desk.store.move()
    for _ in range(2):
        desk.run()
        assert [it.seq for it in desk.read(MEMBERS[0])] == ([1, 2] if differs == "more" else [])
        assert all([it.seq for it in desk.read(member)] == [1] for member in MEMBERS[1:])
        move(desk)


def test_a_move_leaves_devices_together_whose_message_is_younger() -> None:
    desk = Desk(limits=StoreLimits(hot_window_s_max=30))
    desk.append(1, entry_for(b"other", 1))
    desk.run()
    desk.now_ms += 31_000
    desk.append(1, group_entry(1, *MEMBERS))
    desk.run()
    desk.store.maintain()
    desk.run()
    assert rows_of(desk)[SUMMARY_PREFIX] == 1
    assert len(set(map(id, desk.store._memtable.devices.values()))) == 1


@pytest.mark.parametrize("how", ["acked", "removed"])
def test_a_row_that_is_summary_and_entry_goes_however_it_is_let_go_of(how: str) -> None:
    desk = moved(PHONE, TABLET)
    (entry,) = desk.read(PHONE)
    for device in (PHONE, TABLET):
        if how == "acked":
            ack(desk, device)
        else:
            desk.append(1, Removed(device, "bob1", [entry.position], 1, [], [], []))
    desk.run()
    assert desk.view(PHONE).count == 0
    assert desk.read(PHONE) == []
    move(desk)
    assert size_bytes(desk, Table.BODIES) == size_bytes(desk, Table.INBOX) == 0
