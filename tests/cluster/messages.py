"""Messages that the tests send from node to node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from runtime import Pid, Ref

if TYPE_CHECKING:
    from cluster import MessageTable


class Note(msgspec.Struct, array_like=True, frozen=True):
    """A text from somebody, about some reference."""

    text: str
    sender: Pid | None = None
    about: Ref | None = None


@dataclass(frozen=True)
class Count:
    """A number with its place in a row."""

    number: int
    pids: tuple[Pid, ...] = ()


class Pair(NamedTuple):
    """Two numbers."""

    one: int
    other: int


class Stranger(msgspec.Struct):
    """Registered nowhere."""

    value: int = 0


class Newer(msgspec.Struct):
    """Known from version 2 of the link on."""

    value: int = 0


def registered(table: MessageTable) -> MessageTable:
    """A table with all but the stranger."""
    table.register(Note, 16)
    table.register(Count, 17)
    table.register(Pair, 18)
    table.register(Newer, 19, since=2)
    return table
