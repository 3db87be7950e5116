"""The numbers of producers: a server that has forgotten none gives no device a reason to begin again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.changes import EpochRenewed
from simulation.witness import Checker

if TYPE_CHECKING:
    from roost.changes import Change
    from simulation.device import SimulatedDevice
    from simulation.witness import Witness

__all__ = ["NumbersHold"]


class NumbersHold(Checker):
    """A new epoch is begun only by a device that was led to doubt its numbers by the simulator, once each time."""

    name = "a device that was not restored keeps its numbers"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._renewed: dict[bytes, int] = {}

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """A device begins a new epoch."""
        if isinstance(change, EpochRenewed):
            self.witness.world.coverage.reached("a device numbers its messages anew")
            self._renewed[device.id] = self._renewed.get(device.id, 0) + 1
            if self._renewed[device.id] > device.doubts:
                self.breaks(f"{device} began a new epoch, and had no reason to")
