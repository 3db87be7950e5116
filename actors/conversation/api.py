"""What other rooms may say to a conversation."""

from __future__ import annotations

import msgspec

from protocol import AccountId, DeviceId, Epoch
from protocol.messages import Send
from runtime import Pid

__all__ = ["Sender", "Submit"]


class Sender(msgspec.Struct, frozen=True):
    """Who sends, as the login of a connection has proved it; made once a session.

    The producer of numbered sends is (device, epoch) within one conversation.
    """

    connection: Pid
    account: AccountId
    device: DeviceId
    epoch: Epoch


class Submit(msgspec.Struct, frozen=True):
    """A send; answered to the sender's connection with `Sent` or `Refused`."""

    sender: Sender
    frame: Send
