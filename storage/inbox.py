"""The inbox: entries that outlived the hot window, by device; with a summary of each device, so that nobody counts.

Keys of the INBOX table (device ids carry their length, so that none is the prefix of another):

    b"e" length device position   an entry
    b"s" length device            the device's summary
    b"x" shard expiry device      the devices by the earliest expiry of what waits for them

What several devices of a shard wait for lies there once, and their entries refer to it: see `bodies`.
"""

from __future__ import annotations

from struct import Struct as Layout
from struct import error as LayoutError
from typing import TYPE_CHECKING

from storage.bodies import REFERENCE, Reference, decode_body, decode_reference
from storage.engine import Table
from storage.errors import StoreCorruptError
from storage.records import ENTRY_OVERHEAD_BYTES, NUMBER_MAX, Entry, decode_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.bodies import Waiting
    from storage.engine import Engine

SUMMARY_PREFIX = b"s"
ENTRY_PREFIX = b"e"

_summary = Layout(">BIQQQQ")
SUMMARY_SIZE_BYTES = _summary.size
_REFERS = 1 << 31
"""Added to the count of a summary."""
_expiry = Layout(">cBQ")
_position = Layout(">Q")


class Summary:
    """What waits for one device in the inbox.

    Attributes:
        shard: The shard of its account.
        count: How many entries.
        size_bytes: What they count for.
        head: No entry lies below this position.
        tail: The highest position ever moved here since the queue was last empty.
        earliest_ms: No entry expires before this; 0 means that none expires.
        refers: Whether an entry that came since the queue was last empty refers to a body.
    """

    __slots__ = ("count", "earliest_ms", "head", "refers", "shard", "size_bytes", "tail")

    def __init__(
        self,
        shard: int,
        count: int = 0,
        size_bytes: int = 0,
        head: int = 0,
        tail: int = 0,
        earliest_ms: int = 0,
        *,
        refers: bool = False,
    ) -> None:
        self.shard = shard
        self.count = count
        self.size_bytes = size_bytes
        self.head = head
        self.tail = tail
        self.earliest_ms = earliest_ms
        self.refers = refers

    def encode(self) -> bytes:
        """Return the summary as stored.

        Raises:
            StoreCorruptError: It does not agree with the entries that were taken off it.
        """
        try:
            count = self.count | _REFERS if self.refers else self.count
            return _summary.pack(self.shard, count, self.size_bytes, self.head, self.tail, self.earliest_ms)
        except LayoutError as error:
            raise StoreCorruptError("an inbox summary", f"it counts less than there was: {error}") from error


def decode_summary(value: bytes) -> Summary:
    """Return the summary of a stored value.

    Raises:
        StoreCorruptError: It is none.
    """
    try:
        summary = Summary(*_summary.unpack(value))
    except LayoutError as error:
        raise StoreCorruptError("an inbox summary", str(error)) from error
    if summary.count >= _REFERS:
        summary.count -= _REFERS
        summary.refers = True
    if max(summary.head, summary.tail, summary.earliest_ms, summary.size_bytes) > NUMBER_MAX:
        raise StoreCorruptError("an inbox summary", "a number is out of range")
    return summary


def entries_prefix(device: bytes) -> bytes:
    """Return what the keys of a device's entries begin with."""
    return ENTRY_PREFIX + bytes((len(device),)) + device


def entry_key(prefix: bytes, position: int) -> bytes:
    """Return the key of one entry, given `entries_prefix` of its device."""
    return prefix + _position.pack(position)


def summary_key(device: bytes) -> bytes:
    """Return the key of a device's summary."""
    return SUMMARY_PREFIX + bytes((len(device),)) + device


def device_of(key: bytes) -> bytes:
    """Return the device of a summary's key, or of an entry's."""
    return key[2 : 2 + key[1]] if len(key) > 1 else b""


def entry_position(key: bytes) -> int:
    """Return the position that an entry's key ends with."""
    return int.from_bytes(key[-_position.size :], "big")


def expiry_key(shard: int, earliest_ms: int, device: bytes) -> bytes:
    """Return the key under which a device waits for its earliest expiry."""
    return _expiry.pack(b"x", shard, earliest_ms) + device


class Inbox:
    """Reads of the INBOX table; the mover alone writes it.

    Args:
        engine: Where the table is.
    """

    __slots__ = ("_engine",)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def summary(self, device: bytes) -> Summary | None:
        """Return what waits for a device, or None when nothing does."""
        value = self._engine.get(Table.INBOX, summary_key(device))
        if value is None:
            return None
        return decode_summary(value)

    def read(self, device: bytes, after: int, up_to: int, limit: int) -> list[Waiting]:
        """Return up to `limit` entries with after < position <= up_to, in order; of some only what refers to them."""
        prefix = entries_prefix(device)
        pairs = self._engine.scan(Table.INBOX, entry_key(prefix, after + 1), entry_key(prefix, up_to + 1), limit)
        return [_decoded(key, value) for key, value in pairs]

    def read_back(self, device: bytes, before: int, limit: int) -> list[Waiting]:
        """Return up to `limit` entries below a position, the last one first."""
        prefix = entries_prefix(device)
        pairs = self._engine.scan(Table.INBOX, prefix, entry_key(prefix, before), limit, reverse=True)
        return [_decoded(key, value) for key, value in pairs]

    def entry(self, device: bytes, position: int) -> Waiting | None:
        """Return one entry, or what refers to it, or None."""
        key = entry_key(entries_prefix(device), position)
        value = self._engine.get(Table.INBOX, key)
        return None if value is None else _decoded(key, value)

    def whole(self, entries: list[Waiting]) -> list[Entry]:
        """Return entries with the bodies of those that were only referred to."""
        get = self._engine.get
        return [
            decode_body(entry, get(Table.BODIES, entry.body_key)) if isinstance(entry, Reference) else entry
            for entry in entries
        ]

    def expired(self, shard: int, now_ms: int, limit: int) -> list[bytes]:
        """Return up to `limit` devices whose summary names an expiry at or before now, earliest first."""
        start = expiry_key(shard, 0, b"")
        pairs = self._engine.scan(Table.INBOX, start, expiry_key(shard, now_ms + 1, b""), limit)
        return [key[_expiry.size :] for key, _ in pairs]


def _decoded(key: bytes, value: bytes) -> Waiting:
    if value[:1] == REFERENCE:
        return decode_reference(entry_position(key), value)
    entry = decode_entry(value)
    # Whoever reads a queue page by page goes on behind the last entry's position: a wrong one would never end.
    if key[-_position.size :] != _position.pack(entry.position):
        raise StoreCorruptError("the inbox", f"an entry lies under another position than its own, {entry.position}")
    return entry


def counted(entries: list[Entry]) -> int:
    """Return what these entries count for in a quota, bytes."""
    return sum([len(entry.body) for entry in entries]) + len(entries) * ENTRY_OVERHEAD_BYTES


def counted_waiting(entries: Sequence[Waiting]) -> int:
    """Return the same of entries of which some only refer to their body (0.03 us more for each)."""
    return sum([entry.size_bytes for entry in entries])
