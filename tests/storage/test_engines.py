"""The two engines under the same operations, and what only a real disk can do wrong."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import (
    Acked,
    Batch,
    Engine,
    EngineError,
    EngineFullError,
    Entry,
    LmdbEngine,
    ManualCommitter,
    MemoryEngine,
    Owned,
    QueueView,
    Store,
    StoreCorruptError,
    StoreLimits,
    StoreLockedError,
    StoreVersionError,
    Table,
)
from storage.engine import commit_now, prefix_stop
from storage.meta import SCHEMA_KEY, STORE_VERSION
from storage.records import encode_record, position_key
from tests.storage.desk import PHONE, Desk, entry_for
from tests.storage.plain import shard_of

MEBIBYTE = 1 << 20
keys = st.binary(min_size=1, max_size=3)
tables = st.sampled_from([Table.META, Table.INBOX, Table.DIRECTORY, Table.BODIES])
batches = st.builds(
    Batch,
    st.just([]),
    st.lists(st.tuples(tables, keys, st.binary(max_size=8)), max_size=6),
    st.lists(st.tuples(tables, keys), max_size=4),
    st.lists(st.tuples(tables, keys, keys), max_size=2),
)
scans = st.lists(st.tuples(tables, keys, keys, st.integers(0, 5), st.booleans()), max_size=6)


@settings(max_examples=25)
@given(work=st.lists(st.tuples(batches, scans), max_size=5))
def test_both_engines_answer_alike(work: list[tuple[Batch, list[tuple[Table, bytes, bytes, int, bool]]]]) -> None:
    with tempfile.TemporaryDirectory(prefix="roost-engines-") as folder:
        lmdb, memory = LmdbEngine(Path(folder), MEBIBYTE), MemoryEngine()
        for batch, questions in work:
            commit_now(lmdb, batch)
            commit_now(memory, batch)
            for table, start, stop, limit, reverse in questions:
                both = [lmdb.get(table, start), lmdb.get(table, stop)]
                assert lmdb.get_many(table, [start, stop]) == memory.get_many(table, [start, stop]) == both
                assert lmdb.scan(table, start, stop, limit, reverse) == memory.scan(table, start, stop, limit, reverse)
        lmdb.close()


@pytest.fixture(params=["memory", "lmdb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    return MemoryEngine(64 * MEBIBYTE) if request.param == "memory" else LmdbEngine(tmp_path, 64 * MEBIBYTE)


def test_an_engine_is_not_touched_while_a_commit_is_in_flight(engine: Engine) -> None:
    prepared = engine.prepare(Batch(puts=[(Table.META, b"k", b"v")]))
    with pytest.raises(EngineError, match="in flight"):
        engine.get(Table.META, b"k")
    with pytest.raises(EngineError, match="in flight"):
        engine.get_many(Table.META, [b"k"])
    with pytest.raises(EngineError, match="in flight"):
        engine.prepare(Batch())
    prepared.abandon()
    assert engine.get(Table.META, b"k") is None
    engine.close()


def test_appends_come_in_key_order_or_not_at_all(engine: Engine) -> None:
    commit_now(engine, Batch(appends=[(position_key(5), b"five")]))
    with pytest.raises(EngineError, match="order"):
        engine.prepare(Batch(appends=[(position_key(6), b"six"), (position_key(5), b"again")]))
    assert engine.scan(Table.JOURNAL, b"", b"\xff" * 9, 9) == [(position_key(5), b"five")]
    engine.close()


def test_the_stop_of_a_prefix_lies_behind_all_its_keys() -> None:
    assert prefix_stop(b"ab") == b"ac"
    assert prefix_stop(b"a\xff") == b"b"
    assert prefix_stop(b"\xff") > b"\xff\xff\xff"


def test_the_map_grows_by_itself_and_what_was_there_stays(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path, 64 * MEBIBYTE)
    assert engine.statistics().map_size_bytes == MEBIBYTE
    for number in range(10):
        commit_now(engine, Batch(puts=[(Table.DIRECTORY, b"key%d" % number, bytes(MEBIBYTE))]))
    assert 10 * MEBIBYTE < engine.statistics().map_size_bytes <= 64 * MEBIBYTE
    engine.close()
    engine = LmdbEngine(tmp_path, 64 * MEBIBYTE)
    assert len(engine.scan(Table.DIRECTORY, b"", b"z", 99)) == 10
    assert engine.statistics().used_bytes > 10 * MEBIBYTE
    engine.close()


def test_every_sync_of_the_embedded_engine_is_on(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path, MEBIBYTE)
    flags = engine._environment.flags()
    assert flags["sync"]
    assert flags["metasync"]
    assert not flags["map_async"]
    assert not flags["writemap"]
    engine.close()


def test_only_the_owner_may_read_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    engine = LmdbEngine(folder, MEBIBYTE)
    engine.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_full_engine_stores_nothing_of_the_batch_and_loses_nothing(engine: Engine) -> None:
    commit_now(engine, Batch(puts=[(Table.META, b"k", b"v")]))
    batch = Batch(puts=[(Table.META, b"k", b"lost"), *((Table.INBOX, b"%d" % it, bytes(MEBIBYTE)) for it in range(70))])
    with pytest.raises(EngineFullError, match="limit"):
        commit_now(engine, batch)
    assert engine.get(Table.META, b"k") == b"v"
    commit_now(engine, Batch(puts=[(Table.META, b"k", b"w")]))
    assert engine.get(Table.META, b"k") == b"w"
    engine.close()


def test_a_second_node_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path, MEBIBYTE)
    with pytest.raises(StoreLockedError, match=f"by process {os.getpid()}"):
        LmdbEngine(tmp_path, MEBIBYTE)
    engine.close()
    LmdbEngine(tmp_path, MEBIBYTE).close()


def test_a_folder_that_is_no_folder_is_an_error_of_the_engine(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EngineError, match="cannot open"):
        LmdbEngine(tmp_path / "file", MEBIBYTE)
    (tmp_path / "data.mdb").write_bytes(b"junk" * 5_000)
    with pytest.raises(EngineError, match="cannot open"):
        LmdbEngine(tmp_path, MEBIBYTE)
    (tmp_path / "data.mdb").unlink()
    LmdbEngine(tmp_path, MEBIBYTE).close()


def open_store(engine: Engine) -> Store:
    return Store.open(
        engine, ManualCommitter(engine), lambda delay, function: None, lambda: 0, StoreLimits(), "node", shard_of
    )


def test_a_store_of_a_newer_version_says_so(engine: Engine) -> None:
    open_store(engine)
    commit_now(engine, Batch(puts=[(Table.META, SCHEMA_KEY, position_key(STORE_VERSION + 1))]))
    with pytest.raises(StoreVersionError, match=f"newer Roost .schema {STORE_VERSION + 1}"):
        open_store(engine)
    engine.close()


def test_a_store_of_before_the_first_release_says_so(engine: Engine) -> None:
    """Its chats lie in other shards: their sequences would begin again, and nobody would be told."""
    commit_now(engine, Batch(puts=[(Table.META, SCHEMA_KEY, position_key(STORE_VERSION - 1))]))
    with pytest.raises(StoreVersionError, match=r"before the first release .*an empty folder"):
        open_store(engine)
    assert engine.get(Table.META, SCHEMA_KEY) == position_key(STORE_VERSION - 1)
    engine.close()


def test_a_newer_or_broken_record_is_not_skipped_in_silence(engine: Engine) -> None:
    open_store(engine)
    commit_now(engine, Batch(appends=[(position_key(1), encode_record(0, Owned("node", 1))[:-3])]))
    with pytest.raises(StoreCorruptError, match="journal"):
        open_store(engine)
    commit_now(engine, Batch(puts=[(Table.JOURNAL, position_key(1), b"\x63\x00")]))
    with pytest.raises(StoreVersionError):
        open_store(engine)
    engine.close()


def test_new_messages_are_refused_before_it_is_full_and_acks_make_room_again(engine: Engine) -> None:
    desk = Desk(engine, StoreLimits(hot_window_bytes_max=4 * MEBIBYTE))
    number = 0
    while desk.store.accepting() is None:
        number += 1
        desk.append(1, entry_for(PHONE, number, bytes(60_000)))
        desk.run()
        desk.store.maintain()
        desk.run()
    refusal = desk.store.accepting()
    assert refusal is not None
    assert refusal.full
    assert "full" in refusal.sentence
    assert all(committed.error is None for committed in desk.told), "refused before it was full"
    assert desk.view().count == number
    desk.append(1, Acked(PHONE, desk.store.durable_position, "bob1"))
    desk.run()
    assert desk.told[-1].error is None
    desk.store.move()
    desk.run()
    desk.store.maintain()
    assert desk.store.accepting() is None
    engine.close()


def test_too_little_free_space_refuses_new_messages() -> None:
    desk = Desk(MemoryEngine(free_space_bytes=1_000), StoreLimits(free_space_bytes_min=1_001))
    refusal = desk.store.accepting()
    assert refusal is not None
    assert refusal.full
    assert "disk" in refusal.sentence
    assert isinstance(desk.engine, MemoryEngine)
    desk.engine.free_space_bytes = 1_001
    desk.store.maintain()
    assert desk.store.accepting() is None, "room made by the operator is noticed without any commit"


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="a small tmpfs needs root")
def test_a_file_system_without_space_fails_the_batch_and_keeps_the_rest(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs may be mounted here")
    engine = LmdbEngine(tmp_path, 64 * MEBIBYTE)
    try:
        desk = Desk(engine, StoreLimits(free_space_bytes_min=0))
        desk.append(1, entry_for(PHONE, 1, b"kept"))
        desk.run()
        desk.append(1, entry_for(PHONE, 2, bytes(3 * MEBIBYTE)))
        desk.run()
        assert isinstance(desk.told[-1].error, EngineFullError)
        assert "space" in str(desk.told[-1].error)
        desk.append(1, entry_for(PHONE, 2, b"smaller"))
        desk.run()
        assert [entry.body for entry in desk.read()] == [b"kept", b"smaller"]
    finally:
        engine.close()
        subprocess.run(["umount", str(tmp_path)], check=True)


WRITER = """
import sys
from pathlib import Path
from queue import SimpleQueue
from storage import Entries, LmdbEngine, Store, StoreLimits, ThreadCommitter

