"""What people do with messages, on all devices of both, over a real node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import roost
from tests.stories.town import story, wait_for

if TYPE_CHECKING:
    from tests.stories.town import Town

pytestmark = pytest.mark.slow


def says(event: roost.MessageReceived, text: str) -> bool:
    """Whether a message says this."""
    return event.content == roost.Text(text)


def seen(messages: list[roost.StoredMessage]) -> list[tuple[object, ...]]:
    """What a person sees of a history."""
    return [(one.seq, one.sender, one.content, one.edited, one.reactions, one.quote) for one in messages]


@story
async def test_every_device_of_both_sees_the_same_of_what_was_done(town: Town) -> None:
    async with town.people("alice/phone", "alice/laptop", "bob/phone", "bob/tablet") as [phone, laptop, bob, tablet]:
        devices = (phone, laptop, bob, tablet)
        streams = [device.events() for device in devices]
        first = await phone.send(bob.account, "lunch at noon?")
        second = await phone.send(bob.account, "regretted")
        await second.sent()
        received = await wait_for(streams[2], roost.MessageReceived)
        await bob.reply(received, "gladly")
        await bob.react(received, "\U0001f44d")
        await tablet.react((await tablet.history(phone.account))[0], "\u2764\ufe0f")
        await phone.edit(first, "lunch at one?")
        await phone.delete_for_everyone(second)
        await (await phone.send(bob.account, "that is all")).sent()
        for device, stream in zip(devices, streams, strict=True):
            if device is not phone:
                await wait_for(stream, roost.MessageReceived, lambda event: says(event, "that is all"))
        await (await bob.send(phone.account, "and that")).delivered()
        for device, stream in zip(devices, streams, strict=True):
            if device is not bob:
                await wait_for(stream, roost.MessageReceived, lambda event: says(event, "and that"))
        histories = [
            seen(await device.history(bob.account if device in (phone, laptop) else phone.account))
            for device in devices
        ]
        assert histories[0] == histories[1] == histories[2] == histories[3]
        contents = [content for _, _, content, *_ in histories[0]]
        assert contents[:2] == [roost.Text("lunch at one?"), roost.Deleted()]
        reactions = (await phone.history(bob.account))[0].reactions
        assert [reaction.account for reaction in reactions] == [bob.account]


@story
async def test_what_was_done_while_a_device_was_away_is_done_there_when_it_comes(town: Town) -> None:
    await town.register("bob", "tablet")
    async with town.people("alice", "bob/phone") as [alice, bob]:
        to_bob = bob.events()
        first = await alice.send(bob.account, "wrnog")
        await first.sent()
        await (await alice.edit(first, "right")).sent()
        second = await alice.send(bob.account, "regretted")
        await second.sent()
        await (await alice.delete_for_everyone(second)).sent()
        await wait_for(to_bob, roost.MessageDeleted)
        async with town.connect("bob", "tablet") as tablet:
            await wait_for(tablet.events(), roost.MessageDeleted)
            assert seen(await tablet.history(alice.account)) == seen(await bob.history(alice.account))
