"""Where a shard lives, if it does not simply live here: it has gone to another node, or it came from one.

A shard is in one of these states, and META says in which:

- held: it has an epoch and none of the words below;
- gone: this node released it; what is left of its rows is purged in the background;
- arriving: another node is sending it; nobody reads what is here, and a restart makes it void;
- arrived: all of it is here; `take_ownership` makes it held, `discard_arrival` void;
- void: its rows are being purged, and then nothing says a word of it.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from storage.records import Number, Shard

Transfer = Annotated[bytes, msgspec.Meta(max_length=255)]


class Gone(msgspec.Struct, array_like=True, frozen=True):
    """A shard was released to another node.

    Attributes:
        node: The node.
        transfer: The transfer that took it there.
        epoch: The last epoch under which this node owned it.
    """

    node: str
    transfer: Transfer
    epoch: Number


class Arrival(msgspec.Struct, array_like=True, frozen=True):
    """A copy of a shard, not owned here.

    Attributes:
        source: The node that sends it.
        transfer: The transfer that brings it.
        complete: Whether all of it is here, durably.
        epoch: The epoch under which the source owned it; known when complete.
        cursors: By source shard: the highest source position that the shard has taken; known when complete.
    """

    source: str
    transfer: Transfer
    complete: bool = False
    epoch: Number = 0
    cursors: dict[Shard, Number] = {}


class Residences:
    """What META says of the shards that are not simply held.

    Attributes:
        gone: By shard: to whom it was released.
        arrivals: By shard: the copy that is here.
        purging: Shards of which rows may be left that are nobody's.
        left: By shard: records of it up to this position are of a former stay; a replay passes over them.
        position: The highest position that any arrival used.
    """

    __slots__ = ("arrivals", "gone", "left", "position", "purging")

    def __init__(self) -> None:
        self.gone: dict[int, Gone] = {}
        self.arrivals: dict[int, Arrival] = {}
        self.purging: set[int] = set()
        self.left: dict[int, int] = {}
        self.position = 0

    @property
    def position_min(self) -> int:
        """No record may get a position at or below this."""
        return max(self.position, max(self.left.values(), default=0))
