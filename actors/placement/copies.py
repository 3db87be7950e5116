"""The copies of shards that come to a node: who brings each, and which of them are void."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from actors.placement.api import PLACEMENT
from actors.placement.arrival import ArrivalActor
from actors.placement.logic import is_void
from actors.placement.moves import Speak
from runtime import Named

if TYPE_CHECKING:
    from actors.placement.api import Holdings
    from actors.placement.moves import Offer
    from runtime import Pid, Process
    from storage import Arrival, Store

__all__ = ["Copies", "CopyKept", "ReviewCopies"]

REVIEW_AGAIN_S: Final = 0.2


class ReviewCopies(NamedTuple):
    """The timer that looks at the copies again which the disk would not forget, or whose source could not be asked."""


class CopyKept(NamedTuple):
    """From the disk: it would not forget a copy."""


class Copies:
    """Those of one node.

    A whole copy may be all that there is of a shard: its source, which alone may have let go of it in that move, has
    the last word. What it said before the copy was whole proves nothing, so it is asked for another.

    Args:
        process: Of the placement, to which those who bring them are linked.
        store: The node's store.

    Attributes:
        brought: What each arrival that runs brings.
    """

    __slots__ = ("_is_review_due", "_process", "_store", "brought")

    def __init__(self, process: Process, store: Store) -> None:
        self._process = process
        self._store = store
        self._is_review_due = False
        self.brought: dict[Pid, Offer] = {}

    def reason_against(self, offer: Offer) -> str | None:
        """Why an offer is declined, as far as copies are concerned."""
        shard, here = offer.shard, self._process.runtime.node
        if shard in self._under_way():
            return f"Shard {shard} is arriving at {here} already."
        whole = self.whole(shard)
        if whole is not None and whole.source != offer.source:
            # That one may have let go of it: then this copy is all that there is.
            return f"{here} has a whole copy of shard {shard} from {whole.source}, and waits for it."
        return None

    def bring(self, offer: Offer) -> None:
        """Take an offer."""
        self.brought[self._process.start_link(ArrivalActor(self._store, offer))] = offer

    def whole(self, shard: int) -> Arrival | None:
        """The copy of a shard of which all is here."""
        arrival = self._store.arrivals().get(shard)
        return arrival if arrival is not None and arrival.complete else None

    def ended(self, pid: Pid) -> bool:
        """A process has ended; whether it was one of those who bring copies.

        If it had not told its source that the copy is whole, nobody will ever let go of the shard for this copy, even
        if the last of it is just being written.
        """
        offer = self.brought.pop(pid, None)
        if offer is None:
            return False
        whole = self.whole(offer.shard)
        if whole is None or whole.transfer != offer.transfer:
            self._discard(offer.shard)
        else:
            self._ask(whole.source)
        return True

    def hear(self, told: Holdings) -> None:
        """Another node has spoken: what it says may make a copy void."""
        under_way = self._under_way()  # a word from before such a copy was whole may be heard only now
        for shard, arrival in self._store.arrivals().items():
            if shard not in under_way and is_void(shard, arrival, told):
                self._discard(shard)

    def review(self) -> None:
        """Nobody brings the rest of a half copy whose arrival has died; the source of a whole one may have spoken."""
        self._is_review_due = False
        under_way = self._under_way()
        for shard, arrival in self._store.arrivals().items():
            if shard in under_way:
                continue
            if arrival.complete:
                self._ask(arrival.source)
            else:
                self._discard(shard)

    def review_later(self) -> None:
        """The disk would not forget a copy, or a link had no room for a question."""
        if not self._is_review_due:
            self._is_review_due = True
            self._process.send_after(REVIEW_AGAIN_S, ReviewCopies())

    def _under_way(self) -> set[int]:
        return {offer.shard for offer in self.brought.values()}

    def _ask(self, source: str) -> None:
        """Have a node say what it has; one that is not linked will, when it is."""
        process = self._process
        is_linked = source in process.runtime.foreign.linked
        if is_linked and not process.insist(Named(source, PLACEMENT), Speak(process.runtime.node)):
            self.review_later()

    def _discard(self, shard: int) -> None:
        process = self._process

        def discarded(error: Exception | None) -> None:
            if error is not None:
                process.runtime.send(process.pid, CopyKept())

        self._store.discard_arrival(shard, discarded)
