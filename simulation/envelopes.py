"""Sealed payloads without cryptography: each says who sealed it and for whom, so whoever opens another's is found out.

Where people seal what they write to one other, their messages leave as bundles with one payload for each device;
elsewhere they send one payload for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from protocol import ConversationId, DeviceId
    from simulation.device import SimulatedDevice

__all__ = ["RIGHT_PAYLOAD", "Envelopes"]

RIGHT_PAYLOAD: Final = "each device gets the payload that was made for it"
_SEAL: Final = b"\xc1"
"""The one byte with which no content begins."""
_DEVICE_SIZE_BYTES: Final = 16


class Envelopes:
    """What a device seals with.

    Args:
        device: Which.
    """

    __slots__ = ("_device",)

    def __init__(self, device: SimulatedDevice) -> None:
        self._device = device

    def seal(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        """Say who sealed it and for whom."""
        return _SEAL + self._device.id + device + payload

    def open(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        """Complain of what is for somebody else, or was not sealed."""
        own, world = self._device, self._device.world
        author = world.witness.devices[device].account
        if not payload.startswith(_SEAL):
            world.witness.breaks(RIGHT_PAYLOAD, f"{own} got something unsealed of {author} in {conversation}")
            return payload
        start = len(_SEAL)
        sealed_by, sealed_for = payload[start:][:_DEVICE_SIZE_BYTES], payload[start + _DEVICE_SIZE_BYTES :]
        sealed_for, content = sealed_for[:_DEVICE_SIZE_BYTES], sealed_for[_DEVICE_SIZE_BYTES:]
        if sealed_for != own.id:
            world.witness.breaks(RIGHT_PAYLOAD, f"{own} got what {author} had sealed for another in {conversation}")
        if world.witness.devices[sealed_by].account != author:
            world.witness.breaks(RIGHT_PAYLOAD, f"{own} got in the name of {author} what another one had sealed")
        return content
