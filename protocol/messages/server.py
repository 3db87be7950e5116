"""What a server says, in the order of the type numbers 32 to 63 and 96 to 127; and the alert before any encryption."""

from typing import Annotated, TypeAlias, get_args

from msgspec import Meta, Struct

from protocol.limits import LIST_LENGTH_MAX, LISTED_DEVICES_MAX, STALE_ENTRIES_MAX
from protocol.messages.groups import GroupServerFrame
from protocol.messages.shared import (
    U16,
    U32,
    U63,
    AccountField,
    ClientIdField,
    ConversationField,
    DeviceField,
    DeviceLists,
    LabelField,
    LinkPayloadField,
    Message,
    MessageIdField,
    Retry,
    SentenceField,
    SessionField,
    SignedDevices,
    Text,
)

__all__ = [
    "NOTICE_DEVICES_MAX",
    "NOTICE_EXPIRED",
    "NOTICE_MISSING",
    "NOTICE_OVER_QUOTA",
    "NOTICE_POISON",
    "NOTICE_REVOKED",
    "SERVER_FRAMES",
    "AccountDevices",
    "Alert",
    "Audience",
    "Closing",
    "CodeSent",
    "Deliver",
    "Device",
    "DeviceList",
    "Devices",
    "DevicesChanged",
    "Done",
    "Drained",
    "Error",
    "Heartbeat",
    "Limit",
    "Limits",
    "LinkEnded",
    "LinkOpened",
    "LinkPassed",
    "Notice",
    "Pong",
    "Presence",
    "Profile",
    "Ready",
    "Receipt",
    "Refused",
    "Registered",
    "Relations",
    "Sent",
    "ServerFrame",
    "Settings",
    "Stale",
    "TypingBy",
    "Unreached",
    "Welcome",
]

NOTICE_DEVICES_MAX = 256
"""Devices named by one Notice."""
NOTICE_EXPIRED = 1
"""Reason of a Notice: the time to live ran out before the device fetched it."""
NOTICE_OVER_QUOTA = 2
"""Reason of a Notice: the device's store of waiting messages was full."""
NOTICE_REVOKED = 3
"""Reason of a Notice: the device was removed from its account."""
NOTICE_POISON = 4
"""Reason of a Notice: the device failed again and again while taking it."""
NOTICE_MISSING = 5
"""Reason of a Notice: the device was linked while the message was accepted; a Supplement brings it there."""


class Alert(Struct, array_like=True, frozen=True, gc=False):
    """Body of an alert record: why there will be no handshake. Not authenticated, so only a hint.

    Attributes:
        code: A number of `protocol.errors.Code`.
        sentence: Whose fault it is and what to do.
        retry_after_ms: When a retry makes sense; -1: not.
    """

    code: U16
    sentence: SentenceField
    retry_after_ms: Retry


class Welcome(Struct, array_like=True, tag=32, frozen=True, gc=False):
    """Answer to Hello: the version spoken from here on, and the server's limits.

    Attributes:
        version: One of the versions that were offered.
        software: The server's name and version.
        time_ms: The server's clock.
        payload_size_bytes_max: Largest Send payload.
        window: Sends that may wait for their answer, for each producer.
        frame_size_bytes_max: Largest frame after Ready.
    """

    version: U16
    software: Text
    time_ms: U63
    payload_size_bytes_max: U32
    window: U16
    frame_size_bytes_max: U32


class CodeSent(Struct, array_like=True, tag=33, frozen=True, gc=False):
    """A verification code is on its way."""

    request: U32
    via: Text
    expires_s: U32


class Registered(Struct, array_like=True, tag=34, frozen=True, gc=False):
    """This link's static key is now a device of the account."""

    request: U32
    account: AccountField
    device: DeviceField


class Ready(Struct, array_like=True, tag=35, frozen=True, gc=False):
    """The session stands.

    Attributes:
        account: Whose session.
        device: Which device, from the static key.
        session: Token with which a short drop is resumed.
        resumed: Whether the offered token was taken: nothing that was sent before is lost or sent anew.
        heartbeat_s: Agreed seconds between signs of life of the client.
        waiting: Entries of the queue that follow before Drained.
        time_ms: The server's clock.
        devices_version: Of the account's list of devices; another than before means that it has changed. 0: not told.
    """

    account: AccountField
    device: DeviceField
    session: SessionField
    resumed: bool
    heartbeat_s: U32
    waiting: U63
    time_ms: U63
    devices_version: U63 = 0


class Sent(Struct, array_like=True, tag=36, frozen=True, gc=False):
    """The message is on stable storage: one tick. An ephemeral one has number 0 and seq 0."""

    conversation: ConversationField
    number: U63
    seq: U63
    message_id: MessageIdField
    time_ms: U63


