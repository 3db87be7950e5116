"""What other rooms may say to the presence actor of an account."""

from __future__ import annotations

import msgspec

from protocol import AccountId, ConversationId, DeviceId
from runtime import Pid

__all__ = ["Appear", "Subscribe", "Type", "Unsubscribe"]


class Appear(msgspec.Struct, frozen=True):
    """A connection of a device of this account is ready, or its foreground state changed."""

    connection: Pid
    device: DeviceId
    foreground: bool


class Subscribe(msgspec.Struct, frozen=True):
    """A connection of `viewer` has the conversation open and wants to hear of this account."""

    connection: Pid
    viewer: AccountId
    conversation: ConversationId


class Unsubscribe(msgspec.Struct, frozen=True):
    """That connection closed the conversation."""

    connection: Pid
    conversation: ConversationId


class Type(msgspec.Struct, frozen=True):
    """This account starts or stops typing in a conversation."""

    conversation: ConversationId
    active: bool
