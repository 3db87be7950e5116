"""What waits at a group: messages that went from the queues of its members' devices, with whom to tell."""

from __future__ import annotations

from typing import Final

import msgspec

from protocol import ConversationId, DeviceId, is_group
from storage import StoreCorruptError
from storage.records import UNREADABLE, Number, Target

__all__ = ["DUE_MS", "Missed", "collecting_group", "decode_missed", "encode_missed", "target_of"]

DUE_MS: Final = 1
"""When what waits at a group expires: so the shard looks after it if nobody else does."""


class Missed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A message of the group did not reach a device.

    Attributes:
        sender: Whose message it was.
        seq: Its place.
        account: Whose device it did not reach.
        device: The device.
        reason: Why, as on the wire.
    """

    sender: str
    seq: Number
    account: str
    device: bytes
    reason: Number


encode_missed = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Missed).decode


def decode_missed(body: bytes) -> Missed:
    """What waited at a group.

    Raises:
        StoreCorruptError: It is none.
    """
    try:
        return _decode(body)
    except UNREADABLE as error:
        raise StoreCorruptError("what waits at a group", str(error)) from error


def target_of(group: str) -> Target:
    """Where what a group is to tell waits: at the group, for the device that no account has."""
    return group, [group.encode()]


def collecting_group(device: DeviceId) -> ConversationId | None:
    """The group whose collector has this queue; None for the queue of a device."""
    group = device.decode("ascii", "replace")
    return ConversationId(group) if is_group(group) else None
