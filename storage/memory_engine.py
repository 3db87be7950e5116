"""The engine of tests and simulations: the same semantics as LMDB's, without a disk."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from storage.engine import Batch, EngineStatistics, Table
from storage.errors import EngineError, EngineFullError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

PAIR_OVERHEAD_BYTES = 16


class _Sorted:
    """One table: keys in order beside a dict."""

    __slots__ = ("keys", "size_bytes", "values")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.values: dict[bytes, bytes] = {}
        self.size_bytes = 0

    def copy(self) -> _Sorted:
        twin = _Sorted()
        twin.keys, twin.values, twin.size_bytes = list(self.keys), dict(self.values), self.size_bytes
        return twin

    def put(self, key: bytes, value: bytes) -> None:
        old = self.values.get(key)
        if old is None:
            if self.keys and key < self.keys[-1]:
                insort(self.keys, key)
            else:
                self.keys.append(key)
            self.size_bytes += len(key) + PAIR_OVERHEAD_BYTES
        else:
            self.size_bytes -= len(old)
        self.values[key] = value
        self.size_bytes += len(value)

    def delete(self, key: bytes) -> None:
        old = self.values.pop(key, None)
        if old is not None:
            del self.keys[bisect_left(self.keys, key)]
            self.size_bytes -= len(key) + len(old) + PAIR_OVERHEAD_BYTES

    def delete_range(self, start: bytes, stop: bytes) -> None:
        first, last = bisect_left(self.keys, start), bisect_left(self.keys, stop)
        for key in self.keys[first:last]:
            self.size_bytes -= len(key) + len(self.values.pop(key)) + PAIR_OVERHEAD_BYTES
        del self.keys[first:last]


class MemoryPrepared:
    """A batch on its way into a memory engine."""

    __slots__ = ("_engine", "batch")

    def __init__(self, engine: MemoryEngine, batch: Batch) -> None:
        self._engine = engine
        self.batch = batch

    def commit(self) -> None:
        """Apply the batch."""
        self._engine.apply(self.batch)

    def abandon(self) -> None:
        """Forget the batch, as when its commit failed."""
        self._engine.abandon()

    def tear(self, tables: Collection[Table]) -> None:
        """Apply only the part of the batch that lies in these tables, as when a crash came between two nouns."""
        self._engine.apply(self.batch, tables)


class MemoryEngine:
    """Ordered keys in memory.

    Args:
        size_bytes_max: Where `EngineFullError` begins.
        free_space_bytes: What `statistics` tells of the imagined file system.
    """

    __slots__ = ("_commits", "_in_flight", "_tables", "free_space_bytes", "size_bytes_max")

    def __init__(self, size_bytes_max: int = 1 << 40, free_space_bytes: int = 1 << 40) -> None:
        self.size_bytes_max = size_bytes_max
        self.free_space_bytes = free_space_bytes
        self._tables = {table: _Sorted() for table in Table}
        self._in_flight = False
        self._commits = 0

    def prepare(self, batch: Batch) -> MemoryPrepared:
        """Check a batch and keep it for its commit.

        Raises:
            EngineFullError: It would not fit.
            EngineError: A batch is in flight, or the appends are out of order.
        """
        self._check_idle()
        growth = sum(len(key) + len(value) for key, value in batch.appends)
        growth += sum(len(key) + len(value) for _, key, value in batch.puts)
        if growth and self._used_bytes() + growth > self.size_bytes_max:
            raise EngineFullError("the memory engine's size limit", self.size_bytes_max)
        self._check_order(batch)
        self._in_flight = True
        return MemoryPrepared(self, batch)

    def apply(self, batch: Batch, tables: Collection[Table] = tuple(Table)) -> None:
        """Apply a prepared batch; with `tables`, only the part of it that a crash let through."""
        self._in_flight = False
        self._commits += 1
        for table, start, stop in batch.delete_ranges:
            if table in tables:
                self._tables[table].delete_range(start, stop)
        for table, key in batch.deletes:
            if table in tables:
                self._tables[table].delete(key)
        for table, key, value in batch.puts:
            if table in tables:
                self._tables[table].put(key, value)
        if Table.JOURNAL in tables:
            for key, value in batch.appends:
                self._tables[Table.JOURNAL].put(key, value)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the durable value under a key, or None."""
        self._check_idle()
        return self._tables[table].values.get(key)

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the durable value under each of these keys, or None."""
        return [self.get(table, key) for key in keys]

    def scan(
        self, table: Table, start: bytes, stop: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` keys and values with start <= key < stop, in key order or in reverse."""
        self._check_idle()
        content = self._tables[table]
        first, last = bisect_left(content.keys, start), bisect_left(content.keys, stop)
        keys = content.keys[max(first, last - limit) : last][::-1] if reverse else content.keys[first:last][:limit]
        return [(key, content.values[key]) for key in keys]

    def statistics(self) -> EngineStatistics:
        """Return how full the engine is."""
        size = self.size_bytes_max
        return EngineStatistics(self._used_bytes(), size, size, self.free_space_bytes, self._commits)

    def measure(self) -> None:
        """Nothing to do: `statistics` always knows."""

    def crash(self) -> MemoryEngine:
        """Return what a restart finds: a new engine that holds the committed batches only."""
        survivor = MemoryEngine(self.size_bytes_max, self.free_space_bytes)
        survivor._tables = {table: content.copy() for table, content in self._tables.items()}
        return survivor

    def abandon(self) -> None:
        """Forget the batch in flight, as when its commit failed."""
        self._in_flight = False

    def close(self) -> None:
        """Forget the batch in flight; the content stays readable for tests."""
        self._in_flight = False

    def _used_bytes(self) -> int:
        return sum(content.size_bytes for content in self._tables.values())

    def _check_idle(self) -> None:
        if self._in_flight:
            raise EngineError("the engine was used while a commit was in flight")

    def _check_order(self, batch: Batch) -> None:
        keys = self._tables[Table.JOURNAL].keys
        last = keys[-1] if keys else b""
        for key, _ in batch.appends:
            if key <= last:
                raise EngineError("journal appends out of key order")
            last = key
