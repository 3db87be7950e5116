"""Where services run, for whoever wants to reach one by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime import Named

__all__ = ["SingletonPlace", "Whereabouts", "process_name"]


def process_name(service: str) -> tuple[str, str]:
    """The name under which a service is registered on the node that runs it."""
    return ("singleton", service)


@dataclass(frozen=True, slots=True)
class SingletonPlace:
    """Where a service runs; what a subscriber is told.

    Attributes:
        service: Its name.
        at: How to reach it; None while it runs nowhere that this node knows of.
        is_abandoned: Whether it runs nowhere because it held with nobody: somebody has to look into it, and then ask
            for it with `RetrySingleton`.
    """

    service: str
    at: Named | None
    is_abandoned: bool = False


class Whereabouts:
    """Where the services of a cluster run, as this node knows it: written by `Singletons`, read by plain calls.

    It outlives the supervisor, so it is handed to whoever needs a service when the tree is built.
    """

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places: dict[str, SingletonPlace] = {}

    def singleton(self, service: str) -> Named | None:
        """How to reach a service: a name to cast to, call or monitor, valid until it moves to another node.

        The name stays good when the service is restarted in place. It may stand for a node that is not linked with
        this one, but only with others that are: then what is sent to it is dropped, as for any node that is down.

        Returns:
            Its name; None while it runs nowhere, or where there is no such service.
        """
        place = self._places.get(service)
        return None if place is None else place.at

    def places(self) -> tuple[SingletonPlace, ...]:
        """All services, in the order in which they are started."""
        return tuple(self._places.values())

    def put(self, place: SingletonPlace) -> bool:
        """A service is here now; returns whether that is news."""
        known = self._places.get(place.service)
        self._places[place.service] = place
        return known != place

    def reset(self, services: Iterable[str]) -> None:
        """Know nothing but the names."""
        self._places = {service: SingletonPlace(service, None) for service in services}
