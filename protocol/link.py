"""The encrypted link that both wires are built on: buffers, ciphers, the state, and the ways of a frame in and out."""

from collections.abc import Callable
from typing import ClassVar, Final, TypeVar

from protocol.errors import Code, LocalProtocolError, RemoteProtocolError
from protocol.frames import LENGTH_SIZE_BYTES, FrameReader
from protocol.limits import FRAME_SIZE_BYTES_MAX, RECORD_PLAINTEXT_SIZE_BYTES_MAX, RECORD_SIZE_BYTES_MAX
from protocol.messages import Frame, UnknownFrame
from protocol.noise import CipherState, Handshake, NoiseError
from protocol.records import HANDSHAKE, HEADER_SIZE_BYTES, TRANSPORT, RecordReader, bad_record, record
from protocol.states import TABLE, Role, State, Steps

__all__ = [
    "FIRST_SIZE_BYTES",
    "SECOND_SIZE_BYTES",
    "THIRD_SIZE_BYTES",
    "Link",
    "check_handshake_header",
    "handshake_failed",
]

Event = TypeVar("Event")

# The handshake messages of XX with empty payloads.
FIRST_SIZE_BYTES: Final = 32
"""e"""
SECOND_SIZE_BYTES: Final = 32 + 48 + 16
"""e, s sealed, empty payload sealed"""
THIRD_SIZE_BYTES: Final = 48 + 16
"""s sealed, empty payload sealed"""


