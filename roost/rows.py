"""Rows as SQLite gives them, checked: in a damaged file a column may hold anything, whatever the schema says."""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from protocol import InviteId
from protocol.messages.shared import (
    U32,
    U63,
    AccountField,
    ClientIdField,
    ConversationField,
    DeviceField,
    MessageIdField,
    Text,
)
from roost.group import Role, Standing
from roost.operations import RegisterKind

__all__ = [
    "ChatRow",
    "FactRow",
    "GroupInviteRow",
    "GroupMemberRow",
    "GroupRow",
    "LandingRow",
    "MarksRow",
    "MessageRow",
    "NamedRow",
    "NoticeRow",
    "NumberRow",
    "PendingRow",
    "PlaceRow",
    "QuotedRow",
    "RecordRow",
    "RegisterRow",
    "SaidRow",
    "SeenRow",
    "SenderRow",
    "TimeRow",
    "TimerRow",
    "checked",
]

SENTENCE_LENGTH_MAX: Final = 4_096
_Place: TypeAlias = Annotated[int, Meta(ge=0)]
_Device: TypeAlias = Annotated[bytes, Meta(max_length=16)]
_Invite: TypeAlias = Annotated[InviteId, Meta(max_length=16)]
_Sentence: TypeAlias = Annotated[str, Meta(max_length=SENTENCE_LENGTH_MAX)]

FactRow: TypeAlias = tuple[bytes]
PlaceRow: TypeAlias = tuple[_Place]
NumberRow: TypeAlias = tuple[ConversationField, U63]
PendingRow: TypeAlias = tuple[ConversationField, ClientIdField, U63, bytes, U32, U32]
SeenRow: TypeAlias = tuple[MessageIdField]
MarksRow: TypeAlias = tuple[ConversationField, U63, U63, U63, U63, U63, U63]
NoticeRow: TypeAlias = tuple[AccountField, DeviceField, U63]
ChatRow: TypeAlias = tuple[ConversationField, U63, U63]


class LandingRow(msgspec.Struct, frozen=True, array_like=True):
    """A message that lands; a class, for every message is checked and msgspec learns a class only once."""

    id: int
    conversation: ConversationField
    seq: U63
    client_id: ClientIdField | None
    message_id: MessageIdField
    sender: AccountField
    time_ms: U63
    flags: U32
    payload: bytes


NamedRow: TypeAlias = tuple[ConversationField, ClientIdField | None, MessageIdField | None]
SenderRow: TypeAlias = tuple[int, ClientIdField | None, MessageIdField, AccountField, U32]
RecordRow: TypeAlias = tuple[str, str, _Place, DeviceField, str]
GoneRow: TypeAlias = tuple[ConversationField, MessageIdField, str]
RegisterRow: TypeAlias = tuple[AccountField, RegisterKind, U63, str]
SaidRow: TypeAlias = tuple[AccountField, bytes]
QuotedRow: TypeAlias = tuple[AccountField, U32, bytes]
TimerRow: TypeAlias = tuple[ConversationField, U63, U32]
TimeRow: TypeAlias = tuple[U63 | None]
GroupRow: TypeAlias = tuple[ConversationField, Text, U32, U63, U63, Standing, Role]
GroupMemberRow: TypeAlias = tuple[AccountField, Role, U63]
GroupInviteRow: TypeAlias = tuple[_Invite, AccountField, U63, U32]
MessageRow: TypeAlias = tuple[
    int,
    ConversationField,
    U32,
    _Place,
    U63,
    ClientIdField | None,
    MessageIdField | None,
    AccountField,
    _Device,
    U63,
    U32,
    bytes,
    _Sentence,
    U32,
    U63 | None,
    U32,
    U32,
    U32,
    U63 | None,
    U63 | None,
]


def checked(row: object, kind: Any) -> Any:
    """A row, or a list of them, with every column of its type.

    Args:
        row: as SQLite gave it.
        kind: one of the types above, or a list of it.

    Raises:
        sqlite3.DatabaseError: One is not, as if SQLite itself had seen it.
    """
    try:
        return msgspec.convert(row, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise sqlite3.DatabaseError(f"a stored value is not what it should be: {error}") from error
