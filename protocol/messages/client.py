"""What a client says, in the order of the type numbers 0 to 31 and 64 to 95."""

from typing import Annotated, TypeAlias, get_args

from msgspec import Meta, Struct

from protocol.ids import SessionToken
from protocol.limits import BUNDLE_DEVICES_MAX, FETCH_MARKS_MAX, LISTED_DEVICES_MAX, VERSIONS_MAX
from protocol.messages.groups import GroupClientFrame
from protocol.messages.shared import (
    POWER_BATTERY,
    U16,
    U32,
    U63,
    AccountField,
    ClientIdField,
    ConversationField,
    DeviceField,
    DeviceLists,
    DevicePayload,
    EpochField,
    LabelField,
    LinkPayloadField,
    RendezvousField,
    SessionField,
    SignedDevices,
    Text,
)

__all__ = [
    "CLIENT_FRAMES",
    "Ack",
    "Bye",
    "ClientFrame",
    "Close",
    "FetchAudience",
    "FetchDevices",
    "FetchMarks",
    "GetLimits",
    "GetSettings",
    "Hello",
    "JoinLink",
    "ListDevices",
    "ListRelations",
    "Login",
    "Lookup",
    "Mark",
    "Open",
    "OpenLink",
    "PassLink",
    "Ping",
    "Register",
    "RegisterPrimary",
    "RemoveDevice",
    "RequestCode",
    "Send",
    "SetRelation",
    "SetSettings",
    "SetState",
    "SignDevices",
    "Supplement",
    "Typing",
]


class Hello(Struct, array_like=True, tag=0, frozen=True):
    """First frame: the versions that this client speaks, best first, and its name for the operator's log."""

    versions: Annotated[list[U16], Meta(min_length=1, max_length=VERSIONS_MAX)]
    software: Text


class RequestCode(Struct, array_like=True, tag=1, frozen=True, gc=False):
    """Ask for a verification code to be sent to an address; answered by CodeSent or Error."""

    request: U32
    address: Text


class Register(Struct, array_like=True, tag=2, frozen=True, gc=False):
    """Make this link's static key a device of the address's account; answered by Registered or Error."""

    request: U32
    address: Text
    code: Text
    display_name: Text
    device_name: Text


class Login(Struct, array_like=True, tag=3, frozen=True, gc=False):
    """Begin or resume a session of this device; answered by Ready, Error or Closing.

    Attributes:
        account: Account that this device belongs to.
        epoch: Epoch of the client's local database.
        foreground: Whether a person is looking.
        heartbeat_s: Wished seconds between signs of life; the answer says what was agreed.
        session: Token of the last Ready, to resume it; empty to start anew.
        received_up_to: Last queue position that the client has committed itself.
        power: How the device is fed: POWER_BATTERY, POWER_SAVING or POWER_MAINS.
    """

    account: AccountField
    epoch: EpochField
    foreground: bool = True
    heartbeat_s: U32 = 60
    session: SessionField = SessionToken(b"")
    received_up_to: U63 = 0
    power: U16 = POWER_BATTERY


class Send(Struct, array_like=True, tag=4, frozen=True, gc=False):
    """Send a message; answered by Sent or Refused.

    Attributes:
        conversation: Where to.
        number: 1 for this producer's first send, then rising by one; 0 if ephemeral.
        client_id: The same 16 random bytes in every retry of this message.
        payload: The content.
        ttl_s: Seconds after which it need no longer be delivered; 0: the server's own limit.
        flags: Sum of URGENT and EPHEMERAL.
        lists: The device lists for which it was made; empty: for whatever devices there are.
        payloads: Instead of a payload for all, one for each device of those lists but the sending one.
    """

    conversation: ConversationField
    number: U63
    client_id: ClientIdField
    payload: bytes
    ttl_s: U32 = 0
    flags: U32 = 0
    lists: DeviceLists = []
    payloads: Annotated[list[DevicePayload], Meta(max_length=BUNDLE_DEVICES_MAX)] = []


class Ack(Struct, array_like=True, tag=5, frozen=True, gc=False):
    """The client has committed everything up to this queue position; the server forgets it."""

    up_to: U63


class Mark(Struct, array_like=True, tag=6, frozen=True, gc=False):
    """How far this account has received and read a conversation, by ``seq``; marks only grow."""

    conversation: ConversationField
    delivered: U63
    read: U63


class FetchMarks(Struct, array_like=True, tag=7, frozen=True):
    """Ask for the current marks of these conversations; answered by Receipts."""

    conversations: Annotated[list[ConversationField], Meta(max_length=FETCH_MARKS_MAX)]


class Open(Struct, array_like=True, tag=8, frozen=True, gc=False):
    """The person looks at this chat: presence and typing of the other side are wanted."""

    conversation: ConversationField


class Close(Struct, array_like=True, tag=9, frozen=True, gc=False):
    """The person has left this chat."""

    conversation: ConversationField


class Typing(Struct, array_like=True, tag=10, frozen=True, gc=False):
    """The person has begun or stopped typing."""

    conversation: ConversationField
    active: bool


class SetState(Struct, array_like=True, tag=11, frozen=True, gc=False):
    """The application went to the foreground or background, or its power changed; answered by Heartbeat."""

    foreground: bool
    heartbeat_s: U32
    power: U16 = POWER_BATTERY


class Ping(Struct, array_like=True, tag=12, frozen=True, gc=False):
    """A sign of life; answered by Pong with the same token."""

    token: U63


