"""What happened: the frozen events an application reads from `Client.events()`.

`conversation` names a chat as the wire does ("alice:bob"); `other_account` says with whom it is.
`key` names a message within the local history: the same key comes back with each event about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from roost.group import Progress

if TYPE_CHECKING:
    from protocol import AccountId, ConversationId, DeviceId, MessageId
    from protocol.messages import Step
    from roost.changes import Missed
    from roost.content import Content
    from roost.group import Group

__all__ = [
    "ConnectionChanged",
    "ConnectionState",
    "DeviceAdded",
    "DeviceMissed",
    "DeviceNews",
    "DeviceRemoved",
    "DevicesForged",
    "Event",
    "EventsLost",
    "GroupChanged",
    "MessageDelayed",
    "MessageDeleted",
    "MessageEdited",
    "MessageFailed",
    "MessageForgotten",
    "MessageOpened",
    "MessageQueued",
    "MessageReceived",
    "MessageSent",
    "NotDelivered",
    "OnlookersChanged",
    "PresenceChanged",
    "ProgressChanged",
    "QueueDrained",
    "ReactionChanged",
    "ReceiptChanged",
    "ServerComplained",
    "StateAsked",
    "StateChanged",
    "TypingChanged",
]


class ConnectionState(StrEnum):
    """How the session stands with its server."""

    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class MessageQueued:
    """A message of this device is in the outbox, on disk; it will be sent even after a crash."""

    conversation: ConversationId
    key: str
    content: Content
    time_ms: int


@dataclass(frozen=True, slots=True)
class MessageSent:
    """✓: the server has the message on stable storage.

    Args:
        conversation: where it was sent.
        key: which message.
        seq: its place in the conversation.
        time_ms: when the server took it, milliseconds since 1970.
    """

    conversation: ConversationId
    key: str
    seq: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class MessageDelayed:
    """The server does not take a message of this device for now; it is kept and tried again until it does."""

    conversation: ConversationId
    key: str
    code: int
    sentence: str


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """A message of this device was refused for good."""

    conversation: ConversationId
    key: str
    code: int
    sentence: str


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message came, and is in the local history unless it is ephemeral.

    Args:
        conversation: the chat it belongs to.
        key: which message.
        seq: its place in the conversation; 0 for an ephemeral one.
        sender: who wrote it; our own account if another of our devices did.
        device: the sender's device.
        message_id: the server's id.
        time_ms: when the server took it, milliseconds since 1970.
        content: what it says.
        ephemeral: whether it was meant for this moment only and is stored nowhere.
    """

    conversation: ConversationId
    key: str
    seq: int
    sender: AccountId
    device: DeviceId
    message_id: MessageId
    time_ms: int
    content: Content
    ephemeral: bool


@dataclass(frozen=True, slots=True)
class MessageEdited:
    """The author of a message gave it a new text."""

    conversation: ConversationId
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class MessageDeleted:
    """The author of a message deleted it for everyone; its words are gone, its place stays."""

    conversation: ConversationId
    key: str


@dataclass(frozen=True, slots=True)
class MessageForgotten:
    """A message is no longer in the history: its time has run out, or we deleted it for ourselves."""

    conversation: ConversationId
    key: str


@dataclass(frozen=True, slots=True)
class MessageOpened:
    """A message that is shown once was opened, here or on another device of ours: there is nothing left to open."""

    conversation: ConversationId
    key: str


