"""The check of what another node sends as a shard: each row is of this shard, whole, and in its place.

Pure: rows go in, what is to be written comes out. What is refused is the source's fault, see `TransferError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.directory import KEY_SIZE_BYTES_MAX
from storage.engine import Table
from storage.errors import StorageError, TransferError
from storage.inbox import (
    ENTRY_PREFIX,
    SUMMARY_PREFIX,
    decode_summary,
    device_of,
    entries_prefix,
    entry_key,
    expiry_key,
    summary_key,
)
from storage.meta import POSITION_KEY, ROWS_KEY, cursor_key, epoch_key
from storage.outbox import check_outbox
from storage.records import NUMBER_MAX, decode_entry, key_position

if TYPE_CHECKING:
    from storage.directory import ShardOfPair
    from storage.export import Row

POSITION_MAX: Final = NUMBER_MAX >> 1
"""So that nobody can use up all positions."""


class ImportCheck:
    """What one transfer has brought so far.

    Args:
        shard: The shard.
        shard_of_pair: The shard of a pair in the directory.

    Attributes:
        position: No position of the shard lies above this.
        epoch: The epoch under which the source owned it.
        cursors: By source shard: the highest source position taken.
    """

    __slots__ = ("_left", "_prefix", "_rows", "_rows_told", "_shard", "_shard_of_pair", "cursors", "epoch", "position")

    def __init__(self, shard: int, shard_of_pair: ShardOfPair) -> None:
        self._shard = shard
        self._shard_of_pair = shard_of_pair
        self._prefix = b""
        self._left = 0
        self._rows = 0
        self._rows_told: int | None = None
        self.position = 0
        self.epoch = 0
        self.cursors: dict[int, int] = {}

    def rows(self, rows: list[Row]) -> list[tuple[Table, bytes, bytes]]:
        """Return what to write for these rows.

        Raises:
            TransferError: One of them is not what may come now.
        """
        puts: list[tuple[Table, bytes, bytes]] = []
        for table, key, value in rows:
            if self._rows_told is not None:
                raise TransferError(self._shard, "a row came behind the last one")
            if not 0 < len(key) <= KEY_SIZE_BYTES_MAX:
                raise TransferError(self._shard, f"a key has {len(key)} bytes")
            try:
                if table == Table.INBOX:
                    self._inbox(key, value, puts)
                elif table == Table.DIRECTORY:
                    self._pair(key, value, puts)
                elif table == Table.OUTBOX:
                    self._known(check_outbox(self._shard, key, value))
                    puts.append((Table.OUTBOX, key, value))
                elif table == Table.META:
                    self._meta(key, value)
                else:
                    raise TransferError(self._shard, f"a row is for table {table}")
            except TransferError:
                raise
            except StorageError as error:
                raise TransferError(self._shard, str(error)) from error
            self._rows += 1
        return puts

    def end(self) -> None:
        """Check that nothing is missing.

        Raises:
            TransferError: Something is.
        """
        if self._rows_told is None or not self.epoch or self._left:
            raise TransferError(self._shard, f"it is not whole after {self._rows} rows")

    def _meta(self, key: bytes, value: bytes) -> None:
        number = key_position(value)
        if number > POSITION_MAX:
            raise TransferError(self._shard, f"{number} is above every position and epoch")
        if key == POSITION_KEY:
            self.position = number
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

    def _inbox(self, key: bytes, value: bytes, puts: list[tuple[Table, bytes, bytes]]) -> None:
        if key[:1] == ENTRY_PREFIX:
            entry = decode_entry(value)
            if not self._left or key != entry_key(self._prefix, entry.position):
                raise TransferError(self._shard, "an entry came that its device's summary does not announce")
            self._left -= 1
            self._known(entry.position)
            puts.append((Table.INBOX, key, value))
            return
        device, summary = device_of(key), decode_summary(value)
        if key[:1] != SUMMARY_PREFIX or key != summary_key(device) or summary.shard != self._shard:
            raise TransferError(self._shard, f"the key {key[:16]!r} is of no queue of this shard")
        if self._left or not summary.count:
            raise TransferError(self._shard, f"a queue lacks {self._left} entries")
        self._known(max(summary.head, summary.tail))
        self._prefix, self._left = entries_prefix(device), summary.count
        puts.append((Table.INBOX, key, value))
        if summary.earliest_ms:
            puts.append((Table.INBOX, expiry_key(self._shard, summary.earliest_ms, device), b""))

    def _pair(self, key: bytes, value: bytes, puts: list[tuple[Table, bytes, bytes]]) -> None:
        if self._shard_of_pair(key, value) != self._shard:
            raise TransferError(self._shard, f"the directory's key {key[:16]!r} is of another shard")
        puts.append((Table.DIRECTORY, key, value))

    def _known(self, position: int) -> None:
        if position > self.position:
            raise TransferError(self._shard, f"position {position} is above {self.position}, the last of its source")


def begins(rows: list[Row]) -> bool:
    """Whether these rows are the first of a transfer."""
    return bool(rows) and rows[0][0] == Table.META and rows[0][1] == POSITION_KEY