class GetSettings(Struct, array_like=True, tag=13, frozen=True, gc=False):
    """Ask for the account's settings; answered by Settings."""

    request: U32


class SetSettings(Struct, array_like=True, tag=14, frozen=True, gc=False):
    """Change settings, None leaves one as it is; answered by Settings or Error.

    Attributes:
        request: Number of this request.
        read_receipts: Whether read marks are given and shown.
        last_seen: Who sees it: everyone, contacts or nobody.
        online: Who sees it: everyone, contacts or nobody.
        display_name: Name shown to others.
    """

    request: U32
    read_receipts: bool | None = None
    last_seen: Text | None = None
    online: Text | None = None
    display_name: Text | None = None


class SetRelation(Struct, array_like=True, tag=15, frozen=True, gc=False):
    """Make an account a contact, blocked, or none of both; answered by Done or Error."""

    request: U32
    account: AccountField
    relation: Text


class Lookup(Struct, array_like=True, tag=16, frozen=True, gc=False):
    """Ask whether an account exists and its name; answered by Profile or Error."""

    request: U32
    account: AccountField


class GetLimits(Struct, array_like=True, tag=17, frozen=True, gc=False):
    """Ask what is left of this device's rate limits; answered by Limits."""

    request: U32


class ListDevices(Struct, array_like=True, tag=18, frozen=True, gc=False):
    """Ask for the account's devices; answered by Devices."""

    request: U32


class RemoveDevice(Struct, array_like=True, tag=19, frozen=True, gc=False):
    """Remove a device from the account; answered by Done or Error."""

    request: U32
    device: DeviceField


class ListRelations(Struct, array_like=True, tag=20, frozen=True, gc=False):
    """Ask for contacts and blocked accounts; answered by Relations."""

    request: U32


class Bye(Struct, array_like=True, tag=21, frozen=True, gc=False):
    """The client leaves; the server closes without an answer."""


class RegisterPrimary(Struct, array_like=True, tag=64, frozen=True, gc=False):
    """Register as Register does, and make this device the primary of the account; answered by Registered or Error.

    Attributes:
        request: Number of this request.
        address: Address of the account.
        code: The verification code.
        display_name: Name shown to others, for a new account.
        signed: The account's first list of devices, which names this device alone.
        label: The label of this device.
        recover: Whether to replace the identity and all devices of an account that exists.
    """

    request: U32
    address: Text
    code: Text
    display_name: Text
    signed: SignedDevices
    label: LabelField
    recover: bool = False


class OpenLink(Struct, array_like=True, tag=65, frozen=True, gc=False):
    """A device without an account waits at a rendezvous for one that has; answered by LinkOpened or Error."""

    request: U32
    rendezvous: RendezvousField


class JoinLink(Struct, array_like=True, tag=66, frozen=True, gc=False):
    """Join the device that waits at a rendezvous; answered by Done or Error."""

    request: U32
    rendezvous: RendezvousField


class PassLink(Struct, array_like=True, tag=67, frozen=True, gc=False):
    """Pass something to the other device at the rendezvous; the server cannot read it."""

    payload: LinkPayloadField


class SignDevices(Struct, array_like=True, tag=68, frozen=True):
    """The account has these devices from now on; answered by Done or Error.

    Attributes:
        request: Number of this request.
        signed: The list.
        labels: The label of each device, in the order of the list.
    """

    request: U32
    signed: SignedDevices
    labels: Annotated[list[LabelField], Meta(max_length=LISTED_DEVICES_MAX)]


class FetchDevices(Struct, array_like=True, tag=69, frozen=True, gc=False):
    """Ask for the devices of an account, with the list that it signed; answered by DeviceList or Error."""

    request: U32
    account: AccountField


class FetchAudience(Struct, array_like=True, tag=80, frozen=True, gc=False):
    """Ask for the devices that a message would go to; answered by Audience, a page, or Error.

    Attributes:
        request: Number of this request.
        conversation: Which conversation.
        after: The last account of the page before; empty: from the beginning.
    """

    request: U32
    conversation: ConversationField
    after: Text = ""


class Supplement(Struct, array_like=True, tag=81, frozen=True, gc=False):
    """Give a message to the device that a Notice with NOTICE_MISSING names; answered by Done or Error.

    Attributes:
        request: Number of this request.
        conversation: As in the Notice.
        seq: As in the Notice.
        account: As in the Notice.
        device: As in the Notice.
        payload: The content for this device.
    """

    request: U32
    conversation: ConversationField
    seq: U63
    account: AccountField
    device: DeviceField
    payload: bytes


ClientFrame: TypeAlias = (
    Hello
    | RequestCode
    | Register
    | Login
    | Send
    | Ack
    | Mark
    | FetchMarks
    | Open
    | Close
    | Typing
    | SetState
    | Ping
    | GetSettings
    | SetSettings
    | SetRelation
    | Lookup
    | GetLimits
    | ListDevices
    | RemoveDevice
    | ListRelations
    | Bye
    | RegisterPrimary
    | OpenLink
    | JoinLink
    | PassLink
    | SignDevices
    | FetchDevices
    | GroupClientFrame
    | FetchAudience
    | Supplement
)

CLIENT_FRAMES: tuple[type[ClientFrame], ...] = get_args(ClientFrame)
"""Every frame of a client, in the order of their type numbers."""
