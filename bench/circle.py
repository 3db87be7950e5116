"""A circle of friends: who has which devices, and who writes to whom. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Circle"]


class Circle:
    """People who sit in a circle, and write to those beside them.

    Args:
        people: Person -> names of the devices, in the order of their seats; at least three people.

    Attributes:
        devices: All devices, as "person/device", in the order of their owners and then by name.
    """

    def __init__(self, people: Mapping[str, Sequence[str]]) -> None:
        self._devices = {person: tuple(f"{person}/{name}" for name in sorted(people[person])) for person in people}
        self._seats = list(people)
        self.devices = [device for devices in self._devices.values() for device in devices]

    def neighbours(self, person: str) -> list[str]:
        """To whom a person writes."""
        seat = self._seats.index(person)
        return [self._seats[(seat + 1) % len(self._seats)], self._seats[seat - 1]]

    def devices_of(self, person: str) -> frozenset[str]:
        """All devices of a person."""
        return frozenset(self._devices[person])

    def streams(self) -> dict[str, frozenset[str]]:
        """What each device writes to whom, as "person/device>other", and which devices are to show it."""
        return {
            f"{device}>{other}": (self.devices_of(person) | self.devices_of(other)) - {device}
            for person, devices in self._devices.items()
            for device in devices
            for other in self.neighbours(person)
        }
