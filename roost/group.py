"""A group as this device knows it: its name, what we are in it, and what a change makes of that. Pure.

The server puts every change into the group's own sequence, with a version one higher than the change before. So a
device that folds the changes in the order in which they come has what the server has, and sees from a gap in the
versions that it must ask.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Final

from protocol import AccountId, ConversationId, InviteId, RemoteProtocolError, decode_change
from protocol import messages as wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol.messages import Change

__all__ = [
    "ChangeKind",
    "Group",
    "GroupChange",
    "GroupDetails",
    "GroupInvite",
    "GroupMember",
    "MemberMark",
    "MessageInfo",
    "Progress",
    "Role",
    "Standing",
    "change_of",
    "ended_by",
    "folded",
    "group_change_of",
    "role_of",
]


class Role(IntEnum):
    """What an account may do in a group."""

    MEMBER = wire.MEMBER
    ADMIN = wire.ADMIN
    OWNER = wire.OWNER


class Standing(StrEnum):
    """What we are to a group; in all but the first it can be read, and no more."""

    MEMBER = "member"
    LEFT = "left"
    REMOVED = "removed"
    DISSOLVED = "dissolved"


class ChangeKind(IntEnum):
    """What was done to a group."""

    CREATED = wire.CREATED
    JOINED = wire.JOINED
    LEFT = wire.LEFT
    REMOVED = wire.REMOVED
    ROLE = wire.ROLE
    RENAMED = wire.RENAMED
    ANNOUNCEMENT = wire.ANNOUNCEMENT
    INVITED = wire.INVITED
    INVITE_REVOKED = wire.INVITE_REVOKED
    DISSOLVED = wire.DISSOLVED


_NOBODY: Final = AccountId("")
_NONE: Final = InviteId(b"")


@dataclass(frozen=True, slots=True)
class GroupChange:
    """A change of a group, where it stands in the history; whoever made it is the sender of the message.

    Args:
        kind: what was done.
        version: of the group, after it.
        account: whom it concerns: who was removed or has another role, the owner of a new group, and who became one
            because the last owner has left.
        role: the role that `account` has now.
        name: what the group is called now, if it was created or renamed.
        announcement: whether only admins write now, if that was decided.
        invite: which invite, if one was made, used or revoked.
        expires_ms: when a new invite ends, milliseconds since 1970.
        uses: how many people a new invite lets in.
    """

    kind: ChangeKind
    version: int
    account: AccountId = _NOBODY
    role: Role = Role.MEMBER
    name: str = ""
    announcement: bool = False
    invite: InviteId = _NONE
    expires_ms: int = 0
    uses: int = 0


@dataclass(frozen=True, slots=True)
class Group:
    """A group as this device knows it.

    Args:
        conversation: its id, by which it is written to as an account is by its address.
        name: what it is called; empty if we were gone before we heard it.
        announcement: whether only admins write.
        version: grows by one with every change.
        seq: of the last change that is in it.
        standing: what we are to it.
        role: what we may do in it, or could at last.
    """

    conversation: ConversationId
    name: str
    announcement: bool
    version: int
    seq: int
    standing: Standing = Standing.MEMBER
    role: Role = Role.MEMBER

    @property
    def is_open(self) -> bool:
        """Whether we are a member."""
        return self.standing is Standing.MEMBER

    @property
    def is_admin(self) -> bool:
        """Whether we invite, remove and rename."""
        return self.is_open and self.role is not Role.MEMBER

    @property
    def may_write(self) -> bool:
        """Whether we may send something to it."""
        return self.is_admin or (self.is_open and not self.announcement)


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a group, who gets every message from `joined_seq` on."""

    account: AccountId
    role: Role
    joined_seq: int


@dataclass(frozen=True, slots=True)
class GroupInvite:
    """An invite that may still be used, as admins see it: its link is known to who made it and whom they gave it.

    Args:
        invite: its id.
        account: who made it.
        expires_ms: when it ends, milliseconds since 1970.
        uses_left: how many people it still lets in.
    """

    invite: InviteId
    account: AccountId
    expires_ms: int
    uses_left: int


