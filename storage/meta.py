"""The META table: schema version, the journal's head, the outbox's parked position, epochs, cursors, residences.

Keys: b"schema", b"head", b"parked", b"position", b"epoch" shard, b"left" shard, b"purge" shard, b"cursor" target
source. Values: eight bytes, big-endian. b"gone" shard and b"arrival" shard: MessagePack of `Gone` and `Arrival`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from storage.engine import Batch, Engine, Table, commit_now, prefix_stop
from storage.errors import StoreCorruptError, StoreVersionError
from storage.records import UNREADABLE, key_position, position_key
from storage.residence import Arrival, Gone, Residences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.memtable import Memtable

STORE_VERSION: Final = 5
"""Since 2 several entries of the inbox may refer to one body; since 3 a chat of two is in the shard of one of them;
since 4 what refers to a body does not say when it expires; since 5 a summary may be the entry, too, and nothing is
indexed by its expiry."""
STORE_VERSION_MIN: Final = 5
"""Nobody would find the chats of a store before 3, what waits in one before 4 could not be read, and nobody would
take the index out of one before 5."""
SCHEMA_KEY: Final = b"schema"
HEAD_KEY: Final = b"head"
PARKED_KEY: Final = b"parked"
POSITION_KEY: Final = b"position"
ROWS_KEY: Final = b"rows"
"""In an export only: how many rows came before it."""
_EPOCH = b"epoch"
_CURSOR = b"cursor"
_GONE = b"gone"
_LEFT = b"left"
_ARRIVAL = b"arrival"
_PURGE = b"purge"
WHERE: Final = "the store's own table"

_encode = msgspec.msgpack.Encoder().encode
_decode_gone = msgspec.msgpack.Decoder(Gone).decode
_decode_arrival = msgspec.msgpack.Decoder(Arrival).decode


def check_schema(engine: Engine) -> None:
    """Check that this program reads the store, and mark it with this version, so that none reads it that cannot.

    Raises:
        StoreVersionError: A newer Roost wrote it, or one before the first release.
        StoreCorruptError: Its version is no number.
        EngineError: The disk failed.
    """
    value = engine.get(Table.META, SCHEMA_KEY)
    version = key_position(value) if value is not None else 0
    if value is not None and not version:
        raise StoreCorruptError(WHERE, "it does not say which schema it has")
    if version > STORE_VERSION or (value is not None and version < STORE_VERSION_MIN):
        raise StoreVersionError(version, STORE_VERSION)
    if version < STORE_VERSION:
        commit_now(engine, Batch(puts=[(Table.META, SCHEMA_KEY, position_key(STORE_VERSION))]))


def read_meta(engine: Engine, memtable: Memtable) -> None:
    """Fill head, epochs and cursors of a new memtable.

    Raises:
        StoreCorruptError: One of them cannot be read.
    """
    head = engine.get(Table.META, HEAD_KEY)
    memtable.head = key_position(head) if head is not None else 0
    parked = engine.get(Table.META, PARKED_KEY)
    memtable.parked = key_position(parked) if parked is not None else 0
    for (shard,), value in _read(engine, _EPOCH, 1):
        memtable.epochs[shard] = key_position(value)
    for (target, source), value in _read(engine, _CURSOR, 2):
        memtable.cursors[target, source] = key_position(value)


def read_residences(engine: Engine) -> Residences:
    """Return where the shards live that are not simply held; an arrival that a restart has cut off is void.

    Raises:
        StoreCorruptError: A word of them cannot be read.
    """
    residences = Residences()
    position = engine.get(Table.META, POSITION_KEY)
    residences.position = key_position(position) if position is not None else 0
    residences.left = {shard: key_position(value) for (shard,), value in _read(engine, _LEFT, 1)}
    residences.purging = {shard for (shard,), _ in _read(engine, _PURGE, 1)}
    try:
        residences.gone = {shard: _decode_gone(value) for (shard,), value in _read(engine, _GONE, 1)}
        arrivals = {shard: _decode_arrival(value) for (shard,), value in _read(engine, _ARRIVAL, 1)}
    except UNREADABLE as error:
        raise StoreCorruptError(WHERE, str(error)) from error
    residences.arrivals = {shard: arrival for shard, arrival in arrivals.items() if arrival.complete}
    residences.purging |= arrivals.keys() - residences.arrivals.keys()
    return residences


def _read(engine: Engine, prefix: bytes, count: int) -> Iterator[tuple[bytes, bytes]]:
    """The keys of one kind: the shards that each names behind its prefix, and its value."""
    for key, value in engine.scan(Table.META, prefix, prefix_stop(prefix), 1 << 16):
        if len(key) != len(prefix) + count:
            raise StoreCorruptError(WHERE, f"a key of {len(key)} bytes that begins as {prefix.decode()}")
        yield key[len(prefix) :], value


def write_meta(batch: Batch, memtable: Memtable, head: int) -> None:
    """Add to a batch the new head, and the epochs and cursors that changed."""
    for shard in memtable.dirty_epochs:
        batch.puts.append((Table.META, epoch_key(shard), position_key(memtable.epochs[shard])))
    for target, source in memtable.dirty_cursors:
        batch.puts.append((Table.META, cursor_key(target, source), position_key(memtable.cursors[target, source])))
    batch.puts.append((Table.META, HEAD_KEY, position_key(head)))


def write_parked(batch: Batch, position: int) -> None:
    """Add to a batch that untaken outbox records up to a position are in the OUTBOX table."""
    batch.puts.append((Table.META, PARKED_KEY, position_key(position)))


def epoch_key(shard: int) -> bytes:
    """Return the key of a shard's epoch."""
    return _EPOCH + bytes((shard,))


