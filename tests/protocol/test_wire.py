from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ClientWire, Code, LocalProtocolError, RemoteProtocolError, State, WireLimits
from protocol import messages as m
from protocol.codec import encode_message
from protocol.ids import ClientId
from tests.protocol import links
from tests.protocol.frame_examples import CHAT, CLIENT, EXAMPLES
from tests.protocol.links import sealed

CLIENT_EXAMPLES = [
    frame
    for frame in EXAMPLES
    if isinstance(frame, m.ClientFrame)
    and not isinstance(frame, m.Hello | m.Register | m.RegisterPrimary | m.Login | m.OpenLink | m.Bye)
]
SERVER_EXAMPLES = [
    frame
    for frame in EXAMPLES
    if isinstance(frame, m.ServerFrame)
    and not isinstance(frame, m.Welcome | m.Registered | m.Ready | m.LinkOpened | m.Closing)
]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


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
    overhead = len(CHAT) + 1 + 1 + 1 + 1 + 18 + 5 + 1 + 1 + 1 + 1
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


def test_a_client_without_a_pin_learns_the_servers_key() -> None:
    server, _ = links.fresh()
    client = ClientWire(links.DEVICE_KEY)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    assert client.remote_static_key == links.SERVER_KEY.public


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
    ids=lambda frame: type(frame).__name__,
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
