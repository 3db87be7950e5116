"""A device that has missed something of what all share asks for it, and is answered, once."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roost
from protocol import Epoch, MessageId
from protocol import messages as m
from roost.changes import EpochRenewed
from roost.content import decode_content, encode_text
from roost.own_state import (
    KNOWN_SIZE_BYTES,
    Gone,
    MessagesGone,
    OwnState,
    Record,
    Records,
    StateWanted,
)
from roost.ports import SystemClock
from roost.records import WANTED
from roost.shared import is_due
from roost.state_digest import both_lack, differing, digests_of
from roost.store import Store
from roost.successor import ASKED_FACT
from tests.roost.stories import link_in, next_event, people, story, wait_offline
from tests.roost.tcp_server import TcpServer
from tests.roost.test_own_state import AB, BOB, DEVICES, NOTES, from_device, records
from tests.roost.test_store import new_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.roost.model_server import Link

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS

own_states = st.one_of(
    st.lists(records, min_size=1, max_size=3).map(lambda some: Records(tuple(some))),
    st.lists(
        st.builds(Gone, st.just(AB), st.integers(0, 9).map(lambda it: MessageId(bytes([it]) * 16)), st.booleans()),
        min_size=1,
        max_size=3,
    ).map(lambda some: MessagesGone(tuple(some))),
)


def answer_of(store: Store, known: bytes) -> list[OwnState]:
    """What a device tells one that knows this much."""
    lacking = differing(known, store.shared())
    return [
        Records(tuple(one for one in lacking if isinstance(one, Record))),
        MessagesGone(tuple(one for one in lacking if isinstance(one, Gone))),
    ]


@pytest.mark.parametrize(
    ("asked_ms", "doubted", "due"),
    [
        (0, False, True),
        (NOW_MS - 23 * HOUR_MS, False, False),
        (NOW_MS - 24 * HOUR_MS, False, True),
        (NOW_MS - 23 * HOUR_MS, True, True),
        (NOW_MS - HOUR_MS + 1, True, False),
        (NOW_MS + 1, False, True),
    ],
    ids=["never asked", "today", "yesterday", "today, and doubted since", "just now, and doubted", "in the future"],
)
def test_a_device_asks_once_a_day_and_once_an_hour_if_it_may_have_missed_something(
    asked_ms: int, doubted: bool, due: bool
) -> None:
    assert is_due(asked_ms, NOW_MS, doubted=doubted) is due


@settings(max_examples=40, deadline=None)
@given(st.lists(own_states, max_size=8), st.lists(own_states, max_size=8), st.data())
def test_a_device_that_missed_any_part_has_all_of_it_when_it_was_answered(
    told: list[OwnState], own: list[OwnState], chance: st.DataObject
) -> None:
    missed = chance.draw(st.sets(st.integers(1, len(told) or 1)))
    with tempfile.TemporaryDirectory() as folder:
        whole, torn, never_off = (new_store(Path(folder, name)) for name in ("whole", "torn", "never off"))
        for number, state in enumerate(told, 1):
            whole.apply([from_device(number, state)])
            never_off.apply([from_device(number, state)])
            if number not in missed:
                torn.apply([from_device(number, state)])
        for number, state in enumerate(own, 100):  # made meanwhile by a device that did not know of the rest
            torn.apply([from_device(number, state)])
            never_off.apply([from_device(number, state)])
        for number, answer in enumerate(answer_of(whole, digests_of(torn.shared())), 200):
            torn.apply([from_device(number, answer)])
        assert torn.shared() == never_off.shared()
        for number, answer in enumerate(answer_of(torn, digests_of(whole.shared())), 300):
            whole.apply([from_device(number, answer)])
        assert whole.shared() == torn.shared()
        assert differing(digests_of(whole.shared()), torn.shared()) == []
        for store in (whole, torn, never_off):
            store.close()


def test_a_question_is_owed_an_answer_until_it_is_given_also_by_the_next_program(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    one = digests_of([Record("muted", AB, 1, DEVICES[1], "forever")])
    other = digests_of([Gone(AB, MessageId(b"t" * 16), False)])
    store.apply([from_device(1, StateWanted(one))])
    store.close()
    store = Store(store.path)
    owed = store.fact(WANTED, b"")
    assert owed[:KNOWN_SIZE_BYTES] == one
    assert store.apply([from_device(2, StateWanted(other))]) == [roost.StateAsked()]
    store.drop_fact(WANTED, owed)  # an answer to the first question settles no later one
    owed = store.fact(WANTED, b"")
    assert owed[:KNOWN_SIZE_BYTES] == both_lack(one, other)
    store.apply([from_device(3, StateWanted(both_lack(one, other)))])
    store.drop_fact(WANTED, owed)
    owed = store.fact(WANTED, b"")
    assert owed
    store.drop_fact(WANTED, owed)
    assert store.fact(WANTED, b"") == b""
    store.close()


def test_a_device_that_learns_that_it_is_an_old_copy_has_not_asked_yet(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    store.set_facts(**{ASKED_FACT: NOW_MS.to_bytes(8, "big")})
    store.apply([EpochRenewed(Epoch(b"another!"))])
    assert store.fact(ASKED_FACT, b"") == b""
    store.close()


# Two devices and a server.


def said(server: TcpServer) -> list[str]:
    """What the devices of alice have told each other, in order."""
    return [type(decode_content(message.payload)).__name__ for message in server.model.conversations[NOTES].log]


async def asks(device: roost.Client, other: roost.Client) -> None:
    """Wait until a device has asked if it wants to, and the other has queued its answer."""
    events = other.events()
    await device.state.ask()  # behind the one that it does by itself
    await device.send("alice", "that was all")
    await next_event(events, roost.MessageReceived)
    await other.state.answer()  # likewise


@asynccontextmanager
async def phone_and_laptop(server: TcpServer, folder: Path) -> AsyncIterator[roost.Client]:
    """Alice's phone, with a laptop that is off; each has asked the other once."""
    async with people(server, folder, "alice") as [phone]:
        code, linking = await link_in(folder / "laptop", server, "laptop")
        await (await phone.devices.link(code.text)).confirm()
        await linking
        async with roost.connect("alice", folder=folder / "laptop") as laptop:
            await laptop.wait_online()
            for device, other in ((laptop, phone), (phone, laptop)):
                await device.devices.list()  # from now on it knows that there are two
                await asks(device, other)
        yield phone


