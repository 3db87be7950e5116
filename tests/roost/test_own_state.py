"""What our devices share comes to the same on all of them, whatever each did while it was alone."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roost
from protocol import AccountId, ClientId, ConversationId, DeviceId, MessageId
from roost.changes import Queued, Received
from roost.content import UnknownContent, ViewOnce, decode_content, encode_text, encode_view_once, is_shown
from roost.own_state import (
    GONE_PER_MESSAGE_MAX,
    RECORDS_PER_MESSAGE_MAX,
    SUBJECT_LENGTH_MAX,
    VALUE_LENGTH_MAX,
    Gone,
    MessagesGone,
    OwnState,
    Record,
    Records,
    StateWanted,
    encode_own_state,
    later,
)
from roost.records import WANTED
from roost.store import Store
from tests.roost.stories import next_event, people, story
from tests.roost.tcp_server import TcpServer
from tests.roost.test_store import new_store

NOTES = ConversationId("alice:alice")
AB = ConversationId("alice:bob")
ALICE, BOB = AccountId("alice"), AccountId("bob")
DEVICES = [DeviceId(bytes([number]) * 16) for number in range(3)]

records = st.builds(
    Record,
    st.sampled_from(["archived", "muted"]),
    st.sampled_from(["alice:bob", "alice:carol"]),
    st.integers(0, 4),
    st.sampled_from(DEVICES),
    st.sampled_from(["", "yes", "no"]),
)
same_key = records.map(lambda one: Record("muted", "alice:bob", one.stamp, one.device, one.value))


@given(same_key, same_key, same_key)
def test_merging_records_is_commutative_associative_and_idempotent(one: Record, two: Record, three: Record) -> None:
    assert later(one, two) == later(two, one)
    assert later(later(one, two), three) == later(one, later(two, three))
    assert later(one, one) == one


def from_device(number: int, state: OwnState, sender: AccountId = ALICE, where: ConversationId = NOTES) -> Received:
    name = MessageId(b"own" + number.to_bytes(13, "big"))
    return Received(where, number, sender, DEVICES[1], name, 1_000 + number, 0, encode_own_state(state))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(records, min_size=1, max_size=3), max_size=8), st.randoms(use_true_random=False))
def test_two_devices_that_heard_the_same_in_any_order_share_the_same(told: list[list[Record]], chance: object) -> None:
    messages = [from_device(number, Records(tuple(one))) for number, one in enumerate(told, 1)]
    with tempfile.TemporaryDirectory() as folder:
        stores = [new_store(Path(folder, name)) for name in ("one", "other")]
        for store in stores:
            for message in messages:
                store.apply([message])
            chance.shuffle(messages)  # type: ignore[attr-defined]
        one, other = stores
        assert one.shared() == other.shared()
        snapshot = from_device(99, Records(tuple(entry for entry in one.shared() if isinstance(entry, Record))))
        assert other.apply([snapshot]) == []  # all of it once more changes nothing
        assert one.shared() == other.shared()
        for store in stores:
            store.close()


def test_own_state_is_never_shown_nor_unread_nor_a_chat(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    record = Record("muted", AB, 1, DEVICES[1], "forever")
    events = store.apply([from_device(1, Records((record,))), from_device(2, StateWanted())])
    assert events == [roost.StateChanged("muted", AB, "forever"), roost.StateAsked()]
    assert store.history(NOTES, 10) == []
    assert store.chats() == []
    store.close()


def test_nobody_else_says_what_our_devices_share(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    record = Records((Record("archived", AB, 9, DEVICES[1], "yes"),))
    said = Received(AB, 1, BOB, DEVICES[1], MessageId(b"t" * 16), 1_000, 0, encode_text("hi"))
    store.apply([said])
    events = store.apply(
        [
            from_device(2, record, BOB, AB),
            from_device(3, MessagesGone((Gone(AB, MessageId(b"t" * 16), False),)), BOB, AB),
            from_device(4, StateWanted(), BOB, AB),
            from_device(5, record, ALICE, AB),
        ]
    )
    assert (events, store.shared(), store.fact(WANTED, b"")) == ([], [], b"")
    assert [message.content for message in store.history(AB, 10)] == [roost.Text("hi")]
    store.close()


@pytest.mark.parametrize("gone_first", [True, False])
def test_what_is_gone_on_one_device_is_gone_on_the_other_whichever_comes_first(
    tmp_path: Path, gone_first: bool
) -> None:
    store = new_store(tmp_path)
    deleted, opened = MessageId(b"d" * 16), MessageId(b"o" * 16)
    messages = [
        Received(AB, 1, BOB, DEVICES[1], deleted, 1_000, 0, encode_text("deleted on the phone")),
        Received(AB, 2, BOB, DEVICES[1], opened, 1_000, 0, encode_view_once("opened on the phone")),
        Received(AB, 3, BOB, DEVICES[1], MessageId(b"e" * 16), 1_000, 0, encode_text("deleted with it")),
    ]
    gone = [
        from_device(1, MessagesGone((Gone(AB, deleted, False), Gone(AB, MessageId(b"e" * 16), False)))),
        from_device(2, MessagesGone((Gone(AB, opened, True),))),
    ]
    for change in (*gone, *messages) if gone_first else (*messages, *gone):
        store.apply([change])
    assert [message.content for message in store.history(AB, 10)] == [ViewOnce(opened=True)]
    assert store.once_text(opened.hex()) is None
    store.close()


def test_a_change_of_ours_holds_at_once_and_outlives_the_program(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    payload = encode_own_state(Records((Record("name", "bob", 7, DEVICES[0], "Bobby"),)))
    store.apply([Queued(NOTES, ClientId(b"c" * 16), 1, payload, 0, 0, 5)])
    store.close()
    store = Store(store.path)
    assert store.record_values(roost.RecordKind.NAME) == {"bob": "Bobby"}
    assert (store.stamp_seen, len(store.snapshot().pending)) == (7, 1)
    store.close()


@pytest.mark.parametrize(
    "body",
    [
        {"t": "state", "b": [["muted", "x" * (SUBJECT_LENGTH_MAX + 1), 1, b"d" * 16, ""]]},
        {"t": "state", "b": [["muted", "x", 1, b"d" * 16, "x" * (VALUE_LENGTH_MAX + 1)]]},
        {"t": "state", "b": [["muted", "x", 2**63, b"d" * 16, ""]]},
        {"t": "state", "b": [["", "x", 1, b"d" * 16, ""]]},
        {"t": "state", "b": [["muted", "x", 1, b"d", ""]]},
        {"t": "state", "b": [["muted", "x", 1, b"d" * 16, ""]] * (RECORDS_PER_MESSAGE_MAX + 1)},
        {"t": "gone", "b": ["alice:bob", b"short", True]},
        {"t": "gone+", "b": [["alice:bob", b"t" * 16, True]] * (GONE_PER_MESSAGE_MAX + 1)},
        {"t": "gone+", "b": [["alice:bob", b"short", True]]},
        {"t": "state?", "b": 1},
        {"t": "state?", "b": b"d" * 511},
    ],
)
def test_own_state_beyond_its_bounds_is_unknown_content(body: dict[str, object]) -> None:
    content = decode_content(msgpack.packb({"v": 1, **body}))
    assert isinstance(content, UnknownContent)
    assert is_shown(content)


def test_the_largest_message_of_own_state_fits_every_server() -> None:
    widest = Record("k" * 32, "\U0001f600" * SUBJECT_LENGTH_MAX, 2**62, DEVICES[0], "\U0001f600" * VALUE_LENGTH_MAX)
    assert len(encode_own_state(Records((widest,) * RECORDS_PER_MESSAGE_MAX))) < 65_536
    gone = Gone(ConversationId("\U0001f600" * SUBJECT_LENGTH_MAX), MessageId(b"t" * 16), True)
    assert len(encode_own_state(MessagesGone((gone,) * GONE_PER_MESSAGE_MAX))) < 65_536


@story
async def test_a_chat_is_archived_muted_and_named_by_its_owner(folder: Path) -> None:
    async with TcpServer() as server, people(server, folder, "alice", "bob") as (alice, bob):
        events = alice.events()
        await (await bob.send("alice", "hi")).delivered()
        await alice.state.archive("bob")
        changed = await next_event(events, roost.StateChanged)
        assert (changed.kind, changed.subject, changed.value) == ("archived", "alice:bob", "yes")
        await alice.state.mute("bob")
        await alice.state.name("bob", "Bobby")
        await alice.state.change_setting("theme", "dark")
        [chat] = await alice.conversations()
        assert (chat.archived, chat.muted, chat.name) == (True, True, "Bobby")
        assert (await alice.state.names(), await alice.state.settings()) == ({"bob": "Bobby"}, {"theme": "dark"})
        await alice.state.archive("bob", False)
        await alice.state.mute("bob", False)
        [chat] = await alice.conversations()
        assert (chat.archived, chat.muted) == (False, False)
        for name, why in (("x" * 300, "longer than 256"), ("\u202e", "invisible")):
            with pytest.raises(roost.TextError, match=why):
                await alice.state.name("bob", name)
        with pytest.raises(roost.TextError, match="too long"):
            await alice.state.change_setting("theme", "x" * 300)
