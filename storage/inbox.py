"""The inbox: entries that outlived the hot window, by device; with a summary of each device, so that nobody counts.

Keys of the INBOX table (device ids carry their length, so that none is the prefix of another):

    b"e" length device position   an entry
    b"s" length device            the device's summary; of one shared body alone, the entry as well

What several devices of a shard wait for lies there once, and their entries refer to it: see `bodies`.
"""

from __future__ import annotations

from itertools import islice
from struct import Struct as Layout
from struct import error as LayoutError
from typing import TYPE_CHECKING

from storage.bodies import REFERENCE, Reference, body_key, decode_body, decode_reference
from storage.engine import Table, prefix_stop
from storage.errors import StoreCorruptError
from storage.records import ENTRY_OVERHEAD_BYTES, NUMBER_MAX, Entry, decode_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from storage.bodies import Waiting
    from storage.engine import Engine

SUMMARY_PREFIX = b"s"
ENTRY_PREFIX = b"e"
WALK_ROWS = 1_000
"""Summaries looked at in one step (0.7 ms). With 64 shards that ask once a minute, a million take 16 minutes."""

_summary = Layout(">BIQQQQ")
SUMMARY_SIZE_BYTES = _summary.size
_REFERS = 1 << 31
"""Added to the count of a summary."""
_lone = Layout(">BIQQ")
LONE_SIZE_BYTES = _lone.size
"""What a summary has that is the entry, too: most members of a group who are away have one row instead of two."""
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
        is_lone: Whether the only entry, which refers to a body, has no row of its own.
    """

    __slots__ = ("count", "earliest_ms", "head", "is_lone", "refers", "shard", "size_bytes", "tail")

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
        is_lone: bool = False,
    ) -> None:
        self.shard = shard
        self.count = count
        self.size_bytes = size_bytes
        self.head = head
        self.tail = tail
        self.earliest_ms = earliest_ms
        self.refers = refers
        self.is_lone = is_lone

    @property
    def reference(self) -> Reference:
        """What a lone summary says besides."""
        return Reference(self.tail, self.size_bytes, body_key(self.shard, self.tail))

    def encode(self) -> bytes:
        """Return the summary as stored.

        Raises:
            StoreCorruptError: It does not agree with the entries that were taken off it.
        """
        try:
            if self.is_lone:
                return _lone.pack(self.shard, self.size_bytes, self.tail, self.earliest_ms)
            count = self.count | _REFERS if self.refers else self.count
            return _summary.pack(self.shard, count, self.size_bytes, self.head, self.tail, self.earliest_ms)
        except LayoutError as error:
            raise StoreCorruptError("an inbox summary", f"it counts less than there was: {error}") from error


def lone_summary(shard: int, entry: Entry) -> bytes:
    """Return the summary of a device for which one entry waits, with a body that others wait for as well."""
    return _lone.pack(shard, entry.size_bytes, entry.position, entry.expires_ms)


def decode_summary(value: bytes) -> Summary:
    """Return the summary of a stored value.

    Raises:
        StoreCorruptError: It is none.
    """
    try:
        if len(value) == LONE_SIZE_BYTES:
            shard, size_bytes, position, earliest_ms = _lone.unpack(value)
            if size_bytes < ENTRY_OVERHEAD_BYTES or not position:
                raise StoreCorruptError("an inbox summary", "no entry is so small, or lies there")
            summary = Summary(shard, 1, size_bytes, position, position, earliest_ms, refers=True, is_lone=True)
        else:
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


def entry_keys(prefix: bytes, positions: Iterable[int]) -> list[bytes]:
    """Return the keys of many entries of one device."""
    pack = _position.pack
    return [prefix + pack(position) for position in positions]


def summary_key(device: bytes) -> bytes:
    """Return the key of a device's summary."""
    return SUMMARY_PREFIX + bytes((len(device),)) + device


def device_of(key: bytes) -> bytes:
    """Return the device of a summary's key, or of an entry's."""
    return key[2 : 2 + key[1]] if len(key) > 1 else b""


def entry_position(key: bytes) -> int:
    """Return the position that an entry's key ends with."""
    return int.from_bytes(key[-_position.size :], "big")


