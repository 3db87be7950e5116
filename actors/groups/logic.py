"""The group as data: whether a change may be, and the group after it. Pure.

What the disk keeps is the folded state, beside the conversation's snapshot and with every record of a change; what the
members get is the change. Both come from here, so a member who folds the changes has what the server has.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from protocol import AccountId, Code, IdentifierError, InviteId, invite_id_of, normalized_name
from protocol.limits import GROUP_NAME_LENGTH_MAX, INVITE_LIFETIME_S_MAX, INVITES_MAX
from protocol.messages import (
    ADMIN,
    ANNOUNCEMENT,
    CREATED,
    DISSOLVED,
    INVITE_REVOKED,
    INVITED,
    JOINED,
    LEFT,
    MEMBER,
    OWNER,
    REMOVED,
    RENAMED,
    ROLE,
    Change,
    ChangeGroup,
    CreateGroup,
    CreateInvite,
    Invite,
    JoinGroup,
)
from storage import StoreCorruptError
from storage.records import UNREADABLE, Number, check_version

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import InviteToken

__all__ = ["NOBODY", "GroupState", "Member", "Verdict", "decode_group", "encode_group", "judge"]

SCHEMA: Final = 1
WHERE: Final = "the state of a group"
REMOVED_MAX: Final = 1_024
GONE_UNTOLD_MAX: Final = 1_024
"""Accounts that have left and do not know it. One more is told when it asks for something."""


class Member(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A member: its role, and the seq of the message with which it came."""

    role: Number
    joined_seq: Number


class _Invite(msgspec.Struct, array_like=True, frozen=True, gc=False):
    account: str
    expires_ms: Number
    uses_left: Number
    version: Number = 0


class GroupState(msgspec.Struct, array_like=True, frozen=True):
    """A group as of `version`; 0 for one that was never created.

    Attributes:
        version: One more with every change.
        name: What it is called.
        announcement: Whether only admins write.
        dissolved: Whether it is no more.
        members: By account.
        invites: By the id of the invite.
        seq: Of the last change in the conversation.
        untold: Accounts that came or went, and have not said yet that they know.
        removed: By account that others have removed, the version that did; kept while there is an older invite.
    """

    version: Number = 0
    name: str = ""
    announcement: bool = False
    dissolved: bool = False
    members: dict[str, Member] = {}
    invites: dict[bytes, _Invite] = {}
    seq: Number = 0
    untold: tuple[str, ...] = ()
    removed: dict[str, Number] = {}

    def role(self, account: str) -> int | None:
        """The role of a member; None for anybody else."""
        member = self.members.get(account)
        return None if member is None else member.role

    def may_write(self, account: str) -> Code | None:
        """Why an account may not send a message here; None if it may."""
        member = self.members.get(account)
        if member is None:
            return Code.NOT_MEMBER
        return Code.ANNOUNCEMENT_ONLY if self.announcement and member.role == MEMBER else None

    def told_invites(self, now_ms: int) -> list[Invite]:
        """The invites that somebody may still use, as admins see them."""
        return [
            Invite(InviteId(id_), AccountId(it.account), it.expires_ms, it.uses_left)
            for id_, it in self.invites.items()
            if it.expires_ms > now_ms
        ]

    def invite_of(self, token: InviteToken, now_ms: int) -> InviteId | None:
        """The invite that a token opens now; every one is compared, and in constant time."""
        wanted = invite_id_of(token)
        found = [id_ for id_, it in self.invites.items() if hmac.compare_digest(id_, wanted) and it.expires_ms > now_ms]
        return InviteId(found[0]) if found else None

    def apply(self, author: AccountId, change: Change, seq: int, now_ms: int) -> GroupState:
        """The group after a change.

        Args:
            author: Whose change.
            change: One that `judge` has let pass.
            seq: Its place in the conversation.
            now_ms: When it was accepted; invites that are over by then go.
        """
        before = self
        if any(it.expires_ms <= now_ms for it in self.invites.values()):
            alive = {id_: it for id_, it in self.invites.items() if it.expires_ms > now_ms}
            before = msgspec.structs.replace(self, invites=alive)
        fields = _FOLDS[change.kind](before, author, change, seq)
        after = msgspec.structs.replace(before, version=change.version, seq=seq, **fields)
        after = after._without_old_removals() if after.removed else after
        return after._without_long_gone() if len(after.untold) > GONE_UNTOLD_MAX else after

    def _without_old_removals(self) -> GroupState:
        """Whom no invite would let in again need not be remembered; nor more than the last so many."""
        oldest = min((it.version for it in self.invites.values()), default=self.version)
        removed = [(account, version) for account, version in self.removed.items() if version > oldest]
        return msgspec.structs.replace(self, removed=dict(removed[-REMOVED_MAX:]))

    def _without_long_gone(self) -> GroupState:
        """Members are told, however many there are; of those who have left, the last so many."""
        gone = [account for account in self.untold if account not in self.members]
        return self.told(set(gone[:-GONE_UNTOLD_MAX]))

    def told(self, accounts: set[str]) -> GroupState:
        """The group, when these have said that they know whether they belong to it; not a change."""
        return msgspec.structs.replace(self, untold=tuple(it for it in self.untold if it not in accounts))


