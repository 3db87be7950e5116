"""How many entries refer to each body: while a move brings them in memory, and from its end on in the table.

A move brings the devices of a shard in many slices, and a count on the disk would be written again with each. So the
count of a body says 0 until the move has brought all its devices, and is written once, with the last of them or
behind it, before the move trims. A crash before that finds the zeros, and counts what is there: only positions that are
still hot can have them. From then on nobody is added, and each slice that takes entries away takes their number off the
count, in the same commit; the body goes with its last entry.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from storage.bodies import (
    Reference,
    body_key,
    body_keys,
    body_position,
    count_key,
    decode_count,
    encode_count,
    reference_of,
)
from storage.engine import Batch, Engine, Table, prefix_stop
from storage.errors import StoreCorruptError
from storage.memtable import NEVER_MS
from storage.records import encode_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from storage.inbox import Inbox
    from storage.memtable import Memtable
    from storage.records import Entry

PAGE_KEYS = 256


class BodyCounts:
    """Writes bodies and their counts, by the inbox writer alone.

    Args:
        engine: Where the table is.

    Attributes:
        moving: By key: how many entries refer to a body whose count is not in the table yet.
    """

    __slots__ = ("_batch", "_changes", "_engine", "moving")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._batch = Batch()
        self._changes: Counter[bytes] = Counter()
        self.moving: dict[bytes, int] = {}

    def recover(self, memtable: Memtable, inbox: Inbox, shards: set[int]) -> None:
        """Count what a move that a crash has ended left uncounted.

        Args:
            memtable: Replayed.
            inbox: Reads of the inbox.
            shards: Those that are held here.

        Raises:
            StoreCorruptError: The inbox cannot be read.
        """
        for shard in shards:
            start = count_key(body_key(shard, memtable.head + 1))
            while pairs := self._engine.scan(Table.INBOX, start, prefix_stop(start[:2]), PAGE_KEYS):
                self.moving.update((key[1:], 0) for key, value in pairs if not decode_count(value))
                start = pairs[-1][0] + b"\x00"
        if not self.moving:
            return
        for device in memtable.devices:
            position = memtable.head
            while page := inbox.read(device, position, NEVER_MS, PAGE_KEYS):
                for entry in page:
                    if isinstance(entry, Reference) and entry.body_key in self.moving:
                        self.moving[entry.body_key] += 1
                position = page[-1].position

    def begin(self, batch: Batch) -> None:
        """Start a slice."""
        self._batch = batch
        self._changes = Counter()

    def refer(self, shard: int, entries: Sequence[Entry]) -> list[bytes]:
        """Return what entries of a device are stored as, and store each body unless it is there."""
        moving, changes = self.moving, self._changes
        keys = body_keys(shard, [entry.position for entry in entries])
        for entry, key in zip(entries, keys, strict=True):
            if key not in moving and key not in changes:
                self._keep(key, entry)
        changes.update(keys)
        return [reference_of(shard, len(entry.body)) for entry in entries]

    def keep(self, shard: int, entry: Entry) -> bytes:
        """Store the body of an entry unless it is there; return its key, for `refer_to`."""
        key = body_key(shard, entry.position)
        if key not in self.moving and key not in self._changes:
            self._keep(key, entry)
            self._changes[key] = 0
        return key

    def refer_to(self, key: bytes, count: int) -> None:
        """Note that so many entries refer to a body which was kept in this slice."""
        if count:  # or else a count that is settled already would be begun anew
            self._changes[key] += count

    def _keep(self, key: bytes, entry: Entry) -> None:
        """Store a body that is not there."""
        self._batch.puts.append((Table.BODIES, key, encode_entry(entry)))

    def release(self, reference: Reference) -> None:
        """Note that an entry goes that refers to a body."""
        self._changes[reference.body_key] -= 1

    def end(self) -> Callable[[], None]:
        """End a slice; return what follows once it is durable.

        Raises:
            StoreCorruptError: A count is not there, or less than what went.
        """
        changes, self._changes = self._changes, Counter()
        for key, change in changes.items():
            if key in self.moving:
                continue
            if change < 0:
                self._take_off(key, -change)
            else:
                self._batch.puts.append((Table.INBOX, count_key(key), encode_count(0)))  # until it is known
        return partial(self._ended, changes)

    def _take_off(self, key: bytes, gone: int) -> None:
        count = decode_count(self._engine.get(Table.INBOX, count_key(key))) - gone
        if count < 0:
            raise StoreCorruptError(
                "the inbox", f"more entries refer to position {body_position(key)} than were counted"
            )
        self._write(key, count)

    def _write(self, key: bytes, count: int) -> None:
        if count:
            self._batch.puts.append((Table.INBOX, count_key(key), encode_count(count)))
        else:
            self._batch.deletes.append((Table.BODIES, key))
            self._batch.deletes.append((Table.INBOX, count_key(key)))

    def _ended(self, changes: dict[bytes, int]) -> None:
        moving = self.moving
        for key, change in changes.items():
            if key in moving:
                moving[key] += change
            elif change > 0:
                moving[key] = change

    def settle(self, cut: int) -> Iterator[Callable[[], object]]:
        """Write the counts of all positions up to a cut, of which this slice or one before has brought every device."""
        fresh = (key for key, change in self._changes.items() if change > 0)
        for key in sorted({*self.moving, *fresh}):
            if body_position(key) <= cut:
                self._write(key, self.moving.get(key, 0) + self._changes.pop(key, 0))
                yield partial(self.moving.pop, key, None)

    def forget_shard(self, shard: int) -> None:
        """Forget what was counted of a shard that has gone."""
        for key in [key for key in self.moving if key[0] == shard]:
            del self.moving[key]