class Inbox:
    """Reads of the INBOX table; the mover alone writes it.

    Args:
        engine: Where the table is.
    """

    __slots__ = ("_due", "_engine", "_walked_to")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._walked_to = SUMMARY_PREFIX
        self._due: dict[int, dict[bytes, None]] = {}  # by shard: what some walk has found and nobody asked for yet

    def summary(self, device: bytes) -> Summary | None:
        """Return what waits for a device, or None when nothing does."""
        (summary,) = self.summaries((summary_key(device),))
        return summary

    def summaries(self, keys: Sequence[bytes]) -> list[Summary | None]:
        """Return what waits for the devices of some summaries' keys, or None when nothing does."""
        values = self._engine.get_many(Table.INBOX, keys)
        return [None if value is None else decode_summary(value) for value in values]

    def pairs(self, device: bytes, after: int, up_to: int, limit: int) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` entries with after < position <= up_to as they lie here, by their keys and in order."""
        prefix = entries_prefix(device)
        pairs = self._engine.scan(Table.INBOX, entry_key(prefix, after + 1), entry_key(prefix, up_to + 1), limit)
        lone = self._lone(device) if not pairs and limit > 0 else None
        if lone is not None and after < lone.position <= up_to:
            return [(entry_key(prefix, lone.position), lone.encode())]
        return pairs

    def read(self, device: bytes, after: int, up_to: int, limit: int) -> list[Waiting]:
        """Return up to `limit` entries with after < position <= up_to, in order; of some only what refers to them."""
        return [_decoded(key, value) for key, value in self.pairs(device, after, up_to, limit)]

    def read_back(self, device: bytes, before: int, limit: int) -> list[Waiting]:
        """Return up to `limit` entries below a position, the last one first."""
        prefix = entries_prefix(device)
        pairs = self._engine.scan(Table.INBOX, prefix, entry_key(prefix, before), limit, reverse=True)
        lone = self._lone(device) if not pairs and limit > 0 else None
        if lone is not None and lone.position < before:
            return [lone]
        return [_decoded(key, value) for key, value in pairs]

    def entry(self, device: bytes, position: int) -> Waiting | None:
        """Return one entry, or what refers to it, or None."""
        key = entry_key(entries_prefix(device), position)
        value = self._engine.get(Table.INBOX, key)
        if value is not None:
            return _decoded(key, value)
        lone = self._lone(device)
        return lone if lone is not None and lone.position == position else None

    def _lone(self, device: bytes) -> Reference | None:
        summary = self.summary(device)
        return summary.reference if summary is not None and summary.is_lone else None

    def whole(self, entries: list[Waiting]) -> list[Entry]:
        """Return entries with the bodies of those that were only referred to."""
        get = self._engine.get
        return [
            decode_body(entry, get(Table.BODIES, entry.body_key)) if isinstance(entry, Reference) else entry
            for entry in entries
        ]

    def expired(self, shard: int, now_ms: int, limit: int) -> list[bytes]:
        """Return up to `limit` devices of a shard whose summary names an expiry at or before now.

        Each call, of whatever shard, goes on in a walk through all summaries. An index by expiry would answer at once,
        but cost each device a row (36 bytes, and 1.5 us) for what nearly never comes to pass.
        """
        pairs = self._engine.scan(Table.INBOX, self._walked_to, prefix_stop(SUMMARY_PREFIX), WALK_ROWS)
        self._walked_to = pairs[-1][0] + b"\x00" if len(pairs) == WALK_ROWS else SUMMARY_PREFIX
        never, later = _position.pack(0), _position.pack(now_ms + 1)
        for key, value in pairs:
            if never < value[-_position.size :] < later:
                self._due.setdefault(value[0], {})[device_of(key)] = None
        due = self._due.get(shard, {})
        found = list(islice(due, limit))
        for device in found:
            del due[device]
        return [device for device in found if self._is_due(device, now_ms)]

    def _is_due(self, device: bytes, now_ms: int) -> bool:
        """Whether what the walk has found is still so."""
        summary = self.summary(device)
        return summary is not None and 0 < summary.earliest_ms <= now_ms

    def forget_shard(self, shard: int) -> None:
        """Forget what was found out of a shard that has gone."""
        self._due.pop(shard, None)


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
