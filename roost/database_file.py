"""The file of a database: locked by one program, opened for its owner only, and brought up to the present version."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from roost.errors import AccountInUseError, StoreError, StoreNewerError
from roost.schema import SCHEMA, SCHEMA_VERSION, UPGRADES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["UNREADABLE", "is_older", "locked", "opened", "write_failed"]

_BUSY_WAIT_S: Final = 5.0
UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""The second is what Python makes of an error in which SQLite quotes a damaged name."""


def locked(path: Path) -> int:
    """Return the descriptor of a lock that this process alone has, until it is closed.

    Raises:
        AccountInUseError: another process has it.
        StoreError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"The folder {path.parent} cannot be written: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise AccountInUseError(
            f"Another Roost program on this computer is using {path.name}. Close it first; one device has one program."
        ) from error
    return lock


def opened(
    path: Path, upgraded: Callable[[sqlite3.Connection], None], *, read_only: bool, durable: bool = True
) -> sqlite3.Connection:
    """Open a database, made if it is missing, and upgraded if an earlier version wrote it.

    Args:
        path: the file.
        upgraded: reads again, after an upgrade and in its transaction, what an earlier version did not understand.
        read_only: only look; then an older database is an error.
        durable: whether a step outlives a kill and a power cut; without, either may ruin the file.

    Raises:
        StoreNewerError: a newer version of Roost wrote it.
        StoreError: it cannot be opened or is no database.
    """
    try:
        if not read_only:
            # Made by us and not by SQLite, so that the secret key is never readable by others.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(
            path, timeout=_BUSY_WAIT_S, isolation_level=None, check_same_thread=False, cached_statements=64
        )
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The database {path} cannot be opened: {error}.") from error
    try:
        _prepare(database, path, upgraded, read_only=read_only, durable=durable)
    except UNREADABLE as error:
        database.close()
        raise StoreError(f"The file {path} cannot be read as a Roost database: {error}. Restore a copy.") from error
    except StoreError:
        database.close()
        raise
    return database


def is_older(path: Path) -> bool:
    """Return whether an earlier version wrote a database, so that it has to be upgraded before it can be read."""
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_WAIT_S)) as database:
            return _version(database) in UPGRADES
    except UNREADABLE:
        return False  # whoever opens it is told what is wrong


def _version(database: sqlite3.Connection) -> int:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    assert isinstance(version, int)
    return version


def _prepare(
    database: sqlite3.Connection,
    path: Path,
    upgraded: Callable[[sqlite3.Connection], None],
    *,
    read_only: bool,
    durable: bool,
) -> None:
    version = _version(database)
    if version > SCHEMA_VERSION:
        raise StoreNewerError(
            f"The database {path} was written by a newer version of Roost (its format is {version}, this version "
            f"knows {SCHEMA_VERSION}). Update Roost; the file was not touched."
        )
    if version < 0:
        raise sqlite3.DatabaseError(f"its format has the number {version}")
    if read_only:
        database.execute("PRAGMA query_only = ON")
        return
    if durable:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    else:
        database.execute("PRAGMA journal_mode = MEMORY")
        database.execute("PRAGMA synchronous = OFF")
    # What is deleted is overwritten: a message that has disappeared must not be found in the file.
    database.execute("PRAGMA secure_delete = ON")
    if version == 0:
        database.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
    elif version < SCHEMA_VERSION:
        _upgrade(database, version, upgraded)


def _upgrade(database: sqlite3.Connection, version: int, upgraded: Callable[[sqlite3.Connection], None]) -> None:
    steps = "".join(UPGRADES[step] for step in range(version, SCHEMA_VERSION))
    try:
        database.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION};")
        upgraded(database)
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def write_failed(path: Path, error: Exception) -> str:
    """Return why nothing could be stored, for a person to read."""
    if "full" in str(error):
        return f"The disk with {path} is full. Make room; nothing that was stored is lost."
    return f"The database {path} could not be written: {error}."
