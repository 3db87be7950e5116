from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol import LocalProtocolError, RemoteProtocolError, Role, State
from protocol import messages as m
from protocol.codec import encode_frame
from protocol.states import TABLE
from tests.protocol import links
from tests.protocol.frame_examples import EXAMPLES

if TYPE_CHECKING:
    from protocol import ClientWire, ServerWire

FRAMES = {type(example): example for example in EXAMPLES}
STATES = [state for state in State if state is not State.HANDSHAKE]


def clients_way(state: State) -> list[m.Frame]:
    """Frames that lead from GREETING to a state."""
    ready: list[m.Frame] = [links.HELLO, links.WELCOME, links.READY]
    ways: dict[State, list[m.Frame]] = {
        State.GREETING: [],
        State.GREETED: [links.HELLO],
        State.OPEN: [links.HELLO, links.WELCOME],
        State.READY: ready,
        State.LEAVING: [*ready, m.Bye()],
        State.CLOSED: [*ready, m.Closing(502, "", 0)],
    }
    return ways[state]


def pair_in(state: State) -> tuple[ServerWire, ClientWire]:
    server, client = links.greeting()
    for frame in clients_way(state):
        if type(frame) in m.CLIENT_FRAMES:
            client.send(frame)  # type: ignore[arg-type]
            assert server.receive_data(client.data_to_send()) == [frame]
        else:
            server.send(frame)  # type: ignore[arg-type]
            assert client.receive_data(server.data_to_send()) == [frame]
    assert server.state is client.state is state
    return server, client


def forced(sender: ServerWire | ClientWire, frame: m.Frame) -> bytes:
    """A sealed record with a frame that the sender's own table may forbid."""
    data = encode_frame(frame)
    return links.sealed(sender, len(data).to_bytes(3, "big") + data)


def test_the_table_has_a_row_for_every_state_and_role_and_knows_every_frame() -> None:
    assert set(TABLE) == set(State)
    for row in TABLE.values():
        assert set(row) == set(Role)
        assert set(row[Role.CLIENT]) <= set(m.CLIENT_FRAMES)
        assert set(row[Role.SERVER]) <= set(m.SERVER_FRAMES)
    for role, frames in ((Role.CLIENT, m.CLIENT_FRAMES), (Role.SERVER, m.SERVER_FRAMES)):
        assert {frame for row in TABLE.values() for frame in row[role]} == set(frames)


def test_nothing_leads_out_of_closed_and_a_state_is_never_returned_to() -> None:
    assert not TABLE[State.CLOSED][Role.CLIENT]
    assert not TABLE[State.CLOSED][Role.SERVER]
    order = list(State)
    for state, row in TABLE.items():
        for steps in row.values():
            assert all(order.index(after) >= order.index(state) for after in steps.values())


@pytest.mark.parametrize("frame", m.CLIENT_FRAMES, ids=lambda frame: frame.__name__)
@pytest.mark.parametrize("state", STATES)
def test_a_client_says_exactly_what_the_table_allows(state: State, frame: type[m.ClientFrame]) -> None:
    server, client = pair_in(state)
    after = TABLE[state][Role.CLIENT].get(frame)
    example = FRAMES[frame]
    assert isinstance(example, m.ClientFrame)
    if after is None:
        with pytest.raises(LocalProtocolError) as caught:
            client.send(example)
        assert caught.value.code.name == "WRONG_STATE"
        assert client.state is state
        assert client.unsent_size_bytes == 0
        assert client.data_to_send() == b""
    else:
        client.send(example)
        assert server.receive_data(client.data_to_send()) == [example]
        assert client.state is server.state is after


