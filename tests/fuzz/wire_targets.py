"""The wire: what a client, a server, or somebody in between can say.

Input of both wires: a byte that chooses the stage, a byte that says how the stream is cut (upper seven bits: the size
of the pieces) and whether it is sealed (lowest bit 0: as plaintext of a peer that knows the keys), then the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import ClientWire, RemoteProtocolError, ServerWire
from protocol.codec import decode_alert, decode_client_frame, decode_server_frame, encode_frame
from protocol.limits import SENTENCE_LENGTH_MAX
from protocol.link import THIRD_SIZE_BYTES
from protocol.messages import CLIENT_FRAMES, SERVER_FRAMES, Alert, Closing, UnknownFrame
from protocol.noise import Handshake, NoiseError
from protocol.records import ALERT, HEADER_SIZE_BYTES
from protocol.versions import PROLOGUE
from tests.fuzz.target import Target, check_sentence
from tests.fuzz.wires import STAGES, all_sealed, honest_answer, pair, pieces, twin
from tests.protocol.links import DEVICE_KEY, SERVER_KEY, random_bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.keys import PrivateKey

Outcome = tuple[list[object], RemoteProtocolError | None]


def server_wire(data: bytes) -> None:
    """A malicious client."""
    server, client = pair(STAGES[data[0] % len(STAGES)] if data else "fresh")
    stream = _stream(client, data)
    whole, cut = twin(server), server
    events, error = _fed(cut, pieces(stream, data[1] >> 1 if len(data) > 1 else 0))
    _check_events(events, (*CLIENT_FRAMES, UnknownFrame), decode_client_frame)
    _check_same(_fed(whole, [stream]), (events, error))
    if error is not None:
        assert cut.closed
        assert _told(cut, client).code == error.code
        assert cut.receive_data(stream) == []
        assert cut.data_to_send() == b""


def _told(server: ServerWire, client: ClientWire) -> Alert | Closing:
    """The last word of a server; before the handshake is complete, to a client who may be anybody."""
    sealed, said = server.handshake_complete, server.data_to_send()
    if sealed:
        last = client.receive_data(said)[-1]
        assert isinstance(last, Alert | Closing)
        return last
    while len(said) > (end := HEADER_SIZE_BYTES + int.from_bytes(said[1:HEADER_SIZE_BYTES], "big")):
        said = said[end:]
    assert said[0] == ALERT
    return decode_alert(said[HEADER_SIZE_BYTES:])


def client_wire(data: bytes) -> None:
    """A malicious server, which holds the pinned key."""
    stage = STAGES[data[0] % len(STAGES)] if data else "fresh"
    server, client = pair(stage)
    honest = b""
    if stage == "fresh" and len(data) > 1 and not data[1] & 1:
        honest = honest_answer()
    if stage in ("fresh", "answered"):
        server, _ = pair("greeting")
    stream = honest + _stream(server, data)
    whole, cut = twin(client), client
    events, error = _fed(cut, pieces(stream, data[1] >> 1 if len(data) > 1 else 0))
    _check_events(events, (*SERVER_FRAMES, UnknownFrame, Alert), decode_server_frame)
    _check_same(_fed(whole, [stream]), (events, error))
    if error is not None:
        assert cut.closed
        assert cut.data_to_send() == b""
        assert cut.receive_data(stream) == []


def _stream(sender: ServerWire | ClientWire, data: bytes) -> bytes:
    """What the attacker puts on the line, behind what is due of the handshake."""
    if len(data) < 2 or data[1] & 1 or not sender.handshake_complete:
        return data[2:]
    return sender.data_to_send() + all_sealed(sender, data[2:])


def _fed(wire: ServerWire | ClientWire, parts: list[bytes]) -> Outcome:
    """Every event until the wire closes, and the error if it blames the peer; buffers stay within their limits."""
    events: list[object] = []
    for part in parts:
        try:
            events += wire.receive_data(part)
        except RemoteProtocolError as error:
            check_sentence(error.sentence)
            return events + error.frames, error
        assert len(wire._early or b"") <= HEADER_SIZE_BYTES + max(THIRD_SIZE_BYTES, 4 * SENTENCE_LENGTH_MAX + 32)
        assert len(wire._records._tail or b"") < HEADER_SIZE_BYTES + wire._record_size_in_max
        assert len(wire._frames._tail or b"") < HEADER_SIZE_BYTES + wire._size_in_max
    return events, None


def _check_same(one: Outcome, other: Outcome) -> None:
    """Bytes cut anywhere give the same frames and the same end."""
    assert one[0] == other[0]
    assert str(one[1]) == str(other[1])


def _check_events(events: list[object], kinds: tuple[type, ...], decode: Callable[[bytes], object]) -> None:
    """Only what this direction has, and all of it can be said again."""
    for event in events:
        assert type(event) in kinds
        if not isinstance(event, UnknownFrame | Alert):
            assert decode(encode_frame(event)) == event  # type: ignore[arg-type]  # the two that are no frames are out


class _Impostor:
    """A static key whose public half is a lie."""

    def __init__(self, key: PrivateKey, public: bytes) -> None:
        self.public = public
        self.exchange = key.exchange


def noise_handshake(data: bytes) -> None:
    """Each message of the handshake: as raw bytes, with a payload, with a forged key; then the transport.

    Input: a byte for the message (0 to 2), a byte for the manner, then the bytes.
    """
    if len(data) < 2:
        return
    turn, manner, content = data[0] % 3, data[1] % 3, data[2:]
    key = _forged(SERVER_KEY if turn == 1 else DEVICE_KEY, content) if manner == 2 else None
    one = Handshake(
        initiator=True,
        static=key if key and turn != 1 else DEVICE_KEY,  # type: ignore[arg-type]  # an impostor on purpose
        prologue=PROLOGUE,
        random_bytes=random_bytes_of("one"),
    )
    other = Handshake(
        initiator=False,
        static=key if key and turn == 1 else SERVER_KEY,  # type: ignore[arg-type]  # an impostor on purpose
        prologue=PROLOGUE,
        random_bytes=random_bytes_of("other"),
    )
    try:
        for step in range(3):
            writer, reader = (one, other) if step % 2 == 0 else (other, one)
            payload = content if step == turn and manner == 1 else b""
            message = writer.write(payload)
            if step == turn and manner == 0:
                message = content
            elif step == turn == 0 and manner == 2:
                message = content[:32].ljust(32, b"\0") + message[32:]
            assert reader.read(message) == payload or manner == 0
    except NoiseError:
        return
    _check_transport(one, other, content)


def _forged(key: PrivateKey, content: bytes) -> _Impostor:
    return _Impostor(key, content[:32].ljust(32, b"\0"))


def _check_transport(one: Handshake, other: Handshake, content: bytes) -> None:
    """A finished handshake gives ciphers that take nothing but each other's next message."""
    seal, _ = one.split()
    _, opener = other.split()
    try:
        opener.decrypt(content)
    except NoiseError:
        assert opener.counter == 0
    else:
        raise AssertionError("junk was taken for a sealed message")
    if one.handshake_hash == other.handshake_hash:
        assert opener.decrypt(seal.encrypt(content)) == content


WIRE_TARGETS = (
    Target("server_wire", server_wire, "client frames, or RemoteProtocolError, of which the client is told"),
    Target("client_wire", client_wire, "server frames, or RemoteProtocolError; nothing more is sent"),
    Target("noise_handshake", noise_handshake, "the payload, or NoiseError; junk never moves a counter"),
)