NOBODY: Final = GroupState()
"""The group before it was created."""


class Verdict(NamedTuple):
    """What becomes of a request.

    Attributes:
        change: What is to be written; None if nothing is.
        code: Why it is refused; None if it is not. Neither change nor code: it is so already.
        sentence: For this refusal, when the code's own does not say enough.
        is_stale: It was asked for as of another version.
    """

    change: Change | None = None
    code: Code | None = None
    sentence: str | None = None
    is_stale: bool = False


Request: TypeAlias = CreateGroup | ChangeGroup | CreateInvite | JoinGroup

_DONE: Final = Verdict()
_STALE: Final = Verdict(is_stale=True)


def judge(state: GroupState, author: AccountId, request: Request, members_max: int, now_ms: int) -> Verdict:
    """Whether a request may be carried out, is so already, or is refused.

    Args:
        state: The group.
        author: Who asks.
        request: What for.
        members_max: Members that a group may have.
        now_ms: The present time.
    """
    if isinstance(request, CreateGroup):
        return _create(state, author, request)
    if isinstance(request, JoinGroup):
        return _join(state, author, request, members_max, now_ms)
    if isinstance(request, CreateInvite):
        return _invite(state, author, request, now_ms)
    if request.kind not in _REQUESTS:
        return Verdict(code=Code.CHANGE_INVALID)
    if author not in state.members:
        over = request.kind == LEFT or (request.kind == DISSOLVED and state.dissolved)
        return _DONE if over else Verdict(code=Code.NOT_MEMBER)
    verdict = _REQUESTS[request.kind](state, author, request)
    if verdict.change is not None and request.kind != LEFT and request.version != state.version:
        return _STALE
    return verdict


def _create(state: GroupState, author: AccountId, request: CreateGroup) -> Verdict:
    if state.version:  # the id is made of author and client id, so it is this author's: a retry, however late
        return _DONE
    try:
        name = normalized_name(request.name, GROUP_NAME_LENGTH_MAX)
    except IdentifierError as error:
        return Verdict(code=error.code, sentence=error.sentence)
    return Verdict(Change(1, CREATED, author, OWNER, name, request.announcement, signature=request.signature))


def _join(state: GroupState, author: AccountId, request: JoinGroup, members_max: int, now_ms: int) -> Verdict:
    invite = state.invite_of(request.token, now_ms)
    if author in state.members:
        return _DONE
    if invite is None or state.invites[invite].version < state.removed.get(author, 0):
        return Verdict(code=Code.INVITE_INVALID)  # who was removed comes back if an admin wants it, by a new one
    if len(state.members) >= members_max:
        return Verdict(code=Code.GROUP_FULL)
    return Verdict(Change(state.version + 1, JOINED, author, invite=invite, signature=request.signature))


def _invite(state: GroupState, author: AccountId, request: CreateInvite, now_ms: int) -> Verdict:
    role = state.role(author)
    if role is None:
        return Verdict(code=Code.NOT_MEMBER)
    if role == MEMBER:
        return Verdict(code=Code.GROUP_RIGHTS)
    invite = invite_id_of(request.token)
    if invite in state.invites:
        return _DONE
    if not 0 < request.lifetime_s <= INVITE_LIFETIME_S_MAX or not request.uses:
        return Verdict(code=Code.CHANGE_INVALID, sentence=_INVITE_RANGE)
    if len(state.told_invites(now_ms)) >= INVITES_MAX:
        return Verdict(code=Code.OVER_QUOTA, sentence=_INVITES_FULL)
    change = Change(state.version + 1, INVITED, invite=invite, expires_ms=now_ms + request.lifetime_s * 1_000)
    return Verdict(msgspec.structs.replace(change, uses=request.uses, signature=request.signature))


