"""How a device is fed, as its server is told: it decides what may wait while nobody looks."""

from __future__ import annotations

from enum import IntEnum

from protocol.messages import POWER_BATTERY, POWER_MAINS, POWER_SAVING

__all__ = ["Power"]


class Power(IntEnum):
    """Where a device's energy comes from."""

    BATTERY = POWER_BATTERY
    """In the background, receipts and messages that are not urgent may come a few seconds late, together."""
    SAVING = POWER_SAVING
    """The battery is low or the network metered: the same for longer, and the heartbeat is as slow as may be."""
    MAINS = POWER_MAINS
    """From the wall: nothing waits."""
