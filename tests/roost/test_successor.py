"""A database passes from a device that was removed to the next: history stays, and what was the old device's goes."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import AccountId, ClientId, Code, ConversationId, DeviceId, MessageId, StaticKey
from protocol.device_list import IdentityKey
from roost.changes import (
    Accepted,
    DevicesKnown,
    Failed,
    GroupKnown,
    MarksChanged,
    Pinned,
    Queued,
    Received,
    VersionSigned,
)
from roost.content import Deletion, Edit, Reaction, encode_operation, encode_text
from roost.device_trust import Pin
from roost.group import Standing
from roost.history import MessageState
from roost.own_state import Record, Records, encode_own_state
from roost.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from roost.changes import Change

ALICE, BOB = AccountId("alice"), AccountId("bob")
AA, AB, AC = (ConversationId(f"alice:{other}") for other in ("alice", "bob", "carol"))
OPEN, LEFT = ConversationId("#01ARZ3NDEKTSV4RRFFQ69G5FAV"), ConversationId("#01ARZ3NDEKTSV4RRFFQ69G5FAW")
DEVICE, TARGET = DeviceId(b"d" * 16), MessageId(b"t" * 16)
IDENTITY, OTHER = bytes(32), b"\x01" * 32
NEW_KEY = StaticKey(b"\x05" * 32)
NEW_EPOCH = b"new one!"
PIN = Pin(IDENTITY, 9, b"\x09" * 32)


def queued(conversation: ConversationId, key: int, number: int, payload: bytes) -> Queued:
    return Queued(conversation, ClientId(bytes([key]) * 16), number, payload, 0, 0, 1_000 + key)


def archived(stamp: int) -> bytes:
    return encode_own_state(Records((Record("archived", AB, stamp, DEVICE, "yes"),)))


CHANGES: list[Change] = [
    Received(AB, 7, BOB, DEVICE, TARGET, 2_000, 0, encode_text("from bob")),
    MarksChanged(AB, 7, 6, 5, 4),
    queued(AB, 1, 41, encode_text("typed offline")),
    queued(AB, 2, 42, encode_operation(Edit(TARGET, "better"))),
    queued(AB, 3, 43, encode_text("this, too")),
    queued(AB, 4, 44, encode_operation(Deletion(TARGET))),
    queued(AB, 8, 45, encode_operation(Reaction(TARGET, "❤"))),
    queued(AA, 5, 8, archived(1)),
    queued(AA, 6, 9, encode_text("a note")),
    queued(AC, 7, 3, encode_text("arrived long ago")),
    Accepted(AC, ClientId(bytes([7]) * 16), 1, MessageId(b"a" * 16), 1_500),
    DevicesKnown(3, ((DEVICE, "laptop"),), ()),
    Pinned(ALICE, PIN),
    Pinned(BOB, PIN),
    VersionSigned(12),
    GroupKnown(roost.Group(OPEN, "Club", False, 5, 20), (), ()),
    GroupKnown(roost.Group(LEFT, "Past", False, 6, 30, Standing.LEFT), None, ()),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The database of a device that was its account's primary once, with something of everything."""
    store = Store(tmp_path / "alice@host_7667.db", durable=True)
    store.static_key()
    store.identity_key()
    store.set_facts(account=b"alice", server=b"host:7667", server_key=b"s" * 32, state_asked=b"\1")
    store.apply(CHANGES)
    return store


def test_what_the_old_device_could_sign_number_and_know_is_gone_and_the_rest_is_not(store: Store) -> None:
    store.become_device(NEW_KEY, NEW_EPOCH, ALICE, IDENTITY)
    after = store.snapshot()
    assert (store.static_key().public, after.epoch) == (NEW_KEY.public, NEW_EPOCH)
    assert (after.signer, after.signed_version, after.devices) == (None, 0, None)
    assert store.fact("state_asked", b"") == b""
    assert (after.account, store.server, store.server_key) == (ALICE, "host:7667", b"s" * 32)
    assert (store.pin(ALICE), store.pin(BOB)) == (PIN, PIN), "an older list of the same identity is not believed"
    marks = after.marks[AB]
    assert (marks.delivered, marks.read, marks.server_delivered, marks.server_read) == (7, 6, 5, 4)
    assert [(one.conversation, one.version, one.is_open) for one in after.groups] == [(OPEN, 0, True), (LEFT, 6, False)]
    assert store.record_values(roost.RecordKind.ARCHIVED) == {AB: "yes"}


def test_what_may_have_arrived_already_is_not_sent_again_and_only_what_may_be_said_twice_is(store: Store) -> None:
    store.become_device(NEW_KEY, NEW_EPOCH, ALICE, IDENTITY)
    after = store.snapshot()
    assert [(one.conversation, one.client_id[0], one.number) for one in after.pending] == [
        (AB, 4, 1), (AA, 5, 1),
    ]  # fmt: skip
    assert after.next_numbers == {AB: 2, AA: 2}
    [received, *failed] = store.history(AB, 10) + store.history(AA, 10)
    assert received.content == roost.Text("from bob")
    assert [one.content for one in failed] == [roost.Text(text) for text in ("typed offline", "this, too", "a note")]
    assert {one.state for one in failed} == {MessageState.FAILED}
    assert all("may have arrived or not" in one.sentence for one in failed)


def test_a_message_that_failed_before_keeps_its_own_reason(store: Store) -> None:
    store.apply([Failed(AB, ClientId(bytes([1]) * 16), Code.NOT_ALLOWED, "Bob does not want this.")])
    store.become_device(NEW_KEY, NEW_EPOCH, ALICE, IDENTITY)
    assert store.history(AB, 10)[1].sentence == "Bob does not want this."


def test_of_another_identity_no_list_is_known_yet(store: Store) -> None:
    store.become_device(NEW_KEY, NEW_EPOCH, ALICE, OTHER)
    assert store.pin(ALICE) == Pin(OTHER, 0, bytes(32))


def test_the_old_keys_are_not_found_in_the_file_any_more(store: Store) -> None:
    old, seed = store.static_key().private_bytes(), store.identity_key().seed_bytes()
    store.become_device(NEW_KEY, NEW_EPOCH, ALICE, IDENTITY)
    files = [path.read_bytes() for path in store.path.parent.glob("alice@host_7667.db*")]
    assert not any(secret in content for content in files for secret in (old, seed))
    store.close()


def test_it_happens_whole_or_not_at_all(store: Store) -> None:
    before, key = store.snapshot(), store.static_key().public
    store._database.execute("CREATE TRIGGER refuses BEFORE UPDATE ON known_groups BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(roost.StoreError):
        store.become_device(NEW_KEY, NEW_EPOCH, ALICE, IDENTITY)
    assert (store.snapshot().pending, store.snapshot().epoch) == (before.pending, before.epoch)
    assert store.static_key().public == key
    assert isinstance(store.snapshot().signer, IdentityKey)
    store._database.execute("DROP TRIGGER refuses")


def test_an_empty_database_has_nothing_to_let_go_of(tmp_path: Path) -> None:
    store = Store(tmp_path / "alice@host_7667.db", durable=False)
    store.become_device(NEW_KEY, NEW_EPOCH, ALICE, IDENTITY)
    assert store.static_key().public == NEW_KEY.public
    assert store.account == ""
    with sqlite3.connect(store.path) as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (0,)
