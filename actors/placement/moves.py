"""What the two ends of a move say to each other, and to the placements of their nodes."""

from __future__ import annotations

import msgspec

from actors.placement.api import MoveCode
from runtime import Pid

__all__ = [
    "AllRows",
    "Complete",
    "Declined",
    "Departed",
    "NotMoved",
    "Offer",
    "Piece",
    "Rows",
    "RowsDurable",
    "Speak",
    "Vacate",
    "Vacated",
    "Welcome",
]


class Speak(msgspec.Struct, array_like=True, frozen=True):
    """From one placement to another: say what you have, for what you said may have been lost, or came too early.

    Attributes:
        node: Who asks.
    """

    node: str


class Offer(msgspec.Struct, array_like=True, frozen=True):
    """From a departure to the placement of the node that is to have the shard.

    Attributes:
        shard: Its number.
        source: The node that has it.
        transfer: Names this move, 16 random bytes.
        departure: The process that will send it.
    """

    shard: int
    source: str
    transfer: bytes
    departure: Pid


class Declined(msgspec.Struct, array_like=True, frozen=True):
    """To a departure: not now, and why."""

    sentence: str


class Welcome(msgspec.Struct, array_like=True, frozen=True):
    """To a departure: this process takes the rows."""

    arrival: Pid


class Rows(msgspec.Struct, array_like=True, frozen=True):
    """To an arrival: some rows, as (table, key, value)."""

    rows: list[tuple[int, bytes, bytes]]


class Piece(msgspec.Struct, array_like=True, frozen=True):
    """To an arrival: a part of one row that is too large for a message, as the past of a large group is.

    Attributes:
        table: Of the row.
        key: Of the row.
        value: The next part of its value.
        is_last: Whether the row is whole with it.
    """

    table: int
    key: bytes
    value: bytes
    is_last: bool


class RowsDurable(msgspec.Struct, array_like=True, frozen=True):
    """To a departure: one more message of rows is on the disk, or one more piece of a row here."""


class AllRows(msgspec.Struct, array_like=True, frozen=True):
    """To an arrival: that was the last round; there are no more."""


class Complete(msgspec.Struct, array_like=True, frozen=True):
    """To a departure: the copy is whole and on the disk."""


class Vacate(msgspec.Struct, array_like=True, frozen=True):
    """From a departure to its own placement: all but the latest is on the other side, so stop the shard."""

    shard: int
    departure: Pid


class Vacated(msgspec.Struct, array_like=True, frozen=True):
    """To a departure: the shard runs nowhere."""


class Departed(msgspec.Struct, array_like=True, frozen=True):
    """From a departure to its own placement: it is written that the shard has gone.

    Attributes:
        shard: Its number.
        rows: How many rows were copied.
        size_bytes: Their bytes.
    """

    shard: int
    rows: int
    size_bytes: int


class NotMoved(msgspec.Struct, array_like=True, frozen=True):
    """From a departure to its own placement: it was given up before anything was written.

    Attributes:
        shard: Its number.
        code: Why.
        sentence: For people.
    """

    shard: int
    code: MoveCode
    sentence: str
