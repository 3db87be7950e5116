from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ClientWire, Code, LocalProtocolError, RemoteProtocolError, ServerWire, State, StaticKey, WireLimits
from protocol import messages as m
from protocol.codec import encode_message
from protocol.ids import ClientId
from protocol.records import TRANSPORT, record
from tests.protocol import links
from tests.protocol.frame_examples import CHAT, CLIENT, EXAMPLES

CLIENT_EXAMPLES = [
    frame
    for frame in EXAMPLES
    if isinstance(frame, m.ClientFrame) and not isinstance(frame, m.Hello | m.Register | m.Login | m.Bye)
]
SERVER_EXAMPLES = [
    frame
    for frame in EXAMPLES
    if isinstance(frame, m.ServerFrame) and not isinstance(frame, m.Welcome | m.Registered | m.Ready | m.Closing)
]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def sealed(wire: ServerWire | ClientWire, plaintext: bytes) -> bytes:
    return record(TRANSPORT, wire._seal(bytearray(plaintext)))


def send_of(size: int) -> m.Send:
    return m.Send(CHAT, 1, CLIENT, bytes(size))


def test_a_handshake_makes_each_side_know_the_other() -> None:
    server, client = links.fresh()
    assert not server.handshake_complete
    assert server.remote_static_key is None
    first = client.data_to_send()
    assert (first[:3], len(first)) == (b"\x01\x00\x20", 35)
    assert server.receive_data(first) == []
    second = server.data_to_send()
    assert (second[:3], len(second)) == (b"\x01\x00\x60", 99)
    assert client.receive_data(second) == []
    assert client.handshake_complete
    third = client.data_to_send()
    assert (third[:3], len(third)) == (b"\x01\x00\x40", 67)
    assert server.receive_data(third) == []
    assert server.handshake_complete
    assert server.remote_static_key == links.DEVICE_KEY.public
    assert client.remote_static_key == links.SERVER_KEY.public
    assert server.state is client.state is State.GREETING
    assert server.data_to_send() == client.data_to_send() == b""


def test_hello_and_login_may_travel_with_the_end_of_the_handshake() -> None:
    server, client = links.fresh()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    client.send(links.HELLO)
    client.send(links.LOGIN)
    assert server.receive_data(client.data_to_send()) == [links.HELLO, links.LOGIN]
    server.send(links.WELCOME)
    server.send(links.READY)
    assert client.receive_data(server.data_to_send()) == [links.WELCOME, links.READY]
    assert client.state is State.READY


@given(
    frames=st.lists(st.sampled_from(CLIENT_EXAMPLES), min_size=1, max_size=8),
    flushes=st.lists(st.booleans(), min_size=8, max_size=8),
    places=st.lists(st.integers(0, 5_000), max_size=12),
)
def test_a_server_sees_the_same_frames_wherever_the_bytes_are_cut(
    frames: list[m.ClientFrame], flushes: list[bool], places: list[int]
) -> None:
    server, client = links.fresh()
    parts = [client.data_to_send()]
    server.receive_data(parts[0])
    client.receive_data(server.data_to_send())
    client.send(links.HELLO)
    parts = [client.data_to_send()]
    received: list[object] = []
    for part in cut(parts[0], places):
        received += server.receive_data(part)
    assert received == [links.HELLO]
    server.send(links.WELCOME)
    server.send(links.READY)
    client.receive_data(server.data_to_send())
    data = b""
    for frame, flush in zip(frames, flushes, strict=False):
        client.send(frame)
        data += client.data_to_send() if flush else b""
    data += client.data_to_send()
    received = []
    for part in cut(data, places):
        received += server.receive_data(part)
    assert received == frames


@given(
    frames=st.lists(st.sampled_from(SERVER_EXAMPLES), min_size=1, max_size=8),
    places=st.lists(st.integers(0, 5_000), max_size=12),
)
def test_a_client_sees_the_same_frames_wherever_the_bytes_are_cut(
    frames: list[m.ServerFrame], places: list[int]
) -> None:
    server, client = links.fresh()
    server.receive_data(client.data_to_send())
    for part in cut(server.data_to_send(), places):
        assert client.receive_data(part) == []
    server.receive_data(client.data_to_send())
    client.send(links.HELLO)
    server.receive_data(client.data_to_send())
    for frame in (links.WELCOME, links.READY, *frames):
        server.send(frame)
    received: list[object] = []
    for part in cut(server.data_to_send(), places):
        received += client.receive_data(part)
    assert received == [links.WELCOME, links.READY, *frames]


