"""Writes of the inbox, by the mover alone: what is forgotten goes, what still waits comes, the summary says so.

Within a slice a device's summary is written once, in the same batch as its entries.
"""

from __future__ import annotations

from functools import partial
from itertools import islice, repeat
from typing import TYPE_CHECKING, Final

from storage.bodies import Reference
from storage.body_counts import BodyCounts
from storage.engine import Batch, Engine, Table, prefix_stop
from storage.errors import StoreCorruptError
from storage.inbox import (
    Summary,
    counted,
    counted_waiting,
    entries_prefix,
    entry_key,
    entry_keys,
    lone_summary,
    summary_key,
)
from storage.memtable import NEVER_MS, index_after
from storage.records import encode_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from storage.bodies import Waiting
    from storage.inbox import Inbox
    from storage.memtable import DeviceQueue, Memtable
    from storage.records import Entry

SUMMARY_OPERATIONS: Final = 2
TOGETHER: Final = 32
"""So many devices are looked up at once; behind them the mover looks whether its slice is full."""
PAGE_ENTRIES: Final = 256


class _Move:
    """One device under way: its summary in memory."""

    __slots__ = ("device", "prefix", "queue", "summary")

    def __init__(self, device: bytes, queue: DeviceQueue, summary: Summary | None) -> None:
        self.device = device
        self.queue = queue
        self.prefix = entries_prefix(device)
        self.summary = summary or Summary(queue.shard)


class _Lone:
    """Devices of which nothing is in the inbox, and of which the hot journal says the same: one entry waits.

    Attributes:
        position: Of the entry.
        body: The key of its body, if that is stored once for all of them.
        row: The entry as it is stored for each of them otherwise.
        summary: What each of them has as its summary.
        devices: Those that were written.
        counted: How many of them are counted.
    """

    __slots__ = ("body", "counted", "devices", "position", "row", "summary")

    def __init__(self, position: int, body: bytes, row: bytes, summary: bytes) -> None:
        self.position = position
        self.body = body
        self.row = row
        self.summary = summary
        self.devices: list[bytes] = []
        self.counted = 0


