"""Each device its own payload: where an encryption between devices stands.

Without a sealer one payload goes to all. With one, a message between two accounts leaves this device as a bundle with
one payload for each device of both, which the server splits without reading it. A message to a group stays one payload
for all: its members are too many for a bundle, and are given a key each instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from protocol import is_group
from protocol.messages import CHANGE, DevicePayload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol import ConversationId, DeviceId
    from protocol.messages import Message

__all__ = ["Sealer", "Sealing"]


class Sealer(Protocol):
    """Makes what one device alone can open. Neither method may raise, or take long.

    The devices are those that the server names. Whom to trust is for the sealer to know (`client.devices.of` tells whom
    the primary of an account has signed); for a device that it does not trust it returns nothing, ``b""``.
    """

    def seal(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        """Return a payload for one device. A message that has no answer is sealed anew each time it is sent."""
        ...

    def open(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        """Return what a device has sealed for this one; as it came if nothing was, or if it cannot be opened.

        A payload that is no content is kept and shown as unknown, so nothing is lost by that.
        """
        ...


class Sealing:
    """How one device seals.

    Args:
        sealer: what it does it with.
        device: this device, for which nothing is sealed.
    """

    __slots__ = ("_device", "_sealer")

    def __init__(self, sealer: Sealer, device: DeviceId) -> None:
        self._sealer = sealer
        self._device = device

    def bundle(self, conversation: ConversationId, payload: bytes, devices: Iterable[DeviceId]) -> list[DevicePayload]:
        """A payload for each of these devices but this one."""
        return [
            DevicePayload(device, self._sealer.seal(conversation, payload, device))
            for device in devices
            if device != self._device
        ]

    def supplement(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        """The payload for a device that missed a message."""
        return payload if is_group(conversation) else self._sealer.seal(conversation, payload, device)

    def opened(self, message: Message) -> bytes:
        """What a message says."""
        if is_group(message.conversation) or message.flags & CHANGE:
            return message.payload
        return self._sealer.open(message.conversation, message.payload, message.device)
