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
"""Devices of a shard that are remembered, 120 bytes each."""
NEVER: Final = 1 << 62
"""More than is ever left."""


class Absent:
    """The devices of one shard whose queues have run in this life of the node.

    How much may yet come for a device is one number, in bytes, in which each entry counts for at least its share of a
    queue of the most entries: so neither of the two quotas is exceeded, and a member of a group costs one subtraction.

    Args:
        limits: Of each queue.
    """

    __slots__ = ("_entries_max", "_left", "_share_bytes")

    def __init__(self, limits: QueueLimits) -> None:
        self._entries_max = min(limits.entries_max, limits.size_bytes_max)  # an entry has more than a byte
        self._share_bytes = limits.size_bytes_max // self._entries_max
        self._left: dict[bytes, int] = {}

    def weight(self, entry: Entry) -> int:
        """What an entry takes of what may come for a device without its queue.

        Args:
            entry: On the disk. A notice is for the queue to see: it may be a group's to tell, and whoever sent the
                message may have been removed since.
        """
        return max(entry.size_bytes, self._share_bytes) if entry.kind == MESSAGE else NEVER

    def keeps(self, device: bytes, weight: int) -> bool:
        """Note that an entry of this weight came for a device whose queue does not run.

        Returns:
            False if its queue has to look at it.
        """
        left = self._left.get(device)
        if left is None:
            return False
        self._left[device] = left = left - weight
        return left >= 0

    def started(self, device: DeviceId) -> None:
        """Its queue starts, and knows what waits; who was started longest ago is forgotten for it."""
        known = self._left
        known.pop(device, None)
        known[device] = unseen_max(device, self._entries_max) * self._share_bytes
        if len(known) > DEVICES_MAX:
            del known[next(iter(known))]