posted = SimpleQueue()
engine = LmdbEngine(Path(sys.argv[1]), 1 << 26)
limits = StoreLimits(hot_window_bytes_max=40_000, move_operations_max=20, trim_records_max=50)
schedule = lambda delay, function: posted.put(function)
store = Store.open(engine, ThreadCommitter(engine, posted.put), schedule, lambda: 1, limits, "node", lambda name: 1)
done = 0

def told(committed):
    global done
    for it in committed:
        assert it.error is None, it.error
        if it.token:
            done = it.token
    print(done, flush=True)

store.subscribe(told)
epoch = store.take_ownership([1])[1]
number = int(sys.argv[2])
while True:
    while not posted.empty():
        posted.get()()
    while number < done + 200 or number < int(sys.argv[2]) + 50:
        number += 1
        record = Entries(0, number, [("bob1", [b"phone"])], 0, "talk0", number, "ann2", 0, 0, b"%d" % number)
        store.append(1, epoch, record, number)
    store.maintain()
    posted.get()()
"""


def run_writer_and_kill_it(folder: Path, first: int, lines: int) -> int:
    """Let a process write, kill it after it told so many commits, return the last number that it told."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first)], stdout=subprocess.PIPE, cwd=Path.cwd(), text=True
    )
    assert writer.stdout is not None
    with writer:
        told = [line for line, _ in zip(writer.stdout, range(lines), strict=False)]
        writer.send_signal(signal.SIGKILL)
        told += list(writer.stdout)
    complete = [line for line in told if line.endswith("\n")]
    return int(complete[-1])


