from __future__ import annotations

import json
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import Code, LocalProtocolError, RemoteProtocolError
from protocol import messages as m
from protocol.codec import (
    decode_alert,
    decode_client_frame,
    decode_message,
    decode_server_frame,
    encode_alert,
    encode_deliver_head,
    encode_frame,
    encode_message,
    tag_of,
)
from protocol.ids import Epoch
from tests.protocol import frame_examples
from tests.protocol.frame_examples import EXAMPLES, FROZEN, listed, plain
from tests.protocol.frame_strategies import frames, integer_fields
from tests.protocol.links import outcome

ALL_FRAMES = (*m.CLIENT_FRAMES, *m.SERVER_FRAMES)
GOLDEN = json.loads(FROZEN.read_text())


def decode(frame: type[m.Frame], data: bytes) -> object:
    return decode_client_frame(data) if frame in m.CLIENT_FRAMES else decode_server_frame(data)


def packed(value: object) -> bytes:
    data: bytes = msgpack.packb(value, use_bin_type=True)
    return data


@pytest.mark.parametrize("frame", ALL_FRAMES, ids=lambda frame: frame.__name__)
def test_every_frame_comes_back_as_it_was(frame: type[m.Frame]) -> None:
    @given(frames(frame))
    def comes_back(value: m.Frame) -> None:
        assert decode(frame, encode_frame(value)) == value

    comes_back()


@pytest.mark.parametrize("frame", ALL_FRAMES, ids=lambda frame: frame.__name__)
def test_every_frame_is_the_documented_array_to_an_independent_implementation(frame: type[m.Frame]) -> None:
    @given(frames(frame))
    def is_the_array(value: m.Frame) -> None:
        assert msgpack.unpackb(encode_frame(value), strict_map_key=True) == listed(value)
        assert decode(frame, packed(listed(value))) == value

    is_the_array()


@pytest.mark.parametrize("example", GOLDEN, ids=lambda example: f"{example['frame']}-{example['bytes'][-8:]}")
def test_the_frozen_bytes_of_version_1_still_mean_the_same(example: dict[str, Any]) -> None:
    frame = next(each for each in ALL_FRAMES if each.__name__ == example["frame"])
    value = decode(frame, bytes.fromhex(example["bytes"]))
    assert isinstance(value, frame)
    assert tag_of(frame) == example["type"]
    assert plain(value) == example["fields"]
    assert encode_frame(value).hex() == example["bytes"]


def test_every_frame_has_two_frozen_examples_or_as_many_as_differ() -> None:
    assert frame_examples.frozen() == GOLDEN
    counts = {frame: sum(type(example) is frame for example in EXAMPLES) for frame in ALL_FRAMES}
    assert counts == {frame: 1 if frame is m.Bye else 2 for frame in ALL_FRAMES}


@pytest.mark.parametrize(("frames", "first"), [(m.CLIENT_FRAMES, 0), (m.SERVER_FRAMES, 32)])
def test_the_type_numbers_rise_and_the_two_directions_are_apart(frames: tuple[type[m.Frame], ...], first: int) -> None:
    tags = [tag_of(frame) for frame in frames]
    assert tags == sorted(set(tags))
    assert {tag % 64 // 32 for tag in tags} == {first // 32}
    assert max(tags) < 128, "one byte is enough"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda frame: type(frame).__name__)
def test_fields_that_a_newer_version_appended_are_skipped(example: m.Frame) -> None:
    newer = packed([*listed(example), "new", {"a": [1]}, None])
    assert decode(type(example), newer) == example


def test_fields_with_a_default_may_be_left_out() -> None:
    login = decode_client_frame(packed([3, "ann", b"12345678"]))
    assert login == m.Login(frame_examples.ANN, Epoch(b"12345678"), True, 60)
    send = decode_client_frame(packed([4, "ann:ann", 1, b"c" * 16, b"text"]))
    assert isinstance(send, m.Send)
    assert (send.ttl_s, send.flags) == (0, 0)


