"""The end of a move from which the shard goes: one process, which ends with it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.placement.api import PLACEMENT, MoveCode, MoveLimits
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
from actors.shard.api import answers, inform
from runtime import Actor, Down, Named, Pid
from storage import ExportOverrunError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime import Reason
    from storage import Export, Store
    from storage.export import Row

__all__ = ["DepartureActor"]

ROUNDS_MAX: Final = 5
CHANGES_FEW: Final = 500
"""So few changes are brought within a tenth of a second, so the shard may stop for them."""


class Begin(NamedTuple):
    """The timer that begins."""


class Page(NamedTuple):
    """From the disk: the next rows, none at the end."""

    rows: list[Row]


class Settled(NamedTuple):
    """From the disk: all that the processes of the shard had written is there, or will not come there."""


class Released(NamedTuple):
    """From the disk: whether it is written that the shard has gone."""

    error: Exception | None


class Overdue(NamedTuple):
    """The timer that looks whether the move goes on."""


class DepartureActor(Actor):
    """Copies a shard to another node while it runs, then once more what changed, and lets go of it.

    The first round brings everything, each further one what has changed since the one before it began. When that is
    little, the shard is stopped, and the last round brings the rest: only for that its people wait. Whatever goes wrong
    before the release is asked of the disk leaves the shard where it was, and so does a move that stands still.

    Args:
        store: The node's store.
        shard: Number of the shard.
        to: The node that is to have it.
        transfer: Names the move.
        placement: The placement of this node.
        limits: How much is on its way at once, and for how long it may stand still.
    """

    __slots__ = (
        "_arrival",
        "_export",
        "_in_flight",
        "_is_final",
        "_is_vacated",
        "_limits",
        "_pieces",
        "_placement",
        "_progress_s",
        "_reading",
        "_rounds",
        "_rows",
        "_shard",
        "_size_bytes",
        "_store",
        "_to",
        "_transfer",
    )

    def __init__(self, store: Store, shard: int, to: str, transfer: bytes, placement: Pid, limits: MoveLimits) -> None:
        self._store = store
        self._shard = shard
        self._to = to
        self._transfer = transfer
        self._placement = placement
        self._limits = limits
        self._progress_s = 0.0
        self._arrival: Pid | None = None
        self._export: Export | None = None
        self._in_flight = 0
        self._pieces: deque[Piece] = deque()
        self._reading = False
        self._is_vacated = False
        self._is_final = False
        self._rounds = 1
        self._rows = 0
        self._size_bytes = 0

    def init(self) -> None:
        """Begin at once."""
        self.process.send_after(0.0, Begin())
        self.process.send_after(self._limits.timeout_s, Overdue())
        self._progress_s = self.process.runtime.clock.now_s()

    def terminate(self, reason: Reason) -> None:
        """What changes in the shard matters to nobody any more."""
        if self._export is not None:
            self._store.end_export(self._export)

    def _begin(self) -> None:
        """Ask the other node."""
        process = self.process
        there = Named(self._to, PLACEMENT)
        process.monitor(there)
        if not process.insist(there, Offer(self._shard, process.runtime.node, self._transfer, process.pid)):
            self._give_up(MoveCode.LINK_FULL, f"The link to {self._to} is full; ask again.")

    def handle_cast(self, message: Any) -> None:
        """The steps of the move."""
        self._progress_s = self.process.runtime.clock.now_s()
        match message:
            case Welcome(arrival):
                self._arrival = arrival
                self.process.monitor(arrival)
                self._export = self._store.export_shard(self._shard)
                self._read_on()
            case Vacated() if self._export is not None:
                # What its processes wrote last comes to the disk first: others of this node go by it already.
                settled = inform(self.process, lambda _: Settled())
                self._store.settle(lambda: settled(None))
            case RowsDurable():
                self._in_flight -= 1
                self._read_on()
            case Complete():
                self._is_final = True
                self._store.release(self._shard, self._to, self._transfer, self._released)
            case Declined(sentence):
                self._give_up(MoveCode.DECLINED, sentence)
            case _:
                super().handle_cast(message)

    def handle_info(self, message: Any) -> None:
        """What comes from the disk, and the end of the other side."""
        match message:
            case Begin():
                self._begin()
            case Page(rows):
                self._send(rows)
            case Settled() if self._export is not None:
                self._store.fence(self._shard)
                self._is_vacated = True
                self._export.go_on()
                self._read_on()
            case Released(None):
                self.process.cast(self._placement, Departed(self._shard, self._rows, self._size_bytes))
                self.process.stop()
            case Released(error):
                self._is_final = False
                sentence = f"The disk of this node would not note that the shard goes: {error}"
                self._give_up(MoveCode.NOT_RELEASED, sentence)
            case ExportOverrunError():
                self._give_up(MoveCode.OVERRUN, f"{self._to} takes less than people write: {message}.")
            case StorageError():
                self._give_up(MoveCode.UNREADABLE, f"The shard cannot be read: {message}")
            case Down():
                self._give_up(
                    MoveCode.LOST, f"{self._to} ended in the middle of the move ({message.reason}); ask again."
                )
            case Overdue():
                self._look()
            case _:
                super().handle_info(message)

    def _look(self) -> None:
        """Give a move up that stands still; not one that is decided."""
        left_s = self._progress_s + self._limits.timeout_s - self.process.runtime.clock.now_s()
        if left_s > 0:
            self.process.send_after(left_s, Overdue())
        else:
            stood_s = self._limits.timeout_s
            sentence = f"Nothing has moved for {stood_s:g} s; see the log and the disk of {self._to}; ask again."
            self._give_up(MoveCode.STALLED, sentence)

    def _read_on(self) -> None:
        """Keep some pages on their way; when all of a round are there, go on."""
        assert self._export is not None, "nothing is read before the other side is ready"
        while self._pieces and self._in_flight < self._limits.in_flight_max:
            self._in_flight += 1
            self._tell(self._pieces.popleft())
        if self._reading or self._in_flight >= self._limits.in_flight_max:
            return
        if not self._export.ended:
            self._reading = True
            self._store.read_export(self._export, self._limits.page_size_bytes, *answers(self.process, Page))
        elif not self._in_flight:
            self._end_round(self._export)

    def _end_round(self, export: Export) -> None:
        assert export.changes is not None, "a round has ended"
        if self._is_vacated and export.is_last:
            self._tell(AllRows())
        elif self._is_vacated:
            self._give_up(MoveCode.UNREADABLE, f"Somebody has taken shard {self._shard} meanwhile; ask again.")
        elif self._rounds < ROUNDS_MAX and len(export.changes) > CHANGES_FEW:
            self._rounds += 1
            export.go_on()
            self._read_on()
        else:
            self.process.cast(self._placement, Vacate(self._shard, self.process.pid))

    def _send(self, rows: list[Row]) -> None:
        self._reading = False
        self._progress_s = self.process.runtime.clock.now_s()
        if rows:
            self._rows += len(rows)
            size_bytes = sum(len(key) + len(value) for _, key, value in rows)
            self._size_bytes += size_bytes
            page_size_bytes = self._limits.page_size_bytes
            if size_bytes > page_size_bytes:
                self._pieces.extend(_pieces(rows[0], page_size_bytes))  # a row that is larger than a page comes alone
            else:
                self._in_flight += 1
                self._tell(Rows(rows))
        self._read_on()

    def _tell(self, message: object) -> None:
        assert self._arrival is not None, "nobody else has answered"
        if not self.process.insist(self._arrival, message):
            self._give_up(MoveCode.LINK_FULL, f"The link to {self._to} is full; ask again.")

    def _released(self, error: Exception | None) -> None:
        self.process.runtime.send(self.process.pid, Released(error))

    def _give_up(self, code: MoveCode, sentence: str) -> None:
        if not self._is_final:
            self.process.cast(self._placement, NotMoved(self._shard, code, sentence))
            self.process.stop()


def _pieces(row: Row, size_bytes: int) -> Iterator[Piece]:
    table, key, value = row
    for first in range(0, len(value), size_bytes):
        end = first + size_bytes
        yield Piece(table, key, value[first:end], end >= len(value))
