"""What our devices share, as rows: records, what is gone for us, and what another device wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from roost.operations import OPENED, RegisterKind
from roost.own_state import KNOWN_SIZE_BYTES, RECORDS_MAX, Gone, Record, RecordKind, later
from roost.rows import FactRow, GoneRow, PlaceRow, RecordRow, checked
from roost.state_digest import both_lack

if TYPE_CHECKING:
    import sqlite3

__all__ = ["GONE_MAX", "WANTED", "all_gone", "all_records", "last_stamp", "merge", "values_of", "want"]

GONE_MAX: Final = 20_000
"""So many of what is gone for us are told and compared: those of the latest messages, which are the same everywhere."""
WANTED: Final = "state_wanted"
"""The fact that another device waits for an answer: the digests of what it has, and the `seq` of its question."""
_SEQ_SIZE_BYTES: Final = 8
_COLUMNS: Final = "kind, subject, stamp, device, value"


def all_records(database: sqlite3.Connection) -> list[Record]:
    """Return every record."""
    rows = database.execute(f"SELECT {_COLUMNS} FROM records ORDER BY kind, subject").fetchall()
    return [Record(*row) for row in checked(rows, list[RecordRow])]


def all_gone(database: sqlite3.Connection) -> list[Gone]:
    """Return which messages are gone for us."""
    rows = database.execute(
        f"SELECT conversation, target, value FROM operations WHERE kind = {RegisterKind.HIDDEN:d}"
        f" ORDER BY target DESC, conversation LIMIT {GONE_MAX}"
    ).fetchall()
    return [Gone(where, target, value == OPENED) for where, target, value in checked(rows, list[GoneRow])]


def want(database: sqlite3.Connection, known: bytes, seq: int) -> None:
    """Remember until it is answered that another device wants to know what it does not have.

    Args:
        database: the account's.
        known: the digests of what it has.
        seq: of its question, so that one that comes while an earlier one is answered is another one.
    """
    row = database.execute("SELECT value FROM facts WHERE name = ?", (WANTED,)).fetchone()
    before = checked(row, FactRow)[0] if row else b""
    if len(before) == KNOWN_SIZE_BYTES + _SEQ_SIZE_BYTES:
        known = both_lack(before[:KNOWN_SIZE_BYTES], known)
    value = known + seq.to_bytes(_SEQ_SIZE_BYTES, "big")
    database.execute("INSERT OR REPLACE INTO facts (name, value) VALUES (?, ?)", (WANTED, value))


def values_of(database: sqlite3.Connection, kind: RecordKind) -> dict[str, str]:
    """Return what is not empty of a kind, by its subject."""
    rows = database.execute(f"SELECT {_COLUMNS} FROM records WHERE kind = ? AND value != ''", (kind,)).fetchall()
    return {row[1]: row[4] for row in checked(rows, list[RecordRow])}


def last_stamp(database: sqlite3.Connection) -> int:
    """Return the greatest Lamport time seen."""
    row = database.execute("SELECT ifnull(max(stamp), 0) FROM records").fetchone()
    stamp = checked(row, PlaceRow)[0]
    assert isinstance(stamp, int)
    return stamp


def merge(database: sqlite3.Connection, record: Record) -> bool:
    """Merge a record into what is kept; return whether that changed what it says."""
    row = database.execute(
        f"SELECT {_COLUMNS} FROM records WHERE kind = ? AND subject = ?", (record.kind, record.subject)
    ).fetchone()
    before = Record(*checked(row, RecordRow)) if row else None
    if later(before, record) is before:
        return False
    if before is None:
        count = database.execute("SELECT count(*) FROM records").fetchone()[0]
        if count >= RECORDS_MAX:
            return False
    database.execute(
        f"INSERT INTO records ({_COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, subject) DO UPDATE SET"
        " stamp = excluded.stamp, device = excluded.device, value = excluded.value",
        (record.kind, record.subject, record.stamp, record.device, record.value),
    )
    return (before.value if before else "") != record.value
