"""The end of a move to which the shard comes: one process, which ends with the last row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.placement.moves import AllRows, Complete, Declined, Offer, Piece, Rows, RowsDurable, Welcome
from runtime import Actor, Down

if TYPE_CHECKING:
    from storage import Store

__all__ = ["ArrivalActor"]

ROW_BYTES_MAX: Final = 15 << 20
"""The store takes no larger one at once; a conversation of 4,096 producers has half of it."""


class Written(NamedTuple):
    """From the disk: whether rows are on it, or, at last, that all are."""

    error: Exception | None
    is_last: bool


class ArrivalActor(Actor):
    """Writes the rows of a shard that comes, under the name of the move; nobody runs them yet.

    If it is given up, what was written is void: the store forgets it when the source says that it has the shard itself.

    Args:
        store: The node's store.
        offer: What comes, and from whom.
    """

    __slots__ = ("_offer", "_store", "_value")

    def __init__(self, store: Store, offer: Offer) -> None:
        self._store = store
        self._value = bytearray()
        self._offer = offer

    def init(self) -> None:
        """Tell the source that it may begin."""
        self.process.monitor(self._offer.departure)
        self.process.insist(self._offer.departure, Welcome(self.process.pid))

    def handle_cast(self, message: Any) -> None:
        """The rows, and their end."""
        offer, store = self._offer, self._store
        match message:
            case Rows(rows):
                store.import_rows(offer.shard, offer.source, offer.transfer, rows, self._writing(is_last=False))
            case Piece():
                self._take_piece(message)
            case AllRows():
                store.import_complete(offer.shard, offer.transfer, self._writing(is_last=True))
            case _:
                super().handle_cast(message)

    def handle_info(self, message: Any) -> None:
        """What the disk says, and the end of the other side."""
        departure = self._offer.departure
        match message:
            case Written(None, is_last):
                self.process.insist(departure, Complete() if is_last else RowsDurable())
                if is_last:
                    self.process.stop()
            case Written(error, _):
                here = self.process.runtime.node
                self.process.insist(departure, Declined(f"{here} cannot write the shard: {error}"))
                self.process.stop()
            case Down():
                self.process.stop()
            case _:
                super().handle_info(message)

    def _take_piece(self, piece: Piece) -> None:
        offer, value = self._offer, self._value
        value += piece.value
        if piece.is_last:
            rows = [(piece.table, piece.key, bytes(value))]
            value.clear()
            self._store.import_rows(offer.shard, offer.source, offer.transfer, rows, self._writing(is_last=False))
        elif len(value) <= ROW_BYTES_MAX:
            self.process.insist(offer.departure, RowsDurable())
        else:
            self.process.insist(offer.departure, Declined(f"{self.process.runtime.node} takes no row so large."))
            self.process.stop()

    def _writing(self, *, is_last: bool) -> Any:
        process = self.process

        def written(error: Exception | None) -> None:
            process.runtime.send(process.pid, Written(error, is_last))

        return written
