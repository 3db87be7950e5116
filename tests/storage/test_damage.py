"""Damage on the disk is said: to whoever asks for the damaged value, at the start, and by a move; the rest goes on."""

from __future__ import annotations

import pytest

from storage import (
    Acked,
    Batch,
    ConversationView,
    Engine,
    Entry,
    MemoryEngine,
    Removed,
    StorageError,
    StoreCorruptError,
    Table,
)
from storage.directory import snapshot_key
from storage.engine import commit_now
from storage.inbox import Summary, entries_prefix, entry_key, summary_key
from storage.outbox import outbox_key
from storage.records import encode_entry, encode_record, position_key
from tests.storage.desk import PHONE, Desk, entry_for, message
from tests.storage.plain import shard_of


def damaged(*puts: tuple[Table, bytes, bytes]) -> Engine:
    engine = MemoryEngine()
    commit_now(engine, Batch(puts=list(puts)))
    return engine


@pytest.mark.parametrize("behind", [False, True], ids=["at once", "behind a commit"])
def test_whoever_asks_for_what_cannot_be_read_hears_so_and_the_store_goes_on(behind: bool) -> None:
    desk = Desk(damaged((Table.DIRECTORY, snapshot_key("talk0", shard_of), b"\x01junk")))
    views: list[ConversationView] = []
    errors: list[StorageError] = []
    if behind:
        desk.append(0, message(1, conversation="other0"))
    desk.store.load_conversation(0, "talk0", views.append, errors.append)
    desk.run()
    assert not views
    (error,) = errors
    assert isinstance(error, StoreCorruptError)
    assert "conversation snapshot" in str(error)
    assert "restore the folder from a copy" in str(error)
    desk.append(0, message(2, conversation="other0"))
    desk.run()
    assert desk.told[-1].error is None


def test_marks_that_cannot_be_read_are_damage_when_somebody_asks_for_them() -> None:
    stored = ConversationView().encode()
    assert stored[4] == 0x80, "no marks"
    lazy = ConversationView.decode(stored[:4] + b"\x01" + stored[5:], lazily=True)
    with pytest.raises(StoreCorruptError, match="conversation snapshot"):
        print(lazy.marks)


def test_where_nobody_is_to_hear_of_damage_it_is_raised() -> None:
    desk = Desk(damaged((Table.DIRECTORY, snapshot_key("talk0", shard_of), b"\x01junk")))
    with pytest.raises(StoreCorruptError):
        desk.conversation()


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        (Table.META, b"schema", b"\x01"),
        (Table.META, b"schema", bytes(8)),
        (Table.META, b"head", b"abc"),
        (Table.META, b"cursor\x01", bytes(8)),
        (Table.META, b"epoch", bytes(8)),
        (Table.JOURNAL, b"abc", b"\x01\x00"),
        (Table.JOURNAL, position_key(1), b""),
        (Table.JOURNAL, position_key(1), b"\x00\x01\x93\x06\xc4\x00\xa1a"),
        (Table.JOURNAL, position_key(1), b"\x01\x01\x93\x06\xc4\x00\xa1\xff"),
        (Table.JOURNAL, position_key(1), b"\x01\x01\x93\x07\xa1a\xff"),
    ],
)
def test_a_node_does_not_start_over_damage_that_it_would_build_on(table: Table, key: bytes, value: bytes) -> None:
    with pytest.raises(StoreCorruptError, match="restore the folder from a copy"):
        Desk(damaged((table, key, value)))


def test_an_entry_under_another_position_ends_the_read_that_it_would_make_endless() -> None:
    entry = encode_entry(Entry(1, 0, "talk0", 1, "ann2", 0, 0, b"body"))
    desk = Desk(
        damaged(
            (Table.INBOX, entry_key(entries_prefix(PHONE), 5), entry),
            (Table.INBOX, summary_key(PHONE), Summary(1, 1, 68, 5, 5, 1).encode()),
        )
    )
    with pytest.raises(StoreCorruptError, match="another position than its own, 1"):
        desk.read()


@pytest.mark.parametrize(("size_bytes", "position"), [(63, 5), (0, 5), (64, 0)])
def test_a_summary_that_stands_for_an_entry_that_cannot_be_is_said_to_be_damaged(
    size_bytes: int, position: int
) -> None:
    value = Summary(1, 1, size_bytes, position, position, is_lone=True).encode()
    desk = Desk(damaged((Table.INBOX, summary_key(PHONE), value)))
    with pytest.raises(StoreCorruptError, match="an inbox summary"):
        desk.view()


@pytest.mark.parametrize(
    "value",
    [b"\x01", bytes(31) + b"\x02", bytes(31) + b"\x02" + encode_record(0, Removed(PHONE, "bob1", [1], 1, [], [], []))],
    ids=["too short", "no record", "a removal that nobody is to be told of"],
)
def test_an_outbox_record_that_cannot_be_spread_is_said_to_be_damaged(value: bytes) -> None:
    desk = Desk(damaged((Table.OUTBOX, outbox_key(0, 1), value)))
    with pytest.raises(StoreCorruptError):
        desk.shard(0)


def test_a_summary_that_counts_what_is_not_there_is_said_to_be_damaged() -> None:
    desk = Desk(damaged((Table.INBOX, summary_key(PHONE), Summary(1, 2, 136, 5, 6).encode())))
    with pytest.raises(StoreCorruptError, match="2 entries wait"):
        desk.view()


def test_a_move_that_meets_damage_says_so_once_and_loses_nothing() -> None:
    desk = Desk(damaged((Table.INBOX, summary_key(PHONE), b"junk")))
    desk.append(1, entry_for(PHONE, 1))
    desk.run()
    desk.store.move()
    with pytest.raises(StoreCorruptError, match="inbox summary"):
        desk.run()
    assert not desk.store.moving
    desk.store.move()
    desk.append(1, Acked(PHONE, 0, "bob1"))
    desk.run()
    assert desk.told[-1].error is None
    assert [key for key, _ in desk.engine.scan(Table.JOURNAL, b"", b"\xff" * 9, 10)] == [
        position_key(position) for position in range(1, 6)
    ]
