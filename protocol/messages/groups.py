"""Groups: what a client asks of one (types 70 to 76), what a server says of it (100 to 106), and a change of one.

A change of a group is a message in the group's own sequence, with the flag `CHANGE` and a `Change` as its payload.
"""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from protocol.ids import AccountId, InviteId, InviteToken
from protocol.limits import GROUP_MEMBERS_MAX, INVITES_MAX, LIST_LENGTH_MAX, RECEIPT_STEPS_MAX, SIGNATURE_SIZE_BYTES_MAX
from protocol.messages.shared import U16, U32, U63, AccountField, ClientIdField, ConversationField, Text

__all__ = [
    "ADMIN",
    "ANNOUNCEMENT",
    "CREATED",
    "DISSOLVED",
    "INVITED",
    "INVITE_REVOKED",
    "JOINED",
    "LEFT",
    "MEMBER",
    "OWNER",
    "REMOVED",
    "RENAMED",
    "ROLE",
    "Change",
    "ChangeGroup",
    "CreateGroup",
    "CreateInvite",
    "DescribeGroup",
    "FetchGroupMarks",
    "Group",
    "GroupClientFrame",
    "GroupDone",
    "GroupHere",
    "GroupMark",
    "GroupMarks",
    "GroupReceipt",
    "GroupServerFrame",
    "GroupStale",
    "Groups",
    "Invite",
    "JoinGroup",
    "ListGroups",
    "Member",
    "Step",
]

MEMBER: Final = 0
"""Role: writes, invites nobody."""
ADMIN: Final = 1
"""Role: invites, removes members, makes admins, renames, decides whether only admins write."""
OWNER: Final = 2
"""Role: as an admin, and rules over admins; a group is never without one."""

CREATED: Final = 0
"""Kind of a change: the group is there; `account` is its owner, `name` its name."""
JOINED: Final = 1
"""Kind of a change: its author is a member now, by `invite`."""
LEFT: Final = 2
"""Kind of a change: its author is none any more; `account` is the new owner, if the last one has left."""
REMOVED: Final = 3
"""Kind of a change: `account` is no member any more, and comes back only by an invite that is made later."""
ROLE: Final = 4
"""Kind of a change: `account` has the role `role` now."""
RENAMED: Final = 5
"""Kind of a change: the group is called `name`."""
ANNOUNCEMENT: Final = 6
"""Kind of a change: only admins write, if `announcement`, or all."""
INVITED: Final = 7
"""Kind of a change: there is a new invite, for `uses` people, until `expires_ms`."""
INVITE_REVOKED: Final = 8
"""Kind of a change: `invite` is good for nothing any more."""
DISSOLVED: Final = 9
"""Kind of a change: the group is no more."""

InviteField = Annotated[InviteId, Meta(max_length=16)]
TokenField = Annotated[InviteToken, Meta(min_length=16, max_length=16)]
SignatureField = Annotated[bytes, Meta(max_length=SIGNATURE_SIZE_BYTES_MAX)]


class Change(Struct, array_like=True, frozen=True, gc=False):
    """A change of a group, the payload of a message with the flag `CHANGE`; its author is the message's sender.

    Attributes:
        version: Of the group, after the change; each change makes it one more.
        kind: One of the kinds above; what it does not speak of has its default.
        account: Whom it concerns.
        role: The role that `account` has now.
        name: The group's name.
        announcement: Whether only admins write.
        invite: Which invite: the first 16 bytes of SHA-256 of its token.
        expires_ms: When that invite ends.
        uses: How many people it lets in.
        signature: Of the author's device; empty until there is end-to-end encryption.
    """

    version: U63
    kind: U16
    account: AccountField = AccountId("")
    role: U16 = MEMBER
    name: Text = ""
    announcement: bool = False
    invite: InviteField = InviteId(b"")
    expires_ms: U63 = 0
    uses: U32 = 0
    signature: SignatureField = b""


class Member(Struct, array_like=True, frozen=True, gc=False):
    """A member of a group; gets every message with a seq from `joined_seq` on."""

    account: AccountField
    role: U16
    joined_seq: U63


class Invite(Struct, array_like=True, frozen=True, gc=False):
    """An invite that somebody may still use; its token is known to who made it and whom they gave it."""

    invite: InviteField
    account: AccountField
    expires_ms: U63
    uses_left: U32


class CreateGroup(Struct, array_like=True, tag=70, frozen=True, gc=False):
    """Make a group; answered by GroupDone, which names it, or Error. A retry names the same `client_id`.

    Attributes:
        request: Number of this request.
        client_id: 16 random bytes.
        name: What it is called.
        announcement: Whether only admins write.
        signature: Of this device; empty until there is end-to-end encryption.
    """

    request: U32
    client_id: ClientIdField
    name: Text
    announcement: bool = False
    signature: SignatureField = b""


class ChangeGroup(Struct, array_like=True, tag=71, frozen=True, gc=False):
    """Ask for a change; answered by GroupDone, GroupStale or Error.

    Attributes:
        request: Number of this request.
        conversation: The group.
        version: Of the group, as the person saw it who asks; looked at for all kinds but LEFT.
        kind: LEFT, REMOVED, ROLE, RENAMED, ANNOUNCEMENT, INVITE_REVOKED or DISSOLVED.
        account: With REMOVED and ROLE, whom.
        role: With ROLE, which.
        name: With RENAMED, the new name.
        announcement: With ANNOUNCEMENT, whether only admins write.
        invite: With INVITE_REVOKED, which.
        signature: Of this device; empty until there is end-to-end encryption.
    """

    request: U32
    conversation: ConversationField
    version: U63
    kind: U16
    account: AccountField = AccountId("")
    role: U16 = MEMBER
    name: Text = ""
    announcement: bool = False
    invite: InviteField = InviteId(b"")
    signature: SignatureField = b""


