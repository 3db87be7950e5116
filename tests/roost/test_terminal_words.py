"""What the terminal client says of groups, and what it offers to do, without a screen."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from actors.groups.logic import GroupState, Member, judge
from protocol import AccountId, ConversationId, DeviceId, InviteId
from protocol import messages as wire
from protocol.messages import ChangeGroup
from roost.content import Text
from roost.group import Group, GroupDetails, GroupInvite, GroupMember, MessageInfo, Progress, Role, Standing
from roost.history import MessageState, StoredMessage
from roost.terminal.group_rights import may_remove, roles_to_give
from roost.terminal.group_screen import facts, keys_for
from roost.terminal.key_help import drawn_keys
from roost.terminal.message_info import info_text
from roost.terminal.names import Names, colour_of, group_title
from roost.terminal.standing import company_words, why_silent
from roost.terminal.ticks import counts
from roost.terminal.typists import typing_words

ALICE, BOB = AccountId("alice"), AccountId("bob")
GROUP = Group(ConversationId("#01ARZ3NDEKTSV4RRFFQ69G5FAV"), "Family", announcement=False, version=3, seq=3)
MESSAGE = StoredMessage(
    1, "00", GROUP.conversation, 4, 4, ALICE, DeviceId(b""), 1_000, Text("hello"), MessageState.SENT
)  # fmt: skip
ODD = "\x1b[2J\u202eevil" + "e" + "\u0301" * 60 + "\n\u200d\U0001f469"


@pytest.mark.parametrize(
    ("state", "progress", "words"),
    [
        (MessageState.SENT, None, ""),
        (MessageState.SENT, Progress(5, 0, 0), ""),
        (MessageState.SENT, Progress(5, 3, 0), "3/5"),
        (MessageState.SENT, Progress(5, 3, 1), "3/5, read 1/5"),
        (MessageState.DELIVERED, Progress(5, 5, 0), ""),
        (MessageState.DELIVERED, Progress(5, 5, 2), "read 2/5"),
        (MessageState.READ, Progress(5, 5, 5), ""),
        (MessageState.PENDING, Progress(5, 5, 2), ""),
    ],
)
def test_the_counts_say_only_what_the_tick_does_not(state: MessageState, progress: Progress | None, words: str) -> None:
    assert counts(replace(MESSAGE, state=state, progress=progress)) == words


def test_people_are_called_as_we_named_them_and_groups_apart_from_people() -> None:
    names = Names({BOB: "Bobby\n", ALICE: " \u200b "})
    assert (names.of(BOB), names.full(BOB), names.of(ALICE), names.full(ALICE)) == (
        "Bobby",
        "Bobby (bob)",
        "alice",
        "alice",
    )
    assert group_title(replace(GROUP, name="bob")) == "#bob"
    assert group_title(replace(GROUP, name="")) == GROUP.conversation
    assert len({colour_of(f"person{number}") for number in range(50)}) > 4


def test_odd_names_stay_on_their_line_and_steer_nothing() -> None:
    for words in (
        Names({BOB: ODD}).full(BOB),
        group_title(replace(GROUP, name=ODD)),
        typing_words([Names().of(ODD)], in_group=True),
    ):
        assert not {"\x1b", "\u202e", "\n"} & set(words)


def test_who_types_is_said_in_few_cells_however_many_they_are() -> None:
    assert typing_words([], in_group=True) == ""
    assert typing_words(["bob"], in_group=False) == "typing…"
    assert typing_words(["bob"], in_group=True) == "bob is typing…"
    assert typing_words(["bob", "carol"], in_group=True) == "bob and carol are typing…"
    assert typing_words(["b", "c", "d"], in_group=True) == "3 people are typing…"
    assert cell_len(typing_words(["\U0001f469" * 100] * 2, in_group=True)) < 50


def test_why_nothing_can_be_written_fits_the_narrowest_column_of_a_chat() -> None:
    assert why_silent(None) == why_silent(GROUP) == ""
    assert why_silent(replace(GROUP, announcement=True)) == "Only admins write in this group."
    assert why_silent(replace(GROUP, announcement=True, role=Role.ADMIN)) == ""
    for standing in (Standing.LEFT, Standing.REMOVED, Standing.DISSOLVED):
        closed = replace(GROUP, standing=standing)
        assert 0 < len(why_silent(closed)) <= 35
        assert company_words(closed, 0, 0) == standing
    assert company_words(GROUP, 1, 0) == "1 member"
    assert company_words(GROUP, 5, 1) == "5 members, 1 has it open"
    assert company_words(GROUP, 5, 2) == "5 members, 2 have it open"


def test_message_info_names_everybody_under_one_heading() -> None:
    info = MessageInfo(read=(BOB,), delivered=(AccountId("carol"), AccountId("dave")), waiting=(AccountId("erin"),))
    assert info_text(info, Names({BOB: "Zed"})).plain.split("\n") == [
        "✓✓ Read by 1", "   Zed (bob)", "✓✓ Delivered to 2", "   carol", "   dave", "Not delivered yet to 1", "   erin"
    ]  # fmt: skip
    assert info_text(MessageInfo((), (), ()), Names()).plain == "There is nobody else."


def allowed(state: GroupState, kind: int, account: AccountId, role: int = 0) -> bool:
    """Whether the server would let alice change something by that."""
    request = ChangeGroup(1, GROUP.conversation, state.version, kind, account=account, role=role)
    verdict = judge(state, ALICE, request, 1_024, 0)
    return verdict.change is not None


@given(roles=st.lists(st.sampled_from(Role), min_size=1, max_size=4))
def test_what_is_offered_is_what_the_server_allows(roles: list[Role]) -> None:
    accounts = [ALICE, *(AccountId(f"member{number}") for number in range(len(roles)))]
    for own in Role:
        of = dict(zip(accounts, [own, *roles], strict=True))
        if Role.OWNER not in of.values():
            continue
        state = GroupState(3, "Family", members={account: Member(role, 1) for account, role in of.items()})
        members = tuple(GroupMember(account, role, 1) for account, role in of.items())
        details = GroupDetails(replace(GROUP, role=own), members, ())
        for member in members:
            offered = set(roles_to_give(details, ALICE, member))
            assert offered == {role for role in Role if allowed(state, wire.ROLE, member.account, role)}
            if member.account != ALICE:
                assert may_remove(details, ALICE, member) == allowed(state, wire.REMOVED, member.account)


def test_the_keys_of_a_window_are_those_that_the_role_and_the_line_allow() -> None:
    me, other = GroupMember(ALICE, Role.OWNER, 1), GroupMember(BOB, Role.MEMBER, 1)
    invite = GroupInvite(InviteId(b"i" * 16), ALICE, 5_000, 3)
    details = GroupDetails(replace(GROUP, role=Role.OWNER), (me, other), (invite,))
    assert keys_of(details, me) == "inalx"
    assert keys_of(details, other) == "rDelinalx"
    assert keys_of(details, invite) == "Delinalx"
    assert keys_of(replace(details, group=replace(GROUP, role=Role.ADMIN)), other) == "rDelinal"
    assert keys_of(replace(details, group=GROUP), other) == "l"
    over = replace(details, group=replace(GROUP, role=Role.OWNER, announcement=True, standing=Standing.DISSOLVED))
    assert keys_of(over, other) == ""
    assert facts(over) == "2 members · This group was dissolved."
    assert facts(replace(details, group=replace(GROUP, announcement=True))) == (
        "2 members · only admins write · you are a member"
    )


def keys_of(details: GroupDetails, chosen: GroupMember | GroupInvite) -> str:
    *keys, (leave, _, _) = keys_for(details, ALICE, chosen)
    assert leave == "Esc"
    return "".join(key for key, _, _ in keys)


@pytest.mark.parametrize("width", [10, 30, 60, 200])
def test_all_keys_are_shown_in_lines_that_fit(width: int) -> None:
    keys = (("r", "role", "x"), ("Del", "remove", "x"), ("a", "only admins write", "x"), ("Esc", "back", "x"))
    lines = drawn_keys(keys, width).plain.split("\n")
    assert [line for line in lines if cell_len(line) > width] == (["a only admins write"] if width == 10 else [])
    assert "  ".join(lines) == "r role  Del remove  a only admins write  Esc back"


def test_nothing_is_offered_in_a_group_that_is_over() -> None:
    for standing, role in product((Standing.LEFT, Standing.REMOVED, Standing.DISSOLVED), Role):
        details = GroupDetails(replace(GROUP, standing=standing, role=role), (GroupMember(BOB, Role.MEMBER, 1),), ())
        assert roles_to_give(details, ALICE, details.members[0]) == ()
        assert not may_remove(details, ALICE, details.members[0])