def test_bytes_one_by_one_give_the_same_frames() -> None:
    server, client = links.ready()
    large = send_of(70_000)
    client.send(m.Ping(1))
    client.send(large)
    data = client.data_to_send()
    received: list[object] = []
    for byte in data:
        received += server.receive_data(bytes((byte,)))
    assert received == [m.Ping(1), large]


def test_the_largest_frame_spans_records_and_one_byte_more_is_refused_by_both_ends() -> None:
    server, client = links.ready()
    overhead = len(CHAT) + 1 + 1 + 1 + 1 + 18 + 5 + 1 + 1
    client.send(send_of(131_072 - overhead))
    data = client.data_to_send()
    assert len(data) == 131_072 + 3 + 3 * 19
    [frame] = server.receive_data(data)
    assert frame == send_of(131_072 - overhead)
    with pytest.raises(LocalProtocolError) as local:
        client.send(send_of(131_072 - overhead + 1))
    assert local.value.code is Code.FRAME_TOO_LARGE
    assert client.unsent_size_bytes == 0
    with pytest.raises(RemoteProtocolError) as remote:
        server.receive_data(sealed(client, (131_073).to_bytes(3, "big")))
    assert remote.value.code is Code.FRAME_TOO_LARGE


def test_a_giant_length_is_refused_before_a_byte_of_the_frame_has_come() -> None:
    server, client = links.ready()
    with pytest.raises(RemoteProtocolError, match="16777215") as caught:
        server.receive_data(sealed(client, b"\xff\xff\xff"))
    assert caught.value.code is Code.FRAME_TOO_LARGE


def test_an_empty_frame_and_an_empty_record_are_refused() -> None:
    server, client = links.ready()
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(sealed(client, bytes(3)))
    assert caught.value.code is Code.BAD_FRAME
    server, client = links.ready()
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(sealed(client, b""))
    assert caught.value.code is Code.BAD_RECORD


def test_before_ready_a_server_takes_only_small_frames_and_records() -> None:
    for plaintext, code in (((4_097).to_bytes(3, "big"), Code.FRAME_TOO_LARGE), (bytes(4_081), Code.BAD_RECORD)):
        server, client = links.greeting()
        client.send(links.HELLO)
        server.receive_data(client.data_to_send())
        with pytest.raises(RemoteProtocolError) as caught:
            server.receive_data(sealed(client, plaintext))
        assert caught.value.code is code


def test_a_client_keeps_to_the_small_size_until_ready_and_to_the_announced_one_after() -> None:
    server, client = links.greeting(WireLimits(frame_size_bytes_max=8_192))
    client.send(links.HELLO)
    for number in range(20):
        client.send(m.Register(number, "a" * 256, "b" * 256, "c" * 256, "d" * 256))
    assert len(server.receive_data(client.data_to_send())) == 21
    server.send(m.Welcome(1, "", 0, 4_096, 32, 8_192))
    server.send(links.READY)
    client.receive_data(server.data_to_send())
    with pytest.raises(LocalProtocolError, match="8192"):
        client.send(send_of(8_192))
    client.send(send_of(8_000))
    assert len(server.receive_data(client.data_to_send())) == 1
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(sealed(client, (8_193).to_bytes(3, "big")))
    assert caught.value.code is Code.FRAME_TOO_LARGE


@pytest.mark.parametrize(
    "junk",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x02\x00\x20" + bytes(32), b"\x00\x00\x01\x90", b"\xff"],
    ids=["http", "tls", "transport", "alert", "byte"],
)
def test_what_is_no_handshake_gets_an_alert_with_a_sentence(junk: bytes) -> None:
    server, client = links.fresh()
    with pytest.raises(RemoteProtocolError, match="not HTTP or TLS") as caught:
        server.receive_data(junk)
    assert caught.value.code is Code.BAD_RECORD
    assert server.closed
    answer = server.data_to_send()
    assert answer[0] == 0
    assert client.receive_data(answer) == [m.Alert(100, caught.value.sentence, -1)]
    assert client.closed
    assert server.receive_data(junk) == []
    assert server.data_to_send() == b""


