"""Messages with a payload for each device, against a real server: split there, and never read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from tests.stories.town import story, texts, wait_for

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from protocol import ConversationId, DeviceId
    from tests.stories.town import Town

pytestmark = pytest.mark.slow
SEAL = b"\xc1"


class Tagged:
    """Says for whom a payload is, and opens what is for one name only."""

    def __init__(self) -> None:
        self.sealed_for: list[DeviceId] = []
        self.opened: list[bytes] = []

    def seal(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        self.sealed_for.append(device)
        return SEAL + device + payload

    def open(self, conversation: ConversationId, payload: bytes, device: DeviceId) -> bytes:
        if not payload.startswith(SEAL):
            return payload
        self.opened.append(payload[1:17])
        return payload[17:]


def connected(town: Town, name: str, device: str, sealer: roost.Sealer) -> AbstractAsyncContextManager[roost.Client]:
    return roost.connect(town.address(name), folder=town.home(device), sealer=sealer)


@story
async def test_every_device_of_both_gets_the_payload_that_was_made_for_it(town: Town) -> None:
    for name, device in (("alice", "phone"), ("alice", "laptop"), ("bob", "phone"), ("bob", "tablet")):
        await town.register(name, device)
    sealers = [Tagged() for _ in range(4)]
    async with (
        connected(town, "alice", "phone", sealers[0]) as alice,
        connected(town, "alice", "laptop", sealers[1]) as laptop,
        connected(town, "bob", "phone", sealers[2]) as bob,
        connected(town, "bob", "tablet", sealers[3]) as tablet,
    ):
        streams = [client.events() for client in (laptop, bob, tablet)]
        for text in ("one", "two"):
            await (await alice.send(bob.account, text)).delivered()
        for stream in streams:
            assert await texts(stream, 2) == ["one", "two"]
        for sealer, client in zip(sealers[1:], (laptop, bob, tablet), strict=True):
            assert set(sealer.opened) == {client.device}
        assert set(sealers[0].sealed_for) == {laptop.device, bob.device, tablet.device}
        assert alice.device not in sealers[0].sealed_for
        with pytest.raises(roost.SendFailedError) as failed:
            await (await alice.send(bob.account, "x" * 30_000)).sent()  # three times that is more than one message
        assert failed.value.code == Code.PAYLOAD_TOO_LARGE
        await (await alice.send(bob.account, "and on it goes")).delivered()


@story
async def test_a_device_that_is_linked_meanwhile_and_one_that_is_removed_are_made_up_for(town: Town) -> None:
    await town.register("bob", "phone")
    async with town.people("alice") as [plain]:
        address = plain.account
    alice_sealer, bob_sealer = Tagged(), Tagged()
    async with (
        connected(town, "alice", "phone", alice_sealer) as alice,
        connected(town, "bob", "phone", bob_sealer) as bob,
    ):
        await (await alice.send(bob.account, "one")).delivered()
        await bob.wait_online()
        await town.link(bob, "tablet")
        tablet_sealer = Tagged()
        async with connected(town, "bob", "tablet", tablet_sealer) as tablet:
            stream = tablet.events()
            await (await alice.send(bob.account, "two")).delivered()
            assert await texts(stream, 1) == ["two"]
            assert set(tablet_sealer.opened) == {tablet.device}
            await bob.devices.revoke(tablet.device)
            await wait_for(stream, roost.ConnectionChanged, lambda event: event.state is roost.ConnectionState.STOPPED)
        alice_sealer.sealed_for.clear()
        await (await alice.send(bob.account, "three")).delivered()
        assert alice_sealer.sealed_for[-1:] == [bob.device]
        history = await bob.history(address)
        assert [message.content for message in history] == [roost.Text(text) for text in ("one", "two", "three")]


@story
async def test_a_group_and_who_does_not_seal_get_one_payload_for_all(town: Town) -> None:
    for name in ("alice", "bob"):
        await town.register(name)
    sealer = Tagged()
    async with connected(town, "alice", "phone", sealer) as alice, town.connect("bob") as bob:
        stream = alice.events()
        await (await bob.send(alice.account, "plain")).delivered()
        assert await texts(stream, 1) == ["plain"]
        assert sealer.opened == []
        group = await alice.groups.create("Club")
        link = await alice.groups.create_invite(group.conversation)
        await bob.groups.join(str(link))
        heard = bob.events()
        await (await alice.send(group.conversation, "to all")).sent()
        message = await wait_for(heard, roost.MessageReceived, lambda event: isinstance(event.content, roost.Text))
        assert message.content == roost.Text("to all")
        assert sealer.sealed_for == []
