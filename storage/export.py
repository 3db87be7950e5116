"""The export of a shard: all that it is, as rows for another store; hot or in the tables is no difference there.

It goes in rounds, and the shard goes on working until the last. The first round brings everything, each further one
what has changed since the one before it began. The last begins when the shard is fenced: nothing changes any more, and
with it the copy is exact. What takes effect after a round began is left to the next, so the positions of two rounds
never overlap, and what a round brings of a queue that changes meanwhile need not be exact.

The order of the rows is part of their meaning, for the importer checks it and a purge counts on it: META (the position
first), then each device's summary before its entries and each body before the first entry that refers to it, the
directory, the outbox, and how many rows there were. Epoch and cursors come with the last round only: a copy without it
is whole for nobody. A table with `AGAIN` added means: what
an earlier round brought under this key is no more; of a queue: it is so now, these went, and what came follows.

The mover goes on meanwhile; it only ever takes things from the memtable to the tables. So what is hot at the beginning
of a round is noted, and what is not noted is in the tables.

Values go as they lie in the tables, never decoded here: 100,000 waiting messages of 300 bytes cost both sides together
0.15 s of CPU if 1,000 devices share them, 0.45 s if 50,000 do. The directory has no index by shard: to look through
300,000 pairs for one shard of 64 costs 0.4 s, in turns of at most 4 ms.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from storage.bodies import body_key, decode_reference, encode_reference, is_reference
from storage.changes import Changes
from storage.directory import DIRECTORY_STOP, snapshot_key
from storage.engine import Engine, Table, prefix_stop
from storage.errors import ExportOverrunError, ShardAwayError, StorageError, StoreCorruptError
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
from storage.memtable import index_after
from storage.meta import POSITION_KEY, ROWS_KEY, cursor_key, epoch_key
from storage.outbox import outbox_key
from storage.queues import QueueView
from storage.records import encode_entry, position_key

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from storage.directory import ShardOfPair
    from storage.inbox import Inbox
    from storage.journal import Journal
    from storage.memtable import DeviceQueue, Memtable, OutboxJob
    from storage.outbox import Outbox
    from storage.queues import Queues
    from storage.records import Entry

Row: TypeAlias = tuple[int, bytes, bytes]
"""Table, key, value."""

AGAIN: Final = 0x80
"""Added to the table of a row that says what has become of something which an earlier round may have brought."""
Value = TypeVar("Value")

PAGE_ROWS: Final = 256
ROWS_MAX: Final = 1_024
"""Handed out by one read, so that no turn of the loop takes long (5 ms)."""
FOLDS_PER_PAGE: Final = 32
EMPTY_PAGES_MAX: Final = 8
"""A read that finds nothing looks no further than this before others have their turn (3 ms)."""


class Export:
    """One export under way.

    Attributes:
        shard: The shard.
        ended: Whether all of the present round was handed out.
        is_last: Whether the shard was fenced when the present round began.
        changes: What has changed since then; None before the first read.
        rows: How many rows were made so far.
    """

    __slots__ = ("_damage", "_page", "_pages", "_round", "changes", "ended", "is_last", "rows", "shard")

    def __init__(self, shard: int, begin: Callable[[Export], Iterator[list[Row]]]) -> None:
        self.shard = shard
        self.is_last = False
        self.changes: Changes | None = None
        self.rows = 0
        self._round = begin
        self._page: list[Row] = []
        self._damage: StorageError | None = None
        self.go_on()

    def go_on(self) -> None:
        """Begin the next round with the next read; the one before it has ended."""
        self.ended = False
        self._pages = self._round(self)

    def take(self, size_bytes_max: int) -> list[Row]:
        """Return the next rows, one at least unless there is none; until `ended`, an empty list says: ask again.

        Raises:
            StorageError: Something cannot be read; nothing more comes of this export.
        """
        rows: list[Row] = []
        size_bytes = empty = 0
        while empty < EMPTY_PAGES_MAX and len(rows) < ROWS_MAX and not self.ended:
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
        journal: Its positions, and who owns what.
        fold: Hands out a conversation's snapshot as it would be written now.
        shard_of_pair: The shard of a pair in the directory.
    """

    __slots__ = ("_engine", "_fold", "_inbox", "_journal", "_memtable", "_outbox", "_queues", "_shard_of_pair")

    def __init__(
        self,
        engine: Engine,
        memtable: Memtable,
        inbox: Inbox,
        queues: Queues,
        outbox: Outbox,
        journal: Journal,
        fold: Callable[[str], tuple[bytes, bytes]],
        shard_of_pair: ShardOfPair,
    ) -> None:
        self._engine = engine
        self._memtable = memtable
        self._inbox = inbox
        self._queues = queues
        self._outbox = outbox
        self._journal = journal
        self._fold = fold
        self._shard_of_pair = shard_of_pair

    def export(self, shard: int) -> Export:
        """Begin an export; nothing is read, or remembered, before the first rows are asked for."""
        return Export(shard, self._round)

    def end(self, export: Export) -> None:
        """Remember no changes for an export any more."""
        if self._memtable.watches.get(export.shard) is export.changes:
            self._memtable.watches.pop(export.shard, None)

    def _round(self, export: Export) -> Iterator[list[Row]]:
        """The pages of one round; it begins with its first."""
        shard, earlier, watches = export.shard, export.changes, self._memtable.watches
        if earlier is not None and watches.get(shard) is not earlier:
            raise ShardAwayError(shard, "it was released, or another export of it has begun")
        if earlier is not None and earlier.has_overrun:
            raise ExportOverrunError(shard)
        journal = self._journal
        export.is_last = not journal.owns(shard)
        # What takes effect from here on is noted for the next round, and what has taken effect is found by this one.
        export.changes = watches[shard] = Changes(journal.durable_position)
        last = journal.next_position - 1 if export.is_last else journal.durable_position
        bodies = Bodies(self._engine, shard, self._memtable.shared)
        window = Window(earlier.position if earlier is not None else 0, last, bodies)
        pages = self._everything(shard, window) if earlier is None else self._changed(shard, earlier, window)
        for page in chain([self._meta(export, window)], pages):
            export.rows += len(page)
            yield page
        yield [(Table.META, ROWS_KEY, position_key(export.rows))]
        export.rows += 1

    def _everything(self, shard: int, window: Window) -> Iterator[list[Row]]:
        conversations, jobs = self._noted_conversations(shard), self._noted_jobs(shard, window)
        yield from self._inboxes(shard, self._noted_devices(shard), window)
        yield from self._snapshots(conversations)
        yield from self._pairs(shard, {snapshot_key(it, self._memtable.shard_of) for it in conversations})
        yield from self._jobs(shard, jobs, window)

    def _changed(self, shard: int, changes: Changes, window: Window) -> Iterator[list[Row]]:
        jobs = self._noted_jobs(shard, window)
        for device, removed in sorted(changes.devices.items()):
            summary = self._summary(shard, device, window)
            value = b"".join((summary.encode(), *map(position_key, sorted(removed or ()))))
            yield from self._entries(device, (Table.INBOX | AGAIN, summary_key(device), value), window)
        yield from self._snapshots(sorted(changes.conversations))
        for keys in batched(sorted(changes.keys), PAGE_ROWS):
            yield [self._pair_again(shard, key) for key in keys]
        for positions in batched(sorted(changes.jobs), PAGE_ROWS):
            yield [self._job_again(shard, position) for position in positions]
        yield from self._jobs(shard, jobs, window)

    def _noted_devices(self, shard: int) -> list[bytes]:
        devices = self._memtable.devices
        return sorted((it for it, queue in devices.items() if queue.shard == shard), key=summary_key)

    def _noted_conversations(self, shard: int) -> list[str]:
        return sorted(it for it, tail in self._memtable.tails.items() if tail.shard == shard)

    def _noted_jobs(self, shard: int, window: Window) -> list[tuple[int, OutboxJob]]:
        jobs = self._memtable.outbox.items()
        return [(position, job) for position, job in jobs if job.shard == shard and position in window]

    def _meta(self, export: Export, window: Window) -> list[Row]:
        memtable, shard = self._memtable, export.shard
        table = Table.META | AGAIN if export.rows else Table.META
        page: list[Row] = [(table, POSITION_KEY, position_key(window.last))]
        if export.is_last:
            cursors = [(source, position) for (target, source), position in memtable.cursors.items() if target == shard]
            page.append((Table.META, epoch_key(shard), position_key(memtable.epochs.get(shard, 0))))
            page += [(Table.META, cursor_key(shard, source), position_key(position)) for source, position in cursors]
        return page

    def _inboxes(self, shard: int, noted: list[bytes], window: Window) -> Iterator[list[Row]]:
        for device in noted:
            yield from self._queue(device, self._summary(shard, device, window), window)
        known = set(map(summary_key, noted))
        start, stop = SUMMARY_PREFIX, prefix_stop(SUMMARY_PREFIX)
        while pairs := self._engine.scan(Table.INBOX, start, stop, PAGE_ROWS):
            for key, value in pairs:
                if value[:1] == bytes((shard,)) and key not in known:
                    yield from self._queue(device_of(key), window.summary(decode_summary(value)), window)
            start = pairs[-1][0] + b"\x00"
            yield []

    def _summary(self, shard: int, device: bytes, window: Window) -> Summary:
        """What waits for a device, as if all of it were in the inbox."""
        queue, known = self._memtable.devices.get(device), self._inbox.summary(device)
        if queue is None:  # moved since it was noted
            return window.summary(known or Summary(shard))
        entries = queue.entries
        view = QueueView(len(entries), counted(entries), entries[0].position, entries[-1].position) if entries else None
        if known is not None or view is None:
            view = self._queues.view(device)
        expiries = [entry.expires_ms for entry in entries if entry.expires_ms]
        if known is not None and known.earliest_ms:
            expiries.append(known.earliest_ms)
        bounds = (view.head_position, view.tail_position)
        refers = (known is not None and known.refers) or any(it.position in self._memtable.shared for it in entries)
        earliest_ms = min(expiries, default=0)
        return window.summary(Summary(shard, view.count, view.size_bytes, *bounds, earliest_ms, refers=refers))

    def _queue(self, device: bytes, summary: Summary, window: Window) -> Iterator[list[Row]]:
        """The summary and the entries of a device; nothing if nothing waits."""
        if summary.count:
            yield from self._entries(device, (Table.INBOX, summary_key(device), summary.encode()), window)

    def _entries(self, device: bytes, head: Row, window: Window) -> Iterator[list[Row]]:
        """What says how a queue is, and its entries."""
        prefix, position = entries_prefix(device), window.after
        page, full = [head], True
        while full:
            queue = self._memtable.devices.get(device)
            pairs = self._inbox.pairs(device, max(position, queue.floor if queue else 0), window.last, PAGE_ROWS)
            full = len(pairs) == PAGE_ROWS
            if pairs:
                position = entry_position(pairs[-1][0])
            page += window.bodies.rows(_left(pairs, queue))
            if not full and queue is not None:
                entries = queue.entries
                hot = entries[index_after(entries, position) : index_after(entries, window.last)]
                page += window.bodies.hot_rows(prefix, hot)
            yield page
            page = []

    def _snapshots(self, conversations: list[str]) -> Iterator[list[Row]]:
        for some in batched(conversations, FOLDS_PER_PAGE):
            yield [(Table.DIRECTORY, *self._fold(conversation)) for conversation in some]

    def _pairs(self, shard: int, known: set[bytes]) -> Iterator[list[Row]]:
        start = b""
        while pairs := self._engine.scan(Table.DIRECTORY, start, DIRECTORY_STOP, PAGE_ROWS):
            yield [
                (Table.DIRECTORY, key, value)
                for key, value in pairs
                if self._shard_of_pair(key, value) == shard and key not in known
            ]
            start = pairs[-1][0] + b"\x00"

    def _pair_again(self, shard: int, key: bytes) -> Row:
        value = self._engine.get(Table.DIRECTORY, key)
        is_there = value is not None and self._shard_of_pair(key, value) == shard
        return (Table.DIRECTORY, key, value) if value is not None and is_there else (Table.DIRECTORY | AGAIN, key, b"")

    def _jobs(self, shard: int, noted: list[tuple[int, OutboxJob]], window: Window) -> Iterator[list[Row]]:
        for some in batched(noted, PAGE_ROWS):
            jobs = [(position, job) for position, job in some if job.remaining]
            yield [(Table.OUTBOX, outbox_key(shard, position), self._outbox.value(job)) for position, job in jobs]
        known = {outbox_key(shard, position) for position, _ in noted}
        start, stop = outbox_key(shard, window.after + 1), outbox_key(shard, window.last + 1)
        while pairs := self._engine.scan(Table.OUTBOX, start, stop, PAGE_ROWS):
            left = [(key, self._outbox.untaken(key, value)) for key, value in pairs if key not in known]
            yield [(Table.OUTBOX, key, value) for key, value in left if value]
            start = pairs[-1][0] + b"\x00"

    def _job_again(self, shard: int, position: int) -> Row:
        key, job = outbox_key(shard, position), self._memtable.outbox.get(position)
        if job is not None and job.shard == shard:
            return (Table.OUTBOX, key, self._outbox.value(job))
        stored = self._engine.get(Table.OUTBOX, key)
        value = self._outbox.untaken(key, stored) if stored is not None else b""
        return (Table.OUTBOX, key, value) if value else (Table.OUTBOX | AGAIN, key, b"")


