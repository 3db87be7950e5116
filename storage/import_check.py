"""The check of what another node sends as a shard: each row is of this shard, whole, and in its place.

Rows go in, what is to be written comes out; what is refused is the source's fault, see `TransferError`. Rounds after
the first say what has become of rows that are here already, so these are looked up.

Of each queue it is counted how many entries are here, and that is what its summary here says. In the last round this
has to be what the source announced. Before that a queue may have changed while it was read, but then a later round
brings it again, and the copy is not whole without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.bodies import (
    body_key,
    body_position,
    count_key,
    encode_count,
    encode_reference,
    is_reference,
)
from storage.directory import KEY_SIZE_BYTES_MAX
from storage.engine import Batch, Engine, Table
from storage.errors import StorageError, TransferError
from storage.export import AGAIN, PAGE_ROWS
from storage.inbox import (
    ENTRY_PREFIX,
    SUMMARY_PREFIX,
    SUMMARY_SIZE_BYTES,
    Summary,
    decode_summary,
    device_of,
    entries_prefix,
    entry_key,
    entry_position,
    summary_key,
)
from storage.meta import POSITION_KEY, ROWS_KEY, cursor_key, epoch_key
from storage.outbox import check_outbox, check_outbox_key
from storage.records import NUMBER_MAX, decode_entry, key_position

if TYPE_CHECKING:
    from storage.directory import ShardOfPair
    from storage.export import Row

POSITION_MAX: Final = NUMBER_MAX >> 1
"""So that nobody can use up all positions."""
NUMBER_SIZE_BYTES: Final = 8


class _Queue:
    """The queue whose entries come now."""

    __slots__ = ("announced", "count", "device", "is_noted", "prefix", "summary")

    def __init__(self, device: bytes, summary: Summary, count: int) -> None:
        self.device = device
        self.prefix = entries_prefix(device)
        self.summary = summary
        self.announced = summary.count
        self.count = count
        self.is_noted = False

    def note(self, batch: Batch) -> None:
        """Let the summary here say how many entries are here; by it a purge finds them."""
        if self.is_noted:
            return
        self.is_noted = True
        summary, key = self.summary, summary_key(self.device)
        summary.count = self.count
        if self.count:
            batch.puts.append((Table.INBOX, key, summary.encode()))
        else:
            batch.deletes.append((Table.INBOX, key))


class ImportCheck:
    """What one transfer has brought so far.

    Args:
        shard: The shard.
        shard_of_pair: The shard of a pair in the directory.
        engine: Where what earlier rounds have brought is looked up.

    Attributes:
        position: No position of the shard lies above this.
        epoch: The epoch under which the source owned it; 0 before the last round.
        cursors: By source shard: the highest source position taken.
    """

    __slots__ = (
        "_after",
        "_bodies",
        "_counted",
        "_engine",
        "_queue",
        "_rows",
        "_rows_told",
        "_shard",
        "_shard_of_pair",
        "_unreferred",
        "_unsure",
        "cursors",
        "epoch",
        "position",
    )

    def __init__(self, shard: int, shard_of_pair: ShardOfPair, engine: Engine) -> None:
        self._shard = shard
        self._shard_of_pair = shard_of_pair
        self._engine = engine
        self._queue: _Queue | None = None
        self._unsure: set[bytes] = set()  # queues that have changed while they were read; the next round brings them
        self._after = 0
        self._bodies: dict[int, tuple[int, bytes]] = {}  # by position: how many entries refer to it, in which words
        self._counted: set[int] = set()
        self._unreferred = 0
        self._rows = 0
        self._rows_told: int | None = None
        self.position = 0
        self.epoch = 0
        self.cursors: dict[int, int] = {}

    def rows(self, rows: list[Row]) -> Batch:
        """Return what to write for these rows; no commit is in flight.

        Raises:
            TransferError: One of them is not what may come now.
        """
        batch = Batch()
        for table, key, value in rows:
            if not 0 < len(key) <= KEY_SIZE_BYTES_MAX:
                raise TransferError(self._shard, f"a key has {len(key)} bytes")
            if self._rows_told is not None and not (table == Table.META | AGAIN and key == POSITION_KEY):
                raise TransferError(self._shard, "a row came behind the last one")
            try:
                self._row(table, key, value, batch)
            except TransferError:
                raise
            except StorageError as error:
                raise TransferError(self._shard, str(error)) from error
            self._rows += 1
        if self._queue is not None:
            self._queue.note(batch)
        for position in sorted(self._counted):
            self._note_count(position, batch)
        self._counted.clear()
        return batch

    def end(self) -> None:
        """Check that nothing is missing.

        Raises:
            TransferError: Something is.
        """
        if self._rows_told is None or not self.epoch or self._unsure or self._unreferred:
            raise TransferError(self._shard, f"it is not whole after {self._rows} rows")

    def _row(self, table: int, key: bytes, value: bytes, batch: Batch) -> None:
        if table == Table.INBOX and key[:1] == ENTRY_PREFIX:
            self._entry(key, value, batch)
            return
        if table == Table.BODIES:
            self._body(key, value, batch)
            return
        self._end_queue(batch)
        if table & ~AGAIN == Table.INBOX:
            self._begin_queue(key, value, batch, again=table != Table.INBOX)
        elif table == Table.DIRECTORY:
            if self._shard_of_pair(key, value) != self._shard:
                raise TransferError(self._shard, f"the directory's key {key[:16]!r} is of another shard")
            batch.puts.append((Table.DIRECTORY, key, value))
        elif table == Table.DIRECTORY | AGAIN:
            stored = self._engine.get(Table.DIRECTORY, key)
            if stored is not None and self._shard_of_pair(key, stored) == self._shard:
                batch.deletes.append((Table.DIRECTORY, key))
        elif table == Table.OUTBOX:
            self._known(check_outbox(self._shard, key, value))
            batch.puts.append((Table.OUTBOX, key, value))
        elif table == Table.OUTBOX | AGAIN:
            check_outbox_key(self._shard, key)
            batch.deletes.append((Table.OUTBOX, key))
        elif table & ~AGAIN == Table.META:
            self._meta(key, value, again=table != Table.META)
        else:
            raise TransferError(self._shard, f"a row is for table {table}")

    def _meta(self, key: bytes, value: bytes, *, again: bool) -> None:
        number = key_position(value)
        if number > POSITION_MAX:
            raise TransferError(self._shard, f"{number} is above every position and epoch")
        if key == POSITION_KEY:
            if again and (self._rows_told is None or number < self.position):
                raise TransferError(self._shard, "a round began before the end of another")
            self._after, self.position = self.position, number
            self._rows_told = None
        elif again:
            raise TransferError(self._shard, f"the key {key[:16]!r} is none that comes again")
        elif key == epoch_key(self._shard):
            self.epoch = number
        elif key == ROWS_KEY:
            self._rows_told = number
            if number != self._rows:
                raise TransferError(self._shard, f"{self._rows} rows came of {number}")
        elif key[:-1] == cursor_key(self._shard, 0)[:-1]:
            self.cursors[key[-1]] = number
        else:
            raise TransferError(self._shard, f"the key {key[:16]!r} is none that a shard has")

    def _entry(self, key: bytes, value: bytes, batch: Batch) -> None:
        queue, refers = self._queue, is_reference(value)
        position = entry_position(key) if refers else decode_entry(value).position
        if queue is None or key != entry_key(queue.prefix, position) or position <= self._after:
            raise TransferError(self._shard, "an entry came that its device's summary does not announce")
        self._known(position)
        if refers:
            self._refer(position, value, queue.summary)
        queue.count += 1
        queue.is_noted = False
        batch.puts.append((Table.INBOX, key, value))

    def _body(self, key: bytes, value: bytes, batch: Batch) -> None:
        entry, position = decode_entry(value), body_position(key)
        if key != body_key(self._shard, entry.position) or position in self._bodies or position <= self._after:
            raise TransferError(self._shard, "a body came under another key than its own, or twice")
        self._known(position)
        self._bodies[position] = (0, encode_reference(self._shard, entry))
        self._unreferred += 1
        batch.puts.append((Table.BODIES, key, value))

    def _refer(self, position: int, value: bytes, summary: Summary) -> None:
        count, told = self._bodies.get(position, (0, b""))
        if not summary.refers or value != told:
            raise TransferError(self._shard, "an entry refers to a body that did not come")
        self._unreferred -= not count
        self._bodies[position] = (count + 1, told)
        self._counted.add(position)

    def _release(self, key: bytes, value: bytes) -> None:
        """An entry goes that an earlier round has brought."""
        if is_reference(value):
            position = entry_position(key)
            count, told = self._bodies[position]
            self._bodies[position] = (count - 1, told)
            self._counted.add(position)

    def _note_count(self, position: int, batch: Batch) -> None:
        key, count = body_key(self._shard, position), self._bodies[position][0]
        if count:
            batch.puts.append((Table.INBOX, count_key(key), encode_count(count)))
        else:
            del self._bodies[position]
            batch.deletes += ((Table.BODIES, key), (Table.INBOX, count_key(key)))

    def _begin_queue(self, key: bytes, value: bytes, batch: Batch, *, again: bool) -> None:
        device, summary = device_of(key), decode_summary(value[:SUMMARY_SIZE_BYTES] if again else value)
        if key[:1] != SUMMARY_PREFIX or key != summary_key(device) or summary.shard != self._shard:
            raise TransferError(self._shard, f"the key {key[:16]!r} is of no queue of this shard")
        if summary.is_lone:
            raise TransferError(self._shard, "a summary came in place of an entry")
        self._known(max(summary.head, summary.tail))
        if not again:
            if not summary.count:
                raise TransferError(self._shard, "a queue lacks entries")
            self._queue = _Queue(device, summary, 0)
            return
        stored = self._engine.get(Table.INBOX, key)
        known = Summary(self._shard) if stored is None else decode_summary(stored)
        if known.shard != self._shard:
            raise TransferError(self._shard, f"the key {key[:16]!r} is of no queue of this shard")
        removed = value[SUMMARY_SIZE_BYTES:]
        gone = self._forget(device, summary, removed, batch) if known.count else 0
        self._queue = _Queue(device, summary, known.count - gone)

    def _forget(self, device: bytes, summary: Summary, removed: bytes, batch: Batch) -> int:
        """Take out what the queue has lost since an earlier round; how many of it are here."""
        prefix, count = entries_prefix(device), 0
        start, stop = prefix, entry_key(prefix, summary.head if summary.count else NUMBER_MAX)
        while pairs := self._engine.scan(Table.INBOX, start, stop, PAGE_ROWS):
            count += len(pairs)
            for pair in pairs:
                self._release(*pair)
            start = pairs[-1][0] + b"\x00"
        batch.delete_ranges.append((Table.INBOX, prefix, stop))
        for first in range(0, len(removed), NUMBER_SIZE_BYTES):
            key = entry_key(prefix, key_position(removed[first : first + NUMBER_SIZE_BYTES]))
            stored = self._engine.get(Table.INBOX, key) if key >= stop else None
            if stored is not None:
                self._release(key, stored)
                batch.deletes.append((Table.INBOX, key))
                count += 1
        return count

    def _end_queue(self, batch: Batch) -> None:
        queue, self._queue = self._queue, None
        if queue is None:
            return
        queue.note(batch)
        if queue.count == queue.announced:
            self._unsure.discard(queue.device)
        elif self.epoch:
            raise TransferError(self._shard, f"a queue has {queue.count} entries, and {queue.announced} are announced")
        else:
            self._unsure.add(queue.device)

    def _known(self, position: int) -> None:
        if position > self.position:
            raise TransferError(self._shard, f"position {position} is above {self.position}, the last of its source")


def begins(rows: list[Row]) -> bool:
    """Whether these rows are the first of a transfer."""
    return bool(rows) and rows[0][0] == Table.META and rows[0][1] == POSITION_KEY
