"""What a node knows of who has which shard, and which ones it should take. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from actors.placement.api import MoveCode, Place
from cluster.rendezvous import rendezvous
from protocol.ids import SHARDS
from storage import StoreCorruptError
from storage.records import UNREADABLE, Number

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from actors.placement.api import Holdings
    from storage import Arrival

__all__ = ["Atlas", "decode_places", "encode_places", "is_void"]

_Shard = Annotated[int, msgspec.Meta(ge=0, lt=SHARDS)]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[_Shard, tuple[str, Number]]).decode


def encode_places(places: Mapping[int, Place]) -> bytes:
    """Who has which shard, as the disk keeps it."""
    return _encode(places)


def decode_places(value: bytes | None) -> dict[int, Place]:
    """The places of `encode_places`; none if nothing was ever kept.

    Raises:
        StoreCorruptError: They are none.
    """
    if value is None:
        return {}
    try:
        return {shard: Place(node, epoch) for shard, (node, epoch) in _decode(value).items()}
    except UNREADABLE as error:
        raise StoreCorruptError("what this node remembers of the shards of others", str(error)) from error


def is_void(shard: int, arrival: Arrival, told: Holdings) -> bool:
    """Whether what another node says makes a copy worthless to which nobody adds anything just now.

    A half one is void once anybody has the shard. A whole one waits for its source, which alone may have let go of the
    shard in this very move. If that has taken it since, under a higher epoch, it has not, and will not.

    Args:
        shard: The shard.
        arrival: The copy of it here.
        told: What the other node says.
    """
    if not arrival.complete:
        return shard in told.shards
    if arrival.source != told.node:
        return False
    gone = told.gone.get(shard)
    if gone is not None and gone.transfer != arrival.transfer:
        return gone.epoch > arrival.epoch
    return told.shards.get(shard, 0) > arrival.epoch


class Atlas:
    """What one node knows of all shards.

    Args:
        me: The node.
        weights: Of all nodes of the cluster, by name.
        places: What was remembered from before.

    Attributes:
        places: Shard -> who has it, as far as anybody has said.
        heard: The other nodes that have spoken since they were linked.
    """

    __slots__ = ("_hearsay", "_me", "_weights", "heard", "places")

    def __init__(self, me: str, weights: Mapping[str, float], places: Mapping[int, Place]) -> None:
        self._me = me
        self._weights = weights
        self.places = dict(places)
        self.heard: set[str] = set()
        self._hearsay: set[int] = set()

    def hear(self, holdings: Holdings) -> set[int]:
        """A node has spoken; the shards of which this node knows more now."""
        self.heard.add(holdings.node)
        hearsay = {shard: place for shard, place in holdings.places.items() if place.node != holdings.node}
        left = holdings.leaving.keys() | holdings.gone.keys()
        own = {
            shard: place for shard, place in holdings.places.items() if shard in left and place.node == holdings.node
        }
        own.update({shard: Place(holdings.node, epoch) for shard, epoch in holdings.shards.items()})
        news = {shard for shard, place in hearsay.items() if self.put(shard, place)}
        self._hearsay = (self._hearsay | news) - own.keys()
        return news | {shard for shard, place in own.items() if self.put(shard, place)}

    def put(self, shard: int, place: Place) -> bool:
        """Somebody has a shard; whether that is news. Of two the higher epoch counts, and then the first name."""
        known = self.places.get(shard)
        if known is not None and (known.epoch, place.node) > (place.epoch, known.node):
            return False
        self.places[shard] = place
        return known != place

    def lose(self, node: str) -> None:
        """A node is away: what it has waits."""
        self.heard.discard(node)

    def claims(self, shards: Iterable[int]) -> list[int]:
        """The shards that this node has to take: nobody has them or ever had, all say so, and they are its share."""
        if not self.heard >= self._weights.keys() - {self._me}:
            return []
        free = (shard for shard in shards if shard not in self.places)
        return [shard for shard in free if rendezvous(shard, self._weights) == self._me]

    def reason_against(
        self, shard: int, to: str, running: Container[int], leaving: Mapping[int, str], up: Container[str]
    ) -> tuple[MoveCode, str] | None:
        """Why a shard cannot be moved now.

        Args:
            shard: Its number.
            to: The node that is to have it.
            running: The shards that run here.
            leaving: Where those go that are on their way.
            up: The nodes that are linked.
        """
        if not 0 <= shard < SHARDS:
            return MoveCode.UNKNOWN_SHARD, f"There is no shard {shard}; they are numbered from 0 to {SHARDS - 1}."
        if shard in leaving:
            return MoveCode.MOVING, f"Shard {shard} is on its way to {leaving[shard]}."
        if shard not in running:
            place = self.places.get(shard)
            sentence = f"Shard {shard} is not at {self._me}, but at {place.node if place else 'nobody'}; ask there."
            return MoveCode.NOT_HERE, sentence
        if to not in self._weights:
            sentence = f"cluster.toml names no node {to}; it names {', '.join(sorted(self._weights))}."
            return MoveCode.UNKNOWN_NODE, sentence
        if to == self._me:
            return MoveCode.THERE_ALREADY, f"Shard {shard} is at {to} already."
        if to not in up:
            return MoveCode.AWAY, f"{to} is away; start it, and see that it is linked."
        return None

    def missing(self, holdings: Holdings) -> list[int]:
        """The shards that a node (this one, too) was known to have, and does not speak of: it has lost them.

        What a third one says of another node accuses nobody: it may be newer than what that node itself said before.
        """
        said = holdings.shards.keys() | holdings.leaving.keys() | holdings.gone.keys()
        if holdings.node != self._me:
            said |= self._hearsay
        return sorted(shard for shard in self.places.keys() - said if self.places[shard].node == holdings.node)

    def orphans(self) -> dict[int, str]:
        """Shards of nodes that the settings do not name any more: shard -> node."""
        return {shard: place.node for shard, place in self.places.items() if place.node not in self._weights}
