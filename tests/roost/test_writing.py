"""What people do with messages, through real sockets and real databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import roost
from roost.content import encode_view_once
from roost.ports import SystemClock
from tests.roost.model_server import ModelServer
from tests.roost.stories import next_event, people, story
from tests.roost.tcp_server import TcpServer

if TYPE_CHECKING:
    from pathlib import Path


def today() -> TcpServer:
    return TcpServer(ModelServer(SystemClock().wall_ms))


async def said(writer: roost.Client, reader: roost.Client, events: roost.EventStream, text: str) -> str:
    """Send a text and return its key at the reader, once it is there."""
    await (await writer.send(reader.account, text)).sent()
    received = await next_event(events, roost.MessageReceived)
    assert received.content == roost.Text(text)
    return received.key


@story
async def test_a_reply_a_reaction_and_an_edit_are_seen_by_both(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob") as (alice, bob):
        to_alice, to_bob = alice.events(), bob.events()
        sending = await alice.send("bob", "lunch at noon?")
        await sending.sent()
        received = await next_event(to_bob, roost.MessageReceived)
        await bob.react(received, "\U0001f44d")
        reaction = await next_event(to_alice, roost.ReactionChanged)
        assert (reaction.key, reaction.account, reaction.emoji) == (sending.id, "bob", "\U0001f44d")
        await bob.reply(received, "gladly")
        reply = await next_event(to_alice, roost.MessageReceived)
        assert reply.content == roost.Text("gladly", received.message_id)
        await alice.edit(sending, "lunch at one?")
        edited = await next_event(to_bob, roost.MessageEdited)
        assert (edited.key, edited.text) == (received.key, "lunch at one?")
        for client, other in ((alice, "bob"), (bob, "alice")):
            first, second = await client.history(other)
            assert (first.content, first.edited) == (roost.Text("lunch at one?"), True)
            assert first.reactions == (roost.Reacted(bob.account, "\U0001f44d"),)
            assert second.quote == roost.Quote(received.message_id, alice.account, first.content)
        await (await bob.react(received, "")).sent()
        assert (await bob.history("alice"))[0].reactions == ()


@story
async def test_a_deletion_for_everyone_reaches_everyone_and_one_for_me_only_me(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob") as (alice, bob):
        to_bob = bob.events()
        first, second = [await said(alice, bob, to_bob, text) for text in ("regretted", "harmless")]
        await bob.delete(second)
        assert [message.key for message in await bob.history("alice")] == [first]
        await (await alice.delete_for_everyone((await alice.history("bob"))[0])).sent()
        assert (await next_event(to_bob, roost.MessageDeleted)).key == first
        assert [message.content for message in await bob.history("alice")] == [roost.Deleted()]
        with pytest.raises(roost.MessageError, match="was deleted"):
            await bob.react(first, "+")
        assert [message.content for message in await alice.history("bob")] == [roost.Deleted(), roost.Text("harmless")]


@story
async def test_a_forwarded_text_says_that_it_was_forwarded(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob", "carol") as (alice, bob, carol):
        key = await said(alice, bob, bob.events(), "pass it on")
        await bob.forward(key, "carol")
        received = await next_event(carol.events(), roost.MessageReceived)
        assert received.content == roost.Text("pass it on", forwarded=True)


@story
async def test_a_view_once_message_is_in_no_event_and_opens_once(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob") as (alice, bob):
        await alice.send("bob", "look quickly", view_once=True)
        received = await next_event(bob.events(), roost.MessageReceived)
        assert "quickly" not in repr(received)
        with pytest.raises(roost.MessageError):
            await bob.forward(received, "alice")
        assert await bob.open_once(received) == "look quickly"
        with pytest.raises(roost.MessageError, match="opened before"):
            await bob.open_once(received)


@story
async def test_a_timer_is_told_and_what_is_written_then_disappears_by_itself(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob") as (alice, bob):
        to_alice, to_bob = alice.events(), bob.events()
        await (await alice.set_timer("bob", 1)).sent()
        timer = await next_event(to_bob, roost.MessageReceived)
        assert timer.content == roost.TimerSet(1)
        assert (alice.timer("bob"), bob.timer("alice")) == (1, 1)
        sending = await bob.send("alice", "soon gone")
        received = await next_event(to_alice, roost.MessageReceived)
        assert received.content == roost.Text("soon gone", disappears_s=1)
        await alice.mark_read("bob")
        assert (await next_event(to_bob, roost.MessageForgotten)).key == sending.id
        assert (await next_event(to_alice, roost.MessageForgotten)).key == received.key
        assert [message.content for message in await alice.history("bob")] == [roost.TimerSet(1)]
        await (await bob.set_timer("alice", 0)).sent()
        await next_event(to_alice, roost.MessageReceived)
        assert alice.timer("bob") == 0


@story
async def test_a_timer_that_waits_in_the_outbox_holds_already_also_in_the_next_program(folder: Path) -> None:
    async with today() as server:
        async with people(server, folder, "alice", "bob") as (alice, _):
            await server.stop()
            await alice.set_timer("bob", 3_600)
            assert alice.timer("bob") == 3_600
        async with roost.connect("alice", folder=folder) as alice:
            assert alice.timer("bob") == 3_600
            await server.start()
            alice.retry_now()
            await alice.wait_online()
            await (await alice.send("bob", "hi")).sent()
            assert alice.timer("bob") == 3_600
            assert [message.disappears_s for message in await alice.history("bob")] == [0, 3_600]


@story
async def test_what_cannot_be_done_is_said_and_nothing_is_sent(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob") as (alice, bob):
        key = await said(alice, bob, bob.events(), "hi")
        for refused, sentence in (
            (bob.edit(key, "ho"), "its author"),
            (bob.delete_for_everyone(key), "its author"),
            (bob.react("00" * 16, "+"), "not in the history"),
            (alice.edit((await alice.history("bob"))[0], " "), "empty"),
            (bob.react(key, "two words"), "one emoji"),
            (bob.open_once(key), "nothing to open"),
            (bob.set_timer("alice", -1), "number of seconds"),
        ):
            with pytest.raises(roost.RoostError, match=sentence):
                await refused
        await server.stop()
        unsent = await alice.send("bob", "unsent")
        for waiting in (alice.react(unsent, "+"), alice.delete(unsent), alice.edit(unsent, "x")):
            with pytest.raises(roost.MessageError, match="Wait for its ✓"):
                await waiting
        assert alice.unsent == 1


@story
async def test_an_edit_after_fifteen_minutes_is_refused_here_and_ignored_there(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        # The model server's calendar stands in 2023, so to this computer everything is old.
        key = await said(alice, bob, bob.events(), "hi")
        with pytest.raises(roost.MessageError, match="15 minutes"):
            await alice.edit((await alice.history("bob"))[0], "ho")
        assert (await bob.message(key)) is not None


@story
async def test_a_payload_of_tomorrow_is_kept_and_said_to_need_an_update(folder: Path) -> None:
    async with today() as server, people(server, folder, "alice", "bob") as (alice, bob):
        payload = encode_view_once("x").replace(b"once", b"gift")
        alice._runner.session.send(alice.conversation_with("bob"), payload)
        alice._runner.wake()
        received = await next_event(bob.events(), roost.MessageReceived)
        assert received.content == roost.UnknownContent("gift")
        [message] = await bob.history("alice")
        assert isinstance(message.content, roost.UnknownContent)
