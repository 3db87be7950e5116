"""Two people talk: ticks, typing, presence, and what each of them lets the other see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from roost import MessageState
from tests.stories.town import story, text_of, texts, wait_for

if TYPE_CHECKING:
    from tests.stories.town import Town

SETTINGS = {"presence": {"offline_delay_s": 0, "typing_interval_s_min": 0}}
pytestmark = pytest.mark.slow


@story
async def test_bob_offline_receives_on_login(town: Town) -> None:
    await town.register("bob")
    async with town.people("alice") as [alice]:
        sendings = [await alice.send(town.address("bob"), f"while you slept {number}") for number in range(40)]
        for sending in sendings:
            await sending.sent()
        assert {sending.state for sending in sendings} == {MessageState.SENT}
        async with town.connect("bob") as bob:
            events = bob.events()
            online = await wait_for(events, roost.ConnectionChanged, lambda event: event.waiting > 0)
            assert online.waiting <= 40
            assert await texts(events, 40) == [f"while you slept {number}" for number in range(40)]
            await wait_for(events, roost.QueueDrained)
            await sendings[-1].delivered()


@story
async def test_a_device_that_was_away_knows_when_it_has_caught_up(town: Town) -> None:
    await town.register("bob")
    async with town.people("alice") as [alice]:
        for number in range(60):
            await alice.send(town.address("bob"), f"{number}")
        while alice.unsent:
            await wait_for(alice.events(), roost.MessageSent)
        async with town.connect("bob") as bob:
            await bob.caught_up()
            history = await bob.history(alice.account, limit=100)
            assert [text_of(one) for one in history] == [f"{number}" for number in range(60)]
        with pytest.raises(roost.ConnectionClosedError):
            await bob.caught_up()


@story
async def test_a_message_gets_its_three_ticks(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        hers, his = alice.events(), bob.events()
        sending = await alice.send(town.address("bob"), "hello 🐦")
        await sending.sent()
        received = await wait_for(his, roost.MessageReceived)
        assert (text_of(received), received.sender, received.seq) == ("hello 🐦", alice.account, sending.seq)
        await sending.delivered()
        receipt = await wait_for(hers, roost.ReceiptChanged, lambda event: event.account == bob.account)
        assert (receipt.delivered, receipt.read) == (sending.seq, 0)
        await bob.mark_read(alice.account)
        await sending.read()
        [stored] = await alice.history(bob.account)
        assert stored.state is MessageState.READ


@story
async def test_both_see_one_order_of_a_lively_chat(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        hers, his = alice.events(), bob.events()
        for number in range(30):
            await asyncio.gather(alice.send(bob.account, f"a{number}"), bob.send(alice.account, f"b{number}"))
        assert await texts(his, 30) == [f"a{number}" for number in range(30)]
        assert await texts(hers, 30) == [f"b{number}" for number in range(30)]
        while alice.unsent or bob.unsent:
            await asyncio.wait(
                [asyncio.ensure_future(wait_for(events, roost.MessageSent)) for events in (hers, his)],
                return_when=asyncio.FIRST_COMPLETED,
            )
        theirs = [[text_of(one) for one in await who.history(to.account, limit=100)]
                  for who, to in ((alice, bob), (bob, alice))]  # fmt: skip
        assert theirs[0] == theirs[1]


@story
async def test_presence_and_typing_show_while_the_chat_is_open(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        events = alice.events()
        alice.open_chat(bob.account)
        assert (await wait_for(events, roost.PresenceChanged)).online
        bob.open_chat(alice.account)
        await wait_for(bob.events(), roost.PresenceChanged)
        bob.typing(alice.account)
        assert (await wait_for(events, roost.TypingChanged)).active
        bob.typing(alice.account, active=False)
        assert not (await wait_for(events, roost.TypingChanged)).active
        await bob.close()
        gone = await wait_for(events, roost.PresenceChanged, lambda event: not event.online)
        assert gone.last_seen_ms > 0


@story
async def test_who_may_see_presence_is_everyone_or_contacts_or_nobody(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        events = alice.events()
        alice.open_chat(bob.account)
        await wait_for(events, roost.PresenceChanged, lambda event: event.online is True)
        await bob.change_settings(online="nobody", last_seen="nobody")
        await wait_for(events, roost.PresenceChanged, lambda event: event.online is None)
        await bob.change_settings(online="contacts", last_seen="contacts")
        await bob.contact(alice.account)
        await wait_for(events, roost.PresenceChanged, lambda event: event.online is True)
        await bob.unblock(alice.account)
        await wait_for(events, roost.PresenceChanged, lambda event: event.online is None)
        await bob.change_settings(online="everyone")
        await wait_for(events, roost.PresenceChanged, lambda event: event.online is True)
        await bob.close()
        gone = await wait_for(events, roost.PresenceChanged, lambda event: event.online is False)
        assert gone.last_seen_ms == 0


@story
async def test_who_hides_read_receipts_neither_shows_nor_sees_them(town: Town) -> None:
    async with town.people("alice", "alice/laptop", "bob", "bob/laptop") as [alice, her_laptop, bob, his_laptop]:
        await bob.change_settings(read_receipts=False)
        hers, his = alice.events(), bob.events()
        her_own, his_own = her_laptop.events(), his_laptop.events()
        first = await alice.send(bob.account, "seen?")
        await wait_for(his, roost.MessageReceived)
        await bob.mark_read(alice.account)
        await wait_for(his_own, roost.ReceiptChanged, lambda event: event.account == bob.account and event.read > 0)
        answer = await bob.send(alice.account, "not telling")
        await wait_for(hers, roost.MessageReceived)
        await alice.mark_read(bob.account)
        await wait_for(her_own, roost.ReceiptChanged, lambda event: event.account == alice.account and event.read > 0)
        for sending in (first, answer):
            await sending.delivered()
            assert sending.state is MessageState.DELIVERED
        await bob.change_settings(read_receipts=True)
        second = await alice.send(bob.account, "and now?")
        await wait_for(his, roost.MessageReceived)
        await bob.mark_read(alice.account)
        await second.read()


@story
async def test_who_is_blocked_can_neither_send_nor_see(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        await bob.block(alice.account)
        assert (await bob.relations()).blocked == (alice.account,)
        refused = await alice.send(bob.account, "let me in")
        with pytest.raises(roost.SendFailedError) as raised:
            await refused.sent()
        assert raised.value.code == Code.NOT_ALLOWED
        events = alice.events()
        alice.open_chat(bob.account)
        assert (await wait_for(events, roost.PresenceChanged)).online is None
        await bob.unblock(alice.account)
        await (await alice.send(bob.account, "thank you")).delivered()
        assert await texts(bob.events(), 1) == ["thank you"]


@story
async def test_who_is_blocked_is_told_of_no_further_receipt(town: Town) -> None:
    async with town.people("alice", "bob", "bob/laptop") as [alice, bob, his_laptop]:
        his, his_own = bob.events(), his_laptop.events()
        sending = await alice.send(bob.account, "before")
        await wait_for(his, roost.MessageReceived)
        await sending.delivered()
        await bob.block(alice.account)
        await bob.mark_read(alice.account)
        await wait_for(his_own, roost.ReceiptChanged, lambda event: event.account == bob.account and event.read > 0)
        await alice.relations()  # had the server told her of the read, it would have been before this answer
        assert sending.state is MessageState.DELIVERED
        await bob.unblock(alice.account)
        await alice.send(bob.account, "after")
        await wait_for(his, roost.MessageReceived)
        await bob.mark_read(alice.account)
        await sending.read()


@story
async def test_an_ephemeral_message_reaches_who_is_there_and_is_stored_nowhere(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        events = bob.events()
        await alice.send_ephemeral(bob.account, "only now")
        received = await wait_for(events, roost.MessageReceived)
        assert (text_of(received), received.ephemeral, received.seq) == ("only now", True, 0)
        assert await bob.history(alice.account) == []
        await bob.close()
        await alice.send_ephemeral(bob.account, "too late")
        sending = await alice.send(bob.account, "for later")
        await sending.sent()
        async with town.connect("bob") as bob_again:
            assert await texts(bob_again.events(), 1) == ["for later"]
        needle = b"only now"
        assert all(needle not in path.read_bytes() for path in town.node.data_folder.iterdir() if path.is_file())


@story
async def test_a_note_to_self_reaches_the_other_devices(town: Town) -> None:
    async with town.people("alice/phone", "alice/laptop") as [phone, laptop]:
        sending = await phone.send(phone.account, "buy milk")
        await sending.sent()
        assert await texts(laptop.events(), 1) == ["buy milk"]
        assert [text_of(note) for note in await phone.history(phone.account)] == ["buy milk"]


@story
async def test_an_unknown_account_is_told_as_such(town: Town) -> None:
    async with town.people("alice") as [alice]:
        sending = await alice.send(town.address("nobody"), "is there anybody?")
        with pytest.raises(roost.SendFailedError) as raised:
            await sending.sent()
        assert raised.value.code == Code.RECIPIENT_UNKNOWN
        with pytest.raises(roost.RefusedError) as refused:
            await alice.lookup(town.address("nobody"))
        assert refused.value.code == Code.ACCOUNT_UNKNOWN
        assert (await alice.lookup(alice.account)).display_name == "Alice"
