"""What the devices of one account share: whatever was changed where, all of them end with the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.witness import Checker

if TYPE_CHECKING:
    from simulation.device import SimulatedDevice
    from simulation.world import World

__all__ = ["OwnStateConverges"]


class OwnStateConverges(Checker):
    """Archived and muted chats, names, settings, and which messages are gone: compared device by device in the calm."""

    name = "own devices: what they share is the same on all of them"

    def unrest(self, world: World) -> list[str]:
        """Devices that have another state than the first of their account."""
        found = []
        for person in world.people:
            held = [(device, set(device.store.shared())) for device in person.devices if _is_there(device)]
            for device, state in held[1:]:
                first, expected = held[0]
                if state != expected:
                    found.append(f"{device} and {first} differ in {sorted(state ^ expected, key=repr)[:3]}")
        return found


def _is_there(device: SimulatedDevice) -> bool:
    return device.registered and device.running and not device.doomed
