"""The witness: sees every record at the instant at which it becomes durable, and every frame as it leaves the server.

It works out from the journal alone what has been accepted, what waits for whom and what was let go, and holds what
clients are told, and what they have on their own disks, against it. Each check carries the name of the promise that it
guards. Nothing is raised where it is seen, because that is inside an actor: `Witness.broken` is looked at after each
step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from actors.queue.api import NoticeBody
from actors.router.api import shard_number
from protocol import encode_message
from protocol.messages import Deliver, Notice, Receipt, Sent
from storage import MESSAGE, Batch, MemoryEngine, Table
from storage.records import Accepted, Acked, Entries, Marked, Record, Removed, decode_record, key_position

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.actors.phone import Phone

PERSIST_BEFORE_ACK = "promise 1, persist before ack"
NOTHING_LOST = "promise 2, nothing accepted is lost"
ONCE = "promise 3, at least once on the wire and once on the screen"
ORDER = "promise 4, order"
DELETED_ON_ACK = "promise 5, deleted only on the device's own ack or with a notice"
RECEIPTS = "receipts only grow and are true"
LIVENESS = "everything comes to rest"

EntryKey = tuple[int, str, int, str, bytes]
"""Kind, conversation and seq; of a notice also the account and device that it is about."""


class PromiseError(AssertionError):
    """A promise is broken: which one, and how it was seen."""

    def __init__(self, promise: str, story: str) -> None:
        super().__init__(f"{promise}: {story}")
        self.promise = promise


class WatchedEngine(MemoryEngine):
    """The memory engine, which tells the witness of each journal record in the instant of its commit."""

    __slots__ = ("witness",)

    def __init__(self, witness: Witness, survivor: MemoryEngine | None = None) -> None:
        super().__init__()
        self.witness = witness
        if survivor is not None:
            self._tables = survivor._tables

    def apply(self, batch: Batch, tables: Collection[Table] = tuple(Table)) -> None:
        super().apply(batch, tables)
        if Table.JOURNAL in tables:
            for key, value in batch.appends:
                self.witness.durable(key_position(key), *decode_record(value))

    def crash(self) -> WatchedEngine:
        return WatchedEngine(self.witness, super().crash())


@dataclass
class Witness:
    """What became durable, and what follows from it."""

    phones: dict[bytes, Phone] = field(default_factory=dict)
    broken: list[PromiseError] = field(default_factory=list)
    accepted: dict[tuple[str, int], Accepted] = field(default_factory=dict)
    by_number: dict[tuple[bytes, bytes, str, int], Accepted] = field(default_factory=dict)
    by_client_id: dict[bytes, Accepted] = field(default_factory=dict)
    next_seq: dict[str, int] = field(default_factory=dict)
    cursors: dict[tuple[int, int], int] = field(default_factory=dict)
    waiting: dict[bytes, dict[int, EntryKey]] = field(default_factory=dict)
    entered: dict[tuple[bytes, EntryKey], int] = field(default_factory=dict)
    removed: dict[tuple[bytes, str, int], int] = field(default_factory=dict)
    unheard: set[tuple[bytes, EntryKey]] = field(default_factory=set)
    marks: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)

    def breaks(self, promise: str, story: str) -> None:
        """Note a broken promise."""
        self.broken.append(PromiseError(promise, story))

    def check(self) -> None:
        """Raise the first broken promise, if there is one."""
        if self.broken:
            raise self.broken[0]

    def durable(self, position: int, shard: int, record: Record) -> None:
        """A record is on stable storage from now on."""
        if isinstance(record, Accepted):
            self._accepted(position, shard, record)
        elif isinstance(record, Entries):
            self._entries(position, shard, record)
        elif isinstance(record, Acked):
            self._acked(record)
        elif isinstance(record, Removed):
            self._removed(position, shard, record)
        elif isinstance(record, Marked):
            self._marked(record)

    def _accepted(self, position: int, shard: int, record: Accepted) -> None:
        conversation, seq = record.conversation, record.seq
        expected = self.next_seq.get(conversation, 1)
        if seq != expected:
            self.breaks(ORDER, f"{conversation} got seq {seq} where {expected} was next")
        self.next_seq[conversation] = seq + 1
        if record.client_id in self.by_client_id:
            self.breaks(ONCE, f"a send of {record.sender} was accepted twice in {conversation}")
        producer = (record.producer, record.epoch, conversation)
        if record.number > 1 and (*producer, record.number - 1) not in self.by_number:
            self.breaks(ORDER, f"number {record.number} of {record.sender} was accepted before the one before it")
        self.accepted[conversation, seq] = record
        self.by_client_id[record.client_id] = record
        self.by_number[(*producer, record.number)] = record
        told = {(account, device) for account, devices in record.targets for device in devices}
        meant = {
            (phone.account, phone.device)
            for phone in self.phones.values()
            if phone.account in conversation.split(":") and phone.device != record.producer and phone.registered
        }
        if told != meant:
            self.breaks(NOTHING_LOST, f"{conversation} {seq} was meant for {len(meant)} devices, not {len(told)}")
        for account, devices in record.targets:
            if shard_number(account) == shard:
                self._enter(position, devices, (MESSAGE, conversation, seq, "", b""))

    def _entries(self, position: int, shard: int, record: Entries) -> None:
        cursor = (shard, record.source)
        if record.source_position <= self.cursors.get(cursor, 0):
            self.breaks(ONCE, f"shard {shard} took position {record.source_position} of shard {record.source} again")
        self.cursors[cursor] = record.source_position
        key = (MESSAGE, record.conversation, record.seq, "", b"")
        if record.kind != MESSAGE:
            key = self._notice_key(record.conversation, record.seq, record.body)
        for _, devices in record.targets:
            self._enter(position, devices, key)

    def _notice_key(self, conversation: str, seq: int, body: bytes) -> EntryKey:
        notice = msgspec.msgpack.decode(body, type=NoticeBody)
        return (notice.reason, conversation, seq, notice.account, notice.device)

    def _enter(self, position: int, devices: list[bytes], key: EntryKey) -> None:
        for device in devices:
            if (device, key) in self.entered:
                self.breaks(ONCE, f"{key[1]} {key[2]} was queued twice for one device")
            self.entered[device, key] = position
            self.waiting.setdefault(device, {})[position] = key

    def _acked(self, record: Acked) -> None:
        waiting, phone = self.waiting.get(record.device, {}), self.phones[record.device]
        for position in sorted(position for position in waiting if position <= record.up_to):
            key = waiting.pop(position)
            if not phone.has(key):
                self.breaks(DELETED_ON_ACK, f"{key[1]} {key[2]} was let go before {phone} had committed it")

    def _removed(self, position: int, shard: int, record: Removed) -> None:
        waiting = self.waiting.get(record.device, {})
        for gone in record.positions:
            key = waiting.pop(gone, None)
            if key is None:  # let go already
                continue
            if key[3]:  # itself a notice, in a queue with twice its quota
                self.unheard.add((record.device, key))
                continue
            _, conversation, seq, _, _ = key
            self.removed[record.device, conversation, seq] = record.reason
            sender = self.accepted[conversation, seq].sender
            others = {phone.device for phone in self.phones.values() if phone.account == sender} - {record.device}
            told = {device for _, devices in record.targets for device in devices}
            if told != others:
                self.breaks(
                    DELETED_ON_ACK, f"{conversation} {seq} was removed with {len(told)} of {len(others)} notices"
                )
        for account, devices in record.targets:
            if shard_number(account) == shard:
                _, conversation, seq = record.notices[0]
                self._enter(position, devices, self._notice_key(conversation, seq, record.bodies[0]))

    def _marked(self, record: Marked) -> None:
        key = (record.conversation, record.account)
        old, new = self.marks.get(key, (0, 0, 0)), (record.delivered, record.read, record.read_shown)
        if any(after < before for before, after in zip(old, new, strict=True)):
            self.breaks(RECEIPTS, f"marks of {record.account} in {record.conversation} went from {old} to {new}")
        self.marks[key] = new

    def told(self, phone: Phone, frame: object) -> None:
        """A frame leaves the server, for this phone."""
        if isinstance(frame, Sent | Deliver) and (frame.number if isinstance(frame, Sent) else frame.position) == 0:
            return  # ephemeral: nothing is promised
        if isinstance(frame, Sent):
            known = self.by_number.get((phone.device, phone.epoch, frame.conversation, frame.number))
            if known is None or (known.seq, known.message_id) != (frame.seq, frame.message_id):
                self.breaks(PERSIST_BEFORE_ACK, f"{phone} was told Sent of {frame.number} in {frame.conversation}")
        elif isinstance(frame, Deliver):
            message = frame.message
            record = self.accepted.get((message.conversation, message.seq))
            if record is None or record.message_id != message.message_id or record.body != encode_message(message):
                self.breaks(PERSIST_BEFORE_ACK, f"{phone} got {message.conversation} {message.seq}, not durable")
        elif isinstance(frame, Notice):
            if (frame.device, frame.conversation, frame.seq) not in self.removed:
                self.breaks(DELETED_ON_ACK, f"{phone} heard of a removal in {frame.conversation} that was none")
        elif isinstance(frame, Receipt):
            delivered, read, _ = self.marks.get((frame.conversation, frame.account), (0, 0, 0))
            if frame.delivered > delivered or frame.read > read:
                self.breaks(RECEIPTS, f"{phone} heard of marks of {frame.account} that are not durable")
            had = max((other.had(frame.conversation) for other in self.phones_of(frame.account)), default=0)
            if frame.delivered > had:
                self.breaks(RECEIPTS, f"{phone} heard that {frame.account} has {frame.delivered}, it has {had}")

    def phones_of(self, account: str) -> list[Phone]:
        """The devices of an account."""
        return [phone for phone in self.phones.values() if phone.account == account]