def test_junk_is_judged_by_its_first_byte() -> None:
    server, _ = links.fresh()
    with pytest.raises(RemoteProtocolError):
        server.receive_data(b"G")


@pytest.mark.parametrize("header", [b"\x01\xff", b"\x01\x00\x00", b"\x01\x00\x1f", b"\x01\x00\x21", b"\x01\x02\x00"])
def test_a_handshake_record_that_lies_about_its_length_is_refused_at_its_header(header: bytes) -> None:
    server, _ = links.fresh()
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(header)
    assert caught.value.code is Code.BAD_RECORD


def test_a_stranger_makes_the_server_keep_less_than_one_handshake_record() -> None:
    server, _ = links.fresh()
    server.receive_data(b"\x01\x00\x20" + bytes(31))
    assert len(server._early or b"") == 34


def test_a_low_order_key_fails_the_handshake_with_an_alert() -> None:
    server, client = links.fresh()
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(b"\x01\x00\x20" + bytes(32))
    assert caught.value.code is Code.HANDSHAKE_FAILED
    [alert] = client.receive_data(server.data_to_send())
    assert isinstance(alert, m.Alert)
    assert alert.code == 101


def test_a_whole_recorded_session_replayed_to_the_server_fails_at_the_handshake() -> None:
    server, client = links.fresh()
    recorded = [client.data_to_send()]
    server.receive_data(recorded[0])
    client.receive_data(server.data_to_send())
    client.send(links.HELLO)
    recorded.append(client.data_to_send())
    assert server.receive_data(recorded[1]) == [links.HELLO]
    victim, _ = links.fresh(name="another day")
    victim.receive_data(recorded[0])
    with pytest.raises(RemoteProtocolError) as caught:
        victim.receive_data(recorded[1])
    assert caught.value.code is Code.HANDSHAKE_FAILED
    assert not victim.handshake_complete
    assert victim.remote_static_key is None


def test_a_server_reflected_to_itself_or_a_client_to_itself_is_refused() -> None:
    server, client = links.fresh()
    first = client.data_to_send()
    server.receive_data(first)
    with pytest.raises(RemoteProtocolError):
        server.receive_data(server.data_to_send())
    with pytest.raises(RemoteProtocolError):
        client.receive_data(first)


def test_a_client_with_the_servers_own_key_is_refused() -> None:
    server, _ = links.fresh()
    client = ClientWire(links.SERVER_KEY)
    server.receive_data(client.data_to_send())
    with pytest.raises(RemoteProtocolError, match="own static key"):
        client.receive_data(server.data_to_send())


def test_a_client_refuses_a_server_without_the_pinned_key_and_never_shows_its_own() -> None:
    server, _ = links.fresh()
    client = ClientWire(links.DEVICE_KEY, StaticKey.generate().public)
    server.receive_data(client.data_to_send())
    with pytest.raises(RemoteProtocolError, match="pinned") as caught:
        client.receive_data(server.data_to_send())
    assert caught.value.code is Code.HANDSHAKE_FAILED
    assert client.remote_static_key == links.SERVER_KEY.public
    assert client.data_to_send() == b""
    assert client.closed
    assert server.remote_static_key is None


def test_a_client_without_a_pin_learns_the_servers_key() -> None:
    server, _ = links.fresh()
    client = ClientWire(links.DEVICE_KEY)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    assert client.remote_static_key == links.SERVER_KEY.public


@given(place=st.integers(0, 10_000), bit=st.integers(0, 7), data=st.data())
def test_any_changed_bit_of_a_record_closes_the_link_and_only_earlier_frames_count(
    place: int, bit: int, data: st.DataObject
) -> None:
    server, client = links.ready()
    frames = data.draw(st.lists(st.sampled_from(CLIENT_EXAMPLES), min_size=1, max_size=4))
    parts = []
    for frame in frames:
        client.send(frame)
        parts.append(client.data_to_send())
    stream = bytearray(b"".join(parts))
    place %= len(stream)
    stream[place] ^= 1 << bit
    whole = 0
    while sum(map(len, parts[: whole + 1])) <= place:
        whole += 1
    result = links.outcome(server.receive_data, bytes(stream))
    if isinstance(result, RemoteProtocolError):
        assert result.code is Code.BAD_RECORD
        assert server.closed
        assert result.frames == frames[:whole]
    else:  # a length that grew: a record that never ends
        assert result == frames[:whole]


