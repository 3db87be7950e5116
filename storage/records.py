"""The records of the journal: what each one means, and its form on disk.

On disk a value is one byte of schema version, one byte of shard, and a MessagePack array that starts with the record's
tag. The key is the node-wide position, eight bytes big-endian. Bodies are embedded as they came, never encoded anew.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Final, TypeAlias

import msgspec

from storage.errors import RecordError, StoreCorruptError, StoreVersionError

SCHEMA_VERSION: Final = 1
SHARD_COUNT_MAX: Final = 256
MESSAGE: Final = 0
NOTICE: Final = 1

Target: TypeAlias = tuple[str, list[bytes]]
"""An account and those of its devices that are to get an entry."""


# gc=False: records hold no cycles, and the collector would walk every hot one of them again and again.
class Accepted(msgspec.Struct, array_like=True, tag=1, gc=False, frozen=True):
    """A conversation accepted a message: an outbox job for the shards of its targets, and the ground for its tick.

    Targets whose account lives in the record's own shard become entries by this record itself, at its position.

    Attributes:
        conversation: The conversation.
        producer: The sending device, 16 bytes.
        epoch: The sender's database epoch, 8 bytes.
        number: The sender's number of this send.
        client_id: The sender's id of this send, 16 bytes.
        seq: The place in the conversation.
        message_id: The server's id, 16 bytes.
        sender: The sending account.
        targets: Whom it goes to.
        expires_ms: When it expires, wall clock; 0 means never.
        flags: The sender's flags.
        time_ms: When it was accepted, wall clock.
        body: The message as it will go on the wire, opaque here.
    """

    conversation: str
    producer: bytes
    epoch: bytes
    number: int
    client_id: bytes
    seq: int
    message_id: bytes
    sender: str
    targets: list[Target]
    expires_ms: int
    flags: int
    time_ms: int
    body: bytes


class Entries(msgspec.Struct, array_like=True, tag=2, gc=False, frozen=True):
    """A target shard took its part of an outbox record: one entry for each device, at this record's position.

    Attributes:
        source: The shard of the outbox record.
        source_position: Its position; the cursor of (this shard, source) moves here.
        targets: Whom it goes to; accounts of this shard only.
        kind: MESSAGE or NOTICE.
        conversation: The conversation.
        seq: The place in the conversation.
        sender: The sending account; of a notice, the account whose device was not reached.
        expires_ms: When it expires, wall clock; 0 means never.
        flags: The sender's flags.
        body: What will go on the wire, opaque here.
    """

    source: int
    source_position: int
    targets: list[Target]
    kind: int
    conversation: str
    seq: int
    sender: str
    expires_ms: int
    flags: int
    body: bytes


class Acked(msgspec.Struct, array_like=True, tag=3, gc=False, frozen=True):
    """A device has everything up to a position; the store forgets it.

    Attributes:
        device: The device.
        up_to: The highest position that it has.
        account: Its account.
    """

    device: bytes
    up_to: int
    account: str


class Marked(msgspec.Struct, array_like=True, tag=4, gc=False, frozen=True):
    """A member's watermarks in a conversation; each only grows.

    Attributes:
        conversation: The conversation.
        account: The member.
        delivered: Highest seq delivered to any device of the member.
        read: Highest seq read.
        read_shown: Highest seq read that others may see.
    """

    conversation: str
    account: str
    delivered: int
    read: int
    read_shown: int


class Removed(msgspec.Struct, array_like=True, tag=5, gc=False, frozen=True):
    """Entries left a device's queue without its ack; with a notice it is an outbox job, like Accepted.

    At most one notice a record: a device's entry is named by its position, and a record has one position.

    Attributes:
        device: The device whose entries go.
        account: Its account.
        positions: The positions that go.
        reason: Why, as on the wire.
        notices: Sender account, conversation and seq to be told; none or one.
        targets: The devices of that sender.
        bodies: What will go on the wire, one for each notice.
    """

    device: bytes
    account: str
    positions: list[int]
    reason: int
    notices: list[tuple[str, str, int]]
    targets: list[Target]
    bodies: list[bytes]


class Emptied(msgspec.Struct, array_like=True, tag=6, gc=False, frozen=True):
    """A device is gone: all that waits for it goes.

    Attributes:
        device: The device.
        account: Its account.
    """

    device: bytes
    account: str


class Owned(msgspec.Struct, array_like=True, tag=7, gc=False, frozen=True):
    """A node took a shard; appends of earlier epochs are refused from here on.

    Attributes:
        node: The node.
        epoch: The shard's new epoch.
    """

    node: str
    epoch: int


Record: TypeAlias = Accepted | Entries | Acked | Marked | Removed | Emptied | Owned


class Entry(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One thing that waits for one device.

    Attributes:
        position: The journal position of the record that made it; rises within a queue.
        kind: MESSAGE or NOTICE.
        conversation: The conversation.
        seq: The place in the conversation.
        sender: The sending account; of a notice, the account whose device was not reached.
        expires_ms: When it expires, wall clock; 0 means never.
        flags: The sender's flags.
        body: What will go on the wire, opaque here.
    """

    position: int
    kind: int
    conversation: str
    seq: int
    sender: str
    expires_ms: int
    flags: int
    body: bytes

    @staticmethod
    def of(position: int, record: Accepted | Entries | Removed) -> Entry:
        """What waits in a queue because of the record at this position."""
        if isinstance(record, Removed):
            ((_, conversation, seq),) = record.notices
            return Entry(position, NOTICE, conversation, seq, record.account, 0, 0, record.bodies[0])
        kind = record.kind if isinstance(record, Entries) else MESSAGE
        return Entry(
            position, kind, record.conversation, record.seq, record.sender, record.expires_ms, record.flags, record.body
        )

    @property
    def size_bytes(self) -> int:
        """What this entry counts for in a quota: its body and a flat share for the rest."""
        return len(self.body) + ENTRY_OVERHEAD_BYTES


