"""Who may come in: counts of connections, in all, of strangers, and per network address. Pure."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from gateway.headcount import Headcount

__all__ = ["Door", "DoorLimits", "Visit", "network_of"]

ADDRESSES_MAX: Final = 1_024
"""Addresses whose text is read once: that takes 9 µs, and a connection needs it twice."""

STRANGERS_SHARE: Final = 8
"""One network address gets at most this part of the strangers' places, so that nobody can take them all."""


class DoorLimits(NamedTuple):
    """How many may be inside.

    Attributes:
        connections_max: In all, at all workers of the host.
        strangers_max: That have not logged in yet, in the same way.
        per_address_max: From one network address, at this worker.
        loopback_exempt: Whether this host itself is free of the limit per address.
    """

    connections_max: int
    strangers_max: int
    per_address_max: int
    loopback_exempt: bool


class Visit:
    """One connection in the door's book."""

    __slots__ = ("_address", "_door", "_stranger")

    def __init__(self, door: Door, address: str) -> None:
        self._door = door
        self._address = address
        self._stranger = True

    def logged_in(self) -> None:
        """It is no longer a stranger."""
        if self._stranger:
            self._stranger = False
            self._door.know(self._address)

    def left(self) -> None:
        """It is gone."""
        self.logged_in()
        self._door.leave(self._address)


class Door:
    """The book of a door.

    Args:
        limits: How many may be inside.
        headcount: Tells how many are at the other workers of the host; None where there are none.

    Attributes:
        connections: Who is inside.
        strangers: Of these, who has not logged in.
        refused: Who was turned away since the start.
    """

    __slots__ = (
        "_by_address",
        "_headcount",
        "_limits",
        "_strangers_by_address",
        "connections",
        "refused",
        "strangers",
    )

    def __init__(self, limits: DoorLimits, headcount: Headcount | None = None) -> None:
        self._limits = limits
        self._headcount = headcount
        self._by_address: dict[str, int] = {}
        self._strangers_by_address: dict[str, int] = {}
        self.connections = 0
        self.strangers = 0
        self.refused = 0
        self._note()

    def limited(self, address: str) -> bool:
        """Whether limits per network address apply to this one."""
        return not (self._limits.loopback_exempt and _is_loopback(address))

    def enter(self, address: str) -> Visit | str:
        """A visit, or the sentence with which it is refused."""
        limits = self._limits
        inside = self._by_address.get(address, 0)
        everywhere = self if self._headcount is None else self._headcount.total()
        if everywhere.connections >= limits.connections_max or everywhere.strangers >= limits.strangers_max:
            self.refused += 1
            return "The server has as many connections as it takes; try again later."
        strange = self._strangers_by_address.get(address, 0)
        crowded = inside >= limits.per_address_max or strange >= max(1, limits.strangers_max // STRANGERS_SHARE)
        if crowded and self.limited(address):
            self.refused += 1
            return "There are too many connections from your network address; close some of them."
        self._by_address[address] = inside + 1
        self._strangers_by_address[address] = strange + 1
        self.connections += 1
        self.strangers += 1
        self._note()
        return Visit(self, address)

    def know(self, address: str) -> None:
        """Someone from this address is a stranger no more."""
        self.strangers -= 1
        self._note()
        _count_down(self._strangers_by_address, address)

    def leave(self, address: str) -> None:
        """Someone from this address is gone."""
        self.connections -= 1
        self._note()
        _count_down(self._by_address, address)

    def _note(self) -> None:
        if self._headcount is not None:
            self._headcount.note(self.connections, self.strangers)


@lru_cache(maxsize=ADDRESSES_MAX)
def network_of(address: str) -> str:
    """The network address that is counted: of IPv6 the /64, for who has one address of it has them all."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address  # a Unix socket has no address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)  # first, for Python 3.13 calls a mapped loopback a loopback
    if not isinstance(found, ipaddress.IPv6Address) or found.is_loopback:
        return address
    return str(ipaddress.IPv6Address(int(found) >> 64 << 64))


def _count_down(counts: dict[str, int], address: str) -> None:
    left = counts[address] - 1
    if left:
        counts[address] = left
    else:
        del counts[address]


@lru_cache(maxsize=ADDRESSES_MAX)
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True
