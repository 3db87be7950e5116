"""Which devices lack which of our messages, as facts of the database; and what each of these messages said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import msgspec

from protocol.messages.shared import U63, AccountField, ConversationField, DeviceField, MessageIdField
from roost.changes import Missed
from roost.content import Deletion, Edit, Reaction, encode_operation
from roost.events import DeviceMissed
from roost.operations import RegisterKind
from roost.rows import FactRow, checked
from roost.schema import SENT

if TYPE_CHECKING:
    import sqlite3

    from protocol import AccountId
    from roost.content import Operation

__all__ = ["MISSED_MAX", "all_known_lists", "all_missed", "forget", "found", "lists_fact", "note"]

MISSED_MAX: Final = 1_024
"""Messages that wait to be brought to a device; what comes beyond them another device of ours may bring."""
_MISSED: Final = "missed "
_LISTS: Final = "lists of "
_Lists: TypeAlias = Annotated[list[U63], msgspec.Meta(min_length=1, max_length=2)]
_MissedRow: TypeAlias = tuple[ConversationField, U63, AccountField, DeviceField]
_OperationRow: TypeAlias = tuple[MessageIdField, RegisterKind, str]

_encode = msgspec.msgpack.Encoder().encode
_decode_missed = msgspec.msgpack.Decoder(_MissedRow).decode
_decode_lists = msgspec.msgpack.Decoder(_Lists).decode


def lists_fact(conversation: str) -> str:
    """The name of the fact that says for which device lists messages of a conversation were made last."""
    return _LISTS + conversation


def all_known_lists(database: sqlite3.Connection) -> dict[str, tuple[int, ...]]:
    """Return these lists by conversation; one that cannot be read is not known, and the server tells it again."""
    found: dict[str, tuple[int, ...]] = {}
    for name, value in _facts(database, _LISTS):
        try:
            found[name[len(_LISTS) :]] = tuple(_decode_lists(value))
        except ValueError:
            continue
    return found


def _facts(database: sqlite3.Connection, prefix: str) -> list[tuple[str, bytes]]:
    rows = database.execute(
        "SELECT name, value FROM facts WHERE name >= ? AND name < ? ORDER BY name", (prefix, prefix + "\U0010ffff")
    ).fetchall()
    facts: list[tuple[str, bytes]] = checked(rows, list[tuple[str, bytes]])
    return facts


def all_missed(database: sqlite3.Connection) -> dict[Missed, None]:
    """Return what is to be brought to whom, in order; what cannot be read is left to our other devices."""
    found: dict[Missed, None] = {}
    for _, value in _facts(database, _MISSED):
        try:
            found[Missed(*_decode_missed(value))] = None
        except ValueError:
            continue
    return found


def note(database: sqlite3.Connection, missed: Missed) -> None:
    """Remember it."""
    value = _encode((missed.conversation, missed.seq, missed.account, missed.device))
    database.execute("INSERT OR IGNORE INTO facts (name, value) VALUES (?, ?)", (_name(missed), value))


def forget(database: sqlite3.Connection, missed: Missed) -> None:
    """It was brought, or never can be."""
    database.execute("DELETE FROM facts WHERE name = ?", (_name(missed),))


def _name(missed: Missed) -> str:
    return f"{_MISSED}{missed.conversation} {missed.seq} {missed.account} {missed.device.hex()}"


def found(database: sqlite3.Connection, account: AccountId, missed: Missed) -> DeviceMissed | None:
    """Return it with what the message said; None if that is not here, or not any more.

    Args:
        database: where it stands.
        account: who we are.
        missed: what is missed.
    """
    row = database.execute(
        f"SELECT payload FROM messages WHERE conversation = ? AND seq = ? AND sender = ? AND state = {SENT}",
        (missed.conversation, missed.seq, account),
    ).fetchone()
    if row is not None:
        (payload,) = checked(row, FactRow)
        return DeviceMissed(missed, payload) if payload else None
    row = database.execute(
        "SELECT target, kind, value FROM operations WHERE conversation = ? AND seq = ? AND account = ? AND kind != ?",
        (missed.conversation, missed.seq, account, RegisterKind.HIDDEN),
    ).fetchone()
    return None if row is None else DeviceMissed(missed, encode_operation(_operation(*checked(row, _OperationRow))))


def _operation(target: MessageIdField, kind: RegisterKind, value: str) -> Operation:
    match kind:
        case RegisterKind.REACTION:
            return Reaction(target, value)
        case RegisterKind.EDIT:
            return Edit(target, value)
        case _:
            return Deletion(target)
