"""Groups through the client, over a real node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import roost
from roost import ChangeKind, Role, Standing
from tests.stories.clubs import change, club, said, shown
from tests.stories.town import story, wait_for

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
