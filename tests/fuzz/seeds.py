"""Where a search begins: a few inputs of every target, made from the examples of the other tests.

``python -m tests.fuzz.seeds`` writes them to the corpus; findings are files of their own there and stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.accounts.logic import Account, encode_account
from cluster.frames import encode_frame as encode_link_frame
from protocol import AccountId
from protocol.codec import encode_frame
from protocol.messages import CLIENT_FRAMES, SERVER_FRAMES
from roost.content import encode_text
from storage import Acked, ConversationView, Entry, Marked, Owned, Record, Removed
from storage.inbox import Summary
from storage.outbox import MASK_SIZE_BYTES
from storage.records import encode_entry, encode_record
from tests.cluster.test_frames import EXAMPLES as LINK_EXAMPLES
from tests.fuzz.link_targets import sessions
from tests.fuzz.target import CORPUS
from tests.fuzz.wires import STAGES, honest_answer, pair
from tests.protocol.frame_examples import EXAMPLES
from tests.roost.test_content import CONTENTS
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
    yield "account_database", "seed-values", b"\x00" + b"\x03\x00\x03abc" + b"\x11\x02\x08" + bytes(8)
    yield "account_database", "seed-bytes", b"\x01" + b"\x10\x00\x02\xff\xff" + b"\x00\x64\x04\x0a\x00\x00\x01"


def write(folder: Path = CORPUS) -> None:
    """Write every seed anew."""
    for target, name, data in seeds():
        path = folder / target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    write()
