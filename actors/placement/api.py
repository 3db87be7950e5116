"""What may be said to the process that knows who has which shard, and what it says to others."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

__all__ = [
    "PLACEMENT",
    "Gone",
    "Holdings",
    "ListShards",
    "MoveCode",
    "MoveLimits",
    "MoveRefused",
    "MoveShard",
    "Moved",
    "Place",
    "ShardList",
    "ShardPlace",
    "Unowned",
]

PLACEMENT = "placement"
"""The name under which the process of a node is registered."""


class Place(NamedTuple):
    """Who was last known to have a shard, and under which epoch."""

    node: str
    epoch: int


class Gone(NamedTuple):
    """A shard that a node has let go of.

    Attributes:
        node: To whom.
        transfer: In which move, 16 bytes.
        epoch: The last epoch of the node that let go.
    """

    node: str
    transfer: bytes
    epoch: int


class Holdings(msgspec.Struct, array_like=True, frozen=True):
    """What a node has to say of its shards, to every other node, whenever it changes and at each new link.

    Attributes:
        node: Whose they are.
        shards: Shard -> epoch, of those that it runs.
        leaving: Shard -> transfer, of those that are on their way to another node, and run nowhere.
        gone: What it has let go of.
        places: Who has what, as far as it has ever heard; so that nobody claims what somebody had and has lost.
    """

    node: str
    shards: dict[int, int]
    leaving: dict[int, bytes]
    gone: dict[int, Gone]
    places: dict[int, Place]


class Unowned(msgspec.Struct, frozen=True):
    """From a shard's process to the placement of its node: the disk would not note that the shard is the node's.

    Attributes:
        shard: Its number.
        epoch: Under which epoch it was to be.
    """

    shard: int
    epoch: int


class ListShards(msgspec.Struct, array_like=True, frozen=True):
    """A call: who has what, as this node knows it. Answered with `ShardList`."""


class ShardPlace(NamedTuple):
    """One shard.

    Attributes:
        shard: Its number.
        node: Who has it; empty if nobody known does.
        epoch: Under which epoch; 0 if nobody known ever had it.
        due: Who would have it by the weights of the settings.
        state: "up", "moving", "away" (its node is not linked), or "unclaimed".
    """

    shard: int
    node: str
    epoch: int
    due: str
    state: str


class ShardList(msgspec.Struct, array_like=True, frozen=True):
    """Answer to `ListShards`, in the order of the shards."""

    shards: list[ShardPlace]


class MoveShard(msgspec.Struct, array_like=True, frozen=True):
    """A call to the node that has the shard: hand it over to another. Answered with `Moved` or `MoveRefused`."""

    shard: int
    to: str


class Moved(msgspec.Struct, array_like=True, frozen=True):
    """A shard has moved.

    Attributes:
        shard: Its number.
        to: Who has it now.
        rows: How many rows were copied.
        size_bytes: Their bytes.
        still_s: How long it ran nowhere, as its former node saw it.
    """

    shard: int
    to: str
    rows: int
    size_bytes: int
    still_s: float


class MoveLimits(NamedTuple):
    """The bounds of a move.

    Attributes:
        timeout_s: Without any progress for so long it is given up.
        page_size_bytes: Of a page of rows, and of a piece of a row that is larger alone: both fit a frame of a link.
        in_flight_max: Pages that are not on the other disk yet; a slow one costs this node so much memory, and no time.
    """

    timeout_s: float = 30.0
    page_size_bytes: int = 512 << 10
    in_flight_max: int = 8


class MoveCode(IntEnum):
    """Why a shard has not moved; the numbers never change their meaning."""

    STARTING = 1
    """The node that has it starts."""
    UNKNOWN_SHARD = 2
    """There is no shard of that number."""
    MOVING = 3
    """It is on its way already."""
    NOT_HERE = 4
    """The node that was asked does not have it."""
    UNKNOWN_NODE = 5
    """No node of that name belongs to the cluster."""
    THERE_ALREADY = 6
    """The node that is to have it has it."""
    AWAY = 7
    """The node that is to have it is not linked."""
    DECLINED = 8
    """The node that is to have it does not take it now."""
    LINK_FULL = 9
    """The link between the two has no room."""
    LOST = 10
    """The node that is to have it ended, or the link to it, in the middle of the move."""
    STALLED = 11
    """Nothing has moved for `cluster.move_timeout_s`."""
    OVERRUN = 12
    """More changes in it than is copied."""
    UNREADABLE = 13
    """It cannot be read from the disk."""
    NOT_RELEASED = 14
    """The disk of the node that has it would not note that it goes."""
    CRASHED = 15
    """The process that moved it has crashed."""


class MoveRefused(msgspec.Struct, array_like=True, frozen=True):
    """A shard has not moved, and is where it was.

    Attributes:
        shard: Its number.
        sentence: For people: why, and what to do.
        code: A `MoveCode`; 0 from a node that knows none.
    """

    shard: int
    sentence: str
    code: int = 0