class AccountDevices(Struct, array_like=True, frozen=True, gc=False):
    """The devices of an account, as the conversation knows them.

    Attributes:
        account: Whose.
        version: Of its list.
        devices: Which.
    """

    account: AccountField
    version: U63
    devices: Annotated[list[DeviceField], Meta(max_length=LISTED_DEVICES_MAX)]


class Stale(Struct, array_like=True, frozen=True, gc=False):
    """What is wrong with the device lists for which a message was made.

    Attributes:
        lists: What `lists` of the Send has to say now.
        accounts: The lists that have changed since those that were named. Empty if the changes since then are not
            remembered, or are too many: FetchAudience tells all.
        missing: Devices that are to get the message and were not thought of.
        extra: Devices that were given a payload and are not there.
        replaced: Devices that were given a payload and have been removed and linked anew, with nothing kept.
    """

    lists: DeviceLists
    accounts: Annotated[list[AccountDevices], Meta(max_length=STALE_ENTRIES_MAX)]
    missing: Annotated[list[DeviceField], Meta(max_length=STALE_ENTRIES_MAX)]
    extra: Annotated[list[DeviceField], Meta(max_length=STALE_ENTRIES_MAX)]
    replaced: Annotated[list[DeviceField], Meta(max_length=STALE_ENTRIES_MAX)]


class Refused(Struct, array_like=True, tag=37, frozen=True, gc=False):
    """A Send was not accepted, and its number not used up.

    Attributes:
        conversation: Of the Send.
        number: Of the Send.
        client_id: Of the Send.
        code: A number of `protocol.errors.Code`.
        sentence: Whose fault it is and what to do.
        retry_after_ms: When a retry of the same makes sense; -1: do not retry.
        expected: With NUMBER_GAP, the number that the conversation expects; else 0.
        stale: With DEVICES_STALE, what is right; else nil.
    """

    conversation: ConversationField
    number: U63
    client_id: ClientIdField
    code: U16
    sentence: SentenceField
    retry_after_ms: Retry
    expected: U63
    stale: Stale | None = None


class Deliver(Struct, array_like=True, tag=38, frozen=True, gc=False):
    """A message for this device; position 0 is ephemeral and never acknowledged."""

    position: U63
    message: Message


class Unreached(Struct, array_like=True, frozen=True, gc=False):
    """A further device that a message did not reach, and why."""

    account: AccountField
    device: DeviceField
    reason: U16


class Notice(Struct, array_like=True, tag=39, frozen=True, gc=False):
    """A message that did not reach a device, and why; takes a queue position and is acknowledged like Deliver.

    A group tells together what came together: ``others`` names further devices that the same message did not reach.
    More may follow, each device in one of them.
    """

    position: U63
    conversation: ConversationField
    seq: U63
    account: AccountField
    device: DeviceField
    reason: U16
    others: Annotated[list[Unreached], Meta(max_length=NOTICE_DEVICES_MAX - 1)] = []


class Receipt(Struct, array_like=True, tag=40, frozen=True, gc=False):
    """How far an account has received and read a conversation; the own account shows what the server knows."""

    conversation: ConversationField
    account: AccountField
    delivered: U63
    read: U63


class Presence(Struct, array_like=True, tag=41, frozen=True, gc=False):
    """Whether an account is there; ``online`` None and ``last_seen_ms`` 0 mean hidden."""

    account: AccountField
    online: bool | None
    last_seen_ms: U63
    devices: U16


class TypingBy(Struct, array_like=True, tag=42, frozen=True, gc=False):
    """An account has begun or stopped typing."""

    conversation: ConversationField
    account: AccountField
    active: bool


class Drained(Struct, array_like=True, tag=43, frozen=True, gc=False):
    """Everything that was waiting at the login has been sent, up to this position."""

    position: U63


class Pong(Struct, array_like=True, tag=44, frozen=True, gc=False):
    """Answer to Ping."""

    token: U63


class Heartbeat(Struct, array_like=True, tag=45, frozen=True, gc=False):
    """Answer to SetState: the agreed seconds between signs of life."""

    heartbeat_s: U32


class Settings(Struct, array_like=True, tag=46, frozen=True, gc=False):
    """The account's settings."""

    request: U32
    read_receipts: bool
    last_seen: Text
    online: Text
    display_name: Text


class Profile(Struct, array_like=True, tag=47, frozen=True, gc=False):
    """An account as others may see it."""

    request: U32
    account: AccountField
    display_name: Text
    devices: U16


class Limit(Struct, array_like=True, frozen=True, gc=False):
    """What is left of one operation's rate limit, and the seconds until it is full again."""

    operation: Text
    remaining: U63
    reset_s: U32


