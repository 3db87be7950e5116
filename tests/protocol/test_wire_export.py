"""A server's end that goes on in another process: two wires in a row behave as one would have."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import Code, LocalProtocolError, RemoteProtocolError, ServerWire, State, WireLimits
from protocol import messages as m
from tests.protocol import links
from tests.protocol.frame_examples import CHAT, CLIENT
from tests.protocol.links import outcome, sealed

BEFORE_LOGIN: list[m.ClientFrame] = [m.Ping(1), m.RequestCode(2, "ann"), m.Register(3, "ann", "1", "a" * 200, "b")]
IN_SESSION: list[m.ClientFrame] = [m.Ping(4), m.Send(CHAT, 1, CLIENT, bytes(9_000)), m.Ack(0)]
FAULTS = [b"junk from here on", b"\x02\xff\xff", b""]


class Server:
    """An end that can be told to go on in another wire; it answers as a server does."""

    def __init__(self, wire: ServerWire) -> None:
        self.wire = wire
        self.moves = 0
        self.heard: list[object] = []

    def receive(self, data: bytes) -> None:
        """Act on bytes."""
        try:
            frames = self.wire.receive_data(data)
        except RemoteProtocolError as error:
            frames = error.frames  # type: ignore[assignment]
            self.heard.append((error.code, error.sentence))
        self.heard += frames
        for frame in frames:
            match frame:
                case m.Hello():
                    self.wire.send(links.WELCOME)
                case m.Login():
                    self.wire.send(links.READY)
                case m.Ping(token) if self.wire.state in (State.OPEN, State.READY):
                    self.wire.send(m.Pong(token))

    def move(self) -> None:
        """Go on in another wire, where there is anything to go on with."""
        if self.wire.handshake_complete and not self.wire.closed:
            left, self.wire = self.wire, ServerWire.imported(self.wire.export())
            assert left.closed
            assert left.data_to_send() == b""
            assert outcome(left.receive_data, b"anything") == []
            self.moves += 1


def conversation(fault: bytes, leaves: bool) -> list[bytes]:
    """All that one client says to a server that answers as `Server` does, round by round."""
    server, client = Server(links.fresh()[0]), links.fresh()[1]
    rounds = []

    def turn() -> None:
        rounds.append(client.data_to_send())
        server.receive(rounds[-1])
        client.receive_data(server.wire.data_to_send())

    turn()
    for frame in (links.HELLO, *BEFORE_LOGIN):
        client.send(frame)
    turn()
    client.send(links.LOGIN)
    turn()
    for frame in IN_SESSION:
        client.send(frame)
        turn()
    if leaves:
        client.send(m.Bye())
    rounds.append(client.data_to_send() + fault)
    return rounds


def told(rounds: list[bytes], cuts: list[int], moves: list[bool], flushes: list[bool]) -> tuple[list[object], bytes]:
    """What a server hears of these bytes, cut there and moved at these cuts, and the bytes that it says."""
    server = Server(links.fresh()[0])
    number = 0
    said = b""
    for data in rounds:
        edges = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
        for start, end in itertools.pairwise(edges):
            server.receive(data[start:end])
            if flushes[number % len(flushes)]:
                said += server.wire.data_to_send()
            if moves[number % len(moves)]:
                server.move()
            number += 1
        said += server.wire.data_to_send()
    return [*server.heard, server.wire.state, server.wire.remote_static_key], said


@given(
    cuts=st.lists(st.integers(0, 10_000), max_size=8),
    moves=st.lists(st.booleans(), min_size=1, max_size=12),
    flushes=st.lists(st.booleans(), min_size=1, max_size=12),
    fault=st.sampled_from(FAULTS),
    leaves=st.booleans(),
)
def test_wires_in_a_row_hear_and_say_what_one_would_wherever_the_bytes_are_cut(
    cuts: list[int], moves: list[bool], flushes: list[bool], fault: bytes, leaves: bool
) -> None:
    rounds = conversation(fault, leaves)
    assert told(rounds, cuts, moves, flushes) == told(rounds, cuts, [False], flushes)


def test_a_wire_that_moves_at_every_byte_keeps_all_frames_and_all_limits() -> None:
    rounds = conversation(b"", leaves=True)
    server = Server(links.fresh()[0])
    for data in rounds:
        for byte in data:
            server.receive(bytes((byte,)))
            server.move()
        server.wire.data_to_send()
    assert server.moves > 9_000
    assert server.heard == [links.HELLO, *BEFORE_LOGIN, links.LOGIN, *IN_SESSION, m.Bye()]


def test_what_was_not_sent_yet_is_sent_by_the_next_wire() -> None:
    server, client = links.greeting()
    client.send(links.HELLO)
    client.send(links.LOGIN)
    server.receive_data(client.data_to_send())
    server.send(links.WELCOME)
    follower = ServerWire.imported(server.export())
    follower.send(links.READY)
    assert client.receive_data(follower.data_to_send()) == [links.WELCOME, links.READY]


def test_the_next_wire_keeps_to_the_limits_of_its_own_server() -> None:
    server, client = links.greeting()
    client.send(links.HELLO)
    client.send(links.LOGIN)
    server.receive_data(client.data_to_send())
    follower = ServerWire.imported(server.export(), WireLimits(frame_size_bytes_max=8_192))
    follower.send(links.WELCOME)
    follower.send(links.READY)
    with pytest.raises(RemoteProtocolError) as caught:
        follower.receive_data(sealed(client, (8_193).to_bytes(3, "big")))
    assert caught.value.code is Code.FRAME_TOO_LARGE


@pytest.mark.parametrize("moment", ["before the handshake", "within it", "after the end"])
def test_a_wire_without_a_link_cannot_go_on_elsewhere_and_is_left_as_it_was(moment: str) -> None:
    server, client = links.fresh()
    if moment == "within it":
        server.receive_data(client.data_to_send())
    if moment == "after the end":
        server.close(Code.DRAINING)
    state = server.state
    with pytest.raises(LocalProtocolError) as caught:
        server.export()
    assert caught.value.code is Code.WRONG_STATE
    assert server.state is state


def test_a_closed_link_cannot_go_on_elsewhere_and_still_says_its_last_word() -> None:
    server, client = links.ready()
    server.close(Code.DRAINING)
    with pytest.raises(LocalProtocolError):
        server.export()
    assert client.receive_data(server.data_to_send()) == [m.Closing(502, Code.DRAINING.sentence, 0)]


@pytest.mark.parametrize("data", [b"", b"junk", b"\x90", b"\x9a" + b"\xc0" * 10])
def test_bytes_that_are_no_export_are_our_own_fault(data: bytes) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ServerWire.imported(data)
    assert caught.value.code is Code.INTERNAL


def test_an_error_about_an_export_shows_no_key() -> None:
    server, _ = links.ready()
    exported = server.export()
    with pytest.raises(LocalProtocolError) as caught:
        ServerWire.imported(exported[:-1])
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
