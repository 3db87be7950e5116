"""Text from strangers on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import DeviceId
from roost.content import Text, UnknownContent, decode_content, encode_text
from roost.events import DeviceAdded, DeviceRemoved
from roost.plain import day_name, device_sentence, one_line, plain, shown

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


@given(st.text(st.characters(codec=None)))
def test_nothing_of_any_text_can_steer_a_terminal(text: str) -> None:
    for character in plain(text):
        assert character == "\n" or unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"}
        assert character not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("hi", "hi"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[2J", "\N{REPLACEMENT CHARACTER}[2J"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("\U0001f469\u200d\U0001f467", "\U0001f469\U0001f467"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
        ("[b]bold[/b]", "[b]bold[/b]"),
    ],
)
def test_a_text_is_shown_as_it_is_where_that_is_safe(text: str, seen: str) -> None:
    assert plain(text) == seen


@given(st.binary(max_size=200))
def test_any_payload_can_be_shown(payload: bytes) -> None:
    assert isinstance(shown(decode_content(payload)), str)


def test_newer_content_asks_for_an_update_and_junk_says_it_cannot_be_read() -> None:
    newer = encode_text("hi").replace(b"text", b"poll")
    assert decode_content(newer) == UnknownContent("poll")
    assert "update your app" in shown(decode_content(newer))
    assert shown(decode_content(b"\xff")) == "This message could not be read."
    assert decode_content(encode_text("hi")) == Text("hi")


def test_days_are_named_as_people_do() -> None:
    assert day_name(NOW_MS, NOW_MS) == "Today"
    assert day_name(NOW_MS - DAY_MS, NOW_MS) == "Yesterday"
    assert day_name(NOW_MS - 3 * DAY_MS, NOW_MS).endswith("day")
    assert day_name(NOW_MS - 30 * DAY_MS, NOW_MS).endswith("2023")
    assert day_name(2**62, NOW_MS)


def test_a_device_is_named_so_that_its_name_cannot_steer_the_terminal() -> None:
    hostile = "lap\x1b[31m\u202etop\nwas removed"
    for change in (DeviceAdded(DeviceId(b"l" * 16), hostile, 1), DeviceRemoved(DeviceId(b"l" * 16), hostile, 1)):
        sentence = device_sentence(change)
        assert not {"\x1b", "\u202e", "\n"} & set(sentence)
        assert "6c6c6c6c" in sentence