class InboxWriter:
    """Brings the inbox up to what the hot journal says of a device.

    Args:
        engine: Where the inbox is.
        memtable: The hot journal.
        inbox: Reads of the inbox.

    Attributes:
        counts: How many entries refer to each body.
        moved_entries: Entries written.
    """

    __slots__ = (
        "_batch",
        "_inbox",
        "_lones",
        "_memtable",
        "_operations",
        "_touched",
        "counts",
        "moved_entries",
    )

    def __init__(self, engine: Engine, memtable: Memtable, inbox: Inbox) -> None:
        self.counts = BodyCounts(engine)
        self._memtable = memtable
        self._inbox = inbox
        self._batch = Batch()
        self._touched: dict[bytes, _Move] = {}
        self._lones: dict[DeviceQueue, _Lone] = {}
        self._operations = 0
        self.moved_entries = 0

    def begin(self, batch: Batch) -> None:
        """Start a slice."""
        self._batch = batch
        self.counts.begin(batch)
        self._touched.clear()
        self._lones = {}
        self._operations = 0

    def operations(self) -> int:
        """Return how many operations were added since the last call."""
        operations, self._operations = self._operations, 0
        return operations

    def end(self) -> Callable[[], None]:
        """End a slice: write the summaries of the devices that it touched; return what follows once it is durable."""
        for move in self._touched.values():
            self._write_summary(move)
        self._count_lones()
        return partial(self._entered_lone, self._lones, self.counts.end())

    def settle(self, cut: int) -> Iterator[Callable[[], object]]:
        """Count who refers to the bodies up to a cut, after all devices have been brought that far."""
        self._count_lones()
        yield from self.counts.settle(cut)

    def _count_lones(self) -> None:
        for lone in self._lones.values():
            count = len(lone.devices) - lone.counted
            lone.counted += count
            self.moved_entries += count
            if lone.body:
                self.counts.refer_to(lone.body, count)

    def move(self, devices: Iterable[bytes], cut: int) -> Iterator[Callable[[], None]]:
        """Do the work of devices up to a position, yielding what follows once the slice so far is durable."""
        memtable, following = self._memtable, iter(devices)
        while together := list(islice(following, TOGETHER)):
            keys = list(map(summary_key, together))
            for device, key, summary in zip(together, keys, self._inbox.summaries(keys), strict=True):
                queue = memtable.devices.get(device)
                if queue is None:
                    continue
                if queue.is_shared and queue.entries[0].position > cut:  # it stays shared (2.6 -> 0.5 us a device)
                    self._operations += 1
                    continue
                lone = self._lone(queue, cut) if summary is None else None
                if lone is not None:
                    self._enter_lone(device, key, lone)
                else:
                    self._operations += 1
                    yield from self._bring(_Move(device, memtable.device(queue.shard, device), summary), cut)
            yield _nothing

    def _bring(self, move: _Move, cut: int) -> Iterator[Callable[[], None]]:
        """Do the work of one device."""
        queue = move.queue
        if move.summary.count:
            yield from self._forget(move)
        elif queue.floor or queue.removed or queue.recheck:
            yield partial(self._forgotten, move, queue.floor, queue.removed or set())
        yield from self._enter(move, cut)

    def _forget(self, move: _Move) -> Iterator[Callable[[], None]]:
        """Take out of the inbox what was acked or removed."""
        queue, summary = move.queue, move.summary
        floor, removed = queue.floor, set(queue.removed or ())
        if floor >= summary.tail and not summary.refers:
            self._batch.delete_ranges.append((Table.INBOX, move.prefix, prefix_stop(move.prefix)))
            summary.count = summary.size_bytes = summary.head = summary.tail = summary.earliest_ms = 0
            self._touch(move)
        else:
            yield from self._forget_up_to(move, floor)
            self._forget_single(move, floor, removed)
            if removed or queue.recheck:
                yield from self._recheck(move, removed)
        yield partial(self._forgotten, move, floor, removed)

    def _forget_up_to(self, move: _Move, floor: int) -> Iterator[Callable[[], None]]:
        summary = move.summary
        while summary.count and floor >= summary.head:
            page = self._inbox.read(move.device, summary.head - 1 if summary.head else 0, floor, PAGE_ENTRIES)
            last = page[-1].position if len(page) == PAGE_ENTRIES else floor
            stop = entry_key(move.prefix, last + 1)
            self._batch.delete_ranges.append((Table.INBOX, move.prefix, stop))
            summary.count -= len(page)
            summary.size_bytes -= counted_waiting(page)
            summary.head = last + 1
            if summary.refers:
                self._release(page)
            self._operations += len(page)
            self._touch(move)
            yield _nothing

    def _release(self, page: list[Waiting]) -> None:
        for entry in page:
            if isinstance(entry, Reference):
                self.counts.release(entry)

    def _forget_single(self, move: _Move, floor: int, removed: set[int]) -> None:
        for position in sorted(removed):
            entry = self._inbox.entry(move.device, position) if floor < position <= move.summary.tail else None
            if entry is not None:
                self._batch.deletes.append((Table.INBOX, entry_key(move.prefix, position)))
                move.summary.count -= 1
                move.summary.size_bytes -= entry.size_bytes
                self._release([entry])
                self._operations += 1
                self._touch(move)

    def _recheck(self, move: _Move, removed: set[int]) -> Iterator[Callable[[], None]]:
        """Find the earliest expiry anew; what the journal forgot meanwhile only makes it too early."""
        earliest_ms, position = NEVER_MS, move.summary.head - 1 if move.summary.head else 0
        while page := self._inbox.read(move.device, position, NEVER_MS, PAGE_ENTRIES):
            left = [entry for entry in page if entry.position not in removed]
            earliest_ms = min(earliest_ms, min(map(self._expiry_ms, left), default=NEVER_MS))
            position = page[-1].position
            self._operations += 2 * len(page)  # an entry and its body
            yield _nothing
        move.summary.earliest_ms = 0 if earliest_ms == NEVER_MS else earliest_ms
        self._touch(move)

    def _expiry_ms(self, entry: Waiting) -> int:
        """When it expires; if its body cannot be read, at once: its queue then says so, and the move goes on."""
        try:
            (whole,) = self._inbox.whole([entry])
        except StoreCorruptError:
            return 1
        return whole.expires_ms or NEVER_MS

    def _forgotten(self, move: _Move, floor: int, removed: set[int]) -> None:
        """Let the memtable forget what the inbox has forgotten, unless more came meanwhile."""
        queue = move.queue
        if queue.floor == floor:
            queue.floor = 0
        queue.removed = (queue.removed - removed or None) if queue.removed else None
        queue.recheck = False
        self._drop_if_silent(move.device, queue)

    def _lone(self, queue: DeviceQueue, cut: int) -> _Lone | None:
        """What the devices of a queue have in common that is one entry and no more; None if it is not."""
        lone = self._lones.get(queue)
        if lone is None and queue.is_one_entry(cut):
            lone = self._lones[queue] = self._first_lone(queue)
        return lone

    def _first_lone(self, queue: DeviceQueue) -> _Lone:
        (entry,) = queue.entries
        shard, position = queue.shard, entry.position
        if position in self._memtable.shared:
            return _Lone(position, self.counts.keep(shard, entry), b"", lone_summary(shard, entry))
        summary = Summary(shard, 1, entry.size_bytes, position, position, entry.expires_ms)
        return _Lone(position, b"", encode_entry(entry), summary.encode())

    def _enter_lone(self, device: bytes, key: bytes, lone: _Lone) -> None:
        """Write the one entry of a device of which nothing is here, as of most who are away.

        Its move takes 2.3 us, commit and all; as a step of its own, by way of a `Summary`, it took 7.1.
        """
        if lone.row:
            self._batch.puts.append((Table.INBOX, entry_key(entries_prefix(device), lone.position), lone.row))
            self._operations += 1
        self._batch.puts.append((Table.INBOX, key, lone.summary))
        self._operations += 1
        lone.devices.append(device)

    def _enter(self, move: _Move, cut: int) -> Iterator[Callable[[], None]]:
        """Write what waits up to the cut; what lies at or below the tail is there since before a crash."""
        queue, position = move.queue, move.summary.tail
        while queue.entries:
            first, last = index_after(queue.entries, position), index_after(queue.entries, cut)
            chunk = queue.entries[first : min(last, first + PAGE_ENTRIES)]
            if chunk:
                self._add(move, chunk)
                position = chunk[-1].position
            done = partial(self._entered, move.device, queue, position)
            if first + len(chunk) >= last:
                yield done
                return
            yield done

    def _add(self, move: _Move, chunk: list[Entry]) -> None:
        prefix, summary, puts = move.prefix, move.summary, self._batch.puts
        if summary.is_lone and summary.count:
            puts.append((Table.INBOX, entry_key(prefix, summary.tail), summary.reference.encode()))
        summary.is_lone = False
        keys = entry_keys(prefix, [entry.position for entry in chunk])
        puts.extend(zip(repeat(Table.INBOX), keys, self._values(summary, chunk)))
        expiries = [entry.expires_ms for entry in chunk if entry.expires_ms]
        if expiries:
            summary.earliest_ms = min(summary.earliest_ms or NEVER_MS, min(expiries))
        summary.head = summary.head if summary.count else chunk[0].position
        summary.count += len(chunk)
        summary.size_bytes += counted(chunk)
        summary.tail = chunk[-1].position
        self.moved_entries += len(chunk)
        self._operations += len(chunk)
        self._touch(move)

    def _values(self, summary: Summary, chunk: list[Entry]) -> list[bytes]:
        """What the entries of a device are stored as."""
        shared = self._memtable.shared
        referring = [entry for entry in chunk if entry.position in shared] if shared else []
        if not referring:
            return list(map(encode_entry, chunk))
        summary.refers = True
        references = self.counts.refer(summary.shard, referring)
        if len(referring) == len(chunk):
            return references
        following = iter(references)
        return [next(following) if entry.position in shared else encode_entry(entry) for entry in chunk]

    def _entered(self, device: bytes, queue: DeviceQueue, position: int) -> None:
        entries = queue.entries
        del entries[: index_after(entries, position)]
        self._drop_if_silent(device, queue)

    def _entered_lone(self, lones: dict[DeviceQueue, _Lone], counted: Callable[[], None]) -> None:
        counted()
        known = self._memtable.devices
        for queue, lone in lones.items():
            position, is_same = lone.position, queue.is_one_entry(lone.position)
            for device in lone.devices:
                now = known.get(device)
                if now is queue and is_same:
                    del known[device]
                elif now is not None:  # more has come, or an acknowledgement
                    self._entered(device, now, position)

    def _drop_if_silent(self, device: bytes, queue: DeviceQueue) -> None:
        if queue.silent and self._memtable.devices.get(device) is queue:
            del self._memtable.devices[device]

    def _touch(self, move: _Move) -> None:
        if move.device not in self._touched:
            self._touched[move.device] = move
            self._operations += SUMMARY_OPERATIONS

    def _write_summary(self, move: _Move) -> None:
        batch, summary, device = self._batch, move.summary, move.device
        if not summary.count:
            summary.earliest_ms = summary.head = summary.tail = 0
            summary.refers = summary.is_lone = False
            batch.deletes.append((Table.INBOX, summary_key(device)))
        else:
            batch.puts.append((Table.INBOX, summary_key(device), summary.encode()))


def _nothing() -> None:
    """Work in the middle of a device; the memtable goes on as it was."""