def test_a_client_from_before_power_was_told_is_one_on_battery() -> None:
    login = decode_client_frame(bytes.fromhex("9703a3616e6ec408e0e1e2e3e4e5e6e7c33cc40000"))
    state = decode_client_frame(bytes.fromhex("930bc2cd0384"))
    assert isinstance(login, m.Login)
    assert login.power == m.POWER_BATTERY
    assert state == m.SetState(False, 900, m.POWER_BATTERY)


@pytest.mark.parametrize("frame", ALL_FRAMES, ids=lambda frame: frame.__name__)
def test_an_integer_outside_its_range_is_a_bad_field_that_is_named(frame: type[m.Frame]) -> None:
    example = next(each for each in EXAMPLES if type(each) is frame)
    for name, least, most in integer_fields(frame):
        for wrong in (least - 1, most + 1, 1.0, True, "1", None):
            array = listed(example)
            array[1 + frame.__struct_fields__.index(name)] = wrong
            with pytest.raises(RemoteProtocolError, match=rf"{frame.__name__}: the field {name} ") as caught:
                decode(frame, packed(array))
            assert caught.value.code is Code.BAD_FIELD


@pytest.mark.parametrize("frame", [each for each in ALL_FRAMES if each is not m.Bye], ids=lambda frame: frame.__name__)
def test_a_field_of_another_type_is_a_bad_field_that_is_named(frame: type[m.Frame]) -> None:
    example = next(each for each in EXAMPLES if type(each) is frame)
    for index, name in enumerate(frame.__struct_fields__):
        array = listed(example)
        array[1 + index] = {"not": "this"}
        with pytest.raises(RemoteProtocolError, match=rf"{frame.__name__}: the field {name} ") as caught:
            decode(frame, packed(array))
        assert caught.value.code is Code.BAD_FIELD


@pytest.mark.parametrize(
    ("array", "field"),
    [
        ([0, [], "x"], "versions"),
        ([0, [1] * 17, "x"], "versions"),
        ([0, [1, -1], "x"], r"versions\[1\]"),
        ([0, [1], "x" * 257], "software"),
        ([1, 1, b"ann"], "address"),
        ([3, "ann", b"1234567"], "epoch"),
        ([3, "ann", b"12345678", True, 60, b"s" * 17], "session"),
        ([4, "ann:ann", 1, b"c" * 15, b""], "client_id"),
        ([4, "ann:ann", 1, b"c" * 17, b""], "client_id"),
        ([4, "ann:ann", 1, b"c" * 16, "text"], "payload"),
        ([7, ["a:b"] * 1_025], "conversations"),
        ([19, 1, b""], "device"),
        ([4, "ann:ann", 1], "client_id"),
        ([5], "up_to"),
    ],
)
def test_a_field_of_the_wrong_length_or_missing_is_named(array: list[object], field: str) -> None:
    with pytest.raises(RemoteProtocolError, match=rf": the field {field} is (wrong|missing)") as caught:
        decode_client_frame(packed(array))
    assert caught.value.code is Code.BAD_FIELD


def test_a_nested_field_is_named_with_its_place() -> None:
    array = listed(EXAMPLES[[type(each) for each in EXAMPLES].index(m.Deliver)])
    array[2][1] = -1
    with pytest.raises(RemoteProtocolError, match=r"Deliver: the field message\[1\] is wrong"):
        decode_server_frame(packed(array))


def test_text_that_is_not_utf_8_is_a_bad_field() -> None:
    with pytest.raises(RemoteProtocolError, match="not UTF-8") as caught:
        decode_client_frame(b"\x93\x01\x01\xa2\xff\xff")
    assert caught.value.code is Code.BAD_FIELD


@pytest.mark.parametrize("tag", [31, 38, 95, 96, 128, 2**32, 2**64 - 1])
def test_a_type_that_clients_do_not_say_is_an_event_and_no_error(tag: int) -> None:
    assert decode_client_frame(packed([tag, "whatever", {"a": 1}])) == m.UnknownFrame(tag)
    assert decode_client_frame(packed([tag])) == m.UnknownFrame(tag)


