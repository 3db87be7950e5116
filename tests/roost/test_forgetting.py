"""What is to disappear does, from the screen and from the file; and databases of the version before are upgraded."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import roost
from protocol import AccountId, ClientId, ConversationId, DeviceId, MessageId
from roost.changes import Accepted, MarksChanged, Queued, Received
from roost.content import (
    Deleted,
    Deletion,
    Edit,
    Reaction,
    Text,
    ViewOnce,
    encode_operation,
    encode_text,
    encode_timer,
    encode_view_once,
)
from roost.own_state import Gone, MessagesGone, encode_own_state
from roost.schema import _FIRST
from roost.store import Store
from tests.roost.phone import HandClock

if TYPE_CHECKING:
    from pathlib import Path

AB = ConversationId("alice:bob")
ALICE, BOB = AccountId("alice"), AccountId("bob")
DEVICE = DeviceId(bytes(16))
SECRET = "a secret of which not a byte may stay " * 40


def name(seq: int) -> MessageId:
    return MessageId(seq.to_bytes(16, "big"))


def received(seq: int, payload: bytes, sender: AccountId = BOB) -> Received:
    return Received(AB, seq, sender, DEVICE, name(seq), 1_000_000, 0, payload)


def opened(folder: Path, clock: HandClock) -> Store:
    store = Store(folder / "alice@host_7667.db", clock=clock)
    store.static_key()
    store.set_facts(account=b"alice", server=b"host:7667")
    return store


def gone(seq: int, *, opened: bool) -> Queued:
    """What this device tells the others, and does itself."""
    payload = encode_own_state(MessagesGone((Gone(AB, name(seq), opened),)))
    return Queued(ConversationId("alice:alice"), ClientId(bytes([seq]) * 16), 1, payload, 0, 0, 1)


def on_disk(store: Store, text: str) -> bool:
    """Whether the words are anywhere in the files of the database."""
    files = store.path.parent.glob(store.path.name + "*")
    return any(text.encode() in path.read_bytes() for path in files)


def test_a_message_disappears_so_long_after_it_was_read_also_from_the_file(tmp_path: Path) -> None:
    clock = HandClock()
    store = opened(tmp_path, clock)
    store.apply([received(1, encode_text(SECRET, disappears_s=60)), received(2, encode_text("stays"))])
    clock.s += 10_000
    assert store.forget_expired() == []  # nobody has read it
    assert on_disk(store, SECRET)
    store.apply([MarksChanged(AB, 2, 2, 0, 0)])
    clock.s += 59
    assert store.forget_expired() == []
    assert len(store.history(AB, 10)) == 2
    clock.s += 1
    assert [message.seq for message in store.history(AB, 10)] == [2]  # nobody sees it, also before it is erased
    assert store.forget_expired() == [roost.MessageForgotten(AB, name(1).hex())]
    assert not on_disk(store, SECRET[:40])
    store.close()


def test_what_ran_out_while_the_program_was_off_is_gone_when_it_opens(tmp_path: Path) -> None:
    clock = HandClock()
    store = opened(tmp_path, clock)
    payload = encode_text(SECRET, disappears_s=60)
    client = ClientId(b"c" * 16)
    store.apply([Queued(AB, client, 1, payload, 0, 0, clock.wall_ms())])
    assert store.next_expiry_ms is None  # it still waits in the outbox
    store.apply([Accepted(AB, client, 1, name(1), clock.wall_ms())])
    assert store.next_expiry_ms == clock.wall_ms() + 60_000
    store.close()
    clock.s += 61
    store = Store(store.path, clock=clock)
    assert store.history(AB, 10) == []
    assert not on_disk(store, SECRET[:40])
    store.close()


def test_a_message_that_another_device_has_read_before_begins_its_time_here_when_that_is_known(tmp_path: Path) -> None:
    clock = HandClock()
    store = opened(tmp_path, clock)
    store.apply([MarksChanged(AB, 5, 5, 0, 0)])
    store.apply([received(1, encode_text("old", disappears_s=60)), MarksChanged(AB, 5, 5, 0, 0)])
    assert store.next_expiry_ms == clock.wall_ms() + 60_000
    store.close()


def test_a_deleted_message_keeps_its_place_and_none_of_its_words(tmp_path: Path) -> None:
    store = opened(tmp_path, HandClock())
    store.apply([received(1, encode_text(SECRET)), received(2, encode_operation(Edit(name(1), SECRET[::-1])))])
    events = store.apply([received(3, encode_operation(Deletion(name(1)))), received(4, encode_text("go on"))])
    assert events == [roost.MessageDeleted(AB, name(1).hex())]
    assert [message.content for message in store.history(AB, 10)] == [Deleted(), Text("go on")]
    assert not on_disk(store, SECRET[:40])
    assert not on_disk(store, SECRET[::-1][:40])
    late = store.apply([received(5, encode_operation(Reaction(name(1), "+")))])
    assert (late, store.history(AB, 10)[0].reactions) == ([], ())
    store.close()


def test_a_message_that_was_deleted_before_it_came_is_never_on_the_disk(tmp_path: Path) -> None:
    store = opened(tmp_path, HandClock())
    store.apply([received(3, encode_operation(Deletion(name(1))))])
    events = store.apply([received(1, encode_text(SECRET))])
    assert events == [roost.MessageDeleted(AB, name(1).hex())]
    assert not on_disk(store, SECRET[:40])
    store.close()


def test_nobody_deletes_or_edits_what_another_wrote_or_edits_too_late(tmp_path: Path) -> None:
    store = opened(tmp_path, HandClock())
    late = MessageId((15 * 60 * 1000 + 1).to_bytes(6, "big") + bytes(10))
    in_time = MessageId((15 * 60 * 1000).to_bytes(6, "big") + bytes(10))
    store.apply([received(1, encode_text("mine"), ALICE), received(2, encode_text("theirs"))])
    store.apply([received(3, encode_operation(Deletion(name(1)))), received(4, encode_operation(Edit(name(1), "x")))])
    edits = (encode_operation(Edit(name(2), "in time")), encode_operation(Edit(name(2), "too late")))
    for seq, (message_id, payload) in enumerate(zip((in_time, late), edits, strict=True), 5):
        store.apply([Received(AB, seq, BOB, DEVICE, message_id, 1_000_000, 0, payload)])
    assert [message.content for message in store.history(AB, 10)] == [Text("mine"), Text("in time")]
    store.close()


def test_a_view_once_message_is_shown_once_and_is_then_nowhere(tmp_path: Path) -> None:
    store = opened(tmp_path, HandClock())
    store.apply([received(1, encode_view_once(SECRET))])
    [message] = store.history(AB, 10)
    assert message.content == ViewOnce()
    assert store.once_text(message.key) == SECRET
    assert store.apply([gone(1, opened=True)]) == [roost.MessageOpened(AB, message.key)]
    assert not on_disk(store, SECRET[:40])
    assert store.once_text(message.key) is None
    assert [message.content for message in store.history(AB, 10)] == [ViewOnce(opened=True)]
    store.close()


def test_who_wrote_a_view_once_message_keeps_it_only_until_the_server_has_it(tmp_path: Path) -> None:
    store = opened(tmp_path, HandClock())
    client = ClientId(b"c" * 16)
    store.apply([Queued(AB, client, 1, encode_view_once(SECRET), 0, 0, 1)])
    store.apply([Accepted(AB, client, 1, name(1), 1), received(2, encode_view_once(SECRET), ALICE)])
    assert [message.content for message in store.history(AB, 10)] == [ViewOnce(opened=True)] * 2
    assert not on_disk(store, SECRET[:40])
    store.close()


def test_what_was_deleted_for_oneself_does_not_come_back(tmp_path: Path) -> None:
    store = opened(tmp_path, HandClock())
    store.apply([received(1, encode_text(SECRET)), received(2, encode_operation(Reaction(name(1), "+")))])
    [message] = store.history(AB, 10)
    assert store.apply([gone(1, opened=False)]) == [roost.MessageForgotten(AB, message.key)]
    assert not on_disk(store, SECRET[:40])
    store.apply([received(1, encode_text(SECRET)), received(3, encode_operation(Edit(name(1), "again")))])
    assert store.history(AB, 10) == []
    store.close()


def test_the_last_timer_in_the_order_of_the_server_holds(tmp_path: Path) -> None:
    store = opened(tmp_path, HandClock())
    store.apply([received(5, encode_timer(60)), received(3, encode_timer(3_600))])
    assert store.snapshot().timers == {AB: (5, 60)}
    assert [message.content for message in store.history(AB, 10)] == [roost.TimerSet(3_600), roost.TimerSet(60)]
    store.close()


def old_database(path: Path) -> None:
    """A database as the first version left it: with what it could not understand, and something unsent."""
    database = sqlite3.connect(path)
    database.executescript(f"BEGIN; {_FIRST} PRAGMA user_version = 1; COMMIT;")
    facts = {"account": b"alice", "server": b"host:7667", "static_key": b"s" * 32, "epoch": b"e" * 8}
    database.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
    database.execute(f"INSERT INTO conversations (id, next_number, place, changed_ms) VALUES ('{AB}', 2, 4, 9)")
    rows = [
        (3, 1, encode_text("hello"), BOB),
        (3, 2, encode_operation(Reaction(name(1), "+")), BOB),
        (3, 3, encode_view_once("psst"), BOB),
        (3, 4, encode_timer(60), BOB),
    ]
    database.executemany(
        "INSERT INTO messages (conversation, state, place, seq, message_id, sender, device, time_ms, payload)"
        f" VALUES ('{AB}', ?, ?, ?, ?, ?, x'', 9, ?)",
        [(state, seq, seq, name(seq), sender, payload) for state, seq, payload, sender in rows],
    )
    database.execute(
        "INSERT INTO messages (conversation, state, place, number, client_id, sender, device, time_ms, payload)"
        f" VALUES ('{AB}', 0, {2**62}, 1, ?, 'alice', x'', 9, ?)",
        (b"c" * 16, encode_text("unsent")),
    )
    database.commit()
    database.close()


def check_upgraded(store: Store) -> None:
    messages = store.history(AB, 10)
    contents = [message.content for message in messages]
    assert contents == [Text("hello"), ViewOnce(), roost.TimerSet(60), Text("unsent")]
    assert messages[0].reactions == (roost.Reacted(BOB, "+"),)
    snapshot = store.snapshot()
    assert (len(snapshot.pending), snapshot.timers, snapshot.next_numbers) == (1, {AB: (4, 60)}, {AB: 2})


def test_a_database_of_the_first_version_is_upgraded_in_place_and_understood(tmp_path: Path) -> None:
    path = tmp_path / "alice@host_7667.db"
    old_database(path)
    store = Store(path)
    check_upgraded(store)
    store.close()
    store = Store(path)
    check_upgraded(store)
    store.close()


def test_whoever_only_looks_upgrades_an_old_database_first(tmp_path: Path) -> None:
    path = tmp_path / "alice@host_7667.db"
    old_database(path)
    store = Store(path, read_only=True)
    check_upgraded(store)
    store.close()


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "alice@host_7667.db"
    old_database(path)
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE operations (id INTEGER)")
    database.commit()
    before = list(database.iterdump())
    try:
        Store(path)
    except roost.StoreError:
        pass
    else:
        raise AssertionError("it was upgraded")
    assert (list(database.iterdump()), database.execute("PRAGMA user_version").fetchone()) == (before, (1,))
    database.close()