class Window:
    """The positions that a round brings.

    Args:
        after: The last one of the round before it.
        last: Its own last one.
        bodies: What its entries refer to.
    """

    __slots__ = ("after", "bodies", "last")

    def __init__(self, after: int, last: int, bodies: Bodies) -> None:
        self.after = after
        self.last = last
        self.bodies = bodies

    def __contains__(self, position: int) -> bool:
        return self.after < position <= self.last

    def summary(self, summary: Summary) -> Summary:
        """Name no position of a later round; the queue has changed since this one began, so that brings it again."""
        summary.head, summary.tail = min(summary.head, self.last), min(summary.tail, self.last)
        summary.is_lone = False  # each entry travels as a row
        return summary


class Bodies:
    """The bodies of one round: each goes in front of the first entry that refers to it, and once.

    No other round has them, for no other has their positions.

    Args:
        engine: The tables.
        shard: The shard.
        shared: Hot positions whose body a move would store once.
    """

    __slots__ = ("_engine", "_sent", "_shard", "_shared")

    def __init__(self, engine: Engine, shard: int, shared: Container[int]) -> None:
        self._engine = engine
        self._shard = shard
        self._shared = shared
        self._sent: set[int] = set()

    def rows(self, pairs: list[tuple[bytes, bytes]]) -> Iterator[Row]:
        """Entries as they lie in the inbox, with bodies where they are wanted."""
        for key, value in pairs:
            if is_reference(value):
                reference = decode_reference(entry_position(key), value)
                if reference.position not in self._sent:
                    body = self._engine.get(Table.BODIES, reference.body_key)
                    if body is None:
                        raise StoreCorruptError("the inbox", f"the body at position {reference.position} is not there")
                    self._sent.add(reference.position)
                    yield Table.BODIES, reference.body_key, body
            yield Table.INBOX, key, value

    def hot_rows(self, prefix: bytes, entries: list[Entry]) -> Iterator[Row]:
        """Entries as the next move would write them."""
        for entry in entries:
            key, value = entry_key(prefix, entry.position), encode_entry(entry)
            if entry.position in self._shared:
                if entry.position not in self._sent:
                    self._sent.add(entry.position)
                    yield Table.BODIES, body_key(self._shard, entry.position), value
                value = encode_reference(self._shard, entry)
            yield Table.INBOX, key, value


def batched(values: Iterable[Value], count: int) -> Iterator[list[Value]]:
    """Lists of so many values."""
    iterator = iter(values)
    while some := list(islice(iterator, count)):
        yield some


def _left(pairs: list[tuple[bytes, bytes]], queue: DeviceQueue | None) -> list[tuple[bytes, bytes]]:
    """Entries of the inbox without those that the hot journal has removed."""
    removed = queue.removed if queue is not None else None
    return [pair for pair in pairs if entry_position(pair[0]) not in removed] if removed else pairs
