"""The records that our devices share, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.own_state import RECORDS_MAX, Record, RecordKind, later
from roost.rows import PlaceRow, RecordRow, checked

if TYPE_CHECKING:
    import sqlite3

__all__ = ["all_records", "last_stamp", "merge", "values_of"]

_COLUMNS = "kind, subject, stamp, device, value"


def all_records(database: sqlite3.Connection) -> list[Record]:
    """Return every record."""
    rows = database.execute(f"SELECT {_COLUMNS} FROM records ORDER BY kind, subject").fetchall()
    return [Record(*row) for row in checked(rows, list[RecordRow])]


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
