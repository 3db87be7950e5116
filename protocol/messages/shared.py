"""The field types of all frames, the message as it travels, and what both directions share.

A frame is an array ``[type, fields...]``. A newer version only appends fields; an older reader skips them, and a
field that is missing at the end takes its default.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from msgspec import Meta, Struct

from protocol.ids import AccountId, ClientId, ConversationId, DeviceId, Epoch, MessageId, SessionToken
from protocol.limits import (
    LABEL_SIZE_BYTES_MAX,
    LINK_PAYLOAD_SIZE_BYTES_MAX,
    LIST_BODY_SIZE_BYTES_MAX,
    NUMBER_MAX,
    SENTENCE_LENGTH_MAX,
    TEXT_LENGTH_MAX,
    U32_MAX,
)

__all__ = [
    "CHANGE",
    "EPHEMERAL",
    "POWER_BATTERY",
    "POWER_MAINS",
    "POWER_SAVING",
    "U16",
    "U32",
    "U63",
    "URGENT",
    "AccountField",
    "ClientIdField",
    "ConversationField",
    "DeviceField",
    "DeviceLists",
    "DevicePayload",
    "EpochField",
    "LabelField",
    "LinkPayloadField",
    "Message",
    "MessageIdField",
    "RendezvousField",
    "Retry",
    "SentenceField",
    "SessionField",
    "SignedDevices",
    "Text",
    "UnknownFrame",
]

U16 = Annotated[int, Meta(ge=0, le=65_535)]
U32 = Annotated[int, Meta(ge=0, le=U32_MAX)]
U63 = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Retry = Annotated[int, Meta(ge=-1, le=NUMBER_MAX)]
"""Milliseconds after which a retry makes sense; -1: do not retry."""
Text = Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
SentenceField = Annotated[str, Meta(max_length=SENTENCE_LENGTH_MAX)]
AccountField = Annotated[AccountId, Meta(max_length=TEXT_LENGTH_MAX)]
ConversationField = Annotated[ConversationId, Meta(max_length=TEXT_LENGTH_MAX)]
DeviceField = Annotated[DeviceId, Meta(min_length=16, max_length=16)]
MessageIdField = Annotated[MessageId, Meta(min_length=16, max_length=16)]
ClientIdField = Annotated[ClientId, Meta(min_length=16, max_length=16)]
EpochField = Annotated[Epoch, Meta(min_length=8, max_length=8)]
SessionField = Annotated[SessionToken, Meta(max_length=16)]
RendezvousField = Annotated[bytes, Meta(min_length=16, max_length=16)]
"""Where two devices meet at the server to be linked; made from their secret, and tells nothing of it."""
LinkPayloadField = Annotated[bytes, Meta(max_length=LINK_PAYLOAD_SIZE_BYTES_MAX)]
DeviceLists = Annotated[list[U63], Meta(max_length=2)]
"""The device lists for which a message was made. In a direct chat the version of each account's list, in the order of
the conversation's id (one for a note to self); in a group one number that stands for all members and their lists."""
LabelField = Annotated[bytes, Meta(max_length=LABEL_SIZE_BYTES_MAX)]

URGENT: Final = 1
"""Flag of a message: wake the recipient's device."""
EPHEMERAL: Final = 2
"""Flag of a message: deliver to those who are connected now, store nothing."""
CHANGE: Final = 4
"""Flag of a message that the server made itself: a change of a group; not for clients to set."""

POWER_BATTERY: Final = 0
"""How a device is fed: what is not urgent may wait a little while nobody looks. So is any unknown value."""
POWER_SAVING: Final = 1
"""How a device is fed: its battery is low or its network is metered, so what is not urgent may wait longer."""
POWER_MAINS: Final = 2
"""How a device is fed: from the wall, as a script on a server is; nothing waits."""


class Message(Struct, array_like=True, frozen=True, gc=False):
    """An accepted message, encoded once by its conversation and then carried as bytes to every device.

    Attributes:
        conversation: Where it was sent.
        seq: Place in the conversation, from 1 without gaps in what the server accepts; 0 for an ephemeral one.
        sender: Account that sent it.
        device: Device of that account that sent it.
        message_id: The server's id; a reader shows each once.
        time_ms: When the server accepted it, milliseconds since 1970; for show, never for order.
        flags: Sum of `URGENT`, `EPHEMERAL` and `CHANGE`.
        payload: The content, opaque to the server.
    """

    conversation: ConversationField
    seq: U63
    sender: AccountField
    device: DeviceField
    message_id: MessageIdField
    time_ms: U63
    flags: U32
    payload: bytes


class DevicePayload(Struct, array_like=True, frozen=True, gc=False):
    """What one device gets of a message that says something else to each, as encryption for each device does.

    Attributes:
        device: Which device.
        payload: The content for it, opaque to the server.
    """

    device: DeviceField
    payload: bytes


class SignedDevices(Struct, array_like=True, frozen=True, gc=False):
    """The list of an account's devices as its primary device signed it; `protocol.device_list` opens it.

    Attributes:
        identity: The account's Ed25519 public key.
        body: The list, as it was signed.
        signature: Ed25519 over `roost/devices/1`, a zero byte and the body.
    """

    identity: Annotated[bytes, Meta(min_length=32, max_length=32)]
    body: Annotated[bytes, Meta(max_length=LIST_BODY_SIZE_BYTES_MAX)]
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


@dataclass(frozen=True, slots=True)
class UnknownFrame:
    """A well-formed frame whose type this version does not know, or which only the other side sends.

    A server answers it with ``Error(0, UNKNOWN_FRAME, ...)`` and goes on, a client skips it.

    Attributes:
        tag: The frame's type.
    """

    tag: int
