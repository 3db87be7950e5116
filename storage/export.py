"""The export of a shard: all that it is, as rows for another store; hot or in the tables is no difference there.

The order of the rows is part of their meaning, for the importer checks it and a purge counts on it: META (the position
first), then each device's summary before its entries, the directory, the outbox, and how many rows there were.

Nobody writes to a shard that is exported, but the mover goes on; it only ever takes things from the memtable to the
tables. So what is hot at the beginning is noted, and what is not noted is in the tables.

Values go as they lie in the tables, never decoded here: 100,000 waiting messages of 300 bytes cost both sides together
0.15 s of CPU if 1,000 devices share them, 0.45 s if 50,000 do. The directory has no index by shard: to look through
300,000 pairs for one shard of 64 costs 0.4 s, in turns of at most 4 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from storage.directory import DIRECTORY_STOP
from storage.engine import Engine, Table, prefix_stop
from storage.errors import StorageError
from storage.inbox import (
    SUMMARY_PREFIX,
    Summary,
    counted,
    decode_summary,
    device_of,
    entries_prefix,
    entry_key,
    entry_position,
    summary_key,
)
from storage.memtable import NEVER_MS, index_after
from storage.meta import POSITION_KEY, ROWS_KEY, cursor_key, epoch_key
from storage.outbox import outbox_key
from storage.queues import QueueView
from storage.records import encode_entry, position_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.directory import ShardOfPair
    from storage.inbox import Inbox
    from storage.memtable import DeviceQueue, Memtable, OutboxJob
    from storage.outbox import Outbox
    from storage.queues import Queues

Row: TypeAlias = tuple[int, bytes, bytes]
"""Table, key, value."""

PAGE_ROWS: Final = 256
FOLDS_PER_PAGE: Final = 32
EMPTY_PAGES_MAX: Final = 8
"""A read that finds nothing looks no further than this before others have their turn (3 ms)."""


class Export:
    """One export under way, to be read to its end.

    Attributes:
        shard: The shard.
    """

    __slots__ = ("_damage", "_page", "_pages", "ended", "shard")

    def __init__(self, shard: int, pages: Iterator[list[Row]]) -> None:
        self.shard = shard
        self.ended = False
        self._pages = pages
        self._page: list[Row] = []
        self._damage: StorageError | None = None

    def take(self, size_bytes_max: int) -> list[Row]:
        """Return the next rows, one at least unless there is none; until `ended`, an empty list says: ask again.

        Raises:
            StorageError: Something cannot be read; nothing more comes of this export.
        """
        rows: list[Row] = []
        size_bytes = empty = 0
        while empty < EMPTY_PAGES_MAX and not self.ended:
            if not self._page:
                self._turn_page()
                empty += not self._page
            count = 0
            for _, key, value in self._page:
                size_bytes += len(key) + len(value)
                if size_bytes > size_bytes_max and (rows or count):
                    break
                count += 1
            rows += self._page[:count]
            self._page = self._page[count:]
            if self._page:
                break
        return rows

    def _turn_page(self) -> None:
        if self._damage is not None:
            raise self._damage
        try:
            page = next(self._pages, None)
        except StorageError as error:
            self._damage = error
            raise
        self.ended = page is None
        self._page = page or []


class Exporter:
    """Makes the pages of exports.

    Args:
        engine: The tables.
        memtable: What is hot.
        inbox: Reads of the inbox.
        queues: Device queues across both.
        outbox: Both halves of the outbox.
        fold: Hands out a conversation's snapshot as it would be written now.
        position: Hands out the highest position that was ever given.
        shard_of_pair: The shard of a pair in the directory.
    """

    __slots__ = ("_engine", "_fold", "_inbox", "_memtable", "_outbox", "_position", "_queues", "_shard_of_pair")

    def __init__(
        self,
        engine: Engine,
        memtable: Memtable,
        inbox: Inbox,
        queues: Queues,
        outbox: Outbox,
        fold: Callable[[str], tuple[bytes, bytes]],
        position: Callable[[], int],
        shard_of_pair: ShardOfPair,
    ) -> None:
        self._engine = engine
        self._memtable = memtable
        self._inbox = inbox
        self._queues = queues
        self._outbox = outbox
        self._fold = fold
        self._position = position
        self._shard_of_pair = shard_of_pair

    def export(self, shard: int) -> Export:
        """Begin an export; nothing is read before the first rows are asked for."""
        return Export(shard, self._pages(shard))

    def _pages(self, shard: int) -> Iterator[list[Row]]:
        count = 0
        noted = (self._noted_devices(shard), self._noted_conversations(shard), self._noted_jobs(shard))
        parts = (self._meta(shard), self._inboxes(shard, noted[0]), self._pairs(shard, noted[1]))
        for part in (*parts, self._jobs(shard, noted[2])):
            for page in part:
                count += len(page)
                yield page
        yield [(Table.META, ROWS_KEY, position_key(count))]

    def _noted_devices(self, shard: int) -> list[bytes]:
        devices = self._memtable.devices
        return sorted((it for it, queue in devices.items() if queue.shard == shard), key=summary_key)

    def _noted_conversations(self, shard: int) -> list[str]:
        return sorted(it for it, tail in self._memtable.tails.items() if tail.shard == shard)

    def _noted_jobs(self, shard: int) -> list[tuple[int, OutboxJob]]:
        return [(position, job) for position, job in self._memtable.outbox.items() if job.shard == shard]

    def _meta(self, shard: int) -> Iterator[list[Row]]:
        memtable = self._memtable
        cursors = [(source, position) for (target, source), position in memtable.cursors.items() if target == shard]
        yield [
            (Table.META, POSITION_KEY, position_key(self._position())),
            (Table.META, epoch_key(shard), position_key(memtable.epochs.get(shard, 0))),
            *((Table.META, cursor_key(shard, source), position_key(position)) for source, position in cursors),
        ]

    def _inboxes(self, shard: int, noted: list[bytes]) -> Iterator[list[Row]]:
        for device in noted:
            yield from self._device(device, self._summary(shard, device))
        known = set(map(summary_key, noted))
        start, stop = SUMMARY_PREFIX, prefix_stop(SUMMARY_PREFIX)
        while pairs := self._engine.scan(Table.INBOX, start, stop, PAGE_ROWS):
            for key, value in pairs:
                if value[:1] == bytes((shard,)) and key not in known:
                    yield from self._device(device_of(key), decode_summary(value))
            start = pairs[-1][0] + b"\x00"
            yield []

    def _summary(self, shard: int, device: bytes) -> Summary:
        """What waits for a device, as if all of it were in the inbox."""
        queue, known = self._memtable.devices.get(device), self._inbox.summary(device)
        if queue is None:  # moved since it was noted
            return known or Summary(shard)
        entries = queue.entries
        view = QueueView(len(entries), counted(entries), entries[0].position, entries[-1].position) if entries else None
        if known is not None or view is None:
            view = self._queues.view(device)
        expiries = [entry.expires_ms for entry in entries if entry.expires_ms]
        if known is not None and known.earliest_ms:
            expiries.append(known.earliest_ms)
        bounds = (view.head_position, view.tail_position)
        return Summary(shard, view.count, view.size_bytes, *bounds, min(expiries, default=0))

    def _device(self, device: bytes, summary: Summary) -> Iterator[list[Row]]:
        """The summary and the entries of a device; nothing if nothing waits."""
        if not summary.count:
            return
        prefix, position = entries_prefix(device), 0
        page: list[Row] = [(Table.INBOX, summary_key(device), summary.encode())]
        full = True
        while full:
            queue = self._memtable.devices.get(device)
            start = entry_key(prefix, max(position, queue.floor if queue else 0) + 1)
            pairs = self._engine.scan(Table.INBOX, start, prefix_stop(prefix), PAGE_ROWS)
            full = len(pairs) == PAGE_ROWS
            if pairs:
                position = entry_position(pairs[-1][0])
            page += [(Table.INBOX, key, value) for key, value in _left(pairs, queue)]
            if not full and queue is not None:
                hot = queue.entries[index_after(queue.entries, position) :]
                page += [(Table.INBOX, entry_key(prefix, entry.position), encode_entry(entry)) for entry in hot]
            yield page
            page = []

    def _pairs(self, shard: int, noted: list[str]) -> Iterator[list[Row]]:
        known: set[bytes] = set()
        for first in range(0, len(noted), FOLDS_PER_PAGE):
            snapshots = [self._fold(conversation) for conversation in noted[first : first + FOLDS_PER_PAGE]]
            known.update(key for key, _ in snapshots)
            yield [(Table.DIRECTORY, key, value) for key, value in snapshots]
        start = b""
        while pairs := self._engine.scan(Table.DIRECTORY, start, DIRECTORY_STOP, PAGE_ROWS):
            yield [
                (Table.DIRECTORY, key, value)
                for key, value in pairs
                if self._shard_of_pair(key, value) == shard and key not in known
            ]
            start = pairs[-1][0] + b"\x00"

    def _jobs(self, shard: int, noted: list[tuple[int, OutboxJob]]) -> Iterator[list[Row]]:
        for first in range(0, len(noted), PAGE_ROWS):
            jobs = [(position, job) for position, job in noted[first : first + PAGE_ROWS] if job.remaining]
            yield [(Table.OUTBOX, outbox_key(shard, position), self._outbox.value(job)) for position, job in jobs]
        known = {outbox_key(shard, position) for position, _ in noted}
        start, stop = outbox_key(shard, 0), outbox_key(shard, NEVER_MS)
        while pairs := self._engine.scan(Table.OUTBOX, start, stop, PAGE_ROWS):
            left = [(key, self._outbox.untaken(key, value)) for key, value in pairs if key not in known]
            yield [(Table.OUTBOX, key, value) for key, value in left if value]
            start = pairs[-1][0] + b"\x00"


def _left(pairs: list[tuple[bytes, bytes]], queue: DeviceQueue | None) -> list[tuple[bytes, bytes]]:
    """Entries of the inbox without those that the hot journal has removed."""
    removed = queue.removed if queue is not None else None
    return [pair for pair in pairs if entry_position(pair[0]) not in removed] if removed else pairs
