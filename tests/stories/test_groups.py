"""Groups through the client, over a real node."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from roost import ChangeKind, Role, Standing
from tests.stories.clubs import change, club, said, shown
from tests.stories.town import back_online, story, time_passes, wait_for

if TYPE_CHECKING:
    from tests.stories.town import Town

pytestmark = pytest.mark.slow


@story
async def test_people_join_by_a_link_write_to_each_other_and_leave(town: Town) -> None:
    async with town.people("alice", "bob", "carol") as [alice, bob, carol]:
        group = await alice.groups.create("Family")
        assert (group.name, group.role, group.is_open) == ("Family", Role.OWNER, True)
        link = await alice.groups.create_invite(group, uses=2)
        for person in (bob, carol):
            joined = await person.groups.join(link.text)
            assert (joined.conversation, joined.name, joined.role) == (group.conversation, "Family", Role.MEMBER)
        at_bob, at_carol = bob.events(), carol.events()
        sending = await alice.send("#family", "hello all")
        await sending.sent()
        assert (await said(at_bob), await said(at_carol)) == ("hello all", "hello all")
        left = await bob.groups.leave(group)
        assert left.standing is Standing.LEFT
        assert (await change(at_carol, ChangeKind.LEFT))[0] == bob.account
        await alice.send(group.conversation, "without bob")
        assert await said(at_carol) == "without bob"
        with pytest.raises(roost.GroupError, match="no member of this group"):
            await bob.send(group.conversation, "still here?")
        assert [member.account for member in (await carol.groups.details(group)).members] == [
            alice.account,
            carol.account,
        ]
        assert await shown(bob, group.conversation) == ["bob: joined", "carol: joined", "alice: hello all", "bob: left"]
        assert await shown(carol, group.conversation) == [
            "carol: joined",
            "alice: hello all",
            "bob: left",
            "alice: without bob",
        ]


@story
async def test_a_removed_member_who_keeps_sending_is_told_so_and_disturbs_nobody(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        at_carol = carol.events()
        await (await bob.send(group.conversation, "hello")).sent()
        await bob.close()
        removed = await alice.groups.remove(group, bob.account)
        assert removed.is_open
        async with town.connect("bob") as again:  # it has not heard of that yet
            sending = await again.send("#club", "am I still here?")
            with pytest.raises(roost.SendFailedError) as refused:
                await sending.sent()
            assert refused.value.code == Code.NOT_MEMBER
            await again.caught_up()
            known = again.groups.get(group)
            assert known is not None
            assert known.standing is Standing.REMOVED
            with pytest.raises(roost.GroupError, match="You were removed from this group"):
                await again.send(group.conversation, "and now?")
            with pytest.raises(roost.GroupError, match="You were removed from this group"):
                await again.groups.rename(group, "Mine")
            assert {"bob: hello", "alice: removed", "bob: am I still here?"} < set(
                await shown(again, group.conversation)
            )
            await (await again.send(alice.account, "why?")).delivered()
        await alice.send(group.conversation, "bob is gone")
        assert [await said(at_carol), await said(at_carol)] == ["hello", "bob is gone"]
        assert "bob: am I still here?" not in await shown(carol, group.conversation)


@story
async def test_an_invite_that_is_used_up_expired_or_revoked_lets_nobody_in(town: Town) -> None:
    async with town.people("alice", "bob", "carol") as [alice, bob, carol]:
        group = await alice.groups.create("Club")
        used = await alice.groups.create_invite(group)
        await bob.groups.join(used)
        brief = await alice.groups.create_invite(group, lifetime_s=1)
        revoked = await alice.groups.create_invite(group)
        invites = {one.invite for one in (await alice.groups.describe(group)).invites}
        assert {brief.invite, revoked.invite} >= invites >= {revoked.invite}
        await alice.groups.revoke_invite(group, revoked.text)
        await time_passes(1.1)
        for link in (used, brief, revoked):
            with pytest.raises(roost.RefusedError) as refused:
                await carol.groups.join(link)
            assert refused.value.code == Code.INVITE_INVALID
        assert (await bob.groups.join(used)).is_open  # who is in is in
        assert carol.groups.list() == []


@story
async def test_where_only_admins_write_the_others_are_told_at_once(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]):
        at_bob, at_alice = bob.events(), alice.events()
        await alice.groups.set_announcement(group, True)
        await change(at_bob, ChangeKind.ANNOUNCEMENT)
        with pytest.raises(roost.GroupError) as refused:
            await bob.send(group.conversation, "me too")
        assert refused.value.code == Code.ANNOUNCEMENT_ONLY
        await alice.send(group.conversation, "hear, hear")
        assert await said(at_bob) == "hear, hear"
        await alice.groups.set_role(group, bob.account, Role.ADMIN)
        assert (await change(at_bob, ChangeKind.ROLE))[1].role is Role.ADMIN
        await bob.send(group.conversation, "me too")
        await wait_for(at_alice, roost.MessageReceived, lambda event: event.content == roost.Text("me too"))


@story
async def test_when_the_last_owner_leaves_another_one_rules_and_with_the_last_member_the_group_ends(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        at_carol = carol.events()
        await alice.groups.set_role(group, carol.account, Role.ADMIN)
        await alice.groups.leave(group)
        who, left = await change(at_carol, ChangeKind.LEFT)
        assert (who, left.account) == (alice.account, carol.account)
        await carol.groups.rename(group, "Without alice")
        with pytest.raises(roost.RefusedError) as refused:
            await bob.groups.rename(group, "Mine")
        assert refused.value.code == Code.GROUP_RIGHTS
        await bob.groups.leave(group)
        assert not (await carol.groups.leave(group)).is_open
        await wait_for(at_carol, roost.GroupChanged, lambda event: event.group.standing is Standing.DISSOLVED)
        assert [one.standing for one in alice.groups.list()] == [Standing.LEFT]


@story
async def test_a_group_that_is_dissolved_can_be_read_and_no_more(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]):
        at_bob, said_to_bob = bob.events(), bob.events()
        await (await bob.send(group.conversation, "before")).sent()
        assert (await alice.groups.dissolve(group)).standing is Standing.DISSOLVED
        changed = await wait_for(at_bob, roost.GroupChanged, lambda event: not event.group.is_open)
        assert changed.group.standing is Standing.DISSOLVED
        for client in (alice, bob):
            with pytest.raises(roost.GroupError, match="was dissolved"):
                await client.send(group.conversation, "after")
        await change(said_to_bob, ChangeKind.DISSOLVED)  # word of it may be here before it is
        assert (await shown(bob, group.conversation))[-2:] == ["bob: before", "alice: dissolved"]


@story
async def test_both_devices_of_a_member_have_the_group_and_a_new_one_learns_of_it(town: Town) -> None:
    async with club(town, "alice", "bob/phone") as (group, [alice, phone]):
        on_phone = phone.events()
        await alice.send(group.conversation, "one device")
        assert await said(on_phone) == "one device"
        await town.register("bob", "laptop")
        async with town.connect("bob", "laptop") as laptop:
            on_laptop = laptop.events()
            known = await wait_for(on_laptop, roost.GroupChanged)
            assert known.group == phone.groups.get(group)
            assert await laptop.groups.details(group) == await phone.groups.details(group)
            await laptop.send("#club", "two devices")
            assert await said(on_phone) == "two devices"
            await alice.send(group.conversation, "read me")
            assert [await said(on_phone), await said(on_laptop)] == ["read me", "read me"]
            await laptop.mark_read("#club")
            own = await wait_for(
                on_phone, roost.ReceiptChanged, lambda event: event.account == phone.account and event.read > 4
            )
            assert own.conversation == group.conversation
            assert [chat.unread for chat in await phone.conversations() if chat.group] == [0]
            assert (await phone.groups.leave(group)).standing is Standing.LEFT
            left = await wait_for(on_laptop, roost.GroupChanged, lambda event: not event.group.is_open)
            assert left.group.standing is Standing.LEFT


@story
async def test_ticks_count_how_many_have_received_and_read(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        at_alice, at_bob = alice.events(), bob.events()
        await carol.close()
        sending = await alice.send(group.conversation, "who is there?")
        await sending.sent()

        async def progress(wanted: roost.Progress) -> None:
            await wait_for(at_alice, roost.ProgressChanged, lambda event: event.of(sending.seq) == wanted)
            stored = await alice.message(sending.id)
            assert stored is not None
            assert stored.progress == wanted

        await said(at_bob)
        await progress(roost.Progress(members=2, delivered=1, read=0))
        await bob.mark_read(group.conversation)
        await progress(roost.Progress(members=2, delivered=1, read=1))
        info = await alice.groups.message_info(sending)
        assert info == roost.MessageInfo((bob.account,), (), (carol.account,))
        assert sending.state is roost.MessageState.SENT
        async with town.connect("carol") as again:
            await said(again.events())
            await sending.delivered()
            await again.mark_read(group.conversation)
            await sending.read()
        info = await alice.groups.message_info(sending)
        assert info == roost.MessageInfo((bob.account, carol.account), (), ())
        stored = await alice.message(sending.id)
        assert stored is not None
        assert stored.state is roost.MessageState.READ


@story
async def test_a_device_that_was_off_catches_up_with_messages_and_changes_in_one_order(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        await carol.close()
        await (await alice.send(group.conversation, "1")).sent()
        await alice.groups.rename(group, "Renamed")
        await (await bob.send(group.conversation, "2")).sent()
        await alice.groups.set_role(group, bob.account, Role.ADMIN)
        link = await bob.groups.create_invite(group)
        await (await alice.send(group.conversation, "3")).sent()
        async with town.people("dave") as [dave]:
            await dave.groups.join(link)
            await (await dave.send(group.conversation, "4")).sent()
            await bob.groups.remove(group, dave.account)
            sending = await alice.send(group.conversation, "5")
            await sending.sent()
            assert await shown(dave, group.conversation) == ["dave: joined", "dave: 4", "bob: removed"]
        async with town.connect("carol") as again:
            await again.caught_up()
            names = ["1", "renamed", "2", "role", "invited", "3", "joined", "4", "removed", "5"]
            on_carol = await shown(again, group.conversation)
            assert [entry.partition(": ")[2] for entry in on_carol[-10:]] == names
            assert on_carol == (await shown(alice, group.conversation))[-len(on_carol) :]
            at_carol, at_alice = await again.groups.details("#renamed"), await alice.groups.describe(group)
            assert (at_carol.members, at_carol.group.version) == (at_alice.members, at_alice.group.version)


@story
async def test_a_node_killed_in_the_middle_of_a_burst_loses_and_doubles_nothing_of_a_group(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        streams = [client.events() for client in (bob, carol)]
        sendings = []
        for number in range(150):
            sendings.append(await alice.send(group.conversation, f"{number}"))
            if number == 75:
                await sendings[25].sent()
                town.node.kill()
        await asyncio.to_thread(town.node.start)
        for client in (alice, bob, carol):
            await back_online(client)
        for sending in sendings:
            await sending.sent()
        for events in streams:
            assert [await said(events) for _ in range(150)] == [f"{number}" for number in range(150)]
        await alice.groups.rename(group, "After the storm")
        for client in (bob, carol):
            await client.groups.describe(group)
            assert len(await client.history(group.conversation, limit=1_000)) >= 150


@story
async def test_whatever_is_said_between_two_can_be_said_in_a_group_and_each_rules_their_own_words(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        at_bob, at_carol = bob.events(), carol.events()
        first = await alice.send(group.conversation, "first")
        at = await wait_for(at_bob, roost.MessageReceived, lambda event: event.content == roost.Text("first"))
        await bob.reply(at, "an answer")
        await bob.react(at, "👍")
        await wait_for(at_carol, roost.MessageReceived, lambda event: event.content == roost.Text("first"))
        await (await carol.react(at.key, "🎉")).sent()
        with pytest.raises(roost.MessageError, match="not ours"):
            await bob.edit(at, "not yours")
        with pytest.raises(roost.MessageError, match="not ours"):
            await bob.delete_for_everyone(at)
        await alice.edit(first, "edited")
        edited = await wait_for(at_carol, roost.MessageEdited)
        assert edited.text == "edited"
        (message,) = [one for one in await carol.history(group.conversation) if one.key == edited.key]
        assert {one.account for one in message.reactions} == {bob.account, carol.account}
        assert message.edited
        answer = (await carol.history(group.conversation))[-1]
        assert answer.quote is not None
        assert answer.quote.content == roost.Text("edited")
        await alice.delete_for_everyone(first)
        assert (await wait_for(at_carol, roost.MessageDeleted)).key == edited.key
        await bob.set_timer("#club", 86_400)
        await wait_for(at_carol, roost.MessageReceived, lambda event: event.content == roost.TimerSet(86_400))
        await carol.send("#club", "psst", view_once=True)
        once = await wait_for(at_bob, roost.MessageReceived, lambda event: isinstance(event.content, roost.ViewOnce))
        assert await bob.open_once(once) == "psst"
        await alice.send_ephemeral("#club", "now")
        now = await wait_for(at_bob, roost.MessageReceived, lambda event: event.ephemeral)
        assert now.conversation == group.conversation


@story
async def test_that_a_group_was_changed_cannot_be_edited_away_by_whoever_did_it(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]):
        at_alice = alice.events()
        await alice.groups.rename(group, "Renamed")
        renamed = await wait_for(
            at_alice, roost.MessageReceived, lambda event: getattr(event.content, "kind", None) == ChangeKind.RENAMED
        )
        with pytest.raises(roost.MessageError, match="only for us"):
            await alice.delete_for_everyone(renamed)
        with pytest.raises(roost.MessageError, match="Only a text"):
            await alice.edit(renamed, "nothing happened")
        await alice.delete(renamed)
        assert "alice: renamed" not in await shown(alice, group.conversation)
        assert "alice: renamed" in await shown(bob, group.conversation)


@story
async def test_who_has_a_group_open_sees_how_many_others_do_and_who_types(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, _]):
        at_alice = alice.events()
        alice.open_chat("#club")
        bob.open_chat("#club")
        here = await wait_for(at_alice, roost.OnlookersChanged, lambda event: event.members == 1)
        assert here.conversation == group.conversation
        bob.typing("#club")
        typing = await wait_for(at_alice, roost.TypingChanged)
        assert (typing.conversation, typing.account, typing.active) == (group.conversation, bob.account, True)
        bob.close_chat("#club")
        await wait_for(at_alice, roost.OnlookersChanged, lambda event: event.members == 0)


@story
async def test_two_who_block_each_other_still_meet_in_a_group(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [_, bob, carol]):
        at_bob = bob.events()
        await bob.block(carol.account)
        await carol.block(bob.account)
        await carol.send(group.conversation, "to all")
        assert await said(at_bob) == "to all"


@story
async def test_a_change_comes_back_to_the_device_that_made_it_as_its_own(town: Town) -> None:
    async with club(town, "alice") as (group, [alice]):
        events = alice.events()
        await alice.groups.rename(group, "Reading")
        renamed = await wait_for(
            events,
            roost.MessageReceived,
            lambda event: isinstance(event.content, roost.GroupChange) and event.content.name == "Reading",
        )
        assert (renamed.sender, renamed.device) == (alice.account, alice.device)
