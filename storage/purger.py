"""The purge: takes the rows of shards out of the tables that are no longer, or not, to be here.

It goes through whatever may hold something of the shard, slice by slice as a move does, and each slice may be dropped.
META says that a purge is due until all is gone, so a restart begins it again; what is gone already costs a look only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.bodies import body_key, count_key
from storage.directory import DIRECTORY_STOP
from storage.engine import Batch, Engine, Table, prefix_stop
from storage.inbox import SUMMARY_PREFIX, device_of, entries_prefix
from storage.meta import write_purged
from storage.outbox import outbox_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.directory import ShardOfPair
    from storage.group import Done
    from storage.journal import Journal
    from storage.limits import StoreLimits
    from storage.residence import Residences

PAGE_KEYS: Final = 256
LOOKED_AT_PER_OPERATION: Final = 4
"""To look at a key (2 us) costs less than to delete one."""
END_OF_SLICE: Final = 1 << 30


class _Slice:
    """One step of a purge: as much work as one commit may carry."""

    __slots__ = ("_purger", "_work")

    writes = True
    droppable = True

    def __init__(self, purger: Purger, work: Iterator[int]) -> None:
        self._purger = purger
        self._work = work

    def prepare(self, batch: Batch) -> None:
        """Do work until the slice is full."""
        self._purger.fill(batch, self._work)

    def complete(self, error: Exception | None) -> None:
        """Go on."""
        self._purger.slice_done(self._work, error)


class Purger:
    """Purges one shard after the other.

    Args:
        engine: The tables.
        journal: Whose order the slices join.
        residences: Which shards are to be purged.
        limits: Slice sizes.
        shard_of_pair: The shard of a pair in the directory.
    """

    __slots__ = (
        "_batch",
        "_ended",
        "_engine",
        "_journal",
        "_limits",
        "_residences",
        "_shard",
        "_shard_of_pair",
        "_stopped",
        "_waiting",
        "_work",
    )

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        residences: Residences,
        limits: StoreLimits,
        shard_of_pair: ShardOfPair,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._residences = residences
        self._limits = limits
        self._shard_of_pair = shard_of_pair
        self._batch = Batch()
        self._shard = 0
        self._work: Iterator[int] | None = None
        self._waiting: dict[int, list[Done]] = {}
        self._ended = False
        self._stopped = False

    def maintain(self) -> None:
        """Start a purge, if one is due and none is running."""
        if self._work is None and not self._stopped and self._residences.purging:
            self._shard = min(self._residences.purging)
            self._ended = False
            self._work = self._purge(self._shard)
            self._journal.submit(_Slice(self, self._work))

    def when_clean(self, shard: int, done: Done) -> None:
        """Call back when nothing is left of a shard, or when its purge failed and has to wait for `maintain`."""
        if shard in self._residences.purging:
            self._waiting.setdefault(shard, []).append(done)
            self.maintain()
        else:
            done(None)

    def stop(self) -> None:
        """Start nothing more; the next open begins anew."""
        self._stopped = True
        self._work = None

    def fill(self, batch: Batch, work: Iterator[int]) -> None:
        """Do the work of one slice into a batch."""
        if work is not self._work:
            return
        self._batch = batch
        budget = self._limits.move_operations_max
        while budget > 0:
            operations = next(work, None)
            if operations is None:
                self._ended = True
                break
            budget -= operations

    def slice_done(self, work: Iterator[int], error: Exception | None) -> None:
        """Go on with the next slice, or end the purge."""
        if work is not self._work:
            return
        if error is None and not self._ended:
            self._journal.submit(_Slice(self, work))
            return
        self._work = None
        waiting = self._waiting.pop(self._shard, ())
        if error is None:
            self._residences.purging.discard(self._shard)
            self.maintain()
        for done in waiting:
            done(error)

    def _purge(self, shard: int) -> Iterator[int]:
        """Yields how many operations each piece of work counts for."""
        yield from self._inboxes(shard)
        counts = count_key(body_key(shard, 0))
        yield from self._range(Table.INBOX, counts, prefix_stop(counts[:2]))
        yield from self._range(Table.BODIES, body_key(shard, 0), prefix_stop(bytes((shard,))))
        yield from self._pairs(shard)
        yield from self._range(Table.OUTBOX, outbox_key(shard, 0), prefix_stop(bytes((shard,))))
        yield END_OF_SLICE  # what follows needs all before it to be durable
        write_purged(self._batch, shard)
        yield 1

    def _inboxes(self, shard: int) -> Iterator[int]:
        start, stop = SUMMARY_PREFIX, prefix_stop(SUMMARY_PREFIX)
        while pairs := self._engine.scan(Table.INBOX, start, stop, PAGE_KEYS):
            yield len(pairs) // LOOKED_AT_PER_OPERATION + 1
            for key, value in pairs:
                if value[:1] == bytes((shard,)):
                    prefix = entries_prefix(device_of(key))
                    yield from self._range(Table.INBOX, prefix, prefix_stop(prefix))
                    # Last: it is by its summary that a purge that begins anew finds the device.
                    self._batch.deletes.append((Table.INBOX, key))
            start = pairs[-1][0] + b"\x00"

    def _pairs(self, shard: int) -> Iterator[int]:
        start = b""
        while pairs := self._engine.scan(Table.DIRECTORY, start, DIRECTORY_STOP, PAGE_KEYS):
            keys = [key for key, value in pairs if self._shard_of_pair(key, value) == shard]
            self._batch.deletes.extend((Table.DIRECTORY, key) for key in keys)
            yield len(pairs) // LOOKED_AT_PER_OPERATION + len(keys) + 1
            start = pairs[-1][0] + b"\x00"

    def _range(self, table: Table, start: bytes, stop: bytes) -> Iterator[int]:
        full = True
        while full:
            pairs = self._engine.scan(table, start, stop, PAGE_KEYS)
            full = len(pairs) == PAGE_KEYS
            if pairs:
                behind = pairs[-1][0] + b"\x00"
                self._batch.delete_ranges.append((table, start, behind))
                start = behind
            yield len(pairs) + 1
