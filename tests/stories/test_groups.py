"""Groups through the client, over a real node."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

import roost
from roost import ChangeKind, Role, Standing
from tests.stories.town import story, text_of, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stories.town import Town

pytestmark = pytest.mark.slow
Kind = TypeVar("Kind")


async def said(events: roost.EventStream) -> str:
    """The next text."""
    return text_of(await wait_for(events, roost.MessageReceived, lambda event: isinstance(event.content, roost.Text)))


async def change(events: roost.EventStream, kind: ChangeKind) -> tuple[str, roost.GroupChange]:
    """The next change of a kind, and who made it."""
    event = await wait_for(events, roost.MessageReceived, lambda event: getattr(event.content, "kind", None) == kind)
    assert isinstance(event.content, roost.GroupChange)
    return event.sender, event.content


async def shown(client: roost.Client, conversation: str) -> list[str]:
    """The history of a group in a few words."""
    return [
        f"{message.sender.partition('.')[0]}: "
        + (message.content.text if isinstance(message.content, roost.Text) else message.content.kind.name.lower())
        for message in await client.history(conversation)
        if isinstance(message.content, roost.Text | roost.GroupChange)
    ]


@asynccontextmanager
async def club(town: Town, *names: str) -> AsyncIterator[tuple[roost.Group, list[roost.Client]]]:
    """People who are all in one group, which the first of them has made."""
    async with town.people(*names) as people:
        owner, *others = people
        group = await owner.groups.create("Club")
        link = await owner.groups.create_invite(group, uses=max(1, len(others)))
        for other in others:
            await other.groups.join(link)
        yield group, people


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
