"""Where a search begins: a few inputs of every target, made from the examples of the other tests.

``python -m tests.fuzz.seeds`` writes them to the corpus; findings are files of their own there and stay as they are.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec import Raw
from msgspec.msgpack import encode

from actors.accounts.logic import Account, encode_account
from actors.accounts.memberships import encode_groups
from actors.groups.api import NOBODY, encode_group
from actors.messages import message_table
from actors.notices.api import Missed, encode_missed
from actors.placement.api import Place
from actors.placement.logic import encode_places
from actors.shard.api import Owed, encode_owed
from cluster.frames import PostFrame
from cluster.frames import encode_frame as encode_link_frame
from protocol import AccountId, ClientId, InviteId, InviteToken, encode_change, group_conversation
from protocol.codec import encode_frame
from protocol.messages import CLIENT_FRAMES, CREATED, INVITED, OWNER, SERVER_FRAMES, Change
from roost.content import encode_text
from roost.device_trust import Pin, encode_pin
from roost.invite_link import InviteLink
from roost.link_code import LinkCode
from storage import Acked, ConversationView, Entry, Marked, Owned, Record, Removed
from storage.inbox import Summary
from storage.outbox import MASK_SIZE_BYTES
from storage.records import encode_entry, encode_record
from tests.actors.test_messages import EXAMPLES as MESSAGES
from tests.cluster.test_frames import EXAMPLES as LINK_EXAMPLES
from tests.fuzz.cluster_targets import honest_rows, message_codec
from tests.fuzz.database_target import COLUMNS
from tests.fuzz.link_targets import sessions
from tests.fuzz.target import CORPUS
from tests.fuzz.wires import STAGES, honest_answer, pair
from tests.protocol.frame_examples import EXAMPLES
from tests.roost.test_content import CONTENTS
from tests.roost.test_linking import LABEL, NEW, newcomer, signed, sponsor
from tests.roost.test_linking import PHONE as PRIMARY
from tests.storage.desk import PHONE, entry_for, message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from protocol.messages import Frame

SEALED, RAW = b"\x00", b"\x01"
RECORDS: Final[tuple[Record, ...]] = (
    message(1, ("bob1", PHONE), ("ann2", PHONE)),
    entry_for(PHONE, 3, expires_ms=5),
    Acked(PHONE, 2, "bob1"),
    Marked("talk0", "bob1", 3, 2, 1),
    Removed(PHONE, "bob1", [1, 2], 1, [("ann2", "talk0", 1)], [("ann2", [PHONE])], [b"notice"]),
    Owned("node", 2),
)


def written(frames: Iterable[Frame]) -> bytes:
    """Frames as they stand in the plaintext."""
    return b"".join(len(data).to_bytes(3, "big") + data for data in map(encode_frame, frames))


def segment(kind: int, value: bytes) -> bytes:
    """A segment of the whole store."""
    return bytes((kind, len(value))) + value


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Target, name and bytes of every seed."""
    stage = {name: bytes((index,)) for index, name in enumerate(STAGES)}
    clients = [frame for frame in EXAMPLES if isinstance(frame, CLIENT_FRAMES)]
    servers = [frame for frame in EXAMPLES if isinstance(frame, SERVER_FRAMES)]
    yield "server_wire", "seed-first-message", stage["fresh"] + RAW + pair("fresh")[1].data_to_send()
    yield "server_wire", "seed-hello", stage["answered"] + SEALED + written(clients[:1])
    yield "server_wire", "seed-session", stage["ready"] + SEALED + written(clients[8:])
    yield "server_wire", "seed-whole", stage["greeting"] + SEALED + written(clients[:8])
    links = [len(data).to_bytes(3, "big") + data for data in map(encode_link_frame, LINK_EXAMPLES)]
    yield "node_link", "seed-first-message", b"\x00\x00" + sessions("acceptor")[1].data_to_send()
    yield "node_link", "seed-hello", b"\x02\x14" + links[0]
    yield "node_link", "seed-up", b"\x03\x0a" + b"".join(links[4:])
    yield "node_words", "seed-frames", b"".join(links)
    yield "client_wire", "seed-answer", stage["fresh"] + RAW + honest_answer()
    yield "client_wire", "seed-alert", stage["answered"] + RAW + b"\x00\x00\x05\x93\x64\xa1x\xff"
    yield "client_wire", "seed-session", stage["ready"] + SEALED + written(servers[8:])
    yield "client_wire", "seed-welcome", stage["greeted"] + SEALED + written(servers[:1])
    for turn in range(3):
        for manner in range(3):
            yield "noise_handshake", f"seed-{turn}-{manner}", bytes((turn, manner)) + bytes(range(96))
    yield "config_text", "seed-file", b'[node]\nname = "a"\nlisten = "[::1]:7667"\n[limits]\nsend_window = 3\n'
    yield "config_text", "seed-wrong", b'[journal]\ncommit_patience_ms = "2 s"\nx = [{ a = 1979-05-27T07:32:00Z }]\n'
    yield "identifiers", "seed-address", b" Bob@Example.org "
    yield "identifiers", "seed-conversation", b"ann:bob"
    yield "identifiers", "seed-name", "Grüße 🐦\u200d".encode()
    yield "server_address", "seed-name", b"Roost.example.org:7667"
    yield "server_address", "seed-v6", b"[fe80::1%eth0]:80"
    yield "message_content", "seed-odd-text", encode_text("Grüße \x1b[2J\u202e\u0301")
    for name, (payload, _) in CONTENTS.items():
        yield "message_content", f"seed-{name.replace(', ', '-').replace(' ', '-')}", payload
    yield "message_content", "seed-newer", b"\x83\xa1v\x02\xa1t\xa5image\xa1b\x92\xc0\xd6\xff\x00\x00\x00\x00"
    for record in RECORDS:
        yield "journal_record", f"seed-{type(record).__name__.lower()}", encode_record(1, record)
    entry = encode_entry(Entry(2, 0, "talk0", 1, "ann2", 9, 0, b"body"))
    yield "inbox_entry", "seed-entry", entry
    yield "inbox_summary", "seed-summary", Summary(1, 1, 68, 2, 2, 9).encode()
    view = ConversationView()
    for seq in range(1, 4):
        view.apply(message(seq))
    view.apply(Marked("talk0", "bob1", 2, 1, 0))
    yield "conversation_snapshot", "seed-view", view.encode()
    account = Account("ann", 1, "Ann").with_device(bytes(32), "phone", 5)
    yield "account_record", "seed-account", encode_account(account.with_relation(AccountId("bob"), "blocked"))
    yield "account_record", "seed-last-seen", bytes(6) + b"\x01\x00"
    journal = b"".join(segment(0, encode_record(1, record)) for record in RECORDS)
    inbox = segment(2, entry) + segment(3, Summary(1, 1, 68, 2, 2, 9).encode())
    parked = segment(5, bytes(MASK_SIZE_BYTES - 1) + b"\x02" + encode_record(0, RECORDS[0]))
    meta = segment(6, b"\x01" + bytes(8)) + segment(6, b"\x03" + bytes(7) + b"\x02")
    yield "whole_store", "seed-journal", journal
    yield "whole_store", "seed-inbox", segment(8, b"\x02\x00x") + inbox + journal
    yield "whole_store", "seed-tables", segment(4, view.encode()) + meta + parked + segment(7, b"\x01" + bytes(8))
    yield from _of_records()
    yield from _of_nodes()
    yield from _of_others()
    yield (
        "account_database",
        "seed-groups",
        b"\x00" + b"".join(bytes((at, 2, 1, 9)) for at in range(len(COLUMNS) - 23, len(COLUMNS))),
    )
    yield "account_database", "seed-values", b"\x00" + b"\x03\x00\x03abc" + b"\x11\x02\x08" + bytes(8)
    yield "account_database", "seed-bytes", b"\x01" + b"\x10\x00\x02\xff\xff" + b"\x00\x64\x04\x0a\x00\x00\x01"


