"""The META table: schema version, the journal's head, the outbox's parked position, epochs and cursors.

Keys: b"schema", b"head", b"parked", b"epoch" shard, b"cursor" target source. Values: eight bytes, big-endian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.engine import Batch, Engine, Table, commit_now, prefix_stop
from storage.errors import StoreCorruptError, StoreVersionError
from storage.records import SCHEMA_VERSION, key_position, position_key

if TYPE_CHECKING:
    from storage.memtable import Memtable

SCHEMA_KEY: Final = b"schema"
HEAD_KEY: Final = b"head"
PARKED_KEY: Final = b"parked"
_EPOCH = b"epoch"
_CURSOR = b"cursor"


def check_schema(engine: Engine) -> None:
    """Check that this program reads the store, and mark a new store with its version.

    Raises:
        StoreVersionError: A newer Roost wrote it.
        StoreCorruptError: Its version is no number.
        EngineError: The disk failed.
    """
    value = engine.get(Table.META, SCHEMA_KEY)
    if value is None:
        commit_now(engine, Batch(puts=[(Table.META, SCHEMA_KEY, position_key(SCHEMA_VERSION))]))
    elif (version := key_position(value)) > SCHEMA_VERSION:
        raise StoreVersionError(version, SCHEMA_VERSION)
    elif not version:
        raise StoreCorruptError("the store's own table", "it does not say which schema it has")


def read_meta(engine: Engine, memtable: Memtable) -> None:
    """Fill head, epochs and cursors of a new memtable.

    Raises:
        StoreCorruptError: One of them cannot be read.
    """
    head = engine.get(Table.META, HEAD_KEY)
    memtable.head = key_position(head) if head is not None else 0
    parked = engine.get(Table.META, PARKED_KEY)
    memtable.parked = key_position(parked) if parked is not None else 0
    for key, value in engine.scan(Table.META, _EPOCH, prefix_stop(_EPOCH), 1 << 16):
        (shard,) = _shards(key, _EPOCH, 1)
        memtable.epochs[shard] = key_position(value)
    for key, value in engine.scan(Table.META, _CURSOR, prefix_stop(_CURSOR), 1 << 16):
        target, source = _shards(key, _CURSOR, 2)
        memtable.cursors[target, source] = key_position(value)


def _shards(key: bytes, prefix: bytes, count: int) -> bytes:
    """The shards that a key names behind its prefix."""
    if len(key) != len(prefix) + count:
        raise StoreCorruptError("the store's own table", f"a key of {len(key)} bytes that begins as {prefix.decode()}")
    return key[len(prefix) :]


def write_meta(batch: Batch, memtable: Memtable, head: int) -> None:
    """Add to a batch the new head, and the epochs and cursors that changed."""
    for shard in memtable.dirty_epochs:
        batch.puts.append((Table.META, _EPOCH + bytes((shard,)), position_key(memtable.epochs[shard])))
    for cursor in memtable.dirty_cursors:
        batch.puts.append((Table.META, _CURSOR + bytes(cursor), position_key(memtable.cursors[cursor])))
    batch.puts.append((Table.META, HEAD_KEY, position_key(head)))


def write_parked(batch: Batch, position: int) -> None:
    """Add to a batch that untaken outbox records up to a position are in the OUTBOX table."""
    batch.puts.append((Table.META, PARKED_KEY, position_key(position)))