def store_in(folder: Path) -> Store:
    """The database of alice in a folder."""
    [path] = folder.glob("alice*.db")
    return Store(path)


def forget_question(folder: Path) -> None:
    """Let the laptop be one that has not asked yet, as one that has learned that it is an old copy."""
    store = store_in(folder / "laptop")
    store.set_facts(**{ASKED_FACT: b""})
    store.close()


@story
async def test_devices_that_have_the_same_ask_and_say_no_more(folder: Path) -> None:
    async with TcpServer() as server, phone_and_laptop(server, folder) as phone:
        await phone.state.change_setting("theme", "dark")
        async with roost.connect("alice", folder=folder / "laptop") as laptop:
            await next_event(laptop.events(), roost.StateChanged)
            await (await laptop.send("alice", "heard, and acknowledged")).sent()
        before = len(said(server))
        forget_question(folder)
        async with roost.connect("alice", folder=folder / "laptop") as laptop:
            await asks(laptop, phone)
            await asks(laptop, phone)  # this time not: it has just asked
        assert said(server)[before:] == ["StateWanted", "Text", "Text"]


@story
async def test_a_new_device_asks_at_once_though_it_has_yet_to_hear_of_the_others(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice") as [phone]:
        await phone.state.change_setting("theme", "dark")
        code, linking = await link_in(folder / "laptop", server, "laptop")
        await (await phone.devices.link(code.text)).confirm()
        await linking
        answer, lost = server.model._on_fetchdevices, iter([True])

        def lose_the_first(link: Link, frame: m.FetchDevices) -> None:
            if not next(lost, False):
                answer(link, frame)

        server.model._on_fetchdevices = lose_the_first  # type: ignore[method-assign]  # asked by the new device
        async with roost.connect("alice", folder=folder / "laptop") as laptop:
            changed = await next_event(laptop.events(), roost.StateChanged)
            assert (changed.subject, changed.value) == ("theme", "dark")


@story
async def test_a_device_that_was_off_answers_when_it_comes_back(folder: Path) -> None:
    async with TcpServer() as server:
        async with phone_and_laptop(server, folder) as phone:
            shutil.copytree(folder / "laptop", folder / "copy")
            async with roost.connect("alice", folder=folder / "laptop") as laptop:
                events = laptop.events()
                await phone.state.archive("alice")
                await phone.state.change_setting("theme", "dark")
                for _ in range(2):
                    await next_event(events, roost.StateChanged)
                await (await laptop.send("alice", "heard, and acknowledged")).sent()
        shutil.rmtree(folder / "laptop")
        (folder / "copy").rename(folder / "laptop")
        forget_question(folder)
        async with roost.connect("alice", folder=folder / "laptop") as laptop:
            await laptop.state.ask()
            assert await laptop.state.settings() == {}
        async with (
            roost.connect("alice", folder=folder / "laptop") as laptop,
            roost.connect("alice", folder=folder),
        ):
            events = laptop.events()
            subjects = {(await next_event(events, roost.StateChanged)).subject for _ in range(2)}
            assert subjects == {"theme", NOTES}


@story
async def test_what_a_program_had_no_time_to_answer_the_next_one_answers(folder: Path) -> None:
    async with TcpServer() as server:
        async with phone_and_laptop(server, folder):
            pass
        store = store_in(folder)
        known = Record("setting", "theme", 1, DEVICES[1], "dark")
        store.apply([from_device(98, Records((known,))), from_device(99, StateWanted())])
        store.close()
        async with (
            roost.connect("alice", folder=folder / "laptop") as laptop,
            roost.connect("alice", folder=folder),
        ):
            changed = await next_event(laptop.events(), roost.StateChanged)
            assert (changed.subject, changed.value) == ("theme", "dark")


@story
async def test_a_device_for_which_much_has_waited_asks_although_it_has_asked_today(folder: Path) -> None:
    async with TcpServer() as server, phone_and_laptop(server, folder) as phone:
        before = len(said(server))
        async with roost.connect("alice", folder=folder / "laptop") as laptop:
            await asks(laptop, phone)
            an_hour_ago_ms = SystemClock().wall_ms() - HOUR_MS
            await laptop._in_store(lambda: laptop._store.set_facts(**{ASKED_FACT: an_hour_ago_ms.to_bytes(8, "big")}))
            [device] = [one.device for one in await laptop.devices.list() if one.current]
            for waiting, asked in ((1, 0), (1_000, 1)):
                await server.stop()
                await wait_offline(laptop)
                for number in range(waiting):
                    name = MessageId(bytes([waiting % 256]) + number.to_bytes(15, "big"))
                    text = m.Message(AB, number + 1, BOB, DEVICES[0], name, 1_000, 0, encode_text("hi"))
                    server.model.enqueue(device, text)
                await server.start()
                laptop.retry_now()
                await laptop.wait_online()
                await asks(laptop, phone)
                assert said(server)[before:].count("StateWanted") == asked