def test_a_repeated_dropped_or_swapped_record_closes_the_link() -> None:
    def records() -> tuple[ServerWire, list[bytes]]:
        server, client = links.ready()
        parts = []
        for number in range(3):
            client.send(m.Ping(number))
            parts.append(client.data_to_send())
        return server, parts

    for order in ([0, 0], [1], [0, 2], [2, 1]):
        server, parts = records()
        with pytest.raises(RemoteProtocolError) as caught:
            server.receive_data(b"".join(parts[index] for index in order))
        assert caught.value.code is Code.BAD_RECORD
        assert caught.value.frames == [m.Ping(index) for index in order[:1] if index == 0]


def test_a_record_sent_back_to_its_sender_is_refused() -> None:
    server, client = links.ready()
    client.send(m.Ping(1))
    data = client.data_to_send()
    with pytest.raises(RemoteProtocolError):
        client.receive_data(data)
    assert server.receive_data(data) == [m.Ping(1)]


@given(st.binary(max_size=300))
def test_junk_in_any_phase_raises_only_remote_errors(junk: bytes) -> None:
    for make in (links.fresh, links.greeting, links.ready):
        for wire in make():
            wire.data_to_send()
            result: object = links.outcome(wire.receive_data, junk)
            if isinstance(result, RemoteProtocolError):
                assert result.frames == []
                assert wire.closed
            else:
                assert isinstance(result, list)
                assert all(isinstance(event, m.Alert) for event in result)


@given(st.binary(min_size=1, max_size=300))
def test_sealed_junk_raises_only_remote_errors(junk: bytes) -> None:
    server, client = links.ready()
    for sender, receiver in ((server, client), (client, server)):
        for plaintext in (junk, len(junk).to_bytes(3, "big") + junk):
            result = links.outcome(receiver.receive_data, sealed(sender, plaintext))
            assert receiver.closed or not isinstance(result, RemoteProtocolError)


def test_what_came_before_the_fault_is_kept_in_the_error_however_it_was_cut() -> None:
    for size in (1, 10_000):
        server, client = links.ready()
        client.send(m.Ping(1))
        client.send(m.Ack(2))
        data = client.data_to_send() + b"junk"
        received: list[object] = []
        for start in range(0, len(data), size):
            result = links.outcome(server.receive_data, data[start : start + size])
            received += result.frames if isinstance(result, RemoteProtocolError) else result
        assert received == [m.Ping(1), m.Ack(2)]
        assert server.closed


def test_after_the_handshake_the_reason_is_sealed_and_reaches_the_client() -> None:
    server, client = links.ready()
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(b"junk")
    assert client.receive_data(server.data_to_send()) == [m.Closing(100, caught.value.sentence, -1)]
    assert client.closed


def test_an_alert_right_after_the_handshake_still_reaches_the_client() -> None:
    server, client = links.fresh()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    assert client.handshake_complete
    server.close(Code.HANDSHAKE_TIMEOUT)
    received: list[object] = []
    for byte in server.data_to_send():
        received += client.receive_data(bytes((byte,)))
    assert received == [m.Alert(102, Code.HANDSHAKE_TIMEOUT.sentence, 0)]
    assert client.closed


def test_once_a_sealed_record_has_come_an_alert_is_refused() -> None:
    server, client = links.ready()
    server.send(m.Pong(1))
    client.receive_data(server.data_to_send())
    with pytest.raises(RemoteProtocolError) as caught:
        client.receive_data(b"\x00\x00\x01\x90")
    assert caught.value.code is Code.BAD_RECORD


def test_an_alert_longer_than_a_sentence_needs_is_refused() -> None:
    _, client = links.fresh()
    with pytest.raises(RemoteProtocolError, match="alert"):
        client.receive_data(b"\x00\xff\xff")


def test_closing_says_why_once_in_an_alert_or_in_a_closing_frame() -> None:
    server, client = links.fresh()
    server.close(Code.TOO_MANY_CONNECTIONS, retry_after_ms=2_000)
    server.close(Code.INTERNAL)
    assert client.receive_data(server.data_to_send()) == [m.Alert(401, Code.TOO_MANY_CONNECTIONS.sentence, 2_000)]
    server, client = links.ready()
    server.send(m.Pong(1))
    server.close(Code.DRAINING, "Back soon.", 500)
    server.close(Code.INTERNAL)
    assert client.receive_data(server.data_to_send()) == [m.Pong(1), m.Closing(502, "Back soon.", 500)]
    assert client.closed
    assert server.closed