def cursor_key(target: int, source: int) -> bytes:
    """Return the key of a cursor."""
    return _CURSOR + bytes((target, source))


def write_gone(batch: Batch, shard: int, gone: Gone, left: int, sources: Iterable[int]) -> None:
    """Add to a batch that a shard has gone, and with it all that META said of it."""
    number = bytes((shard,))
    batch.puts.append((Table.META, _GONE + number, _encode(gone)))
    batch.puts.append((Table.META, epoch_key(shard), position_key(gone.epoch)))
    batch.puts.append((Table.META, _LEFT + number, position_key(left)))
    batch.puts.append((Table.META, _PURGE + number, position_key(left)))
    batch.deletes.extend((Table.META, cursor_key(shard, source)) for source in sources)


def write_arrival(batch: Batch, shard: int, arrival: Arrival) -> None:
    """Add to a batch how far a shard has arrived."""
    batch.puts.append((Table.META, _ARRIVAL + bytes((shard,)), _encode(arrival)))


def write_position(batch: Batch, position: int) -> None:
    """Add to a batch up to where arrivals have used positions."""
    batch.puts.append((Table.META, POSITION_KEY, position_key(position)))


def write_void(batch: Batch, shard: int) -> None:
    """Add to a batch that the copy of a shard is nobody's."""
    batch.deletes.append((Table.META, _ARRIVAL + bytes((shard,))))
    batch.puts.append((Table.META, _PURGE + bytes((shard,)), position_key(0)))


def write_purged(batch: Batch, shard: int) -> None:
    """Add to a batch that no row is left of a shard that is not here."""
    batch.deletes.append((Table.META, _PURGE + bytes((shard,))))
    batch.deletes.append((Table.META, _ARRIVAL + bytes((shard,))))


def write_held(batch: Batch, shard: int, arrival: Arrival) -> None:
    """Add to a batch that an arrived shard is held here."""
    batch.deletes.append((Table.META, _ARRIVAL + bytes((shard,))))
    batch.deletes.append((Table.META, _GONE + bytes((shard,))))
    for source, position in arrival.cursors.items():
        batch.puts.append((Table.META, cursor_key(shard, source), position_key(position)))
