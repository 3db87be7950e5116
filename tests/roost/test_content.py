"""Contents: their frozen bytes, and what a stranger may put in a payload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ConversationId, DeviceId, MessageId
from protocol.messages import CHANGE
from roost.content import (
    TIMER_S_MAX,
    Content,
    Deletion,
    Edit,
    Reaction,
    Text,
    TimerSet,
    UnknownContent,
    ViewOnce,
    decode_content,
    encode_operation,
    encode_text,
    encode_timer,
    encode_view_once,
    text_to_view_once,
)
from roost.group import GroupChange
from roost.own_state import Gone, MessagesGone, Record, Records, StateWanted, encode_own_state
from roost.plain import shown

VECTORS = Path(__file__).parents[1] / "vectors" / "contents_v1.json"
TARGET = MessageId(bytes(range(16)))
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"

RECORDS = Records((Record("muted", "ann:bob", 3, DeviceId(bytes(range(16, 32))), "forever"),))
GONE = MessagesGone((Gone(ConversationId("ann:bob"), TARGET, True),))
SEVERAL_GONE = MessagesGone((*GONE.messages, Gone(ConversationId("ann:cat"), TARGET, False)))
KNOWN = StateWanted(bytes(range(256)) * 2)

CONTENTS: Final[dict[str, tuple[bytes, Content]]] = {
    "text": (encode_text("hello"), Text("hello")),
    "reply": (encode_text("yes", reply_to=TARGET), Text("yes", TARGET)),
    "forwarded": (encode_text("news", forwarded=True), Text("news", forwarded=True)),
    "disappearing": (encode_text("soon gone", disappears_s=86_400), Text("soon gone", disappears_s=86_400)),
    "reaction": (encode_operation(Reaction(TARGET, "\U0001f44d")), Reaction(TARGET, "\U0001f44d")),
    "reaction taken back": (encode_operation(Reaction(TARGET, "")), Reaction(TARGET, "")),
    "edit": (encode_operation(Edit(TARGET, "better")), Edit(TARGET, "better")),
    "deletion": (encode_operation(Deletion(TARGET)), Deletion(TARGET)),
    "view once": (encode_view_once("psst", disappears_s=60), ViewOnce(disappears_s=60)),
    "view once, opened": (encode_view_once(None), ViewOnce(opened=True)),
    "timer": (encode_timer(604_800), TimerSet(604_800)),
    "records": (encode_own_state(RECORDS), RECORDS),
    "state wanted": (encode_own_state(StateWanted()), StateWanted()),
    "gone": (encode_own_state(GONE), GONE),
    "several gone": (encode_own_state(SEVERAL_GONE), SEVERAL_GONE),
    "state wanted by digests": (encode_own_state(KNOWN), KNOWN),
}


def test_every_content_has_the_bytes_it_always_had() -> None:
    frozen = {entry["content"]: bytes.fromhex(entry["bytes"]) for entry in json.loads(VECTORS.read_text())}
    assert {name: payload for name, (payload, _) in CONTENTS.items()} == frozen


@pytest.mark.parametrize("name", CONTENTS)
def test_a_content_reads_back_as_it_was_written_also_by_another_library(name: str) -> None:
    payload, content = CONTENTS[name]
    assert decode_content(payload) == content
    plain_map = msgpack.unpackb(payload)
    assert plain_map["v"] == 1
    assert decode_content(msgpack.packb(plain_map | {"a key of tomorrow": [1, 2]})) == content


def test_the_words_of_a_view_once_message_are_in_no_content() -> None:
    payload, content = CONTENTS["view once"]
    assert "psst" not in repr(content) + shown(content)
    assert text_to_view_once(payload) == "psst"
    assert text_to_view_once(encode_view_once(None)) is None
    assert text_to_view_once(encode_text("psst")) is None


@pytest.mark.parametrize("name", CONTENTS)
def test_a_newer_version_or_type_asks_for_an_update(name: str) -> None:
    fields = msgpack.unpackb(CONTENTS[name][0])
    for newer in (fields | {"v": 2}, fields | {"t": "hologram"}, fields | {"v": 2, "r": [1], "x": "?", "f": {}}):
        content = decode_content(msgpack.packb(newer))
        assert isinstance(content, UnknownContent)
        assert "update your app" in content.sentence


@pytest.mark.parametrize(
    "fields",
    [
        {"t": "text", "b": 5},
        {"t": "text", "b": None},
        {"t": "text", "b": "hi", "r": b"short"},
        {"t": "text", "b": "hi", "x": -1},
        {"t": "text", "b": "hi", "x": TIMER_S_MAX + 1},
        {"t": "react", "b": [TARGET, "two words"]},
        {"t": "react", "b": [TARGET, "\u202e"]},
        {"t": "react", "b": [TARGET, "\u0301\u0301"]},
        {"t": "react", "b": [TARGET, "x" * 17]},
        {"t": "react", "b": [TARGET]},
        {"t": "react", "b": [TARGET * 2, "+"]},
        {"t": "edit", "b": [TARGET, None]},
        {"t": "delete", "b": TARGET + b"x"},
        {"t": "delete", "b": [TARGET]},
        {"t": "timer", "b": 1.5},
        {"t": "timer", "b": TIMER_S_MAX + 1},
        {"t": "once", "b": [1]},
    ],
)
def test_a_known_type_with_a_wrong_body_is_unknown_content(fields: dict[str, object]) -> None:
    assert isinstance(decode_content(msgpack.packb({"v": 1, **fields})), UnknownContent)


@pytest.mark.parametrize("emoji", ["\U0001f44d", "\u2764\ufe0f", FAMILY, ENGLAND, "+1", "\U0001f44d\U0001f3fd"])
def test_what_people_react_with_is_a_reaction(emoji: str) -> None:
    assert decode_content(encode_operation(Reaction(TARGET, emoji))) == Reaction(TARGET, emoji)


def test_a_megabyte_of_junk_and_a_deep_nest_are_unknown_content() -> None:
    for payload in (b"\xc1" * 2**20, b"\x91" * 2**20, b"\x81" * 2**20, b"\xdf" + b"\xff" * 2**20, b""):
        assert decode_content(payload) == UnknownContent("")
    named = decode_content(msgpack.packb({"v": 1, "t": "z" * 2**20, "b": 0}))
    assert isinstance(named, UnknownContent)
    assert len(named.type) <= 64


@given(st.binary(max_size=60) | st.builds(lambda t, b: msgpack.packb({"v": 1, "t": t, "b": b}),
    st.sampled_from(["text", "once", "react", "edit", "delete", "timer"]),
    st.recursive(st.none() | st.integers(0, 2**63) | st.text(max_size=20) | st.binary(min_size=15, max_size=17),
                 lambda inner: st.lists(inner, max_size=3), max_leaves=4)))  # fmt: skip
def test_no_payload_raises_and_every_one_can_be_shown(payload: bytes) -> None:
    assert isinstance(shown(decode_content(payload)), str)
    assert isinstance(shown(decode_content(payload, CHANGE)), str)


@given(st.lists(st.integers(0, 20) | st.text(max_size=5) | st.binary(max_size=16) | st.booleans(), max_size=11))
def test_whatever_a_server_says_of_a_change_is_shown_in_words_or_as_newer(fields: list[object]) -> None:
    content = decode_content(msgpack.packb(fields), CHANGE)
    assert isinstance(content, GroupChange | UnknownContent)
    assert shown(content)