class Limits(Struct, array_like=True, tag=48, frozen=True):
    """Answer to GetLimits."""

    request: U32
    limits: Annotated[list[Limit], Meta(max_length=LIST_LENGTH_MAX)]


class Device(Struct, array_like=True, frozen=True, gc=False):
    """A device of the account."""

    device: DeviceField
    name: Text
    created_ms: U63
    last_login_ms: U63
    current: bool


class Devices(Struct, array_like=True, tag=49, frozen=True):
    """Answer to ListDevices."""

    request: U32
    devices: Annotated[list[Device], Meta(max_length=LIST_LENGTH_MAX)]


class Relations(Struct, array_like=True, tag=50, frozen=True):
    """Answer to ListRelations."""

    request: U32
    contacts: Annotated[list[AccountField], Meta(max_length=LIST_LENGTH_MAX)]
    blocked: Annotated[list[AccountField], Meta(max_length=LIST_LENGTH_MAX)]


class Done(Struct, array_like=True, tag=51, frozen=True, gc=False):
    """A request that has nothing to say was carried out."""

    request: U32


class Error(Struct, array_like=True, tag=52, frozen=True, gc=False):
    """A request failed, the connection goes on; request 0: it concerns none."""

    request: U32
    code: U16
    sentence: SentenceField
    retry_after_ms: Retry


class Closing(Struct, array_like=True, tag=53, frozen=True, gc=False):
    """Why the server closes the connection now."""

    code: U16
    sentence: SentenceField
    retry_after_ms: Retry


class DevicesChanged(Struct, array_like=True, tag=54, frozen=True, gc=False):
    """A device of the account was registered or removed; ListDevices says which there are now."""

    version: U63


class LinkOpened(Struct, array_like=True, tag=96, frozen=True, gc=False):
    """Answer to OpenLink: for so many seconds another device can join."""

    request: U32
    expires_s: U32


class LinkPassed(Struct, array_like=True, tag=97, frozen=True, gc=False):
    """What the other device at the rendezvous has passed."""

    payload: LinkPayloadField


class LinkEnded(Struct, array_like=True, tag=98, frozen=True, gc=False):
    """Nothing more can be passed at this rendezvous.

    Attributes:
        code: A number of `protocol.errors.Code`.
        sentence: Whose fault it is and what to do.
    """

    code: U16
    sentence: SentenceField


class DeviceList(Struct, array_like=True, tag=99, frozen=True):
    """Answer to FetchDevices.

    Attributes:
        request: Of the FetchDevices.
        account: Whose devices.
        version: Of the account's list of devices, as in Ready.
        devices: Those that the account has at the server now.
        signed: The list that its primary device signed; nil if the account has none.
        labels: The label of each device of the signed list, in its order; for the account's own devices only.
        own: What the server knows of each device; for the account's own devices only.
    """

    request: U32
    account: AccountField
    version: U63
    devices: Annotated[list[DeviceField], Meta(max_length=LISTED_DEVICES_MAX)]
    signed: SignedDevices | None
    labels: Annotated[list[LabelField], Meta(max_length=LISTED_DEVICES_MAX)]
    own: Annotated[list[Device], Meta(max_length=LISTED_DEVICES_MAX)]


class Audience(Struct, array_like=True, tag=110, frozen=True):
    """Answer to FetchAudience: a page.

    Attributes:
        request: Of the FetchAudience.
        conversation: Whose audience.
        lists: What `lists` of a Send has to say now; if it changes between two pages, ask from the beginning.
        accounts: Members and their devices, in the order of their addresses; without members of a group whose host is
            away, of whom `lists` says nothing either.
        is_last: Whether nobody comes after these.
    """

    request: U32
    conversation: ConversationField
    lists: DeviceLists
    accounts: Annotated[list[AccountDevices], Meta(max_length=STALE_ENTRIES_MAX)]
    is_last: bool


ServerFrame: TypeAlias = (
    Welcome
    | CodeSent
    | Registered
    | Ready
    | Sent
    | Refused
    | Deliver
    | Notice
    | Receipt
    | Presence
    | TypingBy
    | Drained
    | Pong
    | Heartbeat
    | Settings
    | Profile
    | Limits
    | Devices
    | Relations
    | Done
    | Error
    | Closing
    | DevicesChanged
    | LinkOpened
    | LinkPassed
    | LinkEnded
    | DeviceList
    | GroupServerFrame
    | Audience
)

SERVER_FRAMES: tuple[type[ServerFrame], ...] = get_args(ServerFrame)
"""Every frame of a server, in the order of their type numbers."""
