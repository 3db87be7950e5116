"""The registers of messages as rows: what each account did to a message, whether or not the message is here yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.limits import NUMBER_MAX
from roost.content import Deletion, Edit, Reaction, decode_content
from roost.operations import Register, RegisterKind, counts, merged, register_of
from roost.rows import RegisterRow, SaidRow, checked
from roost.schema import PENDING

if TYPE_CHECKING:
    import sqlite3

    from protocol import AccountId, MessageId

__all__ = ["ORPHANS_MAX", "adopt", "deleted_by", "drop_text", "forget", "keep", "pending_registers", "registers_of"]

ORPHANS_MAX: Final = 256
"""Operations of a conversation kept for messages that have not come; beyond these the oldest go."""

_VALUES: Final = "account, kind, seq, value"


def registers_of(database: sqlite3.Connection, conversation: str, target: bytes) -> list[Register]:
    """Return what was done to a message."""
    rows = database.execute(
        f"SELECT {_VALUES} FROM operations WHERE conversation = ? AND target = ?", (conversation, target)
    ).fetchall()
    return [Register(*checked(row, RegisterRow)) for row in rows]


def pending_registers(database: sqlite3.Connection, conversation: str, target: bytes) -> list[Register]:
    """Return what we did to a message and the server does not have yet: later than all that it has."""
    rows = database.execute(
        f"SELECT sender, payload FROM messages WHERE conversation = ? AND target = ? AND state = {PENDING} ORDER BY id",
        (conversation, target),
    ).fetchall()
    found: dict[RegisterKind, Register] = {}
    for account, payload in checked(rows, list[SaidRow]):
        content = decode_content(payload)
        if isinstance(content, Reaction | Edit | Deletion):
            register = register_of(content, account, NUMBER_MAX, None)
            if register is not None:
                found[register.kind] = register
    return list(found.values())


def keep(
    database: sqlite3.Connection, conversation: str, target: MessageId, register: Register, *, orphan: bool
) -> bool:
    """Merge a register into what is kept; return whether that changed anything."""
    row = database.execute(
        f"SELECT {_VALUES} FROM operations WHERE conversation = ? AND target = ? AND account = ? AND kind = ?",
        (conversation, target, register.account, register.kind),
    ).fetchone()
    before = Register(*checked(row, RegisterRow)) if row else None
    if merged(before, register) is before:
        return False
    database.execute(
        "INSERT INTO operations (conversation, target, account, kind, seq, value, orphan) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (conversation, target, account, kind) DO UPDATE SET seq = excluded.seq, value = excluded.value",
        (conversation, target, register.account, register.kind, register.seq, register.value, orphan),
    )
    if orphan:
        database.execute(
            "DELETE FROM operations WHERE conversation = ? AND orphan = 1 AND id <= ifnull((SELECT id FROM operations"
            f" WHERE conversation = ? AND orphan = 1 ORDER BY id DESC LIMIT 1 OFFSET {ORPHANS_MAX}), 0)",
            (conversation, conversation),
        )
    return True


def adopt(
    database: sqlite3.Connection, conversation: str, target: MessageId, sender: AccountId, account: AccountId
) -> list[Register]:
    """The message has come: keep what its sender may do to it, and what all may, and return it in order.

    Args:
        database: the account's.
        conversation: where the message is.
        target: its id.
        sender: who wrote it.
        account: our own, which may hide everything.
    """
    found = registers_of(database, conversation, target)
    if not found:
        return []
    database.execute(
        "UPDATE operations SET orphan = 0 WHERE conversation = ? AND target = ? AND orphan = 1", (conversation, target)
    )
    kept = []
    for register in found:
        if counts(register, sender) or (register.kind is RegisterKind.HIDDEN and register.account == account):
            kept.append(register)
        else:
            database.execute(
                "DELETE FROM operations WHERE conversation = ? AND target = ? AND account = ? AND kind = ?",
                (conversation, target, register.account, register.kind),
            )
    return sorted(kept, key=lambda register: register.seq)


def deleted_by(database: sqlite3.Connection, conversation: str, target: bytes, sender: AccountId) -> bool:
    """Return whether its author has deleted a message."""
    return (
        database.execute(
            f"SELECT 1 FROM operations WHERE conversation = ? AND target = ? AND kind = {RegisterKind.DELETION:d}"
            " AND account = ?",
            (conversation, target, sender),
        ).fetchone()
        is not None
    )


def drop_text(database: sqlite3.Connection, conversation: str, target: MessageId) -> None:
    """Forget everything but who deleted a message."""
    database.execute(
        f"DELETE FROM operations WHERE conversation = ? AND target = ? AND kind IN ({RegisterKind.EDIT:d},"
        f" {RegisterKind.REACTION:d})",
        (conversation, target),
    )


def forget(database: sqlite3.Connection, conversation: str, target: bytes) -> None:
    """Forget all that was done to a message which is itself forgotten; that it is hidden stays."""
    database.execute(
        f"DELETE FROM operations WHERE conversation = ? AND target = ? AND kind != {RegisterKind.HIDDEN:d}",
        (conversation, target),
    )
