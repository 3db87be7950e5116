from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgpack
import pytest

from protocol import ClientWire, Code, RemoteProtocolError, ServerWire, State, StaticKey
from protocol import messages as m
from protocol.codec import decode_client_frame, decode_server_frame, tag_of
from tests.protocol import document, session_example

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

STRUCTURES = (
    *(m.Message, m.Limit, m.Device, m.DevicePayload, m.AccountDevices, m.Stale, m.SignedDevices),
    *(m.Change, m.Member, m.Invite, m.Step, m.GroupMark),
    m.Unreached,
)


def always(data: bytes) -> Callable[[int], bytes]:
    return lambda size: data[:size]


@pytest.mark.parametrize("name", document.GENERATED)
def test_the_generated_parts_of_the_document_are_up_to_date(name: str) -> None:
    assert set(document.sections()) == set(document.GENERATED)
    assert document.sections()[name] == document.GENERATED[name](), "run: python -m tests.protocol.document"


def test_making_the_document_again_changes_nothing() -> None:
    text = document.PATH.read_text()
    assert document.rewritten(text) == text


def test_the_document_describes_exactly_the_frames_and_structures_there_are_in_their_order() -> None:
    expected = [(tag_of(frame), frame.__name__) for frame in (*m.CLIENT_FRAMES, *m.SERVER_FRAMES)]
    found = [(tag, name) for name, (tag, _) in document.fields_in_document().items()]
    assert found == [*expected, *((None, each.__name__) for each in STRUCTURES)]


@pytest.mark.parametrize("cls", [*m.CLIENT_FRAMES, *m.SERVER_FRAMES, *STRUCTURES], ids=lambda cls: cls.__name__)
def test_the_document_has_every_field_with_its_type_and_default_in_order(
    cls: type[msgspec.Struct],
) -> None:
    assert document.fields_in_document()[cls.__name__][1] == document.fields_in_code(cls)


def test_every_code_that_the_document_names_exists() -> None:
    text = document.PATH.read_text()
    assert all(code.name in text for code in Code)
    assert all(f"**{state.name}**" in text for state in State)


def test_both_wires_say_the_example_session_to_the_byte() -> None:
    server = ServerWire(StaticKey(session_example.SERVER_STATIC), random_bytes=always(session_example.SERVER_EPHEMERAL))
    client = ClientWire(
        StaticKey(session_example.DEVICE_STATIC),
        server_key := StaticKey(session_example.SERVER_STATIC).public,
        always(session_example.DEVICE_EPHEMERAL),
    )
    frames = iter(session_example.SESSION_FRAMES)
    for who, expected in session_example.session().steps:
        sender, receiver = (client, server) if who == "C" else (server, client)
        if expected[0] == 2:
            for _, array in next(frames)[1]:
                data: bytes = msgpack.packb(array, use_bin_type=True)
                frame = decode_client_frame(data) if sender is client else decode_server_frame(data)
                sender.send(frame)  # type: ignore[arg-type]
        assert sender.data_to_send() == expected
        receiver.receive_data(expected)
    assert client.remote_static_key == server_key
    assert server.remote_static_key == StaticKey(session_example.DEVICE_STATIC).public
    assert server.state is client.state is State.LEAVING
    assert next(frames, None) is None


def test_the_example_session_cannot_be_played_again() -> None:
    server = ServerWire(StaticKey(session_example.SERVER_STATIC))
    spoken = [record for who, record in session_example.session().steps if who == "C"]
    server.receive_data(spoken[0])
    with pytest.raises(RemoteProtocolError) as caught:
        server.receive_data(b"".join(chain(spoken[1:])))
    assert caught.value.code is Code.HANDSHAKE_FAILED
