"""What our own devices tell each other: archived and muted chats, names, settings, and which messages are gone for us.

It travels as messages in the conversation with oneself, which go to every other device and wait for those that are off,
and is never shown. A record is a last-writer-wins register ordered by a Lamport clock (L. Lamport, "Time, Clocks, and
the Ordering of Events in a Distributed System", CACM 21/7, 1978): a device stamps a change with one more than every
stamp it has seen, so a change made in knowledge of another one always wins; of two that knew nothing of each other the
greater (stamp, device, value) wins, on every device the same. That is a maximum over a total order, hence commutative,
associative and idempotent. What is gone for us only grows, so it needs no stamp at all.

A device that may have missed something asks the others, and says by digests what it has (`state_digest`); they tell it
what differs. Nobody asks because somebody else has asked or answered, so it ends there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from protocol import ConversationId, DeviceId, MessageId
from protocol.limits import ADDRESS_LENGTH_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = [
    "GONE_PER_MESSAGE_MAX",
    "OWN_STATE_READERS",
    "RECORDS_MAX",
    "RECORDS_PER_MESSAGE_MAX",
    "SUBJECT_LENGTH_MAX",
    "VALUE_LENGTH_MAX",
    "Entry",
    "Gone",
    "MessagesGone",
    "OwnState",
    "Record",
    "RecordKind",
    "Records",
    "StateWanted",
    "encode_own_state",
    "later",
    "messages_of",
    "row_of",
]

RECORDS_MAX: Final = 20_000
"""Records kept; further ones are not, because only a device of ours that has lost its wits makes so many."""
RECORDS_PER_MESSAGE_MAX: Final = 32
GONE_PER_MESSAGE_MAX: Final = 64
"""With the two below, a message stays under what every server takes."""
SUBJECT_LENGTH_MAX: Final = 2 * ADDRESS_LENGTH_MAX + 1
VALUE_LENGTH_MAX: Final = 256
PIECE_SIZE_BYTES_MAX: Final = 8_192
"""So is it if each of our devices gets a payload of its own, for a bundle may be as large as one payload."""
KNOWN_SIZE_BYTES: Final = 512
_STAMP_MAX: Final = 2**62
_VERSION: Final = 1


class RecordKind(StrEnum):
    """What a record is about; its subject is a conversation, an account or the name of a setting."""

    ARCHIVED = "archived"
    MUTED = "muted"
    NAME = "name"
    SETTING = "setting"


@dataclass(frozen=True, slots=True, order=True)
class Record:
    """One value that all our devices share.

    Args:
        kind: what it is about; one that is not known is kept and passed on.
        subject: which conversation, account or setting.
        stamp: its Lamport time.
        device: which device wrote it.
        value: what it wrote; empty for nothing.
    """

    kind: str
    subject: str
    stamp: int
    device: DeviceId
    value: str


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one of our devices, for the others."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class StateWanted:
    """A device of ours asks the others for what it does not have.

    Args:
        known: what it has, as `state_digest` says it; zeros for nothing.
    """

    known: bytes = bytes(KNOWN_SIZE_BYTES)


@dataclass(frozen=True, slots=True)
class Gone:
    """A message is gone for us: deleted, or shown once and opened."""

    conversation: ConversationId
    target: MessageId
    opened: bool


@dataclass(frozen=True, slots=True)
class MessagesGone:
    """Messages that are gone for us, for our other devices."""

    messages: tuple[Gone, ...]


Entry = Record | Gone
"""One of the things that our devices share."""
OwnState = Records | StateWanted | MessagesGone
OneEntry = TypeVar("OneEntry", Record, Gone)


def later(one: Record | None, other: Record) -> Record:
    """Return which of two values of a record stands: the same whatever their order."""
    return other if one is None or one < other else one


_Kind = Annotated[str, Meta(min_length=1, max_length=32)]
_Subject = Annotated[str, Meta(max_length=SUBJECT_LENGTH_MAX)]
_Value = Annotated[str, Meta(max_length=VALUE_LENGTH_MAX)]
_Stamp = Annotated[int, Meta(ge=0, le=_STAMP_MAX)]
_Sixteen = Annotated[bytes, Meta(min_length=16, max_length=16)]
_Row = tuple[_Kind, _Subject, _Stamp, _Sixteen, _Value]
_GoneRow = tuple[_Subject, _Sixteen, bool]


class _Records(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: Annotated[list[_Row], Meta(max_length=RECORDS_PER_MESSAGE_MAX)]


class _Wanted(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: Annotated[bytes, Meta(min_length=KNOWN_SIZE_BYTES, max_length=KNOWN_SIZE_BYTES)] | None


class _Gone(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: _GoneRow


class _MessagesGone(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: Annotated[list[_GoneRow], Meta(max_length=GONE_PER_MESSAGE_MAX)]


_encode = msgspec.msgpack.Encoder().encode
_records = msgspec.msgpack.Decoder(_Records).decode
_wanted = msgspec.msgpack.Decoder(_Wanted).decode
_gone = msgspec.msgpack.Decoder(_Gone).decode
_messages_gone = msgspec.msgpack.Decoder(_MessagesGone).decode


def row_of(entry: Entry) -> _Row | _GoneRow:
    """Return an entry as it stands in messages; the first two values name it."""
    match entry:
        case Record(kind, subject, stamp, device, value):
            return kind, subject, stamp, device, value
        case Gone(conversation, target, opened):
            return conversation, target, opened


def messages_of(entries: Iterable[Entry]) -> Iterator[Records | MessagesGone]:
    """Return what tells these entries, in messages of which each may go to every device of ours on its own."""
    held = list(entries)
    for records in _pieces([entry for entry in held if isinstance(entry, Record)], RECORDS_PER_MESSAGE_MAX):
        yield Records(records)
    for gone in _pieces([entry for entry in held if isinstance(entry, Gone)], GONE_PER_MESSAGE_MAX):
        yield MessagesGone(gone)


def _pieces(entries: Sequence[OneEntry], count_max: int) -> Iterator[tuple[OneEntry, ...]]:
    piece: list[OneEntry] = []
    size_bytes = 0
    for entry in entries:
        entry_size_bytes = len(_encode(row_of(entry)))
        if piece and (len(piece) == count_max or size_bytes + entry_size_bytes > PIECE_SIZE_BYTES_MAX):
            yield tuple(piece)
            piece, size_bytes = [], 0
        piece.append(entry)
        size_bytes += entry_size_bytes
    if piece:
        yield tuple(piece)


def encode_own_state(state: OwnState) -> bytes:
    """Return the payload that tells our other devices."""
    match state:
        case Records(entries):
            return _encode({"v": _VERSION, "t": "state", "b": [row_of(entry) for entry in entries]})
        case StateWanted(known):
            return _encode({"v": _VERSION, "t": "state?", "b": known if any(known) else None})
        case MessagesGone((entry,)):
            return _encode({"v": _VERSION, "t": "gone", "b": row_of(entry)})
        case MessagesGone(entries):
            return _encode({"v": _VERSION, "t": "gone+", "b": [row_of(entry) for entry in entries]})


def _records_of(payload: bytes) -> Records:
    rows = _records(payload).b
    return Records(tuple(Record(kind, subject, stamp, DeviceId(by), value) for kind, subject, stamp, by, value in rows))


def _wanted_of(payload: bytes) -> StateWanted:
    return StateWanted(_wanted(payload).b or bytes(KNOWN_SIZE_BYTES))


def _gone_of(payload: bytes) -> MessagesGone:
    return MessagesGone((_gone_from(_gone(payload).b),))


def _messages_gone_of(payload: bytes) -> MessagesGone:
    return MessagesGone(tuple(map(_gone_from, _messages_gone(payload).b)))


def _gone_from(row: _GoneRow) -> Gone:
    conversation, target, opened = row
    return Gone(ConversationId(conversation), MessageId(target), opened)


OWN_STATE_READERS: Final[dict[str, Callable[[bytes], OwnState]]] = {
    "state": _records_of,
    "state?": _wanted_of,
    "gone": _gone_of,
    "gone+": _messages_gone_of,
}
"""How the body of each type is read; raises what `msgspec` raises."""
