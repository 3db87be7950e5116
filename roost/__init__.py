"""The client: what users import and run.

    async with roost.connect("alice") as client:
        sending = await client.send("bob", "hi")
        await sending.sent()
        async for event in client.events():
            print(event)

Reading order: `client` (the face: `writing`, `queries`) and what it gives: `sending`, `streams`, `events`, `content`,
`operations` (what was done to a message), `timers`, `shared` (what our devices share: `own_state`), `own_groups` and
`own_devices`, `history`, `errors`. Below it the `runner` (event loop, socket, database) drives the `session`, which
decides everything and touches nothing: `outbox` and `outboxes` (what is to be sent), `arrivals` (what comes), `marks`
(receipts), `chats` (presence and typing), `devices` (our own), `known_groups` (`group`), `heartbeat`, `power`,
`reconnection` with its `backoff`, `requests`; its decisions are `steps` of `changes`, frames and events. `connection`
is the socket with its encrypted link (`address`), `store` the database (`database_file`, `schema`, `rows`, `landing`,
`registers`, `records`, `group_rows`, `device_record`, `home`), `ports` the clock and the randomness. `opening` and
`registration` are the ways in; `command`, `commands` and `terminal` what people run, `plain` what makes a stranger's
text safe to show. How a device is linked: `link` (the new one), `own_devices` (the primary), `linking` (what they
say), `link_code`, and `device_trust` (which list is believed). A group is let into by an `invite_link`.

Invariants: a step's changes are on disk before its frames leave and its events are told. So a number is never used
twice, an ack never precedes the storing, and a message shown is a message kept. The session reads neither clock nor
chance nor disk but through its ports, and nothing here imports the server's rooms: `protocol` is all they share.
Everything a server or a slow reader can grow has a limit: ids seen, unsent messages, unread events, open chats, what
is done to a message.
"""

from roost.client import Client
from roost.content import (
    Content,
    Deleted,
    Deletion,
    Edit,
    Operation,
    Reaction,
    Text,
    TimerSet,
    UnknownContent,
    ViewOnce,
)
from roost.errors import (
    AccountInUseError,
    AccountMissingError,
    AddressError,
    ConnectionClosedError,
    DevicesForgedError,
    GroupError,
    GroupStaleError,
    InviteLinkError,
    LinkError,
    MessageError,
    NotConnectedError,
    OutboxFullError,
    RefusedError,
    RoostError,
    SendFailedError,
    ServerKeyChangedError,
    ServerUnreachableError,
    StoppedError,
    StoreError,
    StoreNewerError,
    TextError,
)
from roost.events import (
    ConnectionChanged,
    ConnectionState,
    DeviceAdded,
    DeviceRemoved,
    DevicesForged,
    Event,
    EventsLost,
    GroupChanged,
    MessageDelayed,
    MessageDeleted,
    MessageEdited,
    MessageFailed,
    MessageForgotten,
    MessageOpened,
    MessageQueued,
    MessageReceived,
    MessageSent,
    NotDelivered,
    OnlookersChanged,
    PresenceChanged,
    ProgressChanged,
    QueueDrained,
    ReactionChanged,
    ReceiptChanged,
    ServerComplained,
    StateAsked,
    StateChanged,
    TypingChanged,
)
from roost.group import (
    ChangeKind,
    Group,
    GroupChange,
    GroupDetails,
    GroupInvite,
    GroupMember,
    MemberMark,
    MessageInfo,
    Progress,
    Role,
    Standing,
)
from roost.history import Chat, MessageState, Quote, StoredMessage
from roost.invite_link import InviteLink
from roost.link import link
from roost.link_code import LinkCode
from roost.opening import Opening, connect
from roost.operations import Reacted
from roost.own_devices import KnownDevice, LinkRequest, OwnDevices, PeerDevices
from roost.own_groups import OwnGroups
from roost.own_state import RecordKind
from roost.power import Power
from roost.queries import AccountSettings, Person, RateLimit, RelatedAccounts
from roost.registration import CodeRequest, register
from roost.sealing import Sealer
from roost.sending import Sending
from roost.streams import EventStream

__all__ = [
    "AccountInUseError", "AccountMissingError", "AccountSettings", "AddressError", "ChangeKind", "Chat", "Client",
    "CodeRequest", "ConnectionChanged", "ConnectionClosedError", "ConnectionState", "Content", "Deleted",
    "Deletion", "DeviceAdded", "DeviceRemoved", "DevicesForged", "DevicesForgedError", "Edit", "Event",
    "EventStream", "EventsLost", "Group", "GroupChange", "GroupChanged", "GroupDetails", "GroupError",
    "GroupInvite", "GroupMember", "GroupStaleError", "InviteLink", "InviteLinkError", "KnownDevice", "LinkCode",
    "LinkError", "LinkRequest", "MemberMark", "MessageDelayed", "MessageDeleted", "MessageEdited", "MessageError",
    "MessageFailed", "MessageForgotten", "MessageInfo", "MessageOpened", "MessageQueued", "MessageReceived",
    "MessageSent", "MessageState", "NotConnectedError", "NotDelivered", "OnlookersChanged", "Opening", "Operation",
    "OutboxFullError", "OwnDevices", "OwnGroups", "PeerDevices", "Person", "Power", "PresenceChanged", "Progress",
    "ProgressChanged", "QueueDrained", "Quote", "RateLimit", "Reacted", "Reaction", "ReactionChanged",
    "ReceiptChanged", "RecordKind", "RefusedError", "RelatedAccounts", "Role", "RoostError", "Sealer",
    "SendFailedError", "Sending", "ServerComplained", "ServerKeyChangedError", "ServerUnreachableError", "Standing",
    "StateAsked", "StateChanged", "StoppedError", "StoreError", "StoreNewerError", "StoredMessage", "Text", "TextError",
    "TimerSet", "TypingChanged", "UnknownContent", "ViewOnce", "connect", "link", "register",
]  # fmt: skip
