"""Groups in the terminal client, by Textual's pilot: real clients, a real node, keys pressed and the screen read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from roost import ChangeKind, Role, Standing
from tests.roost.screens import terminal, until
from tests.stories.clubs import change, club, said
from tests.stories.town import story, wait_for

if TYPE_CHECKING:
    from tests.stories.town import Town

pytestmark = pytest.mark.slow
LINK = re.compile(r"roost://group/\w{26}/\w{28}")
ODD = "Fam" + "\u0301" * 9 + "ily [red]\U0001f469\u05d0\u05d1 " + "\u6f22" * 60


@story
async def test_a_group_is_made_an_invite_shown_and_somebody_joins_by_it_with_keys_alone(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob], terminal(alice) as at_alice, terminal(bob) as at_bob:
        await at_alice.press("ctrl+n", *"Family", "ctrl+g")
        await until(at_alice, lambda text: "#Family" in text and "1 member" in text and "Write a message" in text)
        await until(at_alice, lambda text: f"{alice.account} made the group Family" in text and "^G group" in text)
        await at_alice.press("ctrl+g")
        await until(at_alice, lambda text: "you are an owner" in text and "x dissolve" in text)
        await at_alice.press("i", "1")
        text = await until(at_alice, lambda text: LINK.search(text) is not None and "Whoever has this link" in text)
        link = LINK.search(text)
        assert link is not None
        assert at_alice.app.clipboard == link[0]
        await at_bob.press("ctrl+n", *link[0], "enter")
        await until(at_bob, lambda text: "#Family" in text and "2 members" in text and f"{bob.account} joined" in text)
        await until(at_alice, lambda text: f"member  {bob.account}" in text and "invite  1" not in text)
        await at_alice.press("escape")
        await until(at_alice, lambda text: f"{bob.account} joined" in text and "2 members, 1 has it open" in text)


@story
async def test_who_wrote_what_and_how_many_have_read_it_is_seen(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        await alice.state.name(bob.account, "Bobby")
        async with terminal(alice, group.conversation) as pilot:
            for words in ("one from bob", "two from bob"):
                await (await bob.send(group.conversation, words)).sent()
            await (await carol.send(group.conversation, "one from carol")).sent()
            text = await until(pilot, lambda text: "one from carol  " in text)
            pane = "\n".join(line[27:] for line in text.splitlines())
            assert (pane.count("Bobby"), pane.count(carol.account)) == (2, 2), "at the joining, and once a run"
            assert f"{carol.account}: one" in text
            await pilot.press(*"to all", "enter")
            await until(pilot, lambda text: "to all" in text and "✓✓" in text)
            await bob.mark_read(group.conversation)
            await until(pilot, lambda text: "✓✓ read 1/2" in text)
            await pilot.press("up", "i")
            text = await until(pilot, lambda text: "Read by 1" in text and "Delivered to 1" in text)
            assert f"Bobby ({bob.account})" in text
            await pilot.press("escape")
            await carol.mark_read(group.conversation)
            await until(pilot, lambda text: "read 1/2" not in text and "Read by" not in text)


@story
async def test_a_message_that_not_all_have_says_how_many_do(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, _, carol]):
        await carol.close()
        async with terminal(alice, group.conversation) as pilot:
            await pilot.press(*"to whom?", "enter")
            text = await until(pilot, lambda text: "✓ 1/2" in text)
            assert "✓✓" not in text
            await pilot.press("up", "i")
            await until(pilot, lambda text: "Not delivered yet to 1" in text and carol.account in text)


@story
async def test_who_types_and_how_many_have_it_open_is_seen_until_they_go(town: Town) -> None:
    async with (
        club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]),
        terminal(alice, group.conversation) as pilot,
    ):
        await until(pilot, lambda text: "3 members" in text)
        for person in (bob, carol):
            person.open_chat(group.conversation)
        await until(pilot, lambda text: "3 members, 2 have it open" in text)
        bob.typing(group.conversation)
        await until(pilot, lambda text: text.count(f"{bob.account} is typing") == 2)
        carol.typing(group.conversation)
        await until(pilot, lambda text: f"{bob.account} and {carol.account} are typing" in text)
        bob.typing(group.conversation, active=False)
        await (await carol.send(group.conversation, "here")).sent()
        await until(pilot, lambda text: "typing" not in text and "2 have it open" in text)
        carol.close_chat(group.conversation)
        await until(pilot, lambda text: "1 has it open" in text)


@story
async def test_an_owner_renames_promotes_removes_and_decides_who_writes_with_keys(town: Town) -> None:
    async with club(town, "alice", "bob", "carol") as (group, [alice, bob, carol]):
        at_bob, at_carol = bob.events(), carol.events()
        async with terminal(alice, group.conversation) as pilot:
            await pilot.press("ctrl+g")
            await until(pilot, lambda text: "3 members · you are an owner" in text and carol.account in text)
            await pilot.press("r")
            await until(pilot, lambda text: "not for you to do" in text)  # the only owner stays one
            await pilot.press("j", "enter")
            await until(pilot, lambda text: "1  an admin" in text)
            await pilot.press("1")
            await until(pilot, lambda text: f"{bob.account} is an admin now" in text and "admin   bob" in text)
            assert (await change(at_bob, ChangeKind.ROLE))[1].role is Role.ADMIN
            await pilot.press("n", "ctrl+u", *"Bookworms", "enter")
            await until(pilot, lambda text: "#Bookworms" in text and "has that name now" in text)
            await pilot.press("a")
            await until(
                pilot, lambda text: "only admins write · you are an owner" in text and "a let all write" in text
            )
            await pilot.press("end", "delete")
            await until(pilot, lambda text: f"Remove {carol.account} from #Bookworms?" in text)
            await pilot.press("escape")
            await pilot.press("d", "2")
            await until(pilot, lambda text: f"{carol.account} is no member any more" in text and "2 members" in text)
            assert (await change(at_carol, ChangeKind.REMOVED))[1].account == carol.account
            await pilot.press("escape")
            await until(pilot, lambda text: f"removed {carol.account}" in text and "named the group Bookworms" in text)
            await pilot.press("ctrl+g", "x", "2")
            await until(pilot, lambda text: "This group was dissolved." in text and "dissolved the group" in text)
        await change(at_bob, ChangeKind.DISSOLVED)


@story
async def test_a_plain_member_is_offered_only_what_a_member_may_do(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]), terminal(bob, group.conversation) as pilot:
        await alice.groups.set_announcement(group, True)
        await until(pilot, lambda text: "Only admins write in this group." in text and "lets only admins write" in text)
        await pilot.press(*"hello", "enter")
        await pilot.press("up")
        await until(pilot, lambda text: "r reply" in text)
        await pilot.press("r")
        await until(pilot, lambda text: len(pilot.app._notifications) == 1 and "Reply to" not in text)
        await pilot.press("ctrl+g")
        text = await until(pilot, lambda text: "you are a member" in text and "l leave" in text)
        assert not [word for word in ("r role", "Del", "i invite", "n rename", "x dissolve") if word in text]
        await pilot.press("x", "i", "delete")
        await until(pilot, lambda text: "not for you to do" in text)
        assert await alice.groups.describe(group) == await alice.groups.details(group)
        await alice.groups.set_announcement(group, False)
        await until(pilot, lambda text: "only admins write" not in text)
        await pilot.press("l")
        await until(pilot, lambda text: "Leave #Club?" in text)
        await pilot.press("enter")  # the first answer is no
        await pilot.press("l", "2")
        await until(pilot, lambda text: "You have left this group." in text and f"{bob.account} left" in text)
        await pilot.press("ctrl+g")
        text = await until(pilot, lambda text: "You have left this group." in text and "Esc back" in text)
        assert "l leave" not in text


@story
async def test_who_is_removed_while_writing_reads_on_and_is_told_why_nothing_goes_out(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]):
        await (await alice.send(group.conversation, "before")).delivered()
        async with terminal(bob, group.conversation) as pilot:
            await until(pilot, lambda text: "before" in text)
            await pilot.press(*"a draft")
            await alice.groups.remove(group, bob.account)
            await until(pilot, lambda text: f"{alice.account} removed {bob.account}" in text and "before" in text)
            await pilot.press("enter")
            await until(pilot, lambda text: "You were removed from" in text)
            known = bob.groups.get(group)
            assert known is not None
            assert known.standing is Standing.REMOVED
            await pilot.press("up", "t")
            await until(pilot, lambda text: "removed" in text)


@story
async def test_who_comes_back_by_an_invite_is_there_again_for_the_others(town: Town) -> None:
    async with (
        club(town, "alice", "bob") as (group, [alice, bob]),
        terminal(alice, group.conversation) as at_alice,
        terminal(bob, group.conversation) as at_bob,
    ):
        await until(at_alice, lambda text: "2 members, 1 has it open" in text)
        await alice.groups.remove(group, bob.account)
        await until(at_bob, lambda text: "You were removed from this group." in text)
        await until(at_alice, lambda text: "1 member " in text and "open" not in text)
        link = await alice.groups.create_invite(group)
        await at_bob.press("ctrl+n", *link.text, "enter")
        await until(at_bob, lambda text: "2 members, 1 has it open" in text and "Write a message" in text)
        await until(at_alice, lambda text: "2 members, 1 has it open" in text)
        await at_bob.press("h")
        await until(at_alice, lambda text: f"{bob.account} is typing" in text)


@story
async def test_an_invite_is_revoked_and_a_used_or_wrong_one_is_explained(town: Town) -> None:
    async with club(town, "alice") as (group, [alice]), town.people("bob") as [bob]:
        link = await alice.groups.create_invite(group)
        async with terminal(alice, group.conversation) as pilot:
            await pilot.press("ctrl+g")
            await until(pilot, lambda text: text.count("invite  1 person") == 2)
            await pilot.press("end", "delete", "2")
            await until(pilot, lambda text: "lets nobody in any more" in text and text.count("invite  1") == 1)
        async with terminal(bob) as pilot:
            await pilot.press("ctrl+n", *link.text[:-3], "enter")
            await until(pilot, lambda text: "It looks like" in text)
            invites = (await alice.groups.describe(group)).invites
            assert len(invites) == 1
            await pilot.press("escape", "ctrl+n", "ctrl+g")
            await until(pilot, lambda text: "Type what the group shall be called" in text)
            if link.invite not in {one.invite for one in invites}:
                await pilot.press(*link.text, "enter")
                await until(pilot, lambda text: Code.INVITE_INVALID.sentence.split(";")[0][:30] in text)
            assert bob.groups.list() == []


@story
async def test_odd_names_and_sixty_columns_leave_every_line_in_its_place(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]):
        await alice.groups.rename(group, ODD)
        async with terminal(bob, group.conversation, (60, 24)) as pilot:
            await until(pilot, lambda text: "[red]" in text and "2 members" in text)
            await pilot.press("ctrl+g")
            text = await until(pilot, lambda text: "you are a member" in text)
            assert text.count("\u0301") <= 3 * 4
            assert "[red]" in text
            assert all(line.rstrip().endswith("│") for line in text.splitlines() if line.strip().startswith("│"))
            await pilot.press("escape", "tab")
            await until(pilot, lambda text: "named the group" in text and "Tab" not in text)


@story
async def test_a_message_is_forwarded_to_a_group_by_its_name(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]):
        at_bob = bob.events()
        note = await alice.send(alice.account, "worth telling")
        await note.sent()
        async with terminal(alice, alice.conversation_with(alice.account)) as pilot:
            await until(pilot, lambda text: "worth telling" in text)
            await pilot.press("up", "f", *"#club", "enter")
            assert await said(at_bob) == "worth telling"
            await until(pilot, lambda text: f"#{group.name}" in text)
            await pilot.press("ctrl+g")
            await until(pilot, lambda text: "No group is open" in text)


@story
async def test_a_new_device_lists_a_group_in_which_nothing_was_said_yet(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [_, bob]):
        await town.register("bob", "laptop")
        async with town.connect("bob", "laptop") as laptop, terminal(laptop) as pilot:
            await until(pilot, lambda text: "#Club" in text)
            [chat] = await laptop.conversations()
            assert (chat.conversation, chat.title, chat.latest, chat.unread) == (group.conversation, "Club", None, 0)
            await pilot.press("enter")
            await until(pilot, lambda text: "2 members" in text and "Write a message" in text)
            await laptop.groups.leave(group)
            await until(pilot, lambda text: "You have left this group." in text and f"{bob.account} left" in text)


@story
async def test_without_a_connection_the_window_of_a_group_still_shows_what_is_known(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, bob]):
        await bob.close()
        events = alice.events()
        async with terminal(alice, group.conversation) as pilot:
            await until(pilot, lambda text: "2 members" in text)
            town.node.terminate()
            await wait_for(events, roost.ConnectionChanged, lambda event: event.state is roost.ConnectionState.OFFLINE)
            await pilot.press("ctrl+g")
            await until(pilot, lambda text: bob.account in text and "there is no connection to it" in text)
            await pilot.press("a")
            await until(pilot, lambda text: "there is no connection" in text and "only admins write ·" not in text)
            town.node.start()