@pytest.mark.slow
@pytest.mark.crash
def test_what_a_killed_process_told_as_durable_is_there_once_and_in_order(tmp_path: Path) -> None:
    first = 0
    for round_number in range(6):
        told = run_writer_and_kill_it(tmp_path, first, 5 + 9 * round_number)
        engine = LmdbEngine(tmp_path, 1 << 26)
        committer = ManualCommitter(engine)
        store = Store.open(
            engine, committer, lambda delay, function: None, lambda: 1, StoreLimits(), "node", lambda name: 1
        )
        pages: list[list[Entry]] = []
        store.read_queue(1, b"phone", 0, 1 << 30, 1 << 40, pages.append)
        found = [int(entry.body) for entry in pages[0]]
        assert told > first
        assert found[:told] == list(range(1, told + 1)), "nothing told is missing, nothing is there twice"
        assert found == list(range(1, len(found) + 1)), "what came through beyond that is whole and in order"
        views: list[QueueView] = []
        store.load_queue(1, b"phone", views.append)
        first = views[0].count
        assert first == len(found)
        engine.close()


READER = """
import sys, time
from pathlib import Path
from storage import LmdbEngine
engine = LmdbEngine(Path(sys.argv[1]), 1 << 24)
transaction = engine._environment.begin()
print("reading", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.crash
def test_a_reader_that_was_killed_keeps_no_page_from_being_used_again(tmp_path: Path) -> None:
    engine = LmdbEngine(tmp_path, 1 << 24)
    commit_now(engine, Batch(puts=[(Table.META, b"k", b"v")]))
    engine.close()
    reader = subprocess.Popen([sys.executable, "-c", READER, str(tmp_path)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert reader.stdout is not None
    with reader:
        reader.stdout.readline()
        reader.kill()
    engine = LmdbEngine(tmp_path, 1 << 24)
    for number in range(200):
        commit_now(engine, Batch(puts=[(Table.DIRECTORY, b"k", bytes(100_000)), (Table.META, b"n", b"%d" % number)]))
    assert (tmp_path / "data.mdb").stat().st_size < 2 * MEBIBYTE
    engine.close()