def _of_records() -> Iterator[tuple[str, str, bytes]]:
    missed = Missed("ann", 9, "bob", PHONE, 1)
    yield "missed_record", "seed-missed", encode_missed(missed)
    group = NOBODY.apply(AccountId("ann"), Change(1, CREATED, AccountId("ann"), OWNER, name="rookery"), 1, 1_000)
    invited = Change(2, INVITED, invite=InviteId(bytes(16)), expires_ms=1 << 41, uses=3)
    yield "group_record", "seed-nobody", b""
    yield "group_record", "seed-group", encode_group(group.apply(AccountId("ann"), invited, 2, 1_001))
    yield "owed_record", "seed-owed", encode_owed(Owed("ann:bob", 9, "ann", PHONE, bytes(16), 1, 0, 5))
    yield "account_groups", "seed-groups", encode_groups(["#018BCFE5680001020304050607"])
    yield "shard_places", "seed-places", encode_places({0: Place("a", 2), 63: Place("gone", 7)})
    yield "device_pin", "seed-pin", encode_pin(Pin(b"i" * 32, 3, b"d" * 32))


def _of_nodes() -> Iterator[tuple[str, str, bytes]]:
    """Every message that nodes send each other, alone and in frames; the rows of a shard; words of the operator."""
    table, codec = message_table(), message_codec()
    frames = b""
    times: Counter[int] = Counter()
    for example in MESSAGES:
        tag, body = table.tag_of(type(example), 1), codec.encode(example)
        times[tag] += 1
        yield "messenger_message", f"seed-{tag}-{times[tag]}", tag.to_bytes(2, "big") + body
        frame = encode_link_frame(PostFrame(0, 1, tag, Raw(body)))
        frames += len(frame).to_bytes(3, "big") + frame
    yield "messenger_words", "seed-frames", frames
    yield "shard_rows", "seed-shard", honest_rows()
    yield "control_request", "seed-move", b"\x00\x0220" + b'{"to": "b"}'
    yield "control_request", "seed-no-node", b"\x00\x019"
    yield (
        "control_answer",
        "seed-nodes",
        b'\x00[{"node":"a","host":"h","link":null,"state":"up","sentence":"","worker":0}]',
    )
    yield "control_answer", "seed-shards", b'\x01[{"shard":1,"node":"a","epoch":1,"due":"b","state":"up"}]'
    yield "control_answer", "seed-moved", b'\x02{"shard":1,"from":"a","to":"b","rows":2,"size_bytes":3,"still_s":0.5}'
    yield "control_answer", "seed-refused", b'\x09{"error": "there is no shard 300", "code": "3 UNKNOWN"}'


