"""The end of a move from which the shard goes: one process, which ends with it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.placement.api import PLACEMENT
from actors.placement.moves import (
    AllRows,
    Complete,
    Declined,
    Departed,
    NotMoved,
    Offer,
    Piece,
    Rows,
    RowsDurable,
    Vacate,
    Vacated,
    Welcome,
)
from actors.shard.api import answers
from runtime import Actor, Down, Named, Pid
from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage import Export, Store
    from storage.export import Row

__all__ = ["DepartureActor"]

PAGE_SIZE_BYTES: Final = 512 << 10
"""Of a page of rows, and of a piece of a row that is larger alone: both fit a frame of a link."""
IN_FLIGHT_MAX: Final = 8


class Begin(NamedTuple):
    """The timer that begins."""


class Page(NamedTuple):
    """From the disk: the next rows, none at the end."""

    rows: list[Row]


class Released(NamedTuple):
    """From the disk: whether it is written that the shard has gone."""

    error: Exception | None


class DepartureActor(Actor):
    """Copies a shard that runs nowhere any more to another node, and lets go of it when the copy is whole.

    It asks first, so that a node which is away or has no room costs nobody a pause. Whatever goes wrong before the
    release is asked of the disk leaves the shard where it was.

    Args:
        store: The node's store.
        shard: Number of the shard.
        to: The node that is to have it.
        transfer: Names the move.
        placement: The placement of this node.
    """

    __slots__ = (
        "_arrival",
        "_export",
        "_in_flight",
        "_is_final",
        "_pieces",
        "_placement",
        "_reading",
        "_rows",
        "_shard",
        "_size_bytes",
        "_store",
        "_to",
        "_transfer",
    )

    def __init__(self, store: Store, shard: int, to: str, transfer: bytes, placement: Pid) -> None:
        self._store = store
        self._shard = shard
        self._to = to
        self._transfer = transfer
        self._placement = placement
        self._arrival: Pid | None = None
        self._export: Export | None = None
        self._in_flight = 0
        self._pieces: deque[Piece] = deque()
        self._reading = False
        self._is_final = False
        self._rows = 0
        self._size_bytes = 0

    def init(self) -> None:
        """Begin at once."""
        self.process.send_after(0.0, Begin())

    def _begin(self) -> None:
        """Ask the other node."""
        process = self.process
        there = Named(self._to, PLACEMENT)
        process.monitor(there)
        if not process.insist(there, Offer(self._shard, process.runtime.node, self._transfer, process.pid)):
            self._give_up(f"The link to {self._to} is full; ask again.")

    def handle_cast(self, message: Any) -> None:
        """The steps of the move."""
        match message:
            case Welcome(arrival):
                self._arrival = arrival
                self.process.monitor(arrival)
                self.process.cast(self._placement, Vacate(self._shard, self.process.pid))
            case Vacated():
                self._store.fence(self._shard)
                self._export = self._store.export_shard(self._shard)
                self._read_on()
            case RowsDurable():
                self._in_flight -= 1
                self._read_on()
            case Complete():
                self._is_final = True
                self._store.release(self._shard, self._to, self._transfer, self._released)
            case Declined(sentence):
                self._give_up(sentence)
            case _:
                super().handle_cast(message)

    def handle_info(self, message: Any) -> None:
        """What comes from the disk, and the end of the other side."""
        match message:
            case Begin():
                self._begin()
            case Page(rows):
                self._send(rows)
            case Released(None):
                self.process.cast(self._placement, Departed(self._shard, self._rows, self._size_bytes))
                self.process.stop()
            case Released(error):
                self._is_final = False
                self._give_up(f"The disk of this node would not note that the shard goes: {error}")
            case StorageError():
                self._give_up(f"The shard cannot be read: {message}")
            case Down():
                self._give_up(f"{self._to} ended in the middle of the move ({message.reason}); ask again.")
            case _:
                super().handle_info(message)

    def _read_on(self) -> None:
        """Keep some pages on their way; when all are there, say so."""
        assert self._export is not None, "the shard is still running"
        while self._pieces and self._in_flight < IN_FLIGHT_MAX:
            self._in_flight += 1
            self._tell(self._pieces.popleft())
        if self._reading or self._in_flight >= IN_FLIGHT_MAX:
            return
        if not self._export.ended:
            self._reading = True
            self._store.read_export(self._export, PAGE_SIZE_BYTES, *answers(self.process, Page))
        elif not self._in_flight:
            self._tell(AllRows())

    def _send(self, rows: list[Row]) -> None:
        self._reading = False
        if rows:
            self._rows += len(rows)
            size_bytes = sum(len(key) + len(value) for _, key, value in rows)
            self._size_bytes += size_bytes
            if size_bytes > PAGE_SIZE_BYTES:
                self._pieces.extend(_pieces(rows[0]))  # a row that is larger than a page comes alone
            else:
                self._in_flight += 1
                self._tell(Rows(rows))
        self._read_on()

    def _tell(self, message: object) -> None:
        assert self._arrival is not None, "nobody else has answered"
        if not self.process.insist(self._arrival, message):
            self._give_up(f"The link to {self._to} is full; ask again.")

    def _released(self, error: Exception | None) -> None:
        self.process.runtime.send(self.process.pid, Released(error))

    def _give_up(self, sentence: str) -> None:
        if not self._is_final:
            self.process.cast(self._placement, NotMoved(self._shard, sentence))
            self.process.stop()


def _pieces(row: Row) -> Iterator[Piece]:
    table, key, value = row
    for first in range(0, len(value), PAGE_SIZE_BYTES):
        end = first + PAGE_SIZE_BYTES
        yield Piece(table, key, value[first:end], end >= len(value))