@pytest.mark.parametrize("tag", [0, 63, 64, 127, 2**63])
def test_a_type_that_servers_do_not_say_is_an_event_and_no_error(tag: int) -> None:
    assert decode_server_frame(packed([tag, b"whatever"])) == m.UnknownFrame(tag)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x90",
        b"\x80",
        b"\x05",
        b"\xc0",
        packed("GET / HTTP/1.1"),
        packed({0: 1}),
        packed([-1]),
        packed([True]),
        packed([None]),
        packed(["4"]),
        packed([4.0]),
        packed([[4]]),
        packed([5, 1])[:-1],
        packed([5, 1]) + b"\x00",
        packed([99]) + packed([99]),
        b"\xdd\xff\xff\xff\xff",
        b"\xdc\xff\xff\x05",
        b"\x92\x05\xdb\xff\xff\xff\xff",
        b"\x92\x07\xdd\xff\xff\xff\xff",
        b"\x93\x05\x01" + b"\x91" * 100_000,
        b"\x91" * 100_000,
        b"\x92\xcc\xc8" + b"\x81\x01" * 50_000,
        b"\x92\x05\xc7",
    ],
    ids=lambda data: f"{len(data)}-{data[:6].hex()}",
)
def test_what_is_no_frame_is_a_bad_frame(data: bytes) -> None:
    for decode_frame in (decode_client_frame, decode_server_frame):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_frame(data)
        assert caught.value.code is Code.BAD_FRAME


@given(st.binary(max_size=200))
def test_junk_is_a_frame_an_unknown_frame_or_a_remote_error(data: bytes) -> None:
    for decode_frame in (decode_client_frame, decode_server_frame):
        result = outcome(decode_frame, data)
        if isinstance(result, RemoteProtocolError):
            assert result.code in {Code.BAD_FRAME, Code.BAD_FIELD}
            assert len(result.sentence) < 1_024


@given(example=st.sampled_from(EXAMPLES), data=st.data())
def test_a_frame_with_changed_bytes_is_still_only_a_remote_error(example: m.Frame, data: st.DataObject) -> None:
    raw = bytearray(encode_frame(example))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for decode_frame in (decode_client_frame, decode_server_frame):
        result = outcome(decode_frame, bytes(raw))
        if isinstance(result, RemoteProtocolError):
            assert result.code in {Code.BAD_FRAME, Code.BAD_FIELD}


def test_an_error_never_shows_a_payload() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        decode_client_frame(packed([4, "ann:ann", -1, b"c" * 16, b"the secret"]))
    assert "secret" not in str(caught.value)


@given(frames(m.Deliver))
def test_a_deliver_spliced_from_a_stored_message_is_the_same_frame(value: m.Frame) -> None:
    assert isinstance(value, m.Deliver)
    stored = encode_message(value.message)
    assert encode_deliver_head(value.position) + stored == encode_frame(value)
    assert decode_message(stored) == value.message


@pytest.mark.parametrize("data", [b"", b"\x90", b"\xc1", packed(["ann:ann", -1]), b"\x91" * 5_000])
def test_damaged_stored_bytes_are_our_own_fault(data: bytes) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        decode_message(data)
    assert caught.value.code is Code.INTERNAL


def test_an_alert_comes_back_as_it_was_and_junk_is_a_bad_record() -> None:
    alert = m.Alert(100, "No.", -1)
    assert decode_alert(encode_alert(alert)) == alert
    assert msgpack.unpackb(encode_alert(alert)) == [100, "No.", -1]
    for junk in (b"", b"\x91", packed([100, 1, 1]), packed({"code": 100})):
        with pytest.raises(RemoteProtocolError) as caught:
            decode_alert(junk)
        assert caught.value.code is Code.BAD_RECORD


def test_no_frame_can_be_changed_once_made() -> None:
    with pytest.raises(AttributeError):
        m.Ack(1).up_to = 2  # type: ignore[misc]
    assert all(frame.__struct_config__.frozen for frame in (*ALL_FRAMES, m.Message, m.Alert, m.Limit, m.Device))
    assert all(issubclass(frame, msgspec.Struct) for frame in ALL_FRAMES)
