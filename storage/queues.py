"""A device's queue as its owner sees it: inbox and memtable merged by position, minus what is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from storage.errors import StoreCorruptError
from storage.inbox import counted, counted_waiting
from storage.memtable import NEVER_MS, index_after

if TYPE_CHECKING:
    from storage.bodies import Waiting
    from storage.inbox import Inbox, Summary
    from storage.memtable import DeviceQueue, Memtable
    from storage.records import Entry

PAGE_ENTRIES = 256


class QueueView(msgspec.Struct, gc=False, frozen=True):
    """What waits for one device.

    Attributes:
        count: How many entries.
        size_bytes: What they count for: body and 64 bytes each.
        head_position: The first; 0 when nothing waits.
        tail_position: The last; 0 when nothing waits.
    """

    count: int
    size_bytes: int
    head_position: int
    tail_position: int


class Queues:
    """Reads device queues across the inbox and the hot journal.

    Args:
        memtable: The hot journal.
        inbox: The rest.
    """

    __slots__ = ("_inbox", "_memtable")

    def __init__(self, memtable: Memtable, inbox: Inbox) -> None:
        self._memtable = memtable
        self._inbox = inbox

    def view(self, device: bytes) -> QueueView:
        """Return count, size and bounds of a queue, exactly.

        Raises:
            StoreCorruptError: The inbox cannot be read, or its summary does not agree with it.
        """
        queue = self._memtable.devices.get(device)
        summary = self._inbox.summary(device)
        count, size_bytes = self._moved(device, queue, summary)
        hot = self._hot(queue, summary.tail if summary else 0)
        count += len(hot)
        size_bytes += counted(hot)
        if not count:
            return QueueView(0, 0, 0, 0)
        first = self.read(device, 0, 1, 0)
        if not first or count < 0:
            raise StoreCorruptError("an inbox summary", f"by its count {count} entries wait, which is not so")
        return QueueView(count, size_bytes, first[0].position, self._last(device, queue, hot))

    def read(self, device: bytes, after: int, limit: int, size_bytes_max: int) -> list[Entry]:
        """Return entries behind a position, in order: up to `limit`, or to the one that exceeds `size_bytes_max`.

        At least one entry is returned if one waits, however large.
        """
        queue = self._memtable.devices.get(device)
        result: list[Waiting] = []
        size_bytes = 0
        floor = max(after, queue.floor) if queue else after
        removed = (queue.removed if queue else None) or ()
        while len(result) < limit:
            wanted = min(limit - len(result), PAGE_ENTRIES)
            page = self._page(device, queue, floor, wanted)
            for entry in page:
                if entry.position in removed:
                    continue
                size_bytes += entry.size_bytes
                if result and size_bytes > size_bytes_max:
                    return self._inbox.whole(result)
                result.append(entry)
            if len(page) < wanted:
                break
            floor = page[-1].position
        return self._inbox.whole(result)

    def expired(self, shard: int, now_ms: int, limit: int) -> list[bytes]:
        """Return up to `limit` devices of a shard for which an expired entry waits."""
        devices: dict[bytes, None] = {}
        for device in self._inbox.expired(shard, now_ms, limit):
            if self._has_expired(device, now_ms):
                devices[device] = None
            else:
                self._memtable.device(shard, device).recheck = self._memtable.rechecks = True
        if self._memtable.expiries_ms.get(shard, NEVER_MS) <= now_ms:
            self._add_hot_expired(shard, now_ms, devices)
        return list(devices)[:limit]

    def _page(self, device: bytes, queue: DeviceQueue | None, after: int, wanted: int) -> list[Waiting]:
        """Return the next entries behind a position; what is in both places is there once."""
        # Entries move in position order, so whatever the inbox has lies at or below all that is hot only.
        page = self._inbox.read(device, after, NEVER_MS, wanted)
        if len(page) < wanted and queue is not None and queue.entries:
            first = index_after(queue.entries, page[-1].position if page else after)
            page += queue.entries[first : first + wanted - len(page)]
        return page

    def _moved(self, device: bytes, queue: DeviceQueue | None, summary: Summary | None) -> tuple[int, int]:
        """Return count and size of what the inbox holds and the hot journal has not forgotten."""
        if summary is None or (queue and queue.floor >= summary.tail):
            return 0, 0
        count, size_bytes = summary.count, summary.size_bytes
        if queue is None:
            return count, size_bytes
        position = 0
        while queue.floor >= summary.head and position < queue.floor:
            page = self._inbox.read(device, position, queue.floor, PAGE_ENTRIES)
            count -= len(page)
            size_bytes -= counted_waiting(page)
            position = page[-1].position if len(page) == PAGE_ENTRIES else queue.floor
        for removed in queue.removed or ():
            entry = self._inbox.entry(device, removed) if removed > queue.floor else None
            if entry is not None:
                count -= 1
                size_bytes -= entry.size_bytes
        return count, size_bytes

    @staticmethod
    def _hot(queue: DeviceQueue | None, tail: int) -> list[Entry]:
        """Return the hot entries that are not in the inbox as well."""
        if queue is None or not queue.entries:
            return []
        return queue.entries[index_after(queue.entries, tail) :] if tail else queue.entries

    def _last(self, device: bytes, queue: DeviceQueue | None, hot: list[Entry]) -> int:
        """Return the last position that waits; the caller knows that one does."""
        if hot:
            return hot[-1].position
        removed = (queue.removed if queue else None) or ()
        before = NEVER_MS
        while page := self._inbox.read_back(device, before, PAGE_ENTRIES):
            for entry in page:
                if entry.position not in removed:
                    return entry.position
            before = page[-1].position
        return 0

    def _has_expired(self, device: bytes, now_ms: int) -> bool:
        position = 0
        while page := self.read(device, position, PAGE_ENTRIES, NEVER_MS):
            if any(0 < entry.expires_ms <= now_ms for entry in page):
                return True
            position = page[-1].position
        return False

    def _add_hot_expired(self, shard: int, now_ms: int, devices: dict[bytes, None]) -> None:
        """Add the devices with an expired hot entry; the hot journal is bounded, so it is looked through."""
        earliest_ms = NEVER_MS
        for device, queue in self._memtable.devices.items():
            if queue.shard != shard:
                continue
            expiries = [entry.expires_ms for entry in queue.entries if entry.expires_ms]
            if expiries:
                first_ms = min(expiries)
                earliest_ms = min(earliest_ms, first_ms)
                if first_ms <= now_ms:
                    devices[device] = None
        self._memtable.expiries_ms[shard] = earliest_ms