def _of_others() -> Iterator[tuple[str, str, bytes]]:
    """What people paste, and what their devices sign and say."""
    code = LinkCode(bytes(range(16)))
    group = group_conversation(AccountId("ann"), ClientId(bytes(16)))
    yield "pasted_secret", "seed-code", code.text.encode()
    yield "pasted_secret", "seed-qr", code.qr_text.encode()
    yield "pasted_secret", "seed-invite", str(InviteLink(group, InviteToken(bytes(16)))).encode()
    for kind in (CREATED, INVITED):
        yield "group_change", f"seed-{kind}", encode_change(Change(1, kind, AccountId("ann"), OWNER, name="rookery"))
    yield "device_list", "seed-list", signed(PRIMARY, NEW).body
    yield "device_list", "seed-label", LABEL
    new, primary = newcomer(), sponsor()
    yield "linking_talk", "seed-offer", b"\x01" + encode(primary._offer)
    yield "linking_talk", "seed-accepted", b"\x02\x91\x03"
    list_ = signed(PRIMARY, NEW)
    yield "linking_talk", "seed-linked", b"\x03" + encode([5, list_.identity, list_.body, list_.signature])
    yield "linking_talk", "seed-declined", b"\x01" + encode([4, "not that one"])
    yield "linking_talk", "seed-introduction", b"\x00" + encode(new._introduction)


def write(folder: Path = CORPUS) -> None:
    """Write every seed anew."""
    for target, name, data in seeds():
        path = folder / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    write()
