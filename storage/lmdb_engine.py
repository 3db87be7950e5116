"""The embedded engine: LMDB with its default sync flags.

One process owns the folder (an flock'ed file says so), and the port promises that no read overlaps a commit. So
LMDB's own locks and its table of readers are switched off (`lock=False`): a write transaction may then begin on the
loop thread and be committed in the commit thread, and a killed process leaves no stale reader slot that would keep
pages from being used again. What stays on is every sync: `sync` and `metasync` keep their defaults.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import lmdb

from storage.engine import Batch, EngineStatistics, Table
from storage.errors import EngineError, EngineFullError
from storage.folder_lock import FolderLock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lmdb import Transaction, _Database

DATA_FILE = "data.mdb"
"""LMDB's own name for it; a folder without it holds no data."""

MAP_SIZE_BYTES_MIN = 1 << 20
MAP_SLACK_BYTES = 256 << 10
PAGE_BYTES = 4_096
STATISTICS_EVERY_COMMITS = 32


class LmdbPrepared:
    """A write transaction that holds a whole batch and waits for its commit."""

    __slots__ = ("_batch", "_engine", "_transaction")

    def __init__(self, engine: LmdbEngine, batch: Batch, transaction: Transaction[bytes]) -> None:
        self._engine = engine
        self._batch = batch
        self._transaction = transaction

    def commit(self) -> None:
        """Sync the batch to the disk.

        Raises:
            EngineFullError: There was no room.
            EngineError: The disk failed.
        """
        try:
            try:
                self._transaction.commit()
            except lmdb.MapFullError:
                # The list of free pages itself needed one more page: begin again on a larger map.
                self._engine.write_again(self._batch).commit()
        except lmdb.Error as error:
            raise self._engine.translated(error) from error
        finally:
            self._engine.finished()

    def abandon(self) -> None:
        """Let go of the batch; nothing of it is stored."""
        self._transaction.abort()
        self._engine.finished()


