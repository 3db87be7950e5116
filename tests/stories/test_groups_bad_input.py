"""Groups under people who may not, frames that are none, and all at once: clear codes, and nothing lost for others.

The others are two members who write to each other in a group of their own before and after every story.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

from actors.groups.api import NOBODY
from protocol import (
    ClientId,
    Code,
    ConversationId,
    InviteToken,
    decode_change,
    encode_change,
    group_conversation,
    invite_id_of,
)
from protocol.messages import (
    ADMIN,
    ANNOUNCEMENT,
    CHANGE,
    CREATED,
    DISSOLVED,
    EPHEMERAL,
    INVITE_REVOKED,
    JOINED,
    LEFT,
    MEMBER,
    OWNER,
    REMOVED,
    RENAMED,
    ROLE,
    Ack,
    Change,
    ChangeGroup,
    Close,
    CreateGroup,
    CreateInvite,
    Deliver,
    DescribeGroup,
    Error,
    FetchGroupMarks,
    FetchMarks,
    Group,
    GroupDone,
    GroupMarks,
    Groups,
    GroupStale,
    JoinGroup,
    ListGroups,
    Mark,
    Open,
    Refused,
    Send,
    Sent,
    Typing,
)
from tests.stories.town import story, time_passes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from protocol import AccountId
    from protocol.messages import Message
    from tests.stories.raw_device import RawDevice
    from tests.stories.town import Town

OPERATIONS = ("sends", "marks", "typing", "opens", "lookups", "queries", "changes", "groups", "joins", "logins")
SETTINGS = {"rates": {f"{operation}_{of}": 1_000_000 for operation in OPERATIONS for of in ("per_minute", "burst")}}
FOUNDERS_ID = ClientId(b"f" * 16)
pytestmark = pytest.mark.slow


class Member:
    """A raw device that belongs to groups, or would like to."""

    def __init__(self, device: RawDevice) -> None:
        self.device = device
        self.got: list[Message] = []
        self._request = 0
        self._numbers: dict[str, int] = {}

    @property
    def account(self) -> AccountId:
        """Whose device it is."""
        return self.device.account

    async def answer(self, frame: Any, *kinds: type) -> Any:
        """Say something and take the answer; what else comes is taken in."""
        self.device.say(frame)
        return await self.next_of(*kinds)

    async def next_of(self, *kinds: type) -> Any:
        """The next frame of these kinds; messages are noted and acknowledged."""
        while (frame := await self.device.next_frame()) is not None:
            if isinstance(frame, Deliver):
                self.got.append(frame.message)
                self.device.say(Ack(frame.position))
            if isinstance(frame, kinds):
                return frame
        raise AssertionError(f"the connection ended before one of {kinds}")

    async def asks(self, make: Callable[[int], Any]) -> Any:
        """Ask a group, or the account for one."""
        self._request += 1
        number = self._request
        self.device.say(make(number))
        while True:
            answer = await self.next_of(GroupDone, GroupStale, Group, GroupMarks, Error)
            if answer.request == number:
                return answer

    async def founds(self) -> ConversationId:
        """Make a group."""
        done = await self.asks(lambda request: CreateGroup(request, FOUNDERS_ID, "Group"))
        assert done.conversation == group_conversation(self.account, FOUNDERS_ID)
        conversation: ConversationId = done.conversation
        return conversation

    async def invites(self, group: ConversationId, lifetime_s: int = 60, uses: int = 100) -> InviteToken:
        """Make an invite."""
        token = InviteToken(os.urandom(16))
        done = await self.asks(lambda request: CreateInvite(request, group, token, lifetime_s, uses))
        assert isinstance(done, GroupDone), done
        return token

    async def joins(self, group: ConversationId, token: InviteToken) -> Any:
        """Come in, or try to."""
        return await self.asks(lambda request: JoinGroup(request, group, token))

    async def changes(self, group: ConversationId, kind: int, version: int, *fields: Any, **more: Any) -> Any:
        """Ask for a change."""
        return await self.asks(lambda request: ChangeGroup(request, group, version, kind, *fields, **more))

    async def sees(self, group: ConversationId) -> Any:
        """What the group is."""
        return await self.asks(lambda request: DescribeGroup(request, group))

    async def says(self, group: ConversationId, payload: bytes, flags: int = 0) -> Any:
        """Send a message."""
        number = 0 if flags & EPHEMERAL else self._numbers.get(group, 0) + 1
        send = Send(group, number, ClientId(os.urandom(16)), payload, 0, flags)
        answer = await self.answer(send, Sent, Refused)
        if isinstance(answer, Sent) and number:
            self._numbers[group] = number
        return answer

    async def hears(self, payload: bytes) -> Message:
        """Wait for a message."""
        while True:
            for message in self.got:
                if message.payload == payload:
                    return message
            await self.next_of(Deliver)


@contextlib.asynccontextmanager
async def members(town: Town, *names: str) -> AsyncIterator[list[Member]]:
    """New people, of whom the first has made a group that the others have joined; two more are undisturbed."""
    async with contextlib.AsyncExitStack() as stack:
        ann, ben, *people = [Member(await stack.enter_async_context(town.raw(name))) for name in ("ann", "ben", *names)]
        for first, *others in ((ann, ben), people):
            group = await first.founds()
            token = await first.invites(group)
            for other in others:
                assert isinstance(await other.joins(group, token), GroupDone)
        group = group_conversation(ann.account, FOUNDERS_ID)
        assert (await ann.says(group, b"before")).seq == 4
        yield people
        assert (await ben.says(group, b"after")).seq == 5
        await ben.hears(b"before")
        await ann.hears(b"after")
    assert town.node.crashes == []


def code(answer: Any) -> Code:
    assert isinstance(answer, Error | Refused), answer
    assert answer.sentence
    return Code(answer.code)  # type: ignore[call-arg]  # lookup by value


def group_of(member: Member) -> ConversationId:
    return group_conversation(member.account, FOUNDERS_ID)


@story
async def test_who_was_removed_can_do_nothing_any_more_however_they_go_on(town: Town) -> None:
    async with members(town, "eve", "fay", "gus") as [eve, fay, gus]:
        group = group_of(eve)
        token = await eve.invites(group)
        for member in (eve, fay, gus):
            member.device.say(Open(group))
        await fay.says(group, b"while I may")
        version = (await eve.sees(group)).version
        assert isinstance(await eve.changes(group, REMOVED, version, fay.account), GroupDone)
        for flags in (0, EPHEMERAL, CHANGE):
            assert code(await fay.says(group, b"and now?", flags)) is Code.NOT_MEMBER
        fay.device.say(Typing(group, True), Open(group), Typing(group, True), Mark(group, 99, 99), FetchMarks([group]))
        assert code(await fay.sees(group)) is Code.NOT_MEMBER
        assert code(await fay.asks(lambda request: FetchGroupMarks(request, group))) is Code.NOT_MEMBER
        for kind in (REMOVED, ROLE, RENAMED, ANNOUNCEMENT, INVITE_REVOKED, DISSOLVED):
            assert code(await fay.changes(group, kind, version + 1, fay.account, OWNER)) is Code.NOT_MEMBER
        assert code(await fay.asks(lambda request: CreateInvite(request, group, token, 60, 1))) is Code.NOT_MEMBER
        assert code(await fay.joins(group, token)) is Code.INVITE_INVALID, "an invite of before"
        await eve.says(group, b"without fay")
        await gus.hears(b"without fay")
        marks = await eve.asks(lambda request: FetchGroupMarks(request, group))
        assert [mark.account for mark in marks.marks] == sorted((eve.account, gus.account))
        while REMOVED not in [decode_change(message.payload).kind for message in fay.got if message.flags & CHANGE]:
            await fay.next_of(Deliver)
        assert fay.got[-1].flags & CHANGE, "that was the last that came"
        assert not [message for message in gus.got if message.sender == fay.account and message.payload == b"and now?"]


@story
async def test_changes_as_of_another_version_and_by_those_who_may_not_change_nothing(town: Town) -> None:
    async with members(town, "eve", "fay", "gus") as [eve, fay, gus]:
        group = group_of(eve)
        before = await eve.sees(group)
        for version in (0, before.version - 1, before.version + 1, 2**63 - 1):
            stale = await eve.changes(group, REMOVED, version, fay.account)
            assert isinstance(stale, GroupStale)
            assert stale.version == before.version
        for kind, fields in (
            (REMOVED, (eve.account,)),
            (REMOVED, (gus.account,)),
            (ROLE, (fay.account, OWNER)),
            (ROLE, (fay.account, ADMIN)),
            (ROLE, (eve.account, MEMBER)),
            (DISSOLVED, ()),
            (RENAMED, ("", MEMBER, "Fay's")),
            (ANNOUNCEMENT, ("", MEMBER, "", True)),
        ):
            assert code(await fay.changes(group, kind, before.version, *fields)) is Code.GROUP_RIGHTS
        for kind in (CREATED, JOINED, 7, 10, 65_535):
            assert code(await eve.changes(group, kind, before.version)) is Code.CHANGE_INVALID
        assert code(await eve.changes(group, ROLE, before.version, eve.account, MEMBER)) is Code.GROUP_RIGHTS
        assert code(await eve.changes(group, ROLE, before.version, fay.account, 3)) is Code.CHANGE_INVALID
        assert code(await eve.changes(group, ROLE, before.version, town.address("nobody"), ADMIN)) is Code.NOT_MEMBER
        after = await eve.sees(group)
        assert (after.version, after.members) == (before.version, before.members)


@story
async def test_a_forged_change_is_content_and_a_group_whose_owner_has_gone_has_another(town: Town) -> None:
    async with members(town, "eve", "fay", "gus") as [eve, fay, gus]:
        group = group_of(eve)
        forged = encode_change(Change(5, ROLE, fay.account, OWNER))
        assert isinstance(await fay.says(group, forged, CHANGE), Sent)
        while not any(message.sender == fay.account and message.payload == forged for message in gus.got):
            await gus.next_of(Deliver)
        assert not gus.got[-1].flags & CHANGE
        assert isinstance(await eve.changes(group, LEFT, 0), GroupDone)
        seen = await gus.sees(group)
        assert {member.account: member.role for member in seen.members} == {fay.account: OWNER, gus.account: MEMBER}


@story
async def test_an_invite_is_no_good_when_it_is_over_used_up_revoked_or_guessed(town: Town) -> None:
    async with members(town, "eve", "fay") as [eve, fay], town.raw("gus") as device:
        gus, group = Member(device), group_of(eve)
        short, once, revoked = await eve.invites(group, 1), await eve.invites(group, 60, 1), await eve.invites(group)
        assert isinstance(await fay.changes(group, LEFT, 0), GroupDone)
        assert isinstance(await fay.joins(group, once), GroupDone)
        version = (await eve.sees(group)).version
        assert isinstance(await eve.changes(group, INVITE_REVOKED, version, invite=invite_id_of(revoked)), GroupDone)
        await time_passes(1.1)
        for token in (short, once, revoked, invite_id_of(revoked), InviteToken(bytes(16))):
            assert code(await gus.joins(group, InviteToken(bytes(token)))) is Code.INVITE_INVALID
        for lifetime_s, uses in ((0, 1), (1, 0), (2**32 - 1, 1)):
            token = InviteToken(os.urandom(16))
            answer = await eve.asks(
                lambda request, token=token, lifetime_s=lifetime_s, uses=uses: CreateInvite(  # type: ignore[misc]
                    request, group, token, lifetime_s, uses
                )
            )
            assert code(answer) is Code.CHANGE_INVALID
        for _ in range(20):
            token = await eve.invites(group) if len((await eve.sees(group)).invites) < 20 else token
        assert code(await eve.asks(lambda request: CreateInvite(request, group, InviteToken(b"x" * 16), 9, 9))) is (
            Code.OVER_QUOTA
        )


@story
async def test_names_that_cannot_be_shown_are_refused(town: Town) -> None:
    async with members(town, "eve", "fay") as [eve, fay]:
        group = group_of(eve)
        version = (await eve.sees(group)).version
        for name in ("", " ", "a\u202eb", "\u200b", "\u3164", "\u2800", "a\nb", "\ufdd0", "x" * 101, "e\u0301" * 101):
            assert code(await eve.changes(group, RENAMED, version, name=name)) is Code.NAME_INVALID, ascii(name)
            made = await eve.asks(lambda request, name=name: CreateGroup(request, ClientId(bytes(16)), name))  # type: ignore[misc]
            assert code(made) is Code.NAME_INVALID
        assert isinstance(await eve.changes(group, RENAMED, version, name=" e\u0301 👨‍👩‍👧 "), GroupDone)
        assert (await fay.sees(group)).name == "\u00e9 👨‍👩‍👧"
        eve.device.say_bytes(msgpack.packb([71, 9, group, version + 1, RENAMED, "", 0, "x" * 100_000]))
        assert (await eve.device.last_words()).code == Code.BAD_FIELD
        await eve.device.come_back()
        eve.device.say_stream((1 << 20).to_bytes(3, "big"))
        assert (await eve.device.last_words()).code == Code.FRAME_TOO_LARGE
        assert (await fay.sees(group)).name == "\u00e9 👨‍👩‍👧"


@story
async def test_frames_of_groups_that_are_none_close_their_connection_and_odd_ids_are_answered(town: Town) -> None:
    async with members(town, "eve", "fay") as [eve, _]:
        group = group_of(eve)
        for fields in (
            [70, 1, b"short", "A"],
            [70, 1, bytes(16), "A", "yes"],
            [71, 1, group, -1, 2],
            [71, 1, group, 1, 65_536],
            [71, 1, group, 1, 3, "x" * 257],
            [71, 1, group, 1, 4, "", "admin"],
            [71, 1, group, 1, 8, "", 0, "", False, bytes(17)],
            [71, 1, group, 1, 5, "", 0, "A", False, b"", bytes(257)],
            [72, 1, group, bytes(15), 1, 1],
            [72, 1, group, bytes(16), 2**32, 1],
            [73, 1, group],
            [73, 1, 7, bytes(16)],
            [74, 2**32, group],
            [76],
        ):
            eve.device.say_bytes(msgpack.packb(fields))
            assert (await eve.device.last_words()).code == Code.BAD_FIELD, fields
            await eve.device.come_back()
        for odd in ("", "#", group[:-1], group + "0", group.lower(), "#8" + group[2:], "#" + "I" * 26, "eve:fay"):
            conversation = ConversationId(odd)
            for make in (
                lambda request, it=conversation: DescribeGroup(request, it),
                lambda request, it=conversation: JoinGroup(request, it, InviteToken(bytes(16))),
                lambda request, it=conversation: ChangeGroup(request, it, 0, LEFT),
                lambda request, it=conversation: FetchGroupMarks(request, it),
            ):
                assert code(await eve.asks(make)) is Code.CONVERSATION_INVALID, odd


@story
async def test_whatever_many_say_at_once_who_folds_the_changes_has_what_the_server_tells(town: Town, seed: int) -> None:
    chance = random.Random(seed)
    async with members(town, "eve", "fay", "gus", "hal") as people:
        eve, group = people[0], group_of(people[0])
        tokens = [await eve.invites(group, uses=uses) for uses in (1, 5, 100)]
        for _ in range(40):
            version = 1 + sum(decode_change(it.payload).version > 1 for it in eve.got if it.flags & CHANGE)
            tokens[chance.randrange(3)] = InviteToken(chance.randbytes(16))
            for _ in range(20):
                person = chance.choice(people)
                frame = _anything(chance, group, tokens, [other.account for other in people], version)
                if person is not eve or not isinstance(frame, ChangeGroup) or frame.kind != LEFT:
                    person.device.say(frame)
            await asyncio.gather(*(person.answer(ListGroups(0), Groups) for person in people))
        seen = await eve.sees(group)
        while eve.got[-1].seq < seen.seq:
            await eve.next_of(Deliver)
        state = NOBODY
        changes = [message for message in eve.got if message.flags & CHANGE and message.seq <= seen.seq]
        for message in changes:
            state = state.apply(message.sender, decode_change(message.payload), message.seq, message.time_ms)
        assert (state.version, state.name, state.announcement) == (seen.version, seen.name, seen.announcement)
        assert state.version > 8, "much has happened"
        told = {member.account: (member.role, member.joined_seq) for member in seen.members}
        assert told == {account: (member.role, member.joined_seq) for account, member in state.members.items()}
        versions = [decode_change(message.payload).version for message in changes]
        assert versions == list(range(1, 1 + state.version)), "each once, in order"


def _anything(
    chance: random.Random, group: ConversationId, tokens: list[InviteToken], accounts: list[AccountId], version: int
) -> Any:
    """A frame that somebody may say."""
    request, account, token = chance.randrange(1, 2**32), chance.choice(accounts), chance.choice(tokens)
    kind = chance.choice((LEFT, REMOVED, REMOVED, ROLE, ROLE, RENAMED, ANNOUNCEMENT, INVITE_REVOKED, 77))
    role, name = chance.choice((MEMBER, ADMIN, OWNER, 9)), chance.choice(("One", "Two", "", "\u202e"))
    versions = (version, version, version, version + 1, version + 2, 0)
    frames: tuple[Any, ...] = (
        *(JoinGroup(request, group, token) for token in (*tokens, *tokens)),
        *(CreateInvite(request, group, token, chance.choice((0, 1, 60)), chance.choice((0, 1, 50))) for _ in range(2)),
        *(
            ChangeGroup(request, group, version, kind, account, role, name, invite=invite_id_of(token))
            for version in versions
        ),
        DescribeGroup(request, group, account),
        FetchGroupMarks(request, group, account),
        Mark(group, chance.choice((0, 9, 2**63 - 1)), chance.choice((0, 9, 2**63 - 1))),
        FetchMarks([group, group]),
        Open(group),
        Close(group),
        Typing(group, chance.random() < 0.5),
        Send(group, 0, ClientId(bytes(16)), b"x", 0, EPHEMERAL | chance.choice((0, CHANGE))),
        Send(
            group, chance.choice((1, 2, 2**63 - 1)), ClientId(chance.randbytes(16)), b"x", 0, chance.choice((0, CHANGE))
        ),
    )
    return chance.choice(frames)
