"""What our own devices tell each other: archived and muted chats, names, settings, and which messages are gone for us.

It travels as messages in the conversation with oneself, which go to every other device and wait for those that are off,
and is never shown. A record is a last-writer-wins register ordered by a Lamport clock (L. Lamport, "Time, Clocks, and
the Ordering of Events in a Distributed System", CACM 21/7, 1978): a device stamps a change with one more than every
stamp it has seen, so a change made in knowledge of another one always wins; of two that knew nothing of each other the
greater (stamp, device, value) wins, on every device the same. That is a maximum over a total order, hence commutative,
associative and idempotent. What is gone for us only grows, so it needs no stamp at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from protocol import ConversationId, DeviceId, MessageId
from protocol.limits import ADDRESS_LENGTH_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "OWN_STATE_READERS",
    "RECORDS_MAX",
    "RECORDS_PER_MESSAGE_MAX",
    "SUBJECT_LENGTH_MAX",
    "VALUE_LENGTH_MAX",
    "Gone",
    "OwnState",
    "Record",
    "RecordKind",
    "Records",
    "StateWanted",
    "encode_own_state",
    "later",
]

RECORDS_MAX: Final = 20_000
"""Records kept; further ones are not, because only a device of ours that has lost its wits makes so many."""
RECORDS_PER_MESSAGE_MAX: Final = 32
"""With the two below, a message stays under what every server takes."""
SUBJECT_LENGTH_MAX: Final = 2 * ADDRESS_LENGTH_MAX + 1
VALUE_LENGTH_MAX: Final = 256
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
    """A new device of ours asks the others for everything."""


@dataclass(frozen=True, slots=True)
class Gone:
    """A message is gone for us: deleted, or shown once and opened."""

    conversation: ConversationId
    target: MessageId
    opened: bool


OwnState = Records | StateWanted | Gone


def later(one: Record | None, other: Record) -> Record:
    """Return which of two values of a record stands: the same whatever their order."""
    return other if one is None or one < other else one


_Kind = Annotated[str, Meta(min_length=1, max_length=32)]
_Subject = Annotated[str, Meta(max_length=SUBJECT_LENGTH_MAX)]
_Value = Annotated[str, Meta(max_length=VALUE_LENGTH_MAX)]
_Stamp = Annotated[int, Meta(ge=0, le=_STAMP_MAX)]
_Sixteen = Annotated[bytes, Meta(min_length=16, max_length=16)]
_Row = tuple[_Kind, _Subject, _Stamp, _Sixteen, _Value]


class _Records(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: Annotated[list[_Row], Meta(max_length=RECORDS_PER_MESSAGE_MAX)]


class _Wanted(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: None


class _Gone(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: tuple[_Subject, _Sixteen, bool]


_encode = msgspec.msgpack.Encoder().encode
_records = msgspec.msgpack.Decoder(_Records).decode
_wanted = msgspec.msgpack.Decoder(_Wanted).decode
_gone = msgspec.msgpack.Decoder(_Gone).decode


def encode_own_state(state: OwnState) -> bytes:
    """Return the payload that tells our other devices."""
    match state:
        case Records(records):
            rows: list[_Row] = [(one.kind, one.subject, one.stamp, one.device, one.value) for one in records]
            return _encode(_Records(_VERSION, "state", rows))
        case StateWanted():
            return _encode(_Wanted(_VERSION, "state?", None))
        case Gone(conversation, target, opened):
            return _encode(_Gone(_VERSION, "gone", (conversation, target, opened)))


def _records_of(payload: bytes) -> Records:
    rows = _records(payload).b
    return Records(tuple(Record(kind, subject, stamp, DeviceId(by), value) for kind, subject, stamp, by, value in rows))


def _wanted_of(payload: bytes) -> StateWanted:
    _wanted(payload)
    return StateWanted()


def _gone_of(payload: bytes) -> Gone:
    conversation, target, opened = _gone(payload).b
    return Gone(ConversationId(conversation), MessageId(target), opened)


OWN_STATE_READERS: Final[dict[str, Callable[[bytes], OwnState]]] = {
    "state": _records_of,
    "state?": _wanted_of,
    "gone": _gone_of,
}
"""How the body of each type is read; raises what `msgspec` raises."""