class LmdbEngine:
    """Ordered keys in one LMDB environment.

    Args:
        folder: The data folder; made (mode 0700) where absent.
        size_bytes_max: The map starts small and doubles up to this.
        lock: The folder's lock, where the caller holds it already and keeps it; else the engine has one for its life.

    Raises:
        StoreLockedError: Another process has the folder open.
        EngineError: The folder or the data file cannot be opened.
    """

    __slots__ = (
        "_batch_bytes",
        "_commits",
        "_databases",
        "_environment",
        "_folder",
        "_free_space_bytes",
        "_in_flight",
        "_lock",
        "_map_size_bytes",
        "_size_bytes_max",
        "_transaction",
        "_unmeasured_bytes",
        "_used_bytes",
    )

    def __init__(self, folder: Path, size_bytes_max: int, lock: FolderLock | None = None) -> None:
        self._folder = folder
        self._size_bytes_max = max(size_bytes_max, MAP_SIZE_BYTES_MIN)
        self._in_flight = False
        self._transaction: Transaction[bytes] | None = None
        self._commits = 0
        self._unmeasured_bytes = 0
        self._batch_bytes = 0
        self._lock = FolderLock(folder) if lock is None else None
        try:
            self._open_environment()
        except (OSError, lmdb.Error) as error:
            self._unlock()
            raise EngineError(f"cannot open {folder}: {error}") from error

    def _open_environment(self) -> None:
        data = self._folder / DATA_FILE
        present_bytes = data.stat().st_size if data.exists() else 0
        self._map_size_bytes = MAP_SIZE_BYTES_MIN
        while self._map_size_bytes < present_bytes + MAP_SLACK_BYTES:
            self._map_size_bytes *= 2
        self._map_size_bytes = max(present_bytes, min(self._map_size_bytes, self._size_bytes_max))
        self._environment = lmdb.open(
            str(self._folder),
            map_size=self._map_size_bytes,
            mode=0o700,
            max_dbs=len(Table),
            max_spare_txns=1,
            lock=False,
            readahead=False,
        )
        self._databases: tuple[_Database, ...] = tuple(
            self._environment.open_db(table.name.lower().encode()) for table in Table
        )
        with self._environment.begin() as transaction:
            self._measure(transaction)

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def prepare(self, batch: Batch) -> LmdbPrepared:
        """Write a batch into a new transaction, growing the map where it must.

        Raises:
            EngineFullError: The limit or the file system is met; nothing is stored.
            EngineError: The disk failed, or a batch is in flight already.
        """
        self._check_idle()
        size_bytes = sum(len(value) for _, value in batch.appends) + sum(len(put[2]) for put in batch.puts)
        self._batch_bytes = size_bytes
        self._unmeasured_bytes += size_bytes
        try:
            self._make_room(2 * size_bytes + MAP_SLACK_BYTES)
            transaction = self._write(batch)
            if self._commits % STATISTICS_EVERY_COMMITS == 0 or self._unmeasured_bytes > self._size_bytes_max >> 6:
                self._measure(transaction)
        except lmdb.Error as error:
            raise self.translated(error) from error
        self._in_flight = True
        self._transaction = transaction
        return LmdbPrepared(self, batch, transaction)

    def write_again(self, batch: Batch) -> Transaction[bytes]:
        """Write a batch whose commit met the end of the map, on a larger one; commit half only."""
        if not self._grow():
            raise lmdb.MapFullError("commit")
        return self._write(batch)

    def finished(self) -> None:
        """Note that the commit in flight came to its end, good or bad."""
        self._commits += 1
        self._transaction = None
        self._in_flight = False

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the durable value under a key, or None."""
        self._check_idle()
        try:
            with self._environment.begin() as transaction:
                return transaction.get(key, None, self._databases[table])
        except lmdb.Error as error:
            raise self.translated(error) from error

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the durable value under each of these keys, or None (0.2 us a key; one alone 0.4)."""
        self._check_idle()
        database = self._databases[table]
        try:
            with self._environment.begin() as transaction:
                get = transaction.get
                return [get(key, None, database) for key in keys]
        except lmdb.Error as error:
            raise self.translated(error) from error

    def scan(
        self, table: Table, start: bytes, stop: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` keys and values with start <= key < stop, in key order or in reverse."""
        self._check_idle()
        try:
            with self._environment.begin() as transaction:
                read = _scan_back if reverse else _scan
                return read(transaction, self._databases[table], start, stop, limit)
        except lmdb.Error as error:
            raise self.translated(error) from error

    def statistics(self) -> EngineStatistics:
        """Return how full the engine is, as last measured."""
        return EngineStatistics(
            self._used_bytes, self._size_bytes_max, self._map_size_bytes, self._free_space_bytes, self._commits
        )

    def measure(self) -> None:
        """Measure anew how full the environment and the file system are (12 us)."""
        self._check_idle()
        with self._environment.begin() as transaction:
            self._measure(transaction)

    def close(self) -> None:
        """Close the environment and let go of the folder."""
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None
        self._environment.close()
        self._unlock()

    def translated(self, error: lmdb.Error) -> EngineFullError | EngineError:
        """Return the port's error for one of LMDB's."""
        if isinstance(error, lmdb.MapFullError):
            return EngineFullError("its size limit is reached", self._size_bytes_max)
        code = getattr(error, "code", 0)
        # LMDB reports a short write as EIO; on a file system this full it is for want of space.
        full = code == errno.EIO and self._free_space() < 2 * self._batch_bytes + MAP_SLACK_BYTES
        if full or isinstance(error, lmdb.DiskError) or code in (errno.ENOSPC, errno.EDQUOT):
            return EngineFullError("the file system has no space left", self._size_bytes_max)
        return EngineError(f"{type(error).__name__}: {error}")

    def _check_idle(self) -> None:
        if self._in_flight:
            raise EngineError("the engine was used while a commit was in flight")

    def _write(self, batch: Batch) -> Transaction[bytes]:
        while True:
            transaction = self._environment.begin(write=True)
            try:
                self._apply(transaction, batch)
            except lmdb.MapFullError:
                transaction.abort()
                if not self._grow():
                    raise
            except BaseException:
                transaction.abort()
                raise
            else:
                return transaction

    def _apply(self, transaction: Transaction[bytes], batch: Batch) -> None:
        databases = self._databases
        for table, start, stop in batch.delete_ranges:
            cursor = transaction.cursor(databases[table])
            found = cursor.set_range(start)
            while found and cursor.key() < stop:
                found = cursor.delete()
        for table, key in batch.deletes:
            transaction.delete(key, db=databases[table])
        put = transaction.put
        for table, key, value in batch.puts:
            put(key, value, True, True, False, databases[table])
        if batch.appends:
            _, added = transaction.cursor(databases[Table.JOURNAL]).putmulti(batch.appends, append=True)
            if added != len(batch.appends):
                raise EngineError("journal appends out of key order")

    def _make_room(self, growth_bytes: int) -> None:
        end_bytes = (self._environment.info()["last_pgno"] + 1) * PAGE_BYTES
        while end_bytes + growth_bytes > self._map_size_bytes and self._grow():
            pass

    def _grow(self) -> bool:
        if self._map_size_bytes >= self._size_bytes_max:
            return False
        size_bytes = min(2 * self._map_size_bytes, self._size_bytes_max)
        self._environment.set_mapsize(size_bytes)
        self._map_size_bytes = size_bytes
        return True

    def _measure(self, transaction: Transaction[bytes]) -> None:
        pages = 0
        for database in self._databases:
            stat = transaction.stat(database)
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        self._used_bytes = pages * PAGE_BYTES
        self._free_space_bytes = self._free_space()
        self._unmeasured_bytes = 0

    def _free_space(self) -> int:
        file_system = os.statvfs(self._folder)
        return file_system.f_bavail * file_system.f_frsize


def _scan(
    transaction: Transaction[bytes], database: _Database, start: bytes, stop: bytes, limit: int
) -> list[tuple[bytes, bytes]]:
    pairs: list[tuple[bytes, bytes]] = []
    cursor = transaction.cursor(database)
    if limit <= 0 or not cursor.set_range(start):
        return pairs
    for pair in cursor.iternext():
        if pair[0] >= stop:
            break
        pairs.append(pair)
        if len(pairs) == limit:
            break
    return pairs


def _scan_back(
    transaction: Transaction[bytes], database: _Database, start: bytes, stop: bytes, limit: int
) -> list[tuple[bytes, bytes]]:
    pairs: list[tuple[bytes, bytes]] = []
    cursor = transaction.cursor(database)
    found = cursor.prev() if cursor.set_range(stop) else cursor.last()
    while found and len(pairs) < limit and cursor.key() >= start:
        pairs.append(cursor.item())
        found = cursor.prev()
    return pairs
