"""What other rooms may say to the presence actor of an account."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from actors.presence.load import Load
from protocol import AccountId, ConversationId, DeviceId
from runtime import Pid
from storage import StoreCorruptError

__all__ = [
    "Appear",
    "Load",
    "PresenceLimits",
    "Subscribe",
    "Type",
    "Unsubscribe",
    "Vanish",
    "decode_last_seen",
]

LAST_SEEN_SIZE_BYTES: Final = 8


class Appear(msgspec.Struct, array_like=True, frozen=True):
    """From the queue of a device: the device is connected, and a person looks at it or does not.

    Only while there is a presence process to hear it: a device that nobody watches costs nothing here.
    """

    queue: Pid
    device: DeviceId
    foreground: bool


class Vanish(msgspec.Struct, array_like=True, frozen=True):
    """From the queue of a device: its connection is gone."""

    device: DeviceId


class Subscribe(msgspec.Struct, array_like=True, frozen=True):
    """A connection of `viewer` has the conversation open and wants to hear of this account."""

    connection: Pid
    viewer: AccountId
    conversation: ConversationId


class Unsubscribe(msgspec.Struct, array_like=True, frozen=True):
    """That connection closed the conversation."""

    connection: Pid
    conversation: ConversationId


class Type(msgspec.Struct, array_like=True, frozen=True):
    """This account starts or stops typing in a conversation."""

    conversation: ConversationId
    active: bool


class PresenceLimits(NamedTuple):
    """How presence behaves.

    Attributes:
        offline_delay_s: How long after its last connection an account still counts as online.
        typing_interval_s_min: Typing in one conversation is passed on no more often than this.
        load: Whether nothing is told for now, because the node is behind.
    """

    offline_delay_s: float
    typing_interval_s_min: float
    load: Load = Load()


def decode_last_seen(value: bytes) -> int:
    """The time under an account's `last_seen_key`, milliseconds since 1970.

    Raises:
        StoreCorruptError: It is none.
    """
    if len(value) != LAST_SEEN_SIZE_BYTES or value[0] > 0x7F:
        raise StoreCorruptError("the directory's record of when an account was last seen", f"{len(value)} bytes")
    return int.from_bytes(value, "big")