@dataclass(frozen=True, slots=True)
class ReactionChanged:
    """An account's reaction to a message is another one now; empty if it was taken back."""

    conversation: ConversationId
    key: str
    account: AccountId
    emoji: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Something that our devices share says something else now, by this device or another.

    Args:
        kind: what it is: "archived", "muted", "name" or "setting".
        subject: which conversation, account or setting.
        value: what it says; empty for nothing.
    """

    kind: str
    subject: str
    value: str


@dataclass(frozen=True, slots=True)
class StateAsked:
    """Another device of ours asked for what it lacks of what all share; the client answers by itself."""


@dataclass(frozen=True, slots=True)
class DeviceMissed:
    """A device missed a message of ours while it was linked; the client brings it there by itself.

    Args:
        missed: which device, and which message.
        payload: what the message said.
    """

    missed: Missed
    payload: bytes


@dataclass(frozen=True, slots=True)
class ReceiptChanged:
    """An account has received and read a conversation up to these messages, by `seq`.

    For our own account it says what our devices together have read.
    """

    conversation: ConversationId
    account: AccountId
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class ProgressChanged:
    """How far the messages of a group have come, told in steps by `seq`, as to us as one who writes there.

    Args:
        conversation: the group.
        behind: nothing is said of messages up to this `seq`.
        steps: in the order of their `seq`; each speaks of the messages behind the one before.
    """

    conversation: ConversationId
    behind: int
    steps: tuple[Step, ...]

    def of(self, seq: int) -> Progress | None:
        """Return how far a message of ours has come; None if nothing is said of it."""
        if seq <= self.behind:
            return None
        step = next((step for step in self.steps if seq <= step.up_to), None)
        return None if step is None else Progress(step.members, step.delivered, step.read)


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """A group is another one now: who we are in it, what it is called, or who else is in it.

    The change itself, and who made it, comes as a message of the group, and stands in its history.
    """

    group: Group


@dataclass(frozen=True, slots=True)
class OnlookersChanged:
    """So many other members have a group open now; told while it is open here."""

    conversation: ConversationId
    members: int


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """A message of ours did not reach a device of its reader, or of a group several; the sentence says why.

    Args:
        conversation: where we wrote it.
        seq: its place there.
        account: whose device it is.
        device: its id.
        reason: one of the NOTICE values of the protocol.
        sentence: all of it, for a person.
        others: further devices: account, device, reason.
    """

    conversation: ConversationId
    seq: int
    account: AccountId
    device: DeviceId
    reason: int
    sentence: str
    others: tuple[tuple[AccountId, DeviceId, int], ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceAdded:
    """A device was registered for our account, and not by this program: its person should know of it.

    Args:
        device: its id.
        name: what it calls itself.
        time_ms: when it was registered, milliseconds since 1970.
    """

    device: DeviceId
    name: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class DeviceRemoved:
    """A device is no longer one of our account's.

    Args:
        device: its id.
        name: what it called itself.
        time_ms: when this device saw it, milliseconds since 1970.
    """

    device: DeviceId
    name: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class DevicesForged:
    """The server shows devices of our account that its primary device has not signed; nothing of it is believed.

    Args:
        sentence: what is wrong, for a person.
        time_ms: when this device saw it, milliseconds since 1970.
    """

    sentence: str
    time_ms: int


DeviceNews = DeviceAdded | DeviceRemoved | DevicesForged
"""What a person should hear of our own devices."""


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Whether an account is there, as far as it lets us know.

    Args:
        account: who.
        online: None if hidden.
        last_seen_ms: milliseconds since 1970; 0 if hidden or unknown.
        devices: how many of its devices are connected.
    """

    account: AccountId
    online: bool | None
    last_seen_ms: int
    devices: int


@dataclass(frozen=True, slots=True)
class TypingChanged:
    """Somebody started or stopped typing in an open chat."""

    conversation: ConversationId
    account: AccountId
    active: bool


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection came, went or ended for good.

    Args:
        state: how it stands now.
        sentence: why, for a person to read; empty when there is nothing to explain.
        code: the server's code where it gave one, else 0.
        retry_in_s: when the next attempt follows; 0 if none does.
        waiting: how many messages the server holds for this device, when it just came online.
    """

    state: ConnectionState
    sentence: str = ""
    code: int = 0
    retry_in_s: float = 0.0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class QueueDrained:
    """Everything that waited on the server when we logged in has arrived."""


@dataclass(frozen=True, slots=True)
class ServerComplained:
    """The server could not do something that no request is waiting for; the connection goes on."""

    code: int
    sentence: str


@dataclass(frozen=True, slots=True)
class EventsLost:
    """The reader of the events fell behind and missed some; the history is complete, so look there."""

    count: int


Event = (
    MessageQueued
    | MessageSent
    | MessageDelayed
    | MessageFailed
    | MessageReceived
    | MessageEdited
    | MessageDeleted
    | MessageForgotten
    | MessageOpened
    | ReactionChanged
    | StateChanged
    | StateAsked
    | ReceiptChanged
    | ProgressChanged
    | GroupChanged
    | OnlookersChanged
    | NotDelivered
    | DeviceMissed
    | DeviceAdded
    | DeviceRemoved
    | DevicesForged
    | PresenceChanged
    | TypingChanged
    | ConnectionChanged
    | QueueDrained
    | ServerComplained
    | EventsLost
)
