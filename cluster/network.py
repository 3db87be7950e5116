"""The ports to the world: connections of bytes between nodes, and what they tell the links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Accepted", "Connection", "DialFailed", "Dialled", "Lost", "Network", "Received", "Writable"]


class Connection(Protocol):
    """A stream of bytes to another node; it tells `Received`, `Writable` and, once, `Lost`."""

    @property
    def is_full(self) -> bool:
        """Whether it wants nothing more to write before it tells `Writable`."""

    def write(self, data: bytes) -> None:
        """Send bytes, in order; nothing happens once it is closed."""

    def taken(self, size_bytes: int) -> None:
        """So many of the bytes it told of are dealt with; it reads no further while too many are not."""

    def close(self) -> None:
        """Send what is written, then close; nothing more is told."""


class Network(Protocol):
    """Dials, and accepts who dials."""

    def open(self, tell: Callable[[object], bool]) -> None:
        """Begin to accept; everything is told to this function, which returns whether it was heard."""

    def dial(self, number: int, address: str) -> None:
        """Connect; later tells `Dialled` or `DialFailed` with this number."""

    def close(self) -> None:
        """Accept and dial no more."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Somebody dialled us."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Dialled:
    """A dial was answered."""

    number: int
    connection: Connection


@dataclass(frozen=True, slots=True)
class DialFailed:
    """A dial was not."""

    number: int
    problem: str


@dataclass(slots=True)
class Received:
    """Bytes have come."""

    connection: Connection
    data: bytes


@dataclass(frozen=True, slots=True)
class Writable:
    """A connection that was full is so no more."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection broke, or the other side closed it."""

    connection: Connection
    problem: str
