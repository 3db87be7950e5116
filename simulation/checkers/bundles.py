"""Messages with a payload for each device: for all of its devices and no other, and which answers they get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from protocol import is_group
from protocol.messages import Refused
from simulation.envelopes import RIGHT_PAYLOAD
from simulation.witness import Checker

if TYPE_CHECKING:
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from storage.records import Accepted

__all__ = ["RightPayload"]


class RightPayload(Checker):
    """What is accepted where people seal has a payload for each of its devices, and none for all.

    Who opens it looks at whether that is their own; see `simulation.envelopes`.
    """

    name = RIGHT_PAYLOAD

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """Its devices are those for which the conversation has entries made."""
        if is_group(record.conversation) or not record.producer:
            return
        bundle = set(record.tails or ())
        meant = {device for _, devices in record.targets for device in devices}
        sealed = self.witness.world.seals
        if bundle != (meant if sealed else set()):
            self.breaks(f"{record.conversation} {record.seq} has {len(bundle)} payloads for {len(meant)} devices")
        if sealed and meant:
            self.witness.world.coverage.reached("a bundle is accepted")

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """Note why bundles are refused."""
        if isinstance(frame, Refused) and frame.stale is not None and self.witness.world.seals:
            if frame.stale.missing:
                self.witness.world.coverage.reached("a message is refused that lacks a payload for a device")
            if frame.stale.extra:
                self.witness.world.coverage.reached("a message is refused that has a payload too many")