class Link:
    """What both sides share: buffers, ciphers, the state, and the ways in and out."""

    __slots__ = (
        "_accepts",
        "_early",
        "_frames",
        "_handshake",
        "_opener",
        "_outgoing",
        "_plaintext",
        "_record_size_in_max",
        "_records",
        "_says",
        "_sealer",
        "_size_in_max",
        "_size_out_max",
        "remote_static_key",
        "state",
    )

    role: ClassVar[Role]
    peer: ClassVar[Role]

    def __init__(self, handshake: Handshake | None) -> None:
        self.remote_static_key: bytes | None = None
        self._handshake: Handshake | None = handshake
        self._early: bytes | None = b""
        self._outgoing = b""
        self._plaintext: bytearray | None = None
        self._sealer: CipherState | None = None
        self._opener: CipherState | None = None
        self._size_in_max = self._size_out_max = FRAME_SIZE_BYTES_MAX
        self._record_size_in_max = RECORD_SIZE_BYTES_MAX
        self._records = RecordReader()
        self._frames = FrameReader()
        self._enter(State.HANDSHAKE)

    @property
    def handshake_complete(self) -> bool:
        """Whether the link is encrypted and the peer's static key known."""
        return self._sealer is not None

    @property
    def closed(self) -> bool:
        """Whether nothing passes any more; what ``data_to_send`` still returns is the last word."""
        return self.state is State.CLOSED

    @property
    def unsent_size_bytes(self) -> int:
        """Bytes buffered and not yet fetched by ``data_to_send``, before encryption."""
        return len(self._outgoing) + (0 if self._plaintext is None else len(self._plaintext))

    def rest(self) -> None:
        """Put both ciphers away while the connection is quiet: 5,000 bytes less, 0.8 µs a cipher at its next use."""
        if self._sealer is not None:
            self._sealer.rest()
        if self._opener is not None:
            self._opener.rest()

    def data_to_send(self) -> bytes:
        """What the socket's owner has to write now; empty if nothing. Each call returns new bytes."""
        outgoing = self._outgoing
        if outgoing:
            self._outgoing = b""
        plaintext = self._plaintext
        if plaintext is None:
            return outgoing
        self._plaintext = None
        chunk = self._chunk_size_bytes()
        if len(plaintext) <= chunk:
            return outgoing + record(TRANSPORT, self._seal(plaintext))
        return outgoing + b"".join(
            record(TRANSPORT, self._seal(plaintext[start : start + chunk])) for start in range(0, len(plaintext), chunk)
        )

    def _chunk_size_bytes(self) -> int:
        return RECORD_PLAINTEXT_SIZE_BYTES_MAX

    def _seal(self, plaintext: bytearray) -> bytes:
        assert self._sealer is not None, "the table lets no frame pass before the handshake"
        return self._sealer.encrypt(plaintext)

    def _refuse_to_say(self, frame: type[Frame]) -> LocalProtocolError:
        return LocalProtocolError(
            Code.WRONG_STATE, f"a {self.role.value} does not say {frame.__name__} in the state {self.state.value}"
        )

    def _put(self, data: bytes) -> None:
        """Buffer one encoded frame."""
        size = len(data)
        if size > self._size_out_max:
            raise too_large(size, self._size_out_max)
        plaintext = self._plaintext
        if plaintext is None:
            self._plaintext = plaintext = bytearray()
        plaintext += size.to_bytes(LENGTH_SIZE_BYTES, "big")
        plaintext += data

    def _enter(self, state: State) -> None:
        row = TABLE[state]
        self.state = state
        self._accepts: Steps = row[self.peer]
        self._says: Steps = row[self.role]

    def _receive(self, data: bytes, decode: Callable[[bytes], Event], events: list[Event]) -> None:
        """Decode what is complete with these bytes into `events`."""
        opener = self._opener
        if opener is None:
            return
        for body in self._records.receive(data, self._record_size_in_max):
            try:
                plaintext = opener.decrypt(body)
            except NoiseError as error:
                raise bad_record("A record fails authentication: it was changed, repeated or lost.") from error
            for raw in self._frames.receive(plaintext, self._size_in_max):
                event = decode(raw)
                state = self._accepts.get(type(event))
                if state is None:
                    self._judge(event)
                elif state is not self.state:
                    self._step(state, event)
                events.append(event)
                if self.state is State.CLOSED:
                    return

    def _judge(self, event: object) -> None:
        """Let an unknown frame pass where frames pass at all; anything else is in the wrong state."""
        if isinstance(event, UnknownFrame):
            if self._accepts and self.state is not State.GREETING:
                return
            name = f"type {event.tag}"
        else:
            name = type(event).__name__
        raise RemoteProtocolError(
            Code.WRONG_STATE,
            f"A {self.peer.value} does not say {name} in the state {self.state.value}; fix the {self.peer.value}.",
        )

    def _step(self, state: State, event: object) -> None:
        self._enter(state)

    def _finish_handshake(self, handshake: Handshake) -> None:
        """Keep the two ciphers and the peer's key, forget the rest."""
        self.remote_static_key = handshake.remote_static
        self._sealer, self._opener = handshake.split()
        self._handshake = None
        self._enter(State.GREETING)


def too_large(size_bytes: int, size_bytes_max: int) -> LocalProtocolError:
    """A frame of ours that the peer would refuse."""
    return LocalProtocolError(
        Code.FRAME_TOO_LARGE, f"a frame of {size_bytes} bytes was to be sent, but at most {size_bytes_max} may be now"
    )


def handshake_failed(error: NoiseError) -> RemoteProtocolError:
    """What a failed handshake message means to the peer."""
    return RemoteProtocolError(Code.HANDSHAKE_FAILED, f"The Noise handshake failed: {error}; check version and keys.")


def check_handshake_header(data: bytes, size_bytes: int) -> None:
    """Judge as much of a handshake record's header as there is: its type and exact size are known beforehand.

    Raises:
        RemoteProtocolError: BAD_RECORD.
    """
    expected = record(HANDSHAKE, bytes(size_bytes))[:HEADER_SIZE_BYTES]
    if data[:HEADER_SIZE_BYTES] == expected[: len(data)]:
        return
    if data[0] != HANDSHAKE:
        raise bad_record(f"The first record has type {data[0]} instead of {HANDSHAKE}.")
    raise bad_record(f"A handshake record does not have {size_bytes} bytes.")