def test_a_code_that_forbids_a_retry_closes_with_minus_one() -> None:
    for code in (Code.REPLACED, Code.DRAINING):
        server, client = links.ready()
        server.close(code, "x" * 5_000)
        [closing] = client.receive_data(server.data_to_send())
        assert closing == m.Closing(code, "x" * 1_024, 0 if code.retry else -1)


def test_what_follows_a_closing_frame_is_ignored() -> None:
    server, client = links.ready()
    server.send(m.Closing(502, "", 0))
    data = server.data_to_send()
    assert client.receive_data(data + b"junk") == [m.Closing(502, "", 0)]
    assert client.data_to_send() == b""


def test_a_deliver_of_stored_bytes_arrives_as_the_same_message() -> None:
    server, client = links.ready()
    messages = [frame.message for frame in EXAMPLES if isinstance(frame, m.Deliver)]
    for position, message in enumerate(messages, start=1):
        server.send_deliver(position, encode_message(message))
    expected = [m.Deliver(position, message) for position, message in enumerate(messages, start=1)]
    assert client.receive_data(server.data_to_send()) == expected


def test_a_deliver_too_large_for_a_frame_changes_nothing() -> None:
    server, _ = links.ready()
    server.send(m.Pong(1))
    unsent = server.unsent_size_bytes
    with pytest.raises(LocalProtocolError) as caught:
        server.send_deliver(1, bytes(131_072))
    assert caught.value.code is Code.FRAME_TOO_LARGE
    assert server.unsent_size_bytes == unsent == 6


@pytest.mark.parametrize(
    "frame",
    [
        m.Send(CHAT, -1, CLIENT, b""),
        m.Send(CHAT, 2**63, CLIENT, b""),
        m.Send(CHAT, 2**64, CLIENT, b""),
        m.Send(CHAT, 1, ClientId(b"short"), b""),
        m.Send(CHAT, 1, CLIENT, "text"),  # type: ignore[arg-type]
        m.RequestCode(1, "\ud800"),
        m.Ack(object()),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_a_client_does_not_send_what_the_server_would_refuse(frame: m.ClientFrame) -> None:
    server, client = links.ready()
    with pytest.raises(LocalProtocolError) as caught:
        client.send(frame)
    assert caught.value.code is Code.BAD_FIELD
    assert client.unsent_size_bytes == 0
    client.send(m.Ping(1))
    assert server.receive_data(client.data_to_send()) == [m.Ping(1)]


def test_a_flush_is_one_record_however_many_frames_it_holds() -> None:
    server, client = links.ready()
    for number in range(100):
        server.send(m.Pong(number))
    data = server.data_to_send()
    assert (data[0], int.from_bytes(data[1:3], "big")) == (2, len(data) - 3)
    assert client.receive_data(data) == [m.Pong(number) for number in range(100)]
    assert server.data_to_send() == b""


def test_a_resting_connection_goes_on_as_if_it_had_not_rested() -> None:
    server, client = links.ready()
    for number in range(3):
        for wire in (server, client):
            wire.rest()
        client.send(m.Ping(number))
        assert server.receive_data(client.data_to_send()) == [m.Ping(number)]
        server.send(m.Pong(number))
        assert client.receive_data(server.data_to_send()) == [m.Pong(number)]
    fresh, _ = links.fresh()
    fresh.rest()


def test_nothing_of_the_handshake_is_kept_after_it() -> None:
    server, client = links.ready()
    for wire in (server, client):
        assert wire._handshake is None
        assert wire._plaintext is None
        assert wire._outgoing == b""
    assert server._early is None


def test_neither_wire_shows_a_key_in_its_repr() -> None:
    for wire in links.ready():
        assert links.SERVER_KEY.private_bytes().hex() not in repr(wire)
        assert not hasattr(wire, "__dict__")


@pytest.mark.parametrize("size", [4_095, 131_073])
def test_a_frame_limit_that_version_1_cannot_keep_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="frame_size_bytes_max"):
        WireLimits(frame_size_bytes_max=size)