_INVITE_RANGE: Final = "An invite lasts 1 second to 30 days and lets at least one person in; ask for another."
_INVITES_FULL: Final = "The group has as many invites as it may; revoke one, or wait until one has expired."
_OWNER_STAYS: Final = "An owner cannot be removed; ask them to leave."
_LAST_OWNER: Final = "A group has at least one owner; make somebody else an owner first."


def _leave(state: GroupState, author: AccountId, request: ChangeGroup) -> Verdict:
    if len(state.members) == 1:
        return Verdict(Change(state.version + 1, DISSOLVED, signature=request.signature))
    heir = _heir(state, author)
    return Verdict(Change(state.version + 1, LEFT, heir or AccountId(""), signature=request.signature))


def _heir(state: GroupState, author: AccountId) -> AccountId | None:
    """Who becomes owner when `author` leaves: nobody if one stays, else the oldest admin, else the oldest member."""
    others = {account: member for account, member in state.members.items() if account != author}
    if state.role(author) != OWNER or any(member.role == OWNER for member in others.values()):
        return None
    return AccountId(min(others, key=lambda account: (-others[account].role, others[account].joined_seq, account)))


def _remove(state: GroupState, author: AccountId, request: ChangeGroup) -> Verdict:
    own, role = state.members[author].role, state.role(request.account)
    if own == MEMBER:
        return Verdict(code=Code.GROUP_RIGHTS)
    if role is None:
        return _DONE
    if role == OWNER:
        return Verdict(code=Code.GROUP_RIGHTS, sentence=_OWNER_STAYS)
    if role == ADMIN and own != OWNER and request.account != author:
        return Verdict(code=Code.GROUP_RIGHTS)
    return Verdict(Change(state.version + 1, REMOVED, request.account, signature=request.signature))


def _set_role(state: GroupState, author: AccountId, request: ChangeGroup) -> Verdict:
    """An admin makes members admins; an owner makes and unmakes admins and owners, the last owner excepted."""
    own, present = state.members[author].role, state.role(request.account)
    if own == MEMBER:
        return Verdict(code=Code.GROUP_RIGHTS)
    if present is None:
        return Verdict(code=Code.NOT_MEMBER, sentence="That account is not a member of the group; invite it first.")
    if request.role not in (MEMBER, ADMIN, OWNER):
        return Verdict(code=Code.CHANGE_INVALID, sentence="A role is 0 (member), 1 (admin) or 2 (owner).")
    if present == request.role:
        return _DONE
    if own != OWNER and (present != MEMBER or request.role != ADMIN) and request.account != author:
        return Verdict(code=Code.GROUP_RIGHTS)
    if own != OWNER and request.role == OWNER:
        return Verdict(code=Code.GROUP_RIGHTS)
    if present == OWNER and sum(member.role == OWNER for member in state.members.values()) == 1:
        return Verdict(code=Code.GROUP_RIGHTS, sentence=_LAST_OWNER)
    return Verdict(
        Change(state.version + 1, ROLE, request.account, request.role, signature=request.signature),
    )


def _rename(state: GroupState, author: AccountId, request: ChangeGroup) -> Verdict:
    if state.members[author].role == MEMBER:
        return Verdict(code=Code.GROUP_RIGHTS)
    try:
        name = normalized_name(request.name, GROUP_NAME_LENGTH_MAX)
    except IdentifierError as error:
        return Verdict(code=error.code, sentence=error.sentence)
    if name == state.name:
        return _DONE
    return Verdict(Change(state.version + 1, RENAMED, name=name, signature=request.signature))


def _announce(state: GroupState, author: AccountId, request: ChangeGroup) -> Verdict:
    if state.members[author].role == MEMBER:
        return Verdict(code=Code.GROUP_RIGHTS)
    if state.announcement == request.announcement:
        return _DONE
    return Verdict(
        Change(state.version + 1, ANNOUNCEMENT, announcement=request.announcement, signature=request.signature)
    )


