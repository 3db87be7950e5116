"""What the session wants stored, as data: a step's changes go to disk in one transaction.

The session never waits for the disk. It hands out changes together with the frames and events that
depend on them; whoever runs it commits the changes first and lets the rest go only then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from protocol import AccountId, ClientId, ConversationId, DeviceId, Epoch, MessageId
    from protocol.device_list import IdentityKey
    from protocol.messages import Change as WireChange
    from protocol.messages import Step
    from roost.device_trust import Pin
    from roost.events import DeviceMissed, DeviceNews
    from roost.group import Group, GroupInvite, GroupMember

__all__ = [
    "Accepted",
    "Change",
    "DevicesKnown",
    "EpochRenewed",
    "Failed",
    "GroupFolded",
    "GroupKnown",
    "ListsKnown",
    "MarksChanged",
    "Missed",
    "NoticeStored",
    "PendingMessage",
    "Pinned",
    "ProgressStored",
    "Queued",
    "ReceiptStored",
    "Received",
    "Renumbered",
    "Snapshot",
    "StoredMarks",
    "Supplemented",
    "VersionSigned",
]


@dataclass(frozen=True, slots=True)
class Queued:
    """A message of ours enters the outbox under `number`."""

    conversation: ConversationId
    client_id: ClientId
    number: int
    payload: bytes
    ttl_s: int
    flags: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has a message of ours; it leaves the outbox."""

    conversation: ConversationId
    client_id: ClientId
    seq: int
    message_id: MessageId
    time_ms: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The server refused a message of ours for good; it leaves the outbox and keeps the reason."""

    conversation: ConversationId
    client_id: ClientId
    code: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Renumbered:
    """Unacked messages carry new numbers, because an earlier one consumed none."""

    conversation: ConversationId
    numbers: tuple[tuple[ClientId, int], ...]
    next_number: int


@dataclass(frozen=True, slots=True)
class EpochRenewed:
    """This database continues under a new epoch: every conversation counts from 1 again."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Received:
    """A message came from the queue. Storing it twice changes nothing."""

    conversation: ConversationId
    seq: int
    sender: AccountId
    device: DeviceId
    message_id: MessageId
    time_ms: int
    flags: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class NoticeStored:
    """A message of ours did not reach a device."""

    conversation: ConversationId
    seq: int
    account: AccountId
    device: DeviceId
    reason: int


@dataclass(frozen=True, slots=True)
class Missed:
    """A device was linked in the moment in which a message of ours was accepted, and lacks it.

    Args:
        conversation: where it was sent.
        seq: its place there.
        account: whose device.
        device: which.
    """

    conversation: ConversationId
    seq: int
    account: AccountId
    device: DeviceId


@dataclass(frozen=True, slots=True)
class Supplemented:
    """A message that a device missed was brought there, or never can be."""

    missed: Missed


@dataclass(frozen=True, slots=True)
class ListsKnown:
    """The device lists for which the messages of a conversation are made from now on; empty if that is not known."""

    conversation: ConversationId
    lists: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ReceiptStored:
    """Another member's watermarks, as the server told them."""

    conversation: ConversationId
    account: AccountId
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class MarksChanged:
    """Our own watermarks, and what the server is known to know of them."""

    conversation: ConversationId
    delivered: int
    read: int
    server_delivered: int
    server_read: int


@dataclass(frozen=True, slots=True)
class ProgressStored:
    """How far messages of ours have come in a group: those behind `behind`, step by step."""

    conversation: ConversationId
    behind: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class GroupFolded:
    """A change of a group came, the next one behind what is known.

    Args:
        group: the group after it.
        author: whose change.
        change: what was done, also to its members and invites.
    """

    group: Group
    author: AccountId
    change: WireChange


@dataclass(frozen=True, slots=True)
class GroupKnown:
    """The server has told what a group is.

    Args:
        group: what it is.
        members: all of them; None to keep those that are known.
        invites: those that we may see.
    """

    group: Group
    members: tuple[GroupMember, ...] | None
    invites: tuple[GroupInvite, ...]


@dataclass(frozen=True, slots=True)
class DevicesKnown:
    """The devices of our account, as this one has seen them.

    Args:
        version: of the list, as the server counts.
        devices: id and name of each.
        news: the changes of which no person has been told yet, the oldest first.
    """

    version: int
    devices: tuple[tuple[DeviceId, str], ...]
    news: tuple[DeviceNews, ...] = ()


@dataclass(frozen=True, slots=True)
class Pinned:
    """The signed list of an account's devices that is believed from now on."""

    account: AccountId
    pin: Pin


@dataclass(frozen=True, slots=True)
class VersionSigned:
    """This device is about to sign a list of devices with this version."""

    version: int


Change = (
    Queued
    | Accepted
    | Failed
    | Renumbered
    | EpochRenewed
    | Received
    | NoticeStored
    | Missed
    | Supplemented
    | ListsKnown
    | ReceiptStored
    | MarksChanged
    | DevicesKnown
    | Pinned
    | VersionSigned
    | ProgressStored
    | GroupFolded
    | GroupKnown
)


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """A message that was in the outbox when the database was opened."""

    conversation: ConversationId
    client_id: ClientId
    number: int
    payload: bytes
    ttl_s: int
    flags: int


@dataclass(frozen=True, slots=True)
class StoredMarks:
    """A conversation's watermarks when the database was opened.

    Args:
        delivered: how far this account has received, by `seq`.
        read: how far this account has read.
        server_delivered: how far the server is known to know that it received.
        server_read: how far the server is known to know that it read.
        written: the highest `seq` of a message this account wrote.
        read_by_others: how far every other member has read.
    """

    delivered: int = 0
    read: int = 0
    server_delivered: int = 0
    server_read: int = 0
    written: int = 0
    read_by_others: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a session starts from: the part of the database it keeps in memory.

    Args:
        account: the account logged in to.
        epoch: the random mark of this database, which numbers its sends.
        next_numbers: the next free number of each conversation that was ever sent to.
        pending: the outbox, in the order of typing.
        marks: the watermarks of each conversation, the latest conversation first.
        seen: ids of the latest messages received, the oldest first.
        devices: the devices of the account; None if they were never seen.
        timers: the `seq` of the message that set each conversation's timer, and its seconds.
        pin: the signed list of them that was believed last; None if nobody signs.
        signer: the account's identity key, on its primary device only.
        signed_version: the highest version of a list that this device has signed.
        groups: the groups that it knows.
        lists: the device lists for which the messages of each conversation were made last.
        missed: messages of ours that are to be brought to a device.
    """

    account: AccountId
    epoch: Epoch
    next_numbers: dict[ConversationId, int] = field(default_factory=dict)
    pending: tuple[PendingMessage, ...] = ()
    marks: dict[ConversationId, StoredMarks] = field(default_factory=dict)
    seen: tuple[MessageId, ...] = ()
    devices: DevicesKnown | None = None
    timers: dict[ConversationId, tuple[int, int]] = field(default_factory=dict)
    pin: Pin | None = None
    signer: IdentityKey | None = None
    signed_version: int = 0
    groups: tuple[Group, ...] = ()
    lists: dict[ConversationId, tuple[int, ...]] = field(default_factory=dict)
    missed: tuple[DeviceMissed, ...] = ()
