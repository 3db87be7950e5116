"""Strangers and broken clients on the raw socket: each gets a clear answer, and disturbs nobody else.

Two bystanders talk before and after every story, on connections that they had before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from typing import TYPE_CHECKING, Any

import msgpack
import pytest

import roost
from protocol import Code
from protocol.messages import (
    EPHEMERAL,
    Ack,
    Bye,
    Closing,
    Deliver,
    Drained,
    Error,
    FetchMarks,
    Hello,
    Login,
    Lookup,
    Mark,
    Open,
    Ping,
    Ready,
    Refused,
    Send,
    Sent,
    SetRelation,
    SetSettings,
)
from tests.stories.raw_device import RawDevice
from tests.stories.town import story, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stories.town import Town

SETTINGS = {
    "limits": {
        "connections_max": 60,
        "connections_unauthenticated_max": 40,
        "handshake_timeout_s": 1,
        "login_timeout_s": 2,
        "payload_size_bytes_max": 20_000,
        "outbound_buffer_bytes_max": 100_000,
        "delivery_window_bytes": 100_000,
        "open_conversations_max": 3,
    },
    "rates": {"sends_per_minute": 1_000_000, "sends_burst": 1_000_000, "logins_burst": 1_000},
}
pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def undisturbed(town: Town) -> AsyncIterator[roost.Client]:
    """Two people who talk before and after, without their connections breaking."""
    async with town.people("ann", "ben") as [ann, ben]:
        hers, his = asyncio.create_task(heard_by(ann)), asyncio.create_task(heard_by(ben))
        await (await ann.send(ben.account, "before")).delivered()
        yield ann
        await (await ann.send(ben.account, "after")).delivered()
        await (await ben.send(ann.account, "good night")).delivered()
        assert await hers == ["good night"]
        assert await his == ["before", "after"]
    assert town.node.crashes == []


async def heard_by(client: roost.Client) -> list[str]:
    """What somebody hears on one unbroken connection, up to the last word that is said to them here."""
    heard: list[str] = []
    async for event in client.events():
        match event:
            case roost.ConnectionChanged(state=roost.ConnectionState.OFFLINE):
                raise AssertionError(f"disturbed: {event.sentence}")
            case roost.MessageReceived(sender=sender) if sender.startswith(("ann", "ben")):
                heard.append(text_of(event))
                if heard[-1] in ("after", "good night"):
                    break
            case _:
                pass
    return heard


async def raw_socket(town: Town) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = town.node.address.partition(":")
    return await asyncio.open_connection(host, int(port))


async def alert_to(town: Town, data: bytes) -> list[Any]:
    """What the server says to these first bytes of a connection, which it must close."""
    reader, writer = await raw_socket(town)
    writer.write(data)
    answer = await reader.read()
    writer.close()
    while answer[0] == 1:  # its part of the handshake
        answer = answer[3 + int.from_bytes(answer[1:3], "big") :]
    assert answer[0] == 0
    assert len(answer) == 3 + int.from_bytes(answer[1:3], "big")
    alert: list[Any] = msgpack.unpackb(answer[3:])
    return alert


@story
async def test_random_bytes_are_told_what_this_port_speaks(town: Town, seed: int) -> None:
    randomness = random.Random(seed)
    async with undisturbed(town):
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n"):
            code, sentence, retry_after_ms = await alert_to(town, data)
            assert (code, retry_after_ms) == (Code.BAD_RECORD, -1)
            assert "connect with a Roost client" in sentence
        for _ in range(30):
            junk = bytes([randomness.choice((0, 2, 77, 255))]) + randomness.randbytes(randomness.randrange(2, 400))
            assert (await alert_to(town, junk))[0] == Code.BAD_RECORD
        forged = b"\x01\x00\x20" + randomness.randbytes(32) + b"\x01\x00\x40" + randomness.randbytes(64)
        assert (await alert_to(town, forged))[0] == Code.HANDSHAKE_FAILED


@story
async def test_a_giant_length_is_refused_before_anything_is_kept(town: Town) -> None:
    async with undisturbed(town):
        assert (await alert_to(town, b"\x01\xff\xff"))[0] == Code.BAD_RECORD
        async with town.stranger() as stranger:
            stranger.writer.write(b"\x02\xff\xff")
            assert (await stranger.last_words()).code == Code.BAD_RECORD
        async with town.stranger() as stranger:
            stranger.say_stream(b"\xff\xff\xff")
            assert (await stranger.last_words()).code == Code.FRAME_TOO_LARGE
        async with town.raw("eve") as eve:
            eve.say_stream((131_073).to_bytes(3, "big"))
            assert (await eve.last_words()).code == Code.FRAME_TOO_LARGE


@story
async def test_half_a_frame_waits_and_its_end_does_no_harm(town: Town) -> None:
    async with undisturbed(town), town.raw("eve") as eve:
        ping = msgpack.packb([12, 99])
        whole = len(ping).to_bytes(3, "big") + ping
        for byte in whole:
            eve.say_stream(bytes([byte]))
        assert (await eve.expect(Drained)).position == 0
        assert (await eve.next_frame()).token == 99
        eve.say_stream(whole[:4])
        eve.drop()
        await eve.come_back()
        await eve.ping()


@story
async def test_frames_that_are_none_close_their_connection_with_a_code(town: Town, seed: int) -> None:
    randomness = random.Random(seed)
    async with undisturbed(town), town.raw("eve") as eve:
        for frame, code in (
            (b"", Code.BAD_FRAME),
            (b"\xc1", Code.BAD_FRAME),
            (b"\x93\x04", Code.BAD_FRAME),
            (msgpack.packb({"type": 12}), Code.BAD_FRAME),
            (msgpack.packb(["12", 1]), Code.BAD_FRAME),
            (msgpack.packb([12, "one"]), Code.BAD_FIELD),
            (msgpack.packb([12, -1]), Code.BAD_FIELD),
            (msgpack.packb([12, 2**63]), Code.BAD_FIELD),
            (msgpack.packb([4, "a:b", 1, b"short", b""]), Code.BAD_FIELD),
            (msgpack.packb([8, "x" * 257]), Code.BAD_FIELD),
            (msgpack.packb([7, ["a:b"] * 1_025]), Code.BAD_FIELD),
            (b"\x92\x08\xa2\xff\xfe", Code.BAD_FIELD),
            (b"\x91" * 1_000, Code.BAD_FRAME),
        ):
            eve.say_bytes(frame)
            closing = await eve.last_words()
            assert (closing.code, closing.retry_after_ms) == (code, -1), frame
            await eve.come_back()
        for _ in range(20):
            eve.say_bytes(randomness.randbytes(randomness.randrange(1, 200)))
            eve.say_bytes(b"\xc1")
            assert (await eve.last_words()).code in (Code.BAD_FRAME, Code.BAD_FIELD, Code.WRONG_STATE)
            await eve.come_back()


@story
async def test_a_frame_in_the_wrong_state_closes_and_an_unknown_one_is_answered(town: Town) -> None:
    async with undisturbed(town):
        async with town.stranger() as stranger:
            stranger.say_bytes(msgpack.packb([5, 1]))  # Ack before the login
            assert (await stranger.last_words()).code == Code.WRONG_STATE
        device = RawDevice(town.node.address, town.node.server_key)
        await device.shake_hands()
        device.say_bytes(msgpack.packb([12, 1]))  # Ping before Hello
        assert (await device.last_words()).code == Code.WRONG_STATE
        await device.shake_hands()
        device.say(Hello([99], "from the future"))
        assert (await device.last_words()).code == Code.VERSION_UNSUPPORTED
        device.drop()
        async with town.raw("eve") as eve:
            eve.say_bytes(msgpack.packb([31, "what is this?"]))
            await eve.expect(Drained)
            assert (await eve.expect(Error)).code == Code.UNKNOWN_FRAME
            eve.say_bytes(msgpack.packb([12, 7, "a field of the future"]))
            assert (await eve.next_frame()).token == 7
            eve.say_bytes(msgpack.packb([0, [1], "hello again"]))
            assert (await eve.last_words()).code == Code.WRONG_STATE


@story
async def test_a_replayed_handshake_proves_nothing(town: Town) -> None:
    async with undisturbed(town), town.raw("eve") as eve:
        await eve.open()
        recorded = eve.wire.data_to_send()
        eve.writer.write(recorded)
        while not eve.wire.handshake_complete:
            assert await eve.read()
        eve.wire.send(Hello([1], "raw/1"))
        eve.wire.send(Login(eve.account, eve.epoch))
        rest = eve.wire.data_to_send()
        eve.writer.write(rest)
        await eve.expect(Ready)
        code, _, retry_after_ms = await alert_to(town, recorded + rest)
        assert (code, retry_after_ms) == (Code.HANDSHAKE_FAILED, -1)
        await eve.ping()


@story
async def test_a_repeated_record_is_refused(town: Town) -> None:
    async with undisturbed(town), town.raw("eve") as eve:
        eve.wire.send(Ping(1))
        record = eve.wire.data_to_send()
        eve.writer.write(record + record)
        assert (await eve.last_words()).code == Code.BAD_RECORD


@story
async def test_a_flood_of_silent_connections_is_bounded_and_times_out(town: Town) -> None:
    async with undisturbed(town):
        flood = [await raw_socket(town) for _ in range(60)]
        answers = await asyncio.gather(*(reader.read() for reader, _ in flood))
        codes = [msgpack.unpackb(answer[3:])[0] for answer in answers]
        assert set(codes) == {Code.TOO_MANY_CONNECTIONS, Code.HANDSHAKE_TIMEOUT}
        assert codes.count(Code.HANDSHAKE_TIMEOUT) == 40
        for _, writer in flood:
            writer.close()
        async with town.raw("eve") as eve:
            await eve.ping()


@story
async def test_who_never_logs_in_is_told_and_closed(town: Town) -> None:
    async with undisturbed(town), town.stranger() as stranger:
        closing = await stranger.last_words()
        assert closing.code == Code.LOGIN_TIMEOUT
        assert closing.retry_after_ms >= 0
        device = RawDevice(town.node.address, town.node.server_key)
        await device.shake_hands()
        assert (await device.last_words()).code in (Code.LOGIN_TIMEOUT, Code.HANDSHAKE_TIMEOUT)
        device.drop()


@story
async def test_a_client_that_never_reads_costs_a_bounded_amount_and_loses_nothing(town: Town) -> None:
    async with undisturbed(town) as ann, town.raw("eve") as eve, town.raw("fay") as fay:
        await eve.expect(Drained)
        sock = eve.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        eve.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can
        chat = fay.conversation_with(eve.account)
        payload = bytes(19_000)
        for number in range(1, 101):
            fay.say(fay.a_send(chat, number, payload))
            await fay.expect(Sent)
        await (await ann.send(eve.account, "small")).sent()
        ready = await eve.come_back()
        assert ready.waiting >= 100  # a ✓ does not wait for the way to the reader's shard
        sizes: list[int] = []
        while len(sizes) < 101:
            deliver = await eve.expect(Deliver)
            sizes.append(len(deliver.message.payload))
            eve.say(Ack(deliver.position))
        assert sorted(sizes)[1:] == [19_000] * 100


@story
async def test_an_ack_of_what_was_never_sent_closes_and_forgets_nothing(town: Town) -> None:
    async with undisturbed(town) as ann, town.raw("eve") as eve:
        await eve.expect(Drained)
        await (await ann.send(eve.account, "one")).sent()
        deliver = await eve.expect(Deliver)
        eve.say(Ack(deliver.position + 1))
        closing = await eve.last_words()
        assert (closing.code, closing.retry_after_ms) == (Code.ACK_BEYOND_SENT, -1)
        assert (await eve.come_back()).waiting == 1
        eve.say(Ack(2**63 - 1))
        assert (await eve.last_words()).code == Code.ACK_BEYOND_SENT
        assert (await eve.come_back()).waiting == 1
        assert (await eve.expect(Deliver)).message == deliver.message


async def refused(device: RawDevice, send: Send) -> Refused:
    answer = await device.ask(send, Refused)
    assert (answer.conversation, answer.number, answer.client_id) == (send.conversation, send.number, send.client_id)
    assert answer.sentence
    return answer


@story
async def test_a_send_that_cannot_be_is_refused_with_its_reason_and_uses_no_number(town: Town) -> None:
    async with undisturbed(town) as ann, town.raw("eve") as eve:
        me, other = eve.account, ann.account
        chat = eve.conversation_with(other)
        unsorted = ":".join(sorted((me, other), reverse=True))
        for conversation, code in (
            (unsorted, Code.CONVERSATION_INVALID),
            ("", Code.CONVERSATION_INVALID),
            (":", Code.CONVERSATION_INVALID),
            (me, Code.CONVERSATION_INVALID),
            (f"{chat}:{other}", Code.CONVERSATION_INVALID),
            (chat.upper(), Code.CONVERSATION_INVALID),
            (f"{chat}\u200b", Code.CONVERSATION_INVALID),
            ("#group", Code.CONVERSATION_INVALID),
            ("x" * 256, Code.CONVERSATION_INVALID),
            (town_pair("ann", "ben", town), Code.NOT_MEMBER),
            (eve.conversation_with(town.address("nobody")), Code.RECIPIENT_UNKNOWN),
        ):
            answer = await refused(eve, eve.a_send(conversation, 1))
            assert (answer.code, answer.retry_after_ms) == (code, -1), conversation
        assert (await refused(eve, eve.a_send(chat, 1, bytes(20_001)))).code == Code.PAYLOAD_TOO_LARGE
        assert (await refused(eve, eve.a_send(chat, 1, ttl_s=2**32 - 1))).code == Code.TTL_INVALID
        gap = await refused(eve, eve.a_send(chat, 2))
        assert (gap.code, gap.expected) == (Code.NUMBER_GAP, 1)
        gap = await refused(eve, eve.a_send(chat, 0))
        assert (gap.code, gap.expected) == (Code.NUMBER_GAP, 1)
        first = eve.a_send(chat, 1, bytes(20_000))
        sent = await eve.ask(first, Sent)
        assert sent.seq == 1
        assert (await refused(eve, eve.a_send(chat, 1))).code == Code.NUMBER_REUSED
        assert await eve.ask(first, Sent) == sent
        for number in range(2, 40):
            await eve.ask(eve.a_send(chat, number), Sent)
        assert (await refused(eve, first)).code == Code.ALREADY_ACCEPTED
        assert (await eve.ask(eve.a_send(chat, 0, flags=EPHEMERAL), Sent)).seq == 0
        assert (await eve.ask(eve.a_send(chat, 40, flags=0x8000_0000), Sent)).seq == 40


def town_pair(first: str, second: str, town: Town) -> str:
    return ":".join(sorted((town.address(first), town.address(second))))


@story
async def test_more_sends_than_the_window_are_refused_and_none_is_lost(town: Town) -> None:
    async with undisturbed(town) as ann, town.raw("eve") as eve:
        chat = eve.conversation_with(ann.account)
        eve.say(*(eve.a_send(chat, number) for number in range(1, 65)))
        answers = [await eve.expect(object) for _ in range(65)]
        sent = [one.number for one in answers if isinstance(one, Sent)]
        codes = [one.code for one in answers if isinstance(one, Refused)]
        assert sent == list(range(1, 33))
        assert len(codes) == 32
        assert set(codes) <= {Code.WINDOW_FULL, Code.NUMBER_GAP}


@story
async def test_questions_about_what_is_not_there_are_answered_with_an_error(town: Town) -> None:
    async with undisturbed(town) as ann, town.raw("eve") as eve:
        nobody = town.address("nobody")
        foreign = town_pair("ann", "ben", town)
        await eve.expect(Drained)
        for frame, code in (
            (Lookup(1, nobody), Code.ACCOUNT_UNKNOWN),  # type: ignore[arg-type]
            (Lookup(1, "ünknown"), Code.ADDRESS_INVALID),  # type: ignore[arg-type]
            (SetRelation(1, ann.account, "enemy"), Code.SETTING_INVALID),
            (SetRelation(1, eve.account, "blocked"), Code.SETTING_INVALID),
            (SetSettings(1, last_seen="friends"), Code.SETTING_INVALID),
            (SetSettings(1, display_name="ev\u202ee"), Code.NAME_INVALID),
        ):
            error = await eve.ask(frame, Error)
            assert (error.request, error.code) == (1, code), frame
        about_none: list[tuple[Any, Code]] = [
            (Open(foreign), Code.NOT_MEMBER),  # type: ignore[arg-type]
            (Open("nonsense"), Code.CONVERSATION_INVALID),  # type: ignore[arg-type]
            (Mark(foreign, 1, 1), Code.NOT_MEMBER),  # type: ignore[arg-type]
            (FetchMarks([foreign]), Code.NOT_MEMBER),  # type: ignore[list-item]
        ]
        for frame, code in about_none:
            error = await eve.ask(frame, Error)
            assert (error.request, error.code) == (0, code), frame
        for number in range(3):
            eve.say(Open(eve.conversation_with(f"someone{number}")))
        assert (await eve.ask(Open(eve.conversation_with(ann.account)), Error)).code == Code.TOO_MANY_OPEN


@story
async def test_logins_that_cannot_be_are_refused_and_may_be_repeated(town: Town) -> None:
    async with undisturbed(town) as ann, town.stranger() as stranger:
        for account, code in (
            (town.address("nobody"), Code.ACCOUNT_UNKNOWN),
            (ann.account, Code.DEVICE_UNKNOWN),
            ("NOT an address", Code.ADDRESS_INVALID),
        ):
            error = await stranger.ask(Login(account, stranger.epoch), Error)  # type: ignore[arg-type]
            assert (error.request, error.code) == (0, code)
        await stranger.register(town.address("eve"), town.node.code_for)
        stranger.say(Login(stranger.account, stranger.epoch), Ping(1))
        await stranger.expect(Ready)
        stranger.say(Bye())
        while await stranger.next_frame() is not None:
            pass
        await stranger.greet()
        stranger.say_bytes(msgpack.packb([3, stranger.account, stranger.epoch]))
        stranger.say_bytes(msgpack.packb([3, stranger.account, stranger.epoch]))
        frames = [await stranger.next_frame() for _ in range(2)]
        assert {type(frame) for frame in frames} <= {Ready, Error, Closing, Drained}


@story
async def test_a_link_to_another_server_key_is_broken_off_by_the_client(town: Town) -> None:
    async with undisturbed(town):
        with pytest.raises(roost.ServerKeyChangedError):
            await roost.register(
                town.address("eve"), server=town.node.address, server_key=bytes(31) + b"\x01", code="1",
                folder=town.home("pinned"),
            )  # fmt: skip


@story
async def test_the_last_word_reaches_even_a_client_that_goes_on_talking(town: Town) -> None:
    async with undisturbed(town), town.raw("eve") as eve:
        for _ in range(5):
            eve.say(Ack(1))
            for number in range(200):
                eve.say(Ping(number))
                await asyncio.sleep(0)
            assert (await eve.last_words()).code == Code.ACK_BEYOND_SENT
            await eve.come_back()


@story
async def test_who_is_not_let_in_hears_why_though_it_has_begun_to_speak(town: Town) -> None:
    async with undisturbed(town), contextlib.AsyncExitStack() as stack:
        crowd = [await raw_socket(town) for _ in range(40)]
        for _ in range(5):
            device = RawDevice(town.node.address, town.node.server_key)
            await device.open()
            stack.callback(device.drop)
            device.flush()
            alert = await device.last_words()
            assert (alert.code, alert.retry_after_ms) == (Code.TOO_MANY_CONNECTIONS, 5_000)
        for _, writer in crowd:
            writer.close()