def _revoke_invite(state: GroupState, author: AccountId, request: ChangeGroup) -> Verdict:
    if state.members[author].role == MEMBER:
        return Verdict(code=Code.GROUP_RIGHTS)
    if request.invite not in state.invites:
        return _DONE
    return Verdict(Change(state.version + 1, INVITE_REVOKED, invite=request.invite, signature=request.signature))


def _dissolve(state: GroupState, author: AccountId, request: ChangeGroup) -> Verdict:
    if state.members[author].role != OWNER:
        return Verdict(code=Code.GROUP_RIGHTS, sentence="Only an owner dissolves a group; ask one, or leave it.")
    return Verdict(Change(state.version + 1, DISSOLVED, signature=request.signature))


_REQUESTS: Final[dict[int, Callable[[GroupState, AccountId, ChangeGroup], Verdict]]] = {
    LEFT: _leave,
    REMOVED: _remove,
    ROLE: _set_role,
    RENAMED: _rename,
    ANNOUNCEMENT: _announce,
    INVITE_REVOKED: _revoke_invite,
    DISSOLVED: _dissolve,
}


def _created(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    members = {change.account: Member(OWNER, seq)}
    fields = {"name": change.name, "announcement": change.announcement, "members": members}
    return {**fields, "untold": (change.account,)}


def _joined(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    invites = dict(state.invites)
    used = invites.pop(change.invite, None)
    if used is not None and used.uses_left > 1:
        invites[change.invite] = msgspec.structs.replace(used, uses_left=used.uses_left - 1)
    members = {**state.members, author: Member(MEMBER, seq)}
    return {"members": members, "invites": invites, "untold": _with(state.untold, author)}


def _with(untold: tuple[str, ...], account: str) -> tuple[str, ...]:
    return (*(other for other in untold if other != account), account)


def _without(state: GroupState, account: str) -> dict[str, object]:
    members = {other: member for other, member in state.members.items() if other != account}
    return {"members": members, "untold": _with(state.untold, account)}


def _left(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    fields = _without(state, author)
    members = fields["members"]
    assert isinstance(members, dict), "it has just been made"
    if change.account:
        members[change.account] = Member(OWNER, members[change.account].joined_seq)
    return fields


def _removed(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    fields = _without(state, change.account)
    if author == change.account:
        return fields
    others = {account: version for account, version in state.removed.items() if account != change.account}
    return {**fields, "removed": {**others, change.account: change.version}}


def _has_role(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    member = Member(change.role, state.members[change.account].joined_seq)
    return {"members": {**state.members, change.account: member}}


def _renamed(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    return {"name": change.name}


def _announced(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    return {"announcement": change.announcement}


def _invited(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    invite = _Invite(author, change.expires_ms, change.uses, change.version)
    return {"invites": {**state.invites, change.invite: invite}}


def _invite_revoked(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    return {"invites": {id_: it for id_, it in state.invites.items() if id_ != change.invite}}


def _dissolved(state: GroupState, author: AccountId, change: Change, seq: int) -> dict[str, object]:
    return {
        "dissolved": True,
        "members": {},
        "invites": {},
        "untold": (*(account for account in state.untold if account not in state.members), *state.members),
    }


_FOLDS: Final[dict[int, Callable[[GroupState, AccountId, Change, int], dict[str, object]]]] = {
    CREATED: _created,
    JOINED: _joined,
    LEFT: _left,
    REMOVED: _removed,
    ROLE: _has_role,
    RENAMED: _renamed,
    ANNOUNCEMENT: _announced,
    INVITED: _invited,
    INVITE_REVOKED: _invite_revoked,
    DISSOLVED: _dissolved,
}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(GroupState).decode


def encode_group(state: GroupState) -> bytes:
    """The group as the disk keeps it: a schema byte, then MessagePack."""
    return bytes((SCHEMA,)) + _encode(state)


def decode_group(value: bytes) -> GroupState:
    """The group of `encode_group`; of no bytes, one that was never created.

    Raises:
        StoreVersionError: A newer Roost wrote it.
        StoreCorruptError: It is none.
    """
    if not value:
        return NOBODY
    check_version(value, SCHEMA, WHERE)
    try:
        return _decode(memoryview(value)[1:])
    except UNREADABLE as error:
        raise StoreCorruptError(WHERE, str(error)) from error
