"""The group as data: whatever people ask for, in whatever order, it stays a group that somebody is responsible for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.groups.api import NOBODY, GroupState, decode_group, encode_group, judge
from actors.groups.logic import GONE_UNTOLD_MAX
from protocol import AccountId, ClientId, Code, ConversationId, InviteToken, decode_change, encode_change, invite_id_of
from protocol.limits import INVITE_LIFETIME_S_MAX, INVITES_MAX
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
    JoinGroup,
)
from storage import StoreCorruptError, StoreVersionError

if TYPE_CHECKING:
    from actors.groups.api import Verdict

ANN, BOB, CAT, DAN = (AccountId(name) for name in ("ann", "bob", "cat", "dan"))
NOBODY_ELSE = AccountId("")
PEOPLE = (ANN, BOB, CAT, DAN)
GROUP = ConversationId("#018BCFE5680001020304050607")
CLIENT = ClientId(b"c" * 16)
TOKENS = tuple(InviteToken(bytes([number]) * 16) for number in range(3))
MEMBERS_MAX = 3
NOW_MS = 1_700_000_000_000
CREATE = CreateGroup(1, CLIENT, "Family")


class Room:
    """A group and its log: what the server has, and what a member who folds the changes has."""

    def __init__(self) -> None:
        self.state = NOBODY
        self.seq = 0
        self.now_ms = NOW_MS
        self.log: list[tuple[AccountId, Change]] = []

    def ask(self, author: AccountId, request: CreateGroup | ChangeGroup | CreateInvite | JoinGroup) -> Verdict:
        verdict = judge(self.state, author, request, MEMBERS_MAX, self.now_ms)
        if verdict.change is not None:
            self.seq += 1
            change = decode_change(encode_change(verdict.change))
            self.log.append((author, change))
            self.state = decode_group(encode_group(self.state.apply(author, change, self.seq, self.now_ms)))
        return verdict

    def change(self, author: AccountId, kind: int, account: AccountId = NOBODY_ELSE, role: int = MEMBER) -> Verdict:
        return self.ask(author, ChangeGroup(1, GROUP, self.state.version, kind, account, role))

    def invite(self, author: AccountId, token: InviteToken = TOKENS[0], uses: int = 9) -> Verdict:
        return self.ask(author, CreateInvite(1, GROUP, token, 60, uses))

    def join(self, author: AccountId, token: InviteToken = TOKENS[0]) -> Verdict:
        return self.ask(author, JoinGroup(1, GROUP, token))


def family(*members: AccountId) -> Room:
    """A group that Ann owns, with an invite."""
    room = Room()
    room.ask(ANN, CREATE)
    room.invite(ANN)
    for member in members:
        room.join(member)
    return room


def test_of_those_who_have_left_and_do_not_know_it_the_last_are_remembered_and_every_member_is() -> None:
    room = family(BOB)
    room.invite(ANN, TOKENS[1], uses=10_000)
    many = [AccountId(f"guest{number}") for number in range(GONE_UNTOLD_MAX + 10)]
    for guest in many:
        room.join(guest, TOKENS[1])
        room.change(guest, LEFT)
    assert room.state.untold == (ANN, BOB, *many[10:])
    room.change(ANN, DISSOLVED)
    assert room.state.untold == (*many[12:], ANN, BOB)


REQUESTS = st.one_of(
    st.builds(lambda name: CreateGroup(1, CLIENT, name), st.sampled_from(["A", "", "B"])),
    st.builds(lambda token, life, uses: CreateInvite(1, GROUP, token, life, uses), st.sampled_from(TOKENS),
              st.sampled_from([0, 1, 60, INVITE_LIFETIME_S_MAX + 1]), st.integers(0, 2)),
    st.builds(lambda token: JoinGroup(1, GROUP, token), st.sampled_from(TOKENS)),
    st.builds(
        lambda kind, account, role, name, flag, token: ChangeGroup(
            1, GROUP, 0, kind, account, role, name, flag, invite_id_of(token)
        ),
        st.integers(0, 10), st.sampled_from(PEOPLE), st.integers(0, 3), st.sampled_from(["A", "\u202e", "C" * 101]),
        st.booleans(), st.sampled_from(TOKENS),
    ),
)  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(PEOPLE), REQUESTS, st.integers(0, 90_000)), max_size=40)


@given(STEPS)
def test_a_group_is_never_without_an_owner_nor_larger_than_it_may_be(
    steps: list[tuple[AccountId, CreateGroup | ChangeGroup | CreateInvite | JoinGroup, int]],
) -> None:
    room = Room()
    for author, request, pause_ms in steps:
        room.now_ms += pause_ms
        before = room.state
        if isinstance(request, ChangeGroup):
            request = msgspec.structs.replace(request, version=before.version)
        verdict = room.ask(author, request)
        after = room.state
        assert after.version == before.version + (verdict.change is not None)
        assert (after.version > 0) == (bool(after.members) or after.dissolved)
        assert not (after.members and after.dissolved)
        assert not after.members or OWNER in {member.role for member in after.members.values()}
        assert len(after.members) <= MEMBERS_MAX
        assert len(after.invites) <= INVITES_MAX
        moved = set(before.members) ^ set(after.members)
        assert moved <= set(after.untold)
        assert len(set(after.untold)) == len(after.untold)
        if isinstance(request, JoinGroup) and verdict.change is not None:
            assert after.members[author].joined_seq == room.seq


@given(STEPS)
def test_asking_again_for_what_was_done_changes_nothing(
    steps: list[tuple[AccountId, CreateGroup | ChangeGroup | CreateInvite | JoinGroup, int]],
) -> None:
    room = Room()
    for author, request, _ in steps:
        if isinstance(request, ChangeGroup):
            request = msgspec.structs.replace(request, version=room.state.version)
        verdict = room.ask(author, request)
        if verdict.change is not None and not (
            verdict.change.kind == DISSOLVED and request.__class__ is not ChangeGroup
        ):
            again = judge(room.state, author, request, MEMBERS_MAX, room.now_ms)
            own_rights_gone = room.state.role(author) == MEMBER and verdict.change.kind == ROLE
            left = author not in room.state.members
            assert again.change is None
            assert own_rights_gone or left or (again.code is None and not again.is_stale)


@given(STEPS)
def test_who_folds_the_changes_has_what_the_server_has(
    steps: list[tuple[AccountId, CreateGroup | ChangeGroup | CreateInvite | JoinGroup, int]],
) -> None:
    room = Room()
    for author, request, _ in steps:
        if isinstance(request, ChangeGroup):
            request = msgspec.structs.replace(request, version=room.state.version)
        room.ask(author, request)
    folded = NOBODY
    for seq, (author, change) in enumerate(room.log, 1):
        folded = folded.apply(author, change, seq, NOW_MS)
    assert [change.version for _, change in room.log] == list(range(1, len(room.log) + 1))
    assert folded == room.state


def test_the_creator_owns_the_group_and_a_retry_of_the_creation_is_no_second_one() -> None:
    room = Room()
    assert room.ask(ANN, CREATE).change == Change(1, CREATED, ANN, OWNER, "Family")
    again = room.ask(ANN, CREATE)
    assert (again.change, again.code) == (None, None)
    assert room.state.role(ANN) == OWNER


def test_an_invite_lets_in_as_many_as_it_says_and_nobody_after_it_has_expired() -> None:
    room = family()
    room.invite(ANN, TOKENS[1], uses=1)
    assert room.join(BOB, TOKENS[1]).change is not None
    assert room.join(CAT, TOKENS[1]).code is Code.INVITE_INVALID
    room.now_ms += 60_000
    assert room.join(CAT, TOKENS[0]).code is Code.INVITE_INVALID
    assert room.join(BOB, TOKENS[0]).code is None, "a member who asks again is one already"


def test_a_revoked_invite_and_a_wrong_token_let_nobody_in() -> None:
    room = family()
    assert room.join(BOB, TOKENS[2]).code is Code.INVITE_INVALID
    room.ask(ANN, ChangeGroup(1, GROUP, room.state.version, INVITE_REVOKED, invite=invite_id_of(TOKENS[0])))
    assert room.join(BOB, TOKENS[0]).code is Code.INVITE_INVALID


def test_who_was_removed_comes_back_by_an_invite_made_since_and_by_no_older_one() -> None:
    room = family(BOB)
    room.change(ANN, REMOVED, BOB)
    assert room.join(BOB).code is Code.INVITE_INVALID
    assert room.join(CAT).change is not None, "the others are still invited"
    room.invite(ANN, TOKENS[1])
    assert room.join(BOB, TOKENS[0]).code is Code.INVITE_INVALID
    assert room.join(BOB, TOKENS[1]).change is not None


def test_who_has_left_comes_back_by_the_invite_that_there_is() -> None:
    room = family(BOB, CAT)
    room.change(BOB, LEFT)
    room.change(ANN, ROLE, CAT, ADMIN)
    room.change(CAT, REMOVED, CAT)
    assert room.join(BOB).change is not None
    assert room.join(CAT).change is not None


def test_removals_are_remembered_only_while_there_is_an_invite_that_is_older() -> None:
    room = family(BOB)
    room.change(ANN, REMOVED, BOB)
    assert set(room.state.removed) == {BOB}
    room.now_ms += 61_000
    room.invite(ANN, TOKENS[1])
    assert room.state.removed == {}
    room.join(BOB, TOKENS[1])
    room.change(ANN, REMOVED, BOB)
    room.change(ANN, DISSOLVED)
    assert room.state.removed == {}


def test_what_names_an_invite_does_not_open_it() -> None:
    room = family()
    assert room.join(BOB, InviteToken(invite_id_of(TOKENS[0]))).code is Code.INVITE_INVALID


def test_a_full_group_takes_nobody_and_has_room_again_when_one_leaves() -> None:
    room = family(BOB, CAT)
    assert room.join(DAN).code is Code.GROUP_FULL
    room.change(CAT, LEFT)
    assert room.join(DAN).change is not None


def test_there_are_only_so_many_invites_until_some_have_expired() -> None:
    room = family()
    for number in range(INVITES_MAX - 1):
        assert room.invite(ANN, InviteToken(bytes([99, number]) * 8)).change is not None
    assert room.invite(ANN, TOKENS[1]).code is Code.OVER_QUOTA
    room.now_ms += 60_000
    assert room.invite(ANN, TOKENS[1]).change is not None
    assert len(room.state.invites) == 1, "those that have expired are forgotten"


@pytest.mark.parametrize("kind", [CREATED, JOINED, INVITED, 10, 65_535])
def test_a_change_that_cannot_be_asked_for_is_none(kind: int) -> None:
    room = family(BOB)
    assert room.change(ANN, kind, CAT, OWNER).code is Code.CHANGE_INVALID


def test_a_stranger_can_ask_for_nothing_and_hears_the_same_as_of_no_group() -> None:
    room, nothing = family(BOB), Room()
    for kind in (REMOVED, ROLE, RENAMED, ANNOUNCEMENT, INVITE_REVOKED, DISSOLVED):
        for each in (room, nothing):
            assert each.ask(CAT, ChangeGroup(1, GROUP, each.state.version, kind, BOB)).code is Code.NOT_MEMBER
    for each in (room, nothing):
        assert each.invite(CAT, TOKENS[1]).code is Code.NOT_MEMBER
        assert each.join(CAT, TOKENS[2]).code is Code.INVITE_INVALID
        assert each.state.may_write(CAT) is Code.NOT_MEMBER


def test_a_member_may_leave_and_nothing_else() -> None:
    room = family(BOB, CAT)
    for kind in (REMOVED, ROLE, RENAMED, ANNOUNCEMENT, INVITE_REVOKED, DISSOLVED):
        assert room.change(BOB, kind, CAT, ADMIN).code is Code.GROUP_RIGHTS
    assert room.invite(BOB, TOKENS[1]).code is Code.GROUP_RIGHTS
    assert room.change(BOB, LEFT).change is not None


def test_an_admin_rules_over_members_and_an_owner_over_admins() -> None:
    room = family(BOB, CAT)
    room.change(ANN, ROLE, BOB, ADMIN)
    assert room.change(BOB, REMOVED, ANN).code is Code.GROUP_RIGHTS
    assert room.change(BOB, ROLE, ANN, MEMBER).code is Code.GROUP_RIGHTS
    assert room.change(BOB, ROLE, BOB, OWNER).code is Code.GROUP_RIGHTS
    assert room.change(BOB, ROLE, CAT, OWNER).code is Code.GROUP_RIGHTS
    assert room.change(BOB, ROLE, CAT, ADMIN).change is not None
    assert room.change(BOB, REMOVED, CAT).code is Code.GROUP_RIGHTS
    assert room.change(BOB, ROLE, CAT, MEMBER).code is Code.GROUP_RIGHTS
    assert room.change(ANN, ROLE, CAT, MEMBER).change is not None
    assert room.change(BOB, REMOVED, CAT).change is not None
    assert room.change(ANN, ROLE, DAN, ADMIN).code is Code.NOT_MEMBER
    assert room.change(ANN, ROLE, BOB, 3).code is Code.CHANGE_INVALID


def test_the_last_owner_cannot_step_down_and_one_of_two_can() -> None:
    room = family(BOB)
    assert room.change(ANN, ROLE, ANN, ADMIN).code is Code.GROUP_RIGHTS
    room.change(ANN, ROLE, BOB, OWNER)
    assert room.change(ANN, REMOVED, BOB).code is Code.GROUP_RIGHTS
    assert room.change(ANN, ROLE, ANN, MEMBER).change is not None
    assert room.change(BOB, ROLE, BOB, ADMIN).code is Code.GROUP_RIGHTS


def test_when_the_last_owner_leaves_the_oldest_admin_is_one_or_else_the_oldest_member() -> None:
    room = family(CAT, BOB)
    room.change(ANN, ROLE, BOB, ADMIN)
    left = room.change(ANN, LEFT)
    assert left.change is not None
    assert left.change.account == BOB
    left = room.change(BOB, LEFT)
    assert left.change is not None
    assert left.change.account == CAT
    assert room.state.role(CAT) == OWNER


def test_the_last_member_who_leaves_dissolves_the_group_and_it_stays_so() -> None:
    room = family()
    left = room.change(ANN, LEFT)
    assert left.change is not None
    assert left.change.kind == DISSOLVED
    assert (room.state.dissolved, room.state.members, room.state.invites) == (True, {}, {})
    assert room.join(BOB).code is Code.INVITE_INVALID
    assert room.ask(ANN, CREATE).change is None, "its id is used up"


def test_a_change_that_was_asked_for_as_of_another_version_is_stale() -> None:
    room = family(BOB, CAT)
    stale = room.state.version - 1
    for version in (stale, 0, room.state.version + 1):
        verdict = room.ask(ANN, ChangeGroup(1, GROUP, version, REMOVED, BOB))
        assert (verdict.is_stale, verdict.change) == (True, None)
    assert BOB in room.state.members
    assert not room.ask(ANN, ChangeGroup(1, GROUP, stale, RENAMED, name="Family")).is_stale, "it is so already"
    assert room.ask(BOB, ChangeGroup(1, GROUP, 0, LEFT)).change is not None, "whoever wants to go, goes"


@pytest.mark.parametrize(
    "name", ["", " ", "\u200d", "a\u202eb", "a\nb", "x" * 101, "x" * 1_000_000, "\ue000", "\U0001f600\x00"]
)
def test_a_name_that_cannot_be_shown_is_refused(name: str) -> None:
    assert Room().ask(ANN, CreateGroup(1, CLIENT, name)).code is Code.NAME_INVALID
    room = family()
    asked = ChangeGroup(1, GROUP, room.state.version, RENAMED, name=name)
    assert room.ask(ANN, asked).code is Code.NAME_INVALID


def test_only_admins_write_in_an_announcement_group() -> None:
    room = family(BOB)
    room.ask(ANN, ChangeGroup(1, GROUP, room.state.version, ANNOUNCEMENT, announcement=True))
    assert room.state.may_write(BOB) is Code.ANNOUNCEMENT_ONLY
    assert room.state.may_write(ANN) is None
    room.change(ANN, ROLE, BOB, ADMIN)
    assert room.state.may_write(BOB) is None


def test_who_came_or_went_is_remembered_until_they_know_it() -> None:
    room = family(BOB, CAT)
    room.change(BOB, LEFT)
    room.change(ANN, REMOVED, CAT)
    assert set(room.state.untold) == {ANN, BOB, CAT}
    assert room.state.told({ANN, CAT}).untold == (BOB,)


def test_what_is_no_group_on_the_disk_is_told_apart_from_one_of_a_newer_roost() -> None:
    assert decode_group(b"") == NOBODY == GroupState()
    with pytest.raises(StoreVersionError):
        decode_group(b"\x02" + encode_group(NOBODY)[1:])
    with pytest.raises(StoreCorruptError):
        decode_group(b"\x01\xc1")
