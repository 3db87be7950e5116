"""Devices that are away: what comes for them waits in the store, and no process waits with it.

Most members of a large group are away, and the process of a queue costs some 15 us to start. What it would do without
a connection is to see that its quota holds. So it is started for a device of which nobody knows how much waits, and
again once much has come without it. It ends with room for that (a queue that is nearly full stays), so no quota is
exceeded by more than what comes without a queue that has crashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.queue.api import unseen_max
from storage.records import MESSAGE

if TYPE_CHECKING:
    from actors.queue.api import QueueLimits
    from protocol import DeviceId
    from storage import Entry

__all__ = ["Absent"]

DEVICES_MAX: Final = 2_048
"""Devices of a shard that are remembered, 150 bytes each."""


class _Unseen:
    """What may yet come for a device before its queue is started."""

    __slots__ = ("count", "size_bytes")

    def __init__(self, device: DeviceId, limits: QueueLimits) -> None:
        self.count = unseen_max(device, limits.entries_max)
        self.size_bytes = unseen_max(device, limits.size_bytes_max)


class Absent:
    """The devices of one shard whose queues have run in this life of the node.

    Args:
        limits: Of each queue.
    """

    __slots__ = ("_devices", "_limits")

    def __init__(self, limits: QueueLimits) -> None:
        self._limits = limits
        self._devices: dict[DeviceId, _Unseen] = {}

    def keeps(self, device: DeviceId, entry: Entry) -> bool:
        """Note what came for a device whose queue does not run; False if its queue has to look at it.

        Args:
            device: Which one.
            entry: On the disk. A notice is for its queue to see: it may be a group's to tell, and whoever sent the
                message may have been removed since.
        """
        unseen = self._devices.get(device)
        if unseen is None or entry.kind != MESSAGE:
            return False
        unseen.count -= 1
        unseen.size_bytes -= entry.size_bytes
        return unseen.count >= 0 and unseen.size_bytes >= 0

    def started(self, device: DeviceId) -> None:
        """Its queue starts, and knows what waits; who was started longest ago is forgotten for it."""
        devices = self._devices
        devices.pop(device, None)
        devices[device] = _Unseen(device, self._limits)
        if len(devices) > DEVICES_MAX:
            del devices[next(iter(devices))]
