"""What other rooms may say to a conversation."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from protocol import AccountId, DeviceId, Epoch
from protocol.messages import Send
from runtime import Pid

__all__ = ["ConversationLimits", "Sender", "Submit"]


class Sender(msgspec.Struct, array_like=True, frozen=True):
    """Who sends, as the login of a connection has proved it; made once a session.

    The producer of numbered sends is (device, epoch) within one conversation.
    """

    connection: Pid
    account: AccountId
    device: DeviceId
    epoch: Epoch


class Submit(msgspec.Struct, array_like=True, frozen=True):
    """Sends that came together, in order; each is answered to the sender's connection with `Sent` or `Refused`."""

    sender: Sender
    frames: list[Send]


class ConversationLimits(NamedTuple):
    """What one message may be.

    Attributes:
        payload_size_bytes_max: Size of its content.
        ttl_s_default: How long it waits for its readers if the sender does not say.
        ttl_s_max: The longest that a sender may say.
        group_members_max: Members of a group.
        lists_required: Whether every message must say for which device lists it was made.
    """

    payload_size_bytes_max: int
    ttl_s_default: int
    ttl_s_max: int
    group_members_max: int = 1_024
    lists_required: bool = False