class CreateInvite(Struct, array_like=True, tag=72, frozen=True, gc=False):
    """Make an invite; answered by GroupDone or Error.

    Attributes:
        request: Number of this request.
        conversation: The group.
        token: 16 random bytes, which the server keeps only as a hash; the same again is a retry.
        lifetime_s: How long it is good; at most 30 days.
        uses: How many people it lets in.
        signature: Of this device; empty until there is end-to-end encryption.
    """

    request: U32
    conversation: ConversationField
    token: TokenField
    lifetime_s: U32
    uses: U32
    signature: SignatureField = b""


class JoinGroup(Struct, array_like=True, tag=73, frozen=True, gc=False):
    """Become a member by an invite; answered by GroupDone or Error."""

    request: U32
    conversation: ConversationField
    token: TokenField
    signature: SignatureField = b""


class DescribeGroup(Struct, array_like=True, tag=74, frozen=True, gc=False):
    """Ask for a group's name and members; answered by Group or Error.

    Attributes:
        request: Number of this request.
        conversation: The group.
        after: Last account of the page before; empty for the first page.
    """

    request: U32
    conversation: ConversationField
    after: AccountField = AccountId("")


class ListGroups(Struct, array_like=True, tag=75, frozen=True, gc=False):
    """Ask for the account's groups; answered by Groups or Error."""

    request: U32


class FetchGroupMarks(Struct, array_like=True, tag=76, frozen=True, gc=False):
    """Ask how far each member of a group has received and read it; answered by GroupMarks or Error."""

    request: U32
    conversation: ConversationField
    after: AccountField = AccountId("")


class GroupDone(Struct, array_like=True, tag=100, frozen=True, gc=False):
    """A change of a group is on stable storage, or was so before.

    Attributes:
        request: Of the request.
        conversation: The group.
        version: Of the group, now.
        seq: Place of the change in the group's sequence; 0 if it had been so already.
    """

    request: U32
    conversation: ConversationField
    version: U63
    seq: U63


class GroupStale(Struct, array_like=True, tag=101, frozen=True, gc=False):
    """The change was asked for as of another version than the present one: nothing was changed."""

    request: U32
    conversation: ConversationField
    version: U63


class Group(Struct, array_like=True, tag=102, frozen=True):
    """A group, and a page of its members by account.

    Attributes:
        request: Of the DescribeGroup.
        conversation: The group.
        version: Of what is told; if it differs between pages, begin again.
        seq: Of the last change that is in it.
        name: What it is called.
        announcement: Whether only admins write.
        members_count: Of all pages.
        members: This page.
        invites: Told to admins only.
        is_last: Whether no page follows.
    """

    request: U32
    conversation: ConversationField
    version: U63
    seq: U63
    name: Text
    announcement: bool
    members_count: U32
    members: Annotated[list[Member], Meta(max_length=GROUP_MEMBERS_MAX)]
    invites: Annotated[list[Invite], Meta(max_length=INVITES_MAX)]
    is_last: bool


class Groups(Struct, array_like=True, tag=103, frozen=True):
    """Answer to ListGroups. One that the account has just left may still be there."""

    request: U32
    conversations: Annotated[list[ConversationField], Meta(max_length=LIST_LENGTH_MAX)]


class Step(Struct, array_like=True, frozen=True, gc=False):
    """Of the messages behind the step before, up to this seq: who was to get them, has them, has read them.

    Attributes:
        up_to: Last seq of the step.
        members: Present members that were there before the first of these messages, without the one who is told.
        delivered: So many of them have received all of these messages.
        read: So many have read them.
    """

    up_to: U63
    members: U32
    delivered: U32
    read: U32


class GroupReceipt(Struct, array_like=True, tag=104, frozen=True):
    """How far the others of a group are, in steps by seq; at most one in a while, however many they are.

    Attributes:
        conversation: The group.
        behind: The first step begins behind this seq; nothing is said of what is older.
        steps: In the order of their seq.
    """

    conversation: ConversationField
    behind: U63
    steps: Annotated[list[Step], Meta(max_length=RECEIPT_STEPS_MAX)]


class GroupMark(Struct, array_like=True, frozen=True, gc=False):
    """How far one member is; `read` is 0 where it is hidden, and both are for whom that member has blocked."""

    account: AccountField
    delivered: U63
    read: U63


class GroupMarks(Struct, array_like=True, tag=105, frozen=True):
    """Answer to FetchGroupMarks: a page of members by account."""

    request: U32
    conversation: ConversationField
    marks: Annotated[list[GroupMark], Meta(max_length=GROUP_MEMBERS_MAX)]
    is_last: bool


class GroupHere(Struct, array_like=True, tag=106, frozen=True, gc=False):
    """So many of the other members have the group open now; not counted is who hides that, or has blocked this one."""

    conversation: ConversationField
    members_count: U32


GroupClientFrame: TypeAlias = (
    CreateGroup | ChangeGroup | CreateInvite | JoinGroup | DescribeGroup | ListGroups | FetchGroupMarks
)
GroupServerFrame: TypeAlias = GroupDone | GroupStale | Group | Groups | GroupReceipt | GroupMarks | GroupHere
