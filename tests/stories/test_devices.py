"""Several devices of one account, and one device over several connections."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from protocol.messages import Ack, Closing, Deliver, DevicesChanged, Drained, Sent
from tests.stories.raw_device import RawDevice
from tests.stories.town import story, text_of, texts, wait_for

if TYPE_CHECKING:
    from tests.stories.town import Town

SETTINGS = {"rates": {"code_requests_per_hour": 20}}
pytestmark = pytest.mark.slow


@story
async def test_messages_and_receipts_reach_every_device(town: Town) -> None:
    async with town.people("alice/phone", "alice/laptop", "bob/phone", "bob/tablet") as [phone, laptop, bob, tablet]:
        on_laptop, on_tablet = laptop.events(), tablet.events()
        sending = await phone.send(bob.account, "to all of you")
        assert await texts(bob.events(), 1) == await texts(on_tablet, 1) == ["to all of you"]
        own = await wait_for(on_laptop, roost.MessageReceived)
        assert (text_of(own), own.sender, own.seq) == ("to all of you", phone.account, 1)
        await bob.mark_read(phone.account)
        await sending.read()
        await wait_for(on_laptop, roost.ReceiptChanged, lambda event: event.account == bob.account and event.read == 1)
        await wait_for(on_tablet, roost.ReceiptChanged, lambda event: event.account == bob.account)


@story
async def test_a_device_that_was_away_catches_up_alone(town: Town) -> None:
    await town.register("bob", "tablet")
    async with town.people("alice", "bob/phone") as [alice, phone]:
        sendings = [await alice.send(phone.account, f"{number}") for number in range(5)]
        assert await texts(phone.events(), 5) == [str(number) for number in range(5)]
        await sendings[-1].delivered()
        async with town.connect("bob", "tablet") as tablet:
            assert await texts(tablet.events(), 5) == [str(number) for number in range(5)]


@story
async def test_the_older_connection_of_a_device_is_closed_as_replaced(town: Town) -> None:
    async with town.people("alice") as [alice]:
        copy = town.home("copy")
        shutil.copytree(town.home("phone"), copy)
        async with roost.connect(alice.account, folder=copy) as newer:
            await newer.wait_online()
            stopped = await wait_for(
                alice.events(), roost.ConnectionChanged, lambda event: event.state is roost.ConnectionState.STOPPED
            )
            assert stopped.code == Code.REPLACED
            with pytest.raises(roost.StoppedError):
                await alice.send(alice.account, "from the older one")
            await (await newer.send(alice.account, "from the newer one")).sent()


@story
async def test_a_removed_device_is_thrown_out_and_its_messages_are_given_up_with_notice(town: Town) -> None:
    async with town.people("alice", "bob/phone") as [alice, bob]:
        await town.register("bob", "old")
        events = alice.events()
        await (await alice.send(bob.account, "to both")).sent()
        [old] = [device for device in await bob.devices.list() if not device.current]
        assert old.name == "old"
        await bob.devices.revoke(old.device)
        notice = await wait_for(events, roost.NotDelivered)
        assert (notice.device, notice.seq, notice.account) == (old.device, 1, bob.account)
        assert [device.current for device in await bob.devices.list()] == [True]
        async with town.connect("bob", "old") as thrown_out:
            with pytest.raises(roost.StoppedError) as raised:
                await thrown_out.wait_online()
            assert raised.value.code in (Code.DEVICE_REVOKED, Code.DEVICE_UNKNOWN)


@story
async def test_the_other_devices_are_told_of_a_new_one_at_once_or_when_they_come_back(town: Town) -> None:
    async with town.people("bob/phone", "bob/tablet") as [phone, tablet]:
        await phone.devices.list()  # both know the list by now: who is told first what it is asks for nothing
        await tablet.devices.list()
        on_phone = phone.events()
        await tablet.close()
        await town.register("bob", "laptop")
        added = await wait_for(on_phone, roost.DeviceAdded, lambda event: event.name == "laptop")
        assert isinstance(phone.device_news[-1], roost.DeviceAdded)
        async with town.connect("bob", "tablet") as tablet_again:
            events = tablet_again.events()
            assert (await wait_for(events, roost.DeviceAdded)).device == added.device
            await phone.devices.revoke(added.device)
            assert (await wait_for(events, roost.DeviceRemoved)).name == "laptop"
        assert (await wait_for(on_phone, roost.DeviceRemoved)).device == added.device


@story
async def test_a_device_is_told_of_another_in_ready_and_while_it_is_connected(town: Town) -> None:
    async with town.raw("bob") as bob:
        await bob.expect(Drained)
        async with town.stranger() as laptop:  # the account's process may have ended meanwhile: the queue is asked
            await laptop.register(bob.account, town.node.code_for)
        live = await bob.expect(DevicesChanged)
        ready = await bob.come_back()
        assert ready.devices_version == live.version


@story
async def test_an_account_has_only_so_many_devices(town: Town) -> None:
    for number in range(5):
        await town.register("alice", f"device{number}")
    with pytest.raises(roost.RefusedError) as raised:
        await town.register("alice", "device5")
    assert raised.value.code == Code.DEVICES_MAX


@story
async def test_a_short_drop_resumes_without_a_second_delivery(town: Town) -> None:
    async with town.people("alice") as [alice], town.raw("bob") as bob:
        for number in range(6):
            await (await alice.send(bob.account, f"{number}")).sent()
        positions = [(await bob.expect(Deliver)).position for _ in range(6)]
        bob.say(Ack(positions[1]))
        await bob.ping()
        bob.drop()
        ready = await bob.come_back(resume=True, received_up_to=positions[3])
        assert (ready.resumed, ready.waiting) == (True, 2)
        assert [(await bob.expect(Deliver)).position for _ in range(2)] == positions[4:]
        await bob.expect(Drained)


@story
async def test_without_a_token_everything_unacknowledged_comes_again(town: Town) -> None:
    async with town.people("alice") as [alice], town.raw("bob") as bob:
        for number in range(3):
            await (await alice.send(bob.account, f"{number}")).sent()
        first = [await bob.expect(Deliver) for _ in range(3)]
        bob.say(Ack(first[0].position))
        await bob.ping()
        bob.drop()
        ready = await bob.come_back()
        assert (ready.resumed, ready.waiting) == (False, 2)
        again = [await bob.expect(Deliver) for _ in range(2)]
        assert [one.message.message_id for one in again] == [one.message.message_id for one in first[1:]]


@story
async def test_a_token_that_was_never_given_begins_a_new_session_and_forgets_nothing(town: Town) -> None:
    async with town.people("alice") as [alice], town.raw("bob") as bob:
        await (await alice.send(bob.account, "still here")).sent()
        position = (await bob.expect(Deliver)).position
        bob.drop()
        bob.session = type(bob.session)(bytes(16))
        assert not (await bob.come_back(resume=True, received_up_to=position)).resumed
        assert (await bob.expect(Deliver)).message.seq == 1
        bob.drop()
        assert not (await bob.come_back(resume=True, received_up_to=position + 1_000)).resumed
        assert (await bob.expect(Deliver)).message.seq == 1


@story
async def test_a_retry_after_a_drop_is_answered_with_the_first_answer(town: Town) -> None:
    async with town.raw("alice") as alice, town.raw("bob") as bob:
        chat = alice.conversation_with(bob.account)
        sends = [alice.a_send(chat, number) for number in (1, 2, 3)]
        alice.say(*sends)
        answers = [await alice.expect(Sent) for _ in sends]
        await alice.come_back()
        alice.say(*sends)
        assert [await alice.expect(Sent) for _ in sends] == answers
        assert [(await bob.expect(Deliver)).message.seq for _ in sends] == [1, 2, 3]
        await bob.ping()


@story
async def test_two_devices_with_one_key_are_one_device(town: Town) -> None:
    async with town.raw("alice") as first:
        second = RawDevice(town.node.address, town.node.server_key, first.key)
        second.account = first.account
        await second.greet()
        await second.log_in()
        closing = await first.last_words()
        assert isinstance(closing, Closing)
        assert (closing.code, closing.retry_after_ms) == (Code.REPLACED, -1)
        await second.ping()
        second.drop()
