"""What cannot be delivered is given up with a notice to its sender, and takes nothing else with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from protocol.messages import (
    NOTICE_EXPIRED,
    NOTICE_OVER_QUOTA,
    NOTICE_POISON,
    Ack,
    Deliver,
    Drained,
)
from roost.ports import SystemClock
from roost.store import Store
from roost.successor import ASKED_FACT
from tests.stories.town import story, texts, time_passes, wait_for

if TYPE_CHECKING:
    from tests.stories.town import Town

SETTINGS = {
    "queue": {"sweep_interval_s": 1, "entries_max": 20, "delivery_attempts_max": 5},
    "rates": {"logins_burst": 100},
}
pytestmark = pytest.mark.slow


@story
async def test_a_message_that_expires_is_reported_to_its_sender(town: Town) -> None:
    await town.register("bob")
    async with town.people("alice") as [alice]:
        bob = town.address("bob")
        brief = await alice.send(bob, "gone in a second", ttl_s=1)
        lasting = await alice.send(bob, "here to stay")
        await lasting.sent()
        notice = await wait_for(alice.events(), roost.NotDelivered)
        assert (notice.account, notice.seq, notice.reason) == (bob, brief.seq, NOTICE_EXPIRED)
        stored = await alice.message(brief.id)
        assert stored is not None
        assert len(stored.not_delivered) == 1
        async with town.connect("bob") as client:
            assert await texts(client.events(), 1) == ["here to stay"]


@story
async def test_one_message_too_many_is_reported_and_the_next_ones_wait_at_their_sender(town: Town) -> None:
    await town.register("bob")
    bob = town.address("bob")
    async with town.people("alice", "alice/laptop") as [alice, laptop]:
        events, on_laptop = alice.events(), laptop.events()
        sendings = [await alice.send(bob, f"{number}") for number in range(20)]
        await sendings[19].sent()  # the queue runs: while it starts, what comes is counted and not turned away
        await (await alice.send(bob, "one too many")).sent()
        for stream in (events, on_laptop):
            # Of bob's device only: a laptop that is slow to acknowledge has such a small queue, too.
            notice = await wait_for(stream, roost.NotDelivered, lambda notice: notice.account == bob)
            assert (notice.seq, notice.reason) == (21, NOTICE_OVER_QUOTA)
        waiting = await alice.send(bob, "when there is room again")
        delayed = await wait_for(events, roost.MessageDelayed)
        assert (delayed.key, delayed.code) == (waiting.id, Code.OVER_QUOTA)
        assert "The recipient's store" in waiting.delay
        note = await alice.send(town.address("alice"), "a full chat holds up no other")
        await note.sent()
        async with town.connect("bob") as client:
            assert await texts(client.events(), 20) == [f"{number}" for number in range(20)]
            await sendings[19].delivered()
    await time_passes(1.0)  # word of a full queue is asked for again after that time
    async with town.connect("alice") as alice, town.connect("bob") as client:
        await wait_for(alice.events(), roost.MessageSent)
        assert await texts(client.events(), 1) == ["when there is room again"]


@story
async def test_what_devices_share_comes_also_to_one_whose_queue_was_full(town: Town) -> None:
    async with town.people("alice") as [phone]:
        await town.register("alice", "laptop")
        async with town.connect("alice", "laptop") as laptop:
            await laptop.state.ask()
        events = phone.events()
        sendings = [await phone.send(phone.account, f"{number}") for number in range(20)]
        await sendings[19].sent()
        await phone.state.change_setting("theme", "dark")
        notice = await wait_for(events, roost.NotDelivered)
        assert (notice.account, notice.reason) == (phone.account, NOTICE_OVER_QUOTA)
        [path] = town.home("laptop").glob("alice*.db")
        store = Store(path)
        an_hour_ago_ms = SystemClock().wall_ms() - 3_600_000
        store.set_facts(**{ASKED_FACT: an_hour_ago_ms.to_bytes(8, "big")})
        store.close()
        async with town.connect("alice", "laptop") as laptop:
            changed = await wait_for(laptop.events(), roost.StateChanged)
            assert (changed.subject, changed.value) == ("theme", "dark")


@story
async def test_a_message_that_breaks_every_connection_is_taken_for_poison(town: Town) -> None:
    async with town.people("alice") as [alice], town.raw("bob") as bob:
        await bob.expect(Drained)
        for number in range(4):
            await (await alice.send(bob.account, f"{number}")).sent()
        breaks = 0
        while (await bob.expect(Deliver)).message.seq == 1:
            breaks += 1
            await bob.come_back()
        assert breaks == 5
        notice = await wait_for(alice.events(), roost.NotDelivered)
        assert (notice.seq, notice.device, notice.reason) == (1, bob.device, NOTICE_POISON)
        await bob.come_back()
        for seq in (2, 3, 4):
            deliver = await bob.expect(Deliver)
            assert deliver.message.seq == seq
            bob.say(Ack(deliver.position))
        await bob.expect(Drained)
