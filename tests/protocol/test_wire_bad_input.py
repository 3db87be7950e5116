from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ClientWire, Code, RemoteProtocolError, ServerWire, StaticKey
from protocol import messages as m
from tests.protocol import links
from tests.protocol.frame_examples import EXAMPLES
from tests.protocol.links import sealed

CLIENT_EXAMPLES = [
    frame
    for frame in EXAMPLES
    if isinstance(frame, m.ClientFrame)
    and not isinstance(frame, m.Hello | m.Register | m.RegisterPrimary | m.Login | m.OpenLink | m.Bye)
]


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
