"""A full disk: new messages are refused before it is too late, everything accepted stays and can be fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.live_node import LiveNode
from protocol import Code
from protocol.messages import Ack, Deliver, Drained, Refused, Sent
from tests.stories.town import Town, story, time_passes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stories.raw_device import RawDevice

pytestmark = pytest.mark.slow

PAYLOAD = bytes(4_000)
MOMENT_S = 0.02
SMALL = {
    "journal": {
        "store_size_bytes_max": 4_194_304,
        "hot_window_bytes_max": 131_072,
        "hot_window_s_max": 1,
        "free_space_bytes_min": 0,
    },
    "rates": {"sends_burst": 100_000},
}
ROOM = {"journal": {"free_space_bytes_min": 0}}
NO_ROOM = {"journal": {"free_space_bytes_min": 70_368_744_177_664}}


async def fill(device: RawDevice, chat: str) -> int:
    """Send until it is refused, and return how many were accepted."""
    number = 1
    send = device.a_send(chat, number, PAYLOAD)
    while True:
        answer = await device.ask(send, object)
        if isinstance(answer, Sent):
            number += 1
            send = device.a_send(chat, number, PAYLOAD)
            continue
        assert isinstance(answer, Refused)
        assert answer.retry_after_ms > 0
        if answer.code == Code.STORAGE_FULL:
            return number - 1
        assert answer.code == Code.BUSY
        await time_passes(MOMENT_S)  # while the journal moves to the inbox


@story
async def test_a_full_store_refuses_new_messages_and_loses_none(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "node", SMALL) as node:
        town = Town(node, tmp_path)
        async with town.raw("alice") as alice, town.raw("bob") as bob:
            await alice.expect(Drained)
            chat = alice.conversation_with(bob.account)
            bob.drop()
            accepted = await fill(alice, chat)
            assert accepted > 100
            node.kill()
            node.start()
            await alice.come_back()
            await alice.expect(Drained)
            await bob.come_back()
            for seq in range(1, accepted + 1):
                deliver = await bob.expect(Deliver)
                assert deliver.message.seq == seq
                bob.say(Ack(deliver.position))
            send = alice.a_send(chat, accepted + 1, PAYLOAD)
            while isinstance(answer := await alice.ask(send, Sent | Refused), Refused):  # type: ignore[arg-type]
                assert answer.code in (Code.STORAGE_FULL, Code.BUSY)
                await time_passes(MOMENT_S)
            assert answer.seq == accepted + 1
            assert (await bob.expect(Deliver)).message.seq == accepted + 1
        assert node.crashes == []


@story
async def test_a_disk_that_others_have_filled_refuses_new_messages_and_gives_out_the_old(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "node", ROOM) as node:
        town = Town(node, tmp_path)
        async with town.raw("alice") as alice, town.raw("bob") as bob:
            await alice.expect(Drained)
            chat = alice.conversation_with(bob.account)
            await alice.ask(alice.a_send(chat, 1), Sent)
            node.kill()
            node.start(**NO_ROOM)
            await alice.come_back()
            await alice.expect(Drained)
            refused = await alice.ask(alice.a_send(chat, 2), Refused)
            assert (refused.code, refused.retry_after_ms) == (Code.STORAGE_FULL, 60_000)
            await bob.come_back()
            deliver = await bob.expect(Deliver)
            bob.say(Ack(deliver.position))
            await bob.ping()
            assert node.terminate() == 0
            node.start(**ROOM)
            assert (await bob.come_back()).waiting == 0
            await alice.come_back()
            await alice.ask(alice.a_send(chat, 2), Sent)
            assert (await bob.expect(Deliver)).message.seq == 2
        assert node.crashes == []