ENTRY_OVERHEAD_BYTES: Final = 64

_position = Layout(">Q")
position_key = _position.pack
"""The journal key of a position."""
encode_entry = msgspec.msgpack.Encoder().encode
decode_entry = msgspec.msgpack.Decoder(Entry).decode

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode
_HEADERS: Final = tuple(bytes((SCHEMA_VERSION, shard)) for shard in range(SHARD_COUNT_MAX))


def key_position(key: bytes) -> int:
    """Return the position that a journal key names."""
    position: int = _position.unpack(key)[0]
    return position


def encode_record(shard: int, record: Record) -> bytes:
    """Return a record as its journal value (0.6 us for a message of 350 bytes).

    Raises:
        RecordError: The shard is out of range, or a removal carries more than one notice.
    """
    if not 0 <= shard < SHARD_COUNT_MAX:
        raise RecordError(f"shard {shard} is not within 0..{SHARD_COUNT_MAX - 1}")
    if type(record) is Removed and (len(record.notices) > 1 or len(record.notices) != len(record.bodies)):
        raise RecordError("a removal carries none or one notice and a body for each; append one record per notice")
    try:
        return _HEADERS[shard] + _encode(record)
    except (TypeError, OverflowError, UnicodeEncodeError) as error:
        raise RecordError(str(error)) from error


def decode_record(value: bytes) -> tuple[int, Record]:
    """Return the shard and the record of a journal value.

    Raises:
        StoreVersionError: A newer Roost wrote it.
        StoreCorruptError: It is no record.
    """
    if not value or value[0] > SCHEMA_VERSION:
        raise StoreVersionError(value[0] if value else 0, SCHEMA_VERSION)
    try:
        return value[1], _decode(memoryview(value)[2:])
    except (msgspec.DecodeError, IndexError) as error:
        raise StoreCorruptError("the journal", str(error)) from error
