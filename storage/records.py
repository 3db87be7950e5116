"""The records of the journal: what each one means, and its form on disk.

On disk a value is one byte of schema version, one byte of shard, and a MessagePack array that starts with the record's
tag. The key is the node-wide position, eight bytes big-endian. Bodies are embedded as they came, never encoded anew.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Annotated, Final, TypeAlias

import msgspec

from storage.errors import RecordError, StoreCorruptError, StoreVersionError

SCHEMA_VERSION: Final = 1
SHARD_COUNT_MAX: Final = 256
MESSAGE: Final = 0
NOTICE: Final = 1
NUMBER_MAX: Final = 2**63 - 1

# What decoding checks of a value from the disk: everything that some key or index is later made of.
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]
Shard: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=SHARD_COUNT_MAX - 1)]
Kind: TypeAlias = Annotated[int, msgspec.Meta(ge=MESSAGE, le=NOTICE)]
Device: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=255)]

Target: TypeAlias = tuple[str, list[Device]]
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
        state: What the conversation is from here on (its members, for a group), opaque here; empty: as before.
        parted: Accounts whose watermarks go, for they belong to it no more.
        versions: Of the list of devices of each account in `targets`, as the conversation knew it.
        is_exact: Whether it is for the devices of those lists and no other, by the sender's word.
        tails: What each device gets behind `body`, if they do not get the same; by device.

    The producer is empty for what the conversation says itself: that is not numbered by anyone.
    """

    conversation: str
    producer: bytes
    epoch: bytes
    number: Number
    client_id: bytes
    seq: Number
    message_id: bytes
    sender: str
    targets: list[Target]
    expires_ms: Number
    flags: Number
    time_ms: Number
    body: bytes
    state: bytes = b""
    parted: list[str] = []
    versions: list[Number] = []
    is_exact: bool = False
    tails: dict[Device, bytes] | None = None


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
        tails: What each device gets behind `body`, if they do not get the same; by device.
    """

    source: Shard
    source_position: Number
    targets: list[Target]
    kind: Kind
    conversation: str
    seq: Number
    sender: str
    expires_ms: Number
    flags: Number
    body: bytes
    tails: dict[Device, bytes] | None = None


class Acked(msgspec.Struct, array_like=True, tag=3, gc=False, frozen=True):
    """A device has everything up to a position; the store forgets it.

    Attributes:
        device: The device.
        up_to: The highest position that it has.
        account: Its account.
    """

    device: Device
    up_to: Number
    account: str


class Marked(msgspec.Struct, array_like=True, tag=4, gc=False, frozen=True):
    """A member's watermarks in a conversation; each only grows.

    Attributes:
        conversation: The conversation.
        account: The member.
        delivered: Highest seq delivered to any device of the member.
        read: Highest seq read.
        read_shown: Highest seq read that others may see.
        others: The same of further members, with their account in front.
    """

    conversation: str
    account: str
    delivered: Number
    read: Number
    read_shown: Number
    others: list[tuple[str, Number, Number, Number]] = []


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
        expires_ms: When the notice expires, wall clock; 0 means never.
    """

    device: Device
    account: str
    positions: list[Number]
    reason: Number
    notices: list[tuple[str, str, Number]]
    targets: list[Target]
    bodies: list[bytes]
    expires_ms: Number = 0


class Owned(msgspec.Struct, array_like=True, tag=7, gc=False, frozen=True):
    """A node took a shard; appends of earlier epochs are refused from here on.

    Attributes:
        node: The node.
        epoch: The shard's new epoch.
    """

    node: str
    epoch: Number


Record: TypeAlias = Accepted | Entries | Acked | Marked | Removed | Owned


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

    position: Number
    kind: Kind
    conversation: str
    seq: Number
    sender: str
    expires_ms: Number
    flags: Number
    body: bytes

    @staticmethod
    def of(position: int, record: Accepted | Entries | Removed, device: bytes = b"") -> Entry:
        """What waits in a queue because of the record at this position.

        Args:
            position: Of the record.
            record: The record.
            device: Whose queue, if the record has tails: then each device has an entry of its own.
        """
        if isinstance(record, Removed):
            ((_, conversation, seq),) = record.notices
            return Entry(position, NOTICE, conversation, seq, record.account, record.expires_ms, 0, record.bodies[0])
        kind = record.kind if isinstance(record, Entries) else MESSAGE
        body = record.body if record.tails is None else record.body + record.tails.get(device, b"")
        return Entry(
            position, kind, record.conversation, record.seq, record.sender, record.expires_ms, record.flags, body
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
_decode_entry = msgspec.msgpack.Decoder(Entry).decode

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode
UNREADABLE: Final = (ValueError, RecursionError)
"""What msgspec raises over damaged bytes: its DecodeError and bad UTF-8 are both ValueError."""
_HEADERS: Final = tuple(bytes((SCHEMA_VERSION, shard)) for shard in range(SHARD_COUNT_MAX))


def key_position(key: bytes) -> int:
    """Return the position that a journal key names.

    Raises:
        StoreCorruptError: It names none.
    """
    if len(key) != _position.size or key[0] > 0x7F:
        raise StoreCorruptError("the journal", f"a position of {len(key)} bytes, or a negative one")
    position: int = _position.unpack(key)[0]
    return position


def decode_entry(value: bytes) -> Entry:
    """Return the entry of an inbox value.

    Raises:
        StoreCorruptError: It is none.
    """
    try:
        return _decode_entry(value)
    except UNREADABLE as error:
        raise StoreCorruptError("the inbox", str(error)) from error


def encode_record(shard: int, record: Record) -> bytes:
    """Return a record as its journal value (0.6 us for a message of 350 bytes).

    Raises:
        RecordError: The shard is out of range, or a removal carries more than one notice.
    """
    if not 0 <= shard < SHARD_COUNT_MAX:
        raise RecordError(f"shard {shard} is not within 0..{SHARD_COUNT_MAX - 1}")
    if type(record) is Removed and not _is_whole(record):
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
    check_version(value, SCHEMA_VERSION, "the journal")
    try:
        shard, record = value[1], _decode(memoryview(value)[2:])
    except (*UNREADABLE, IndexError) as error:
        raise StoreCorruptError("the journal", str(error)) from error
    if type(record) is Removed and not _is_whole(record):
        raise StoreCorruptError("the journal", "a removal whose notices and bodies do not belong together")
    return shard, record


def check_version(value: bytes, version_max: int, where: str) -> None:
    """Judge the schema version that a value begins with.

    Args:
        value: As stored.
        version_max: The newest version that this program reads.
        where: Of what kind it is, in words.

    Raises:
        StoreVersionError: A newer Roost wrote it.
        StoreCorruptError: It has no version.
    """
    if not value or not value[0]:
        raise StoreCorruptError(where, "it does not begin with a schema version")
    if value[0] > version_max:
        raise StoreVersionError(value[0], version_max)


def _is_whole(record: Removed) -> bool:
    return len(record.notices) == len(record.bodies) <= 1