@dataclass(frozen=True, slots=True)
class GroupDetails:
    """A group with its members, by account, and the invites that admins may see."""

    group: Group
    members: tuple[GroupMember, ...]
    invites: tuple[GroupInvite, ...]


@dataclass(frozen=True, slots=True)
class MemberMark:
    """How far a member has received and read a group, by `seq`; `read` is 0 for one who does not tell."""

    account: AccountId
    delivered: int
    read: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a message of ours has come in a group.

    Args:
        members: how many others are members and were so when it came.
        delivered: how many of them have received it.
        read: how many have read it, as far as they tell.
    """

    members: int
    delivered: int
    read: int

    @property
    def delivered_to_all(self) -> bool:
        """Whether every one of them has received it."""
        return 0 < self.members <= self.delivered

    @property
    def read_by_all(self) -> bool:
        """Whether every one of them has read it."""
        return 0 < self.members <= self.read


@dataclass(frozen=True, slots=True)
class MessageInfo:
    """Whom a message has reached: each other member is in one of the three.

    Args:
        read: who has read it, as far as they tell.
        delivered: who has received it, and not read it or does not tell.
        waiting: who has not received it yet.
    """

    read: tuple[AccountId, ...]
    delivered: tuple[AccountId, ...]
    waiting: tuple[AccountId, ...]


def change_of(payload: bytes) -> Change | None:
    """Return the change that a message of the server carries; None if it is newer than this version."""
    try:
        return decode_change(payload)
    except RemoteProtocolError:
        return None


def group_change_of(payload: bytes) -> GroupChange | None:
    """Return the change as the history shows it; None if it is newer than this version."""
    change = change_of(payload)
    if change is None or change.kind not in _KINDS or change.role not in _ROLES:
        return None
    return GroupChange(
        ChangeKind(change.kind),
        change.version,
        change.account,
        Role(change.role),
        change.name,
        change.announcement,
        change.invite,
        change.expires_ms,
        change.uses,
    )


def ended_by(account: AccountId, author: AccountId, change: Change) -> Standing | None:
    """Return what a change makes of a member who is none after it; None if it leaves them one."""
    match change.kind:
        case ChangeKind.DISSOLVED:
            return Standing.DISSOLVED
        case ChangeKind.LEFT if author == account:
            return Standing.LEFT
        case ChangeKind.REMOVED if change.account == account:
            return Standing.LEFT if author == account else Standing.REMOVED
        case _:
            return None


def folded(group: Group, account: AccountId, author: AccountId, change: Change, seq: int) -> Group | None:
    """Return a group after a change; None if it cannot be told from this alone, so that the server must be asked.

    Args:
        group: the group before.
        account: who we are.
        author: who made the change.
        change: what was done.
        seq: its place in the conversation.
    """
    ended = ended_by(account, author, change)
    if ended is not None:
        return replace(group, version=max(group.version, change.version), seq=seq, standing=ended)
    if not group.is_open or change.version != group.version + 1 or change.kind not in _KINDS:
        return None
    after = replace(group, version=change.version, seq=seq)
    match change.kind:
        case ChangeKind.RENAMED:
            return replace(after, name=change.name)
        case ChangeKind.ANNOUNCEMENT:
            return replace(after, announcement=change.announcement)
        case ChangeKind.ROLE if change.account == account:
            return replace(after, role=Role(change.role)) if change.role in _ROLES else None
        case ChangeKind.LEFT if change.account == account:
            return replace(after, role=Role.OWNER)
        case _:
            return after


def role_of(account: AccountId, members: Iterable[GroupMember]) -> Role:
    """Return an account's role among members; the least if it is not among them."""
    return next((member.role for member in members if member.account == account), Role.MEMBER)


_KINDS = frozenset(ChangeKind)
_ROLES = frozenset(Role)
