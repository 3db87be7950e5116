"""The outbox: records that not every target shard has taken; hot ones in the memtable, older ones in the OUTBOX table.

Key of the table: shard, position. Value: eight bytes with a bit for each target shard that remains, then the record.
A dead neighbour's part waits there without holding the journal, and without holding memory.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import TYPE_CHECKING, Final

from storage.engine import Batch, Engine, Table
from storage.errors import StoreCorruptError
from storage.records import Accepted, Removed, decode_record, encode_record

if TYPE_CHECKING:
    from storage.memtable import Memtable, OutboxJob, OutboxRecord

MASK_SIZE_BYTES: Final = 32
PAGE_RECORDS: Final = 256
_key = Layout(">BQ")


def outbox_key(shard: int, position: int) -> bytes:
    """Return the key of an outbox record."""
    return _key.pack(shard, position)


class Outbox:
    """Both halves of the outbox.

    Args:
        engine: Where the older half is.
        memtable: Where the hot half is.
    """

    __slots__ = ("_engine", "_memtable", "taken_later")

    def __init__(self, engine: Engine, memtable: Memtable) -> None:
        self._engine = engine
        self._memtable = memtable
        self.taken_later: dict[tuple[int, int], int] = {}
        """By (shard, position) in the table: the target shards that took their part since it was written there."""

    def taken(self, shard: int, position: int, target_shard: int) -> None:
        """Note that a target shard durably took its part of a record."""
        if not self._memtable.taken(shard, position, target_shard):
            key = (shard, position)
            self.taken_later[key] = self.taken_later.get(key, 0) | 1 << target_shard
        if (changes := self._memtable.watches.get(shard)) is not None:
            changes.note_job(position)

    def forget_shard(self, shard: int) -> None:
        """Forget what was taken of a shard that has gone."""
        for key in [key for key in self.taken_later if key[0] == shard]:
            del self.taken_later[key]

    def read(self, shard: int, after: int, limit: int) -> list[tuple[int, OutboxRecord]]:
        """Return up to `limit` records behind a position that some target has yet to take, in order."""
        found = self._read_table(shard, after, limit)
        known = {position for position, _ in found}
        hot = [
            (position, job.record)
            for position, job in self._memtable.outbox.items()
            if job.shard == shard and position > after and position not in known
        ]
        return sorted(found + hot, key=_position_of)[:limit]

    def _read_table(self, shard: int, after: int, limit: int) -> list[tuple[int, OutboxRecord]]:
        found: list[tuple[int, OutboxRecord]] = []
        while len(found) < limit:
            pairs = self._engine.scan(
                Table.OUTBOX, outbox_key(shard, after + 1), outbox_key(shard, (1 << 64) - 1), PAGE_RECORDS
            )
            for key, value in pairs:
                after = _position(key)
                if _mask(value) & ~self.taken_later.get((shard, after), 0):
                    found.append((after, _record(value)))
            if len(pairs) < PAGE_RECORDS:
                break
        return found[:limit]

    def park(self, batch: Batch, position: int, job: OutboxJob) -> None:
        """Add to a batch what writes a hot record to the table."""
        batch.puts.append((Table.OUTBOX, outbox_key(job.shard, position), self.value(job)))

    @staticmethod
    def value(job: OutboxJob) -> bytes:
        """Return a hot record as it lies in the table."""
        return job.remaining.to_bytes(MASK_SIZE_BYTES, "big") + encode_record(job.shard, job.record)

    def untaken(self, key: bytes, value: bytes) -> bytes:
        """Return the value of a record in the table without what was taken since; empty when nothing remains."""
        remaining = _mask(value) & ~self.taken_later.get((key[0], _position(key)), 0)
        return remaining.to_bytes(MASK_SIZE_BYTES, "big") + value[MASK_SIZE_BYTES:] if remaining else b""

    def settle(self, batch: Batch, shard: int, position: int, taken: int) -> None:
        """Add to a batch what takes the given target shards off a record in the table."""
        key = outbox_key(shard, position)
        value = self._engine.get(Table.OUTBOX, key)
        if value is None:
            return
        remaining = _mask(value) & ~taken
        if remaining:
            batch.puts.append((Table.OUTBOX, key, remaining.to_bytes(MASK_SIZE_BYTES, "big") + value[MASK_SIZE_BYTES:]))
        else:
            batch.deletes.append((Table.OUTBOX, key))


def _position(key: bytes) -> int:
    if len(key) != _key.size:
        raise StoreCorruptError("the outbox", f"a key has {len(key)} bytes")
    position: int = _key.unpack(key)[1]
    return position


def check_outbox(shard: int, key: bytes, value: bytes) -> int:
    """Return the position of a stored outbox record that came from elsewhere.

    Raises:
        StoreCorruptError: It is none of this shard.
    """
    position = check_outbox_key(shard, key)
    _mask(value)
    _record(value)
    if value[MASK_SIZE_BYTES + 1] != shard:
        raise StoreCorruptError("the outbox", f"a record of another shard than {shard}")
    return position


def check_outbox_key(shard: int, key: bytes) -> int:
    """Return the position that a key from elsewhere stands for.

    Raises:
        StoreCorruptError: It is none of this shard.
    """
    position = _position(key)
    if key[0] != shard:
        raise StoreCorruptError("the outbox", f"a record of another shard than {shard}")
    return position


def _mask(value: bytes) -> int:
    if len(value) < MASK_SIZE_BYTES:
        raise StoreCorruptError("the outbox", f"a value has {len(value)} bytes")
    return int.from_bytes(value[:MASK_SIZE_BYTES], "big")


def _record(value: bytes) -> OutboxRecord:
    record = decode_record(value[MASK_SIZE_BYTES:])[1]
    if not isinstance(record, Accepted) and not (isinstance(record, Removed) and record.notices):
        raise StoreCorruptError("the outbox", f"it holds a {type(record).__name__} that nobody is to be told of")
    return record


def _position_of(pair: tuple[int, OutboxRecord]) -> int:
    return pair[0]
