"""Two people through real sockets and real databases."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from protocol import messages as m
from roost.history import MessageState
from tests.roost.stories import next_event, people, story, wait_offline
from tests.roost.tcp_server import TcpServer

if TYPE_CHECKING:
    from pathlib import Path


@story
async def test_a_message_is_sent_delivered_and_read(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        sending = await alice.send("bob", "hi")
        await sending.sent()
        received = await next_event(bob.events(), roost.MessageReceived)
        assert received.content == roost.Text("hi")
        await sending.delivered()
        assert (await bob.conversations())[0].unread == 1
        await bob.mark_read("alice")
        await sending.read()
        assert [message.state for message in await alice.history("bob")] == [MessageState.READ]
        assert (await bob.conversations())[0].unread == 0


@story
async def test_a_message_typed_offline_is_sent_once_by_the_next_client(folder: Path) -> None:
    server = TcpServer()
    await server.start()
    async with people(server, folder, "alice", "bob"):
        pass
    await server.stop()
    async with roost.connect("alice", folder=folder) as alice:
        sending = await alice.send("bob", "typed offline")
        assert sending.state is MessageState.PENDING
    await server.start()
    async with roost.connect("alice", folder=folder) as alice:
        await next_event(alice.events(), roost.MessageSent)
    async with roost.connect("bob", folder=folder) as bob:
        await next_event(bob.events(), roost.QueueDrained)
        texts = [message.content for message in await bob.history("alice")]
    await server.stop()
    assert texts == [roost.Text("typed offline")]


@story
async def test_messages_flow_on_after_every_connection_was_cut(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        events = bob.events()
        sendings = []
        for number in range(60):
            sendings.append(await alice.send("bob", str(number)))
            if number % 20 == 10:
                server.drop_all()
                alice.retry_now()
                bob.retry_now()
        await asyncio.gather(*(sending.delivered() for sending in sendings))
        received = [(await next_event(events, roost.MessageReceived)).content for _ in range(60)]
        assert received == [roost.Text(str(number)) for number in range(60)]
        assert len(await bob.history("alice", limit=100)) == 60


@story
async def test_a_replaced_session_stops_and_says_so(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as (alice,):
        server.close_all(Code.REPLACED)
        events = [event async for event in alice.events()]
        assert isinstance(events[-1], roost.ConnectionChanged)
        assert events[-1].state is roost.ConnectionState.STOPPED
        with pytest.raises(roost.StoppedError, match="another connection"):
            await alice.send("bob", "too late")


@story
async def test_a_refused_message_fails_with_a_sentence_and_the_next_is_sent(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, _):
        stranger = await alice.send("nobody", "hello?")
        friend = await alice.send("bob", "hi")
        await friend.sent()
        with pytest.raises(roost.SendFailedError, match="no account with that address"):
            await stranger.sent()
        (failed,) = await alice.history("nobody")
        assert failed.state is MessageState.FAILED
        assert "no account" in failed.sentence


@story
async def test_a_changed_server_key_is_refused_loudly(folder: Path) -> None:
    async with TcpServer() as server:
        async with people(server, folder, "alice"):
            pass
        port = server.port
    impostor = TcpServer()
    impostor.port = port
    async with impostor, roost.connect("alice", folder=folder) as alice:
        events = [event async for event in alice.events()]
        assert isinstance(events[-1], roost.ConnectionChanged)
        assert "does not hold the key" in events[-1].sentence
        await alice.close()
        with pytest.raises(roost.ServerKeyChangedError, match=r"remove .*alice@.*\.db first"):
            await roost.register("alice", server=impostor.address, code="123456", folder=folder)


@story
async def test_one_account_has_one_program(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice"):
        with pytest.raises(roost.AccountInUseError, match="Another Roost program"):
            await roost.connect("alice", folder=folder)


@story
async def test_presence_and_typing_reach_an_open_chat(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        events = alice.events()
        alice.open_chat("bob")
        assert (await next_event(events, roost.PresenceChanged)).online is True
        bob.open_chat("alice")
        bob.typing("alice")
        assert (await next_event(events, roost.TypingChanged)).active is True
        await bob.close()
        assert (await next_event(events, roost.PresenceChanged)).online is False


@story
async def test_an_ephemeral_message_is_shown_and_not_stored(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        events = bob.events()
        await alice.send_ephemeral("bob", "now or never")
        received = await next_event(events, roost.MessageReceived)
        assert received.ephemeral
        assert await bob.history("alice") == []


@story
async def test_the_server_answers_what_is_asked(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, _):
        assert (await alice.change_settings(read_receipts=False, last_seen="nobody")).last_seen == "nobody"
        assert (await alice.settings()).read_receipts is False
        await alice.block("bob")
        assert (await alice.relations()).blocked == ("bob",)
        await alice.unblock("bob")
        await alice.contact("bob")
        assert await alice.relations() == roost.RelatedAccounts(("bob",), ())  # type: ignore[arg-type]
        assert (await alice.lookup("Bob")).account == "bob"
        assert [device.current for device in await alice.devices.list()] == [True]
        assert (await alice.limits())[0].operation == "send"
        with pytest.raises(roost.RefusedError, match="no such account"):
            await alice.lookup("nobody")


@story
async def test_a_question_without_a_connection_says_so(folder: Path) -> None:
    server = TcpServer()
    await server.start()
    async with people(server, folder, "alice") as (alice,):
        await server.stop()
        await wait_offline(alice)
        with pytest.raises(roost.NotConnectedError, match="no connection"):
            await alice.settings()


@story
async def test_a_notice_says_which_device_was_not_reached(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        sending = await alice.send("bob", "hi")
        await sending.delivered()
        device = (await alice.devices.list())[0].device
        reader = (await bob.devices.list())[0].device
        server.model.enqueue(device, m.Notice(0, sending.conversation, 1, bob.account, reader, m.NOTICE_EXPIRED))
        server.flush()
        notice = await next_event(alice.events(), roost.NotDelivered)
        assert "expired" in notice.sentence
        (message,) = await alice.history("bob")
        assert message.not_delivered == (notice.sentence,)


@story
async def test_what_came_during_other_work_is_kept_for_scripts(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        for text in ("one", "two"):
            await (await alice.send("bob", text)).delivered()
        first, second = await bob.unprinted(10)
        await bob.printed(first)
        assert await bob.unprinted(10) == [second]


@story
async def test_after_close_whatever_needs_the_database_says_that_the_client_was_closed(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, _):
        sending = await alice.send("bob", "hi")
        await sending.sent()
        (message,) = await alice.history("bob")
        await alice.close()
        for asked in (
            alice.message(sending.id),
            alice.history("bob"),
            alice.conversations(),
            alice.mark_read("bob"),
            alice.mark_read("bob", 1),
            alice.unprinted(1),
            alice.printed(message),
            alice.send("bob", "too late"),
            alice.settings(),
        ):
            with pytest.raises(roost.ConnectionClosedError, match="closed"):
                await asked


@pytest.mark.parametrize("text", ["", " \n", "x" * 70_000])
def test_a_text_that_is_no_message_is_refused_at_once(tmp_path: Path, text: str) -> None:
    @story
    async def check(folder: Path) -> None:
        async with TcpServer() as server, people(server, folder, "alice") as (alice,):
            with pytest.raises(roost.TextError):
                await alice.send("bob", text)

    check(tmp_path)


@story
async def test_a_full_disk_stops_the_client_with_a_sentence_and_acks_nothing_unstored(
    folder: Path,
) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        await bob._runner.in_store(bob._store._database.execute, "PRAGMA max_page_count = 1")
        events = bob.events()
        await (await alice.send("bob", "x" * 60_000)).sent()
        stopped = [event async for event in events][-1]
        assert isinstance(stopped, roost.ConnectionChanged)
        assert "is full" in stopped.sentence
        with pytest.raises(roost.StoppedError, match="is full"):
            await bob.send("alice", "no room")
        assert [len(queue) for queue in server.model.queues.values()] == [0, 1]