@pytest.mark.parametrize("frame", m.SERVER_FRAMES, ids=lambda frame: frame.__name__)
@pytest.mark.parametrize("state", STATES)
def test_a_server_says_exactly_what_the_table_allows(state: State, frame: type[m.ServerFrame]) -> None:
    server, client = pair_in(state)
    after = TABLE[state][Role.SERVER].get(frame)
    example = FRAMES[frame]
    assert isinstance(example, m.ServerFrame)
    if after is None:
        with pytest.raises(LocalProtocolError) as caught:
            server.send(example)
        assert caught.value.code.name == "WRONG_STATE"
        assert server.state is state
        assert server.unsent_size_bytes == 0
        assert server.data_to_send() == b""
    else:
        server.send(example)
        assert client.receive_data(server.data_to_send()) == [example]
        assert client.state is server.state is after


@pytest.mark.parametrize("frame", m.CLIENT_FRAMES, ids=lambda frame: frame.__name__)
@pytest.mark.parametrize("state", [state for state in STATES if state is not State.CLOSED])
def test_a_server_takes_exactly_what_the_table_allows(state: State, frame: type[m.ClientFrame]) -> None:
    server, client = pair_in(state)
    data = forced(client, FRAMES[frame])
    after = TABLE[state][Role.CLIENT].get(frame)
    if after is not None:
        assert server.receive_data(data) == [FRAMES[frame]]
        assert server.state is after
        return
    with pytest.raises(RemoteProtocolError, match=frame.__name__) as caught:
        server.receive_data(data)
    assert caught.value.code.name == "WRONG_STATE"
    assert server.closed
    [closing] = client.receive_data(server.data_to_send())
    assert closing == m.Closing(105, caught.value.sentence, -1)


@pytest.mark.parametrize("frame", m.SERVER_FRAMES, ids=lambda frame: frame.__name__)
@pytest.mark.parametrize("state", [state for state in STATES if state is not State.CLOSED])
def test_a_client_takes_exactly_what_the_table_allows(state: State, frame: type[m.ServerFrame]) -> None:
    server, client = pair_in(state)
    data = forced(server, FRAMES[frame])
    after = TABLE[state][Role.SERVER].get(frame)
    if after is not None:
        assert client.receive_data(data) == [FRAMES[frame]]
        assert client.state is after
        return
    with pytest.raises(RemoteProtocolError, match=frame.__name__) as caught:
        client.receive_data(data)
    assert caught.value.code.name == "WRONG_STATE"
    assert client.closed


@pytest.mark.parametrize("state", [State.HANDSHAKE, State.CLOSED])
def test_nothing_can_be_said_before_the_handshake_or_after_the_end(state: State) -> None:
    server, client = links.fresh() if state is State.HANDSHAKE else pair_in(State.CLOSED)
    client.data_to_send()
    for example in EXAMPLES:
        wire = client if type(example) in m.CLIENT_FRAMES else server
        with pytest.raises(LocalProtocolError):
            wire.send(example)  # type: ignore[arg-type]
        assert wire.unsent_size_bytes == 0
        assert wire.state is state
    with pytest.raises(LocalProtocolError):
        server.send_deliver(1, b"")


def test_a_closed_wire_ignores_what_is_still_on_its_way() -> None:
    server, client = pair_in(State.CLOSED)
    assert server.receive_data(b"anything") == []
    assert client.receive_data(b"anything") == []


@pytest.mark.parametrize("state", [State.GREETED, State.OPEN, State.READY])
def test_an_unknown_frame_is_an_event_wherever_frames_pass(state: State) -> None:
    server, client = pair_in(state)
    raw = b"\x91\x1f"
    sealed = links.sealed(client, len(raw).to_bytes(3, "big") + raw)
    assert server.receive_data(sealed) == [m.UnknownFrame(31)]
    assert server.state is state


@pytest.mark.parametrize("state", [State.GREETING, State.LEAVING])
def test_an_unknown_frame_before_hello_or_after_bye_is_in_the_wrong_state(state: State) -> None:
    server, client = pair_in(state)
    raw = b"\x91\x1f"
    with pytest.raises(RemoteProtocolError, match="type 31") as caught:
        server.receive_data(links.sealed(client, len(raw).to_bytes(3, "big") + raw))
    assert caught.value.code.name == "WRONG_STATE"
