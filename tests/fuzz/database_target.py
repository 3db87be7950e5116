"""A client's own database: what a bad disk, or another program, can leave in it."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from protocol import AccountId, ClientId, ConversationId, DeviceId, InviteId, MessageId
from protocol import messages as wire
from roost.changes import (
    Accepted,
    Change,
    DevicesKnown,
    GroupFolded,
    GroupKnown,
    ListsKnown,
    MarksChanged,
    Missed,
    NoticeStored,
    Pinned,
    ProgressStored,
    Queued,
    ReceiptStored,
    Received,
    Supplemented,
)
from roost.content import Edit, Reaction, encode_operation, encode_text
from roost.device_record import encode_devices
from roost.device_trust import Pin
from roost.errors import StoreError
from roost.events import DeviceAdded
from roost.group import Group, GroupInvite, GroupMember, Role, Standing
from roost.store import Store
from tests.fuzz.target import Target, check_sentence

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

CHAT = ConversationId("ann:bob")
BOB = AccountId("bob")
ANN = AccountId("ann")
GROUP = ConversationId("#018BCFE5680001020304050607")
INVITE = InviteId(b"v" * 16)
DEVICE = DeviceId(b"b" * 16)
MISSED = Missed(CHAT, 1, BOB, DEVICE)
MISSED_FACT = f"missed {CHAT} 1 {BOB} {DEVICE.hex()}"
VALUES: tuple[Callable[[bytes], object], ...] = (
    bytes,
    lambda value: value.decode("utf-8", "replace"),
    lambda value: int.from_bytes(value[:8], "big", signed=True),
    lambda value: None,
    lambda value: float(len(value)),
)
COLUMNS = (
    *(("facts", "value", name) for name in ("account", "server", "server_key", "static_key", "epoch", "printed_up_to")),
    *(("conversations", column, None) for column in ("id", "next_number", "delivered", "read", "written", "place")),
    *(("receipts", column, None) for column in ("conversation", "account", "delivered", "read")),
    *(
        ("messages", column, None)
        for column in (
            "conversation", "state", "place", "seq", "number", "client_id", "message_id", "sender", "device",
            "time_ms", "ttl_s", "flags", "payload", "code", "sentence",
        )
    ),
    *(("notices", column, None) for column in ("account", "device", "reason")),
    ("seen", "message_id", None),
    ("facts", "value", "devices"),
    *(("messages", column, None) for column in ("kind", "target", "timer_s", "expires_ms")),
    *(("operations", column, None) for column in ("target", "account", "kind", "seq", "value", "orphan")),
    *(("conversations", column, None) for column in ("timer_s", "timer_seq")),
    *(("records", column, None) for column in ("kind", "subject", "stamp", "device", "value")),
    *(
        ("known_groups", column, None)
        for column in ("conversation", "name", "announcement", "version", "seq", "standing", "role")
    ),
    *(("group_members", column, None) for column in ("conversation", "account", "role", "joined_seq")),
    *(("group_invites", column, None) for column in ("conversation", "invite", "account", "expires_ms", "uses_left")),
    *(("messages", column, None) for column in ("readers", "delivered_to", "read_by")),
    *(("facts", "value", name) for name in ("pin of ann", "lists of ann:bob", "identity_seed", MISSED_FACT)),
)  # fmt: skip
HISTORY: tuple[Change, ...] = (
    Queued(CHAT, ClientId(b"c" * 16), 1, encode_text("hi"), 0, 0, 1_000),
    Accepted(CHAT, ClientId(b"c" * 16), 1, MessageId(b"m" * 16), 1_001),
    Queued(CHAT, ClientId(b"d" * 16), 2, encode_text("again"), 0, 0, 1_002),
    Received(CHAT, 2, BOB, DEVICE, MessageId(b"n" * 16), 1_003, 0, encode_text("ho")),
    ReceiptStored(CHAT, BOB, 1, 1),
    MarksChanged(CHAT, 2, 2, 2, 2),
    NoticeStored(CHAT, 1, BOB, DEVICE, 1),
    Received(
        CHAT, 4, BOB, DEVICE, MessageId(b"r" * 16), 1_005, 0, encode_operation(Reaction(MessageId(b"m" * 16), "+"))
    ),
    Received(CHAT, 5, BOB, DEVICE, MessageId(b"e" * 16), 1_006, 0, encode_operation(Edit(MessageId(b"n" * 16), "hey"))),
    GroupKnown(
        Group(GROUP, "rookery", False, 2, 1, Standing.MEMBER, Role.OWNER),
        (GroupMember(ANN, Role.OWNER, 1), GroupMember(BOB, Role.MEMBER, 1)),
        (GroupInvite(INVITE, ANN, 1 << 40, 3),),
    ),
    Queued(GROUP, ClientId(b"g" * 16), 1, encode_text("all"), 0, 0, 1_007),
    Accepted(GROUP, ClientId(b"g" * 16), 2, MessageId(b"q" * 16), 1_008),
    ProgressStored(GROUP, 1, (wire.Step(2, 1, 1, 0),)),
    Pinned(ANN, Pin(b"i" * 32, 3, b"d" * 32)),
    ListsKnown(CHAT, (3, 4)),
    MISSED,
)
CID = AccountId("cid")
JOINED = wire.Change(3, wire.JOINED, invite=INVITE)
REMOVED = wire.Change(4, wire.REMOVED, ANN)


def account_database(data: bytes) -> None:
    """A database with wrong values or wrong bytes: opened, read through and written to.

    Input: a byte that says whether values (even) or bytes of the file (odd) are wrong; then segments. For a value:
    column, kind, length, value. For bytes: two of place, one of length, the bytes.
    """
    with tempfile.TemporaryDirectory(prefix="roost-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as at:
        path = Path(at, "account.db")
        damaged = bytearray(_whole())
        if data[:1] and data[0] & 1:
            for place, value in _segments(data[1:]):
                damaged[place : place + len(value)] = value
        path.write_bytes(damaged)
        try:
            store = Store(path, durable=False)
        except StoreError as error:
            check_sentence(str(error))
            return
        try:
            if not (data[:1] and data[0] & 1):
                _plant(store._database, data[1:])
            for step in _uses(store):
                try:
                    step()
                except StoreError as error:
                    check_sentence(str(error))
        finally:
            store.close()


@cache
def _whole() -> bytes:
    """The file of a small account."""
    with tempfile.TemporaryDirectory() as at:
        path = Path(at, "account.db")
        store = Store(path)
        store.set_facts(
            account=b"ann",
            server=b"127.0.0.1:7667",
            server_key=b"k" * 32,
            static_key=b"s" * 32,
            epoch=b"e" * 8,
            printed_up_to=bytes(8),
            identity_seed=b"i" * 32,
            devices=encode_devices(DevicesKnown(3, ((DEVICE, "phone"),), (DeviceAdded(DEVICE, "phone", 5),))),
        )
        store.apply(HISTORY)
        store._database.execute("PRAGMA journal_mode = DELETE")
        store.close()
        return path.read_bytes()


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 3:
        length = data[2]
        yield int.from_bytes(data[:2], "big"), data[3 : 3 + length]
        data = data[3 + length :]


def _plant(database: sqlite3.Connection, data: bytes) -> None:
    for place, value in _segments(data):
        table, column, name = COLUMNS[(place >> 8) % len(COLUMNS)]
        what = VALUES[(place & 255) % len(VALUES)](value)
        where = "" if name is None else f" WHERE name = '{name}'"
        database.execute(f"UPDATE OR IGNORE {table} SET {column} = ?{where}", (what,))


def _uses(store: Store) -> Iterator[Callable[[], object]]:
    yield lambda: (store.account, store.server, store.server_key)
    yield store.static_key
    yield lambda: _check_snapshot(store)
    yield store.chats
    yield lambda: store.history(CHAT, 10)
    yield lambda: store.unprinted(10)
    yield lambda: store.message((b"m" * 16).hex())
    yield lambda: store.last_seq(CHAT)
    yield lambda: store.apply([Received(CHAT, 3, BOB, DEVICE, MessageId(b"o" * 16), 1_004, 0, encode_text("hm"))])
    yield lambda: store.printed(1)
    yield store.forget_expired
    yield lambda: store.once_text((b"n" * 16).hex())
    yield store.shared
    yield lambda: [store.group(group.conversation) for group in store.groups()]
    yield lambda: store.group(GROUP)
    yield lambda: store.history(GROUP, 10)
    yield lambda: store.pin(ANN)
    yield lambda: store.apply([ProgressStored(GROUP, 1, (wire.Step(2, 1, 1, 1),))])
    yield lambda: store.apply([GroupFolded(Group(GROUP, "rookery", False, 3, 3), CID, JOINED)])
    yield lambda: store.apply([GroupFolded(Group(GROUP, "", False, 4, 4, Standing.REMOVED), BOB, REMOVED)])
    yield lambda: store.apply([Supplemented(MISSED)])


def _check_snapshot(store: Store) -> None:
    """What the session starts from has the types that the session counts on."""
    snapshot = store.snapshot()
    assert isinstance(snapshot.account, str)
    assert len(snapshot.epoch) in (0, 8)
    for message in snapshot.pending:
        assert isinstance(message.payload, bytes)
        assert isinstance(message.conversation, str)
        assert len(message.client_id) == 16
        assert min(message.number, message.ttl_s, message.flags) >= 0
    assert all(isinstance(number, int) for number in snapshot.next_numbers.values())
    assert all(isinstance(seen, bytes) for seen in snapshot.seen)
    for group in snapshot.groups:
        assert isinstance(group.standing, Standing)
        assert min(group.version, group.seq) >= 0
    assert all(1 <= len(lists) <= 2 for lists in snapshot.lists.values())


DATABASE_TARGETS = (
    Target("account_database", account_database, "an account that can be read and written, or StoreError"),
)
