"""A connection without its socket: bytes in and frames out, frames in and bytes out.

`ServerWire` and `ClientWire` join the parts: the handshake (`noise`), `records`, `frames`, `codec` and `states`.
Whoever owns the socket gives what it read to ``receive_data`` and writes what ``data_to_send`` returns::

    try:
        frames = wire.receive_data(data)
    except RemoteProtocolError:
        write(wire.data_to_send())  # the reason, for the peer
        close()

A server runs these paths for every message, so a state check is one dictionary look-up, a deliver is spliced from
bytes that were encoded once, and encryption happens once a flush.
"""

import hmac
import os
from typing import Final, Self

import msgspec

from protocol.codec import (
    decode_alert,
    decode_client_frame,
    decode_server_frame,
    encode_alert,
    encode_deliver_head,
    encode_frame,
)
from protocol.errors import Code, LocalProtocolError, RemoteProtocolError
from protocol.keys import RandomBytes, StaticKey
from protocol.limits import (
    DEFAULT_LIMITS,
    FRAME_SIZE_BYTES_MAX_BEFORE_READY,
    RECORD_PLAINTEXT_SIZE_BYTES_MAX,
    RECORD_SIZE_BYTES_MAX,
    SENTENCE_LENGTH_MAX,
    TAG_SIZE_BYTES,
    WireLimits,
)
from protocol.link import (
    FIRST_SIZE_BYTES,
    SECOND_SIZE_BYTES,
    THIRD_SIZE_BYTES,
    Link,
    check_handshake_header,
    handshake_failed,
)
from protocol.messages import Alert, ClientFrame, Closing, Deliver, ServerFrame, UnknownFrame, Welcome
from protocol.noise import CipherState, Handshake, NoiseError
from protocol.records import ALERT, HANDSHAKE, HEADER_SIZE_BYTES, bad_record, record
from protocol.states import Role, State
from protocol.versions import PROLOGUE

__all__ = ["ClientEvent", "ClientWire", "ServerEvent", "ServerWire"]

ServerEvent = ClientFrame | UnknownFrame
"""What a server receives."""
ClientEvent = ServerFrame | UnknownFrame | Alert
"""What a client receives."""

_ALERT_SIZE_BYTES_MAX: Final = 4 * SENTENCE_LENGTH_MAX + 32


class _Exported(msgspec.Struct, array_like=True):
    """All that an established server's end knows; it holds keys, and is never shown."""

    state: str
    remote_static_key: bytes
    sealer: tuple[bytes, int]
    opener: tuple[bytes, int]
    outgoing: bytes
    plaintext: bytes
    record_size_in_max: int
    size_in_max: int
    unread_record: bytes
    unread_frame: bytes


_encode_exported: Final = msgspec.msgpack.Encoder().encode
_decode_exported: Final = msgspec.msgpack.Decoder(_Exported).decode


class ServerWire(Link):
    """The server's end of one connection.

    Small by intention: after the handshake two ciphers, two readers and a key remain.
    """

    __slots__ = ("_size_in_max_when_ready",)

    role = Role.SERVER
    peer = Role.CLIENT

    def __init__(
        self,
        static_key: StaticKey,
        limits: WireLimits = DEFAULT_LIMITS,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Wait for a client.

        Args:
            static_key: The server's identity.
            limits: What clients may send once ready.
            random_bytes: Source of the ephemeral key.
        """
        super().__init__(Handshake(initiator=False, static=static_key, prologue=PROLOGUE, random_bytes=random_bytes))
        self._size_in_max = FRAME_SIZE_BYTES_MAX_BEFORE_READY
        self._record_size_in_max = FRAME_SIZE_BYTES_MAX_BEFORE_READY
        self._size_in_max_when_ready = limits.frame_size_bytes_max

    def receive_data(self, data: bytes) -> list[ServerEvent]:
        """Take bytes from the socket, cut anywhere, and return the frames they complete.

        The handshake happens inside. Once closed, everything is ignored. An `UnknownFrame` is to be answered with
        ``Error(0, UNKNOWN_FRAME, ...)``.

        Raises:
            RemoteProtocolError: The client broke the protocol. The wire is closed; ``data_to_send`` gives the alert
                or Closing that tells the client why. The error's ``frames`` came before the fault.
        """
        events: list[ServerEvent] = []
        try:
            if self._early is not None:
                data = self._receive_handshake(data)
            if data:
                self._receive(data, decode_client_frame, events)
        except RemoteProtocolError as error:
            error.frames = list(events)
            self.close(error.code, error.sentence)
            raise
        return events

    def send(self, frame: ServerFrame) -> None:
        """Buffer a frame.

        Raises:
            LocalProtocolError: The state does not allow it or it is too large; nothing has changed.
        """
        state = self._says.get(type(frame))
        if state is None:
            raise self._refuse_to_say(type(frame))
        self._put(encode_frame(frame))
        if state is not self.state:
            self._step(state, frame)

    def send_deliver(self, position: int, message: bytes) -> None:
        """Buffer a Deliver of a message that `encode_message` has already encoded.

        Args:
            position: Queue position; 0 for an ephemeral message.
            message: The message's array.

        Raises:
            LocalProtocolError: The state does not allow it or it is too large; nothing has changed.
        """
        if Deliver not in self._says:
            raise self._refuse_to_say(Deliver)
        self._put(encode_deliver_head(position) + message)

    def close(self, code: Code, sentence: str | None = None, retry_after_ms: int | None = None) -> None:
        """Say why and close: an alert before the handshake is complete, a Closing after it. Idempotent.

        Args:
            code: The reason.
            sentence: For people; the code's own when None.
            retry_after_ms: When connecting again makes sense: -1 never, 0 with the usual back-off. When None, what
                the code says.
        """
        if self.state is State.CLOSED:
            return
        sentence = (code.sentence if sentence is None else sentence)[:SENTENCE_LENGTH_MAX]
        if retry_after_ms is None:
            retry_after_ms = 0 if code.retry else -1
        if self._sealer is None:
            self._outgoing += record(ALERT, encode_alert(Alert(code, sentence, retry_after_ms)))
        else:
            self._put(encode_frame(Closing(code, sentence, retry_after_ms)))
        self._handshake = self._opener = self._early = None
        self._enter(State.CLOSED)

    def export(self) -> bytes:
        """Everything another process needs to go on as this end: it holds keys. This wire is closed by it, in silence.

        Raises:
            LocalProtocolError: There is no link yet, or none any more; nothing has changed.
        """
        sealer, opener = self._sealer, self._opener
        if sealer is None or opener is None:
            raise LocalProtocolError(
                Code.WRONG_STATE, f"a wire in the state {self.state.value} cannot go on in another process"
            )
        assert self.remote_static_key is not None, "it came with the ciphers"
        exported = _Exported(
            self.state.value,
            self.remote_static_key,
            sealer.exported(),
            opener.exported(),
            self._outgoing,
            bytes(self._plaintext or b""),
            self._record_size_in_max,
            self._size_in_max,
            self._records.unread,
            self._frames.unread,
        )
        self._outgoing, self._plaintext = b"", None
        self._sealer = self._opener = None
        self._enter(State.CLOSED)
        return _encode_exported(exported)

    @classmethod
    def imported(cls, data: bytes, limits: WireLimits = DEFAULT_LIMITS) -> Self:
        """The end that goes on where the one that was exported has stopped.

        Args:
            data: What `export` returned; a second wire made of the same would use the same nonces again.
            limits: As in the constructor.

        Raises:
            LocalProtocolError: These bytes are no export.
        """
        try:
            exported = _decode_exported(data)
            state = State(exported.state)
        except ValueError:
            raise LocalProtocolError(Code.INTERNAL, "what was exported of a wire cannot be read") from None
        wire = cls.__new__(cls)
        Link.__init__(wire, None)
        wire._early = None
        wire.remote_static_key = exported.remote_static_key
        wire._sealer, wire._opener = CipherState(*exported.sealer), CipherState(*exported.opener)
        wire._outgoing = exported.outgoing
        wire._plaintext = bytearray(exported.plaintext) if exported.plaintext else None
        wire._record_size_in_max, wire._size_in_max = exported.record_size_in_max, exported.size_in_max
        wire._size_in_max_when_ready = limits.frame_size_bytes_max
        wire._enter(state)
        # An unfinished record or frame yields nothing: its reader keeps it and knows again what it waits for.
        list(wire._records.receive(exported.unread_record, wire._record_size_in_max))
        list(wire._frames.receive(exported.unread_frame, wire._size_in_max))
        return wire

    def _step(self, state: State, event: object) -> None:
        super()._step(state, event)
        if state is State.READY:
            self._size_in_max = self._size_in_max_when_ready
            self._record_size_in_max = RECORD_SIZE_BYTES_MAX
        elif state is State.CLOSED:
            self._opener = None

    def _receive_handshake(self, data: bytes) -> bytes:
        """Take what belongs to the handshake; return what follows it."""
        handshake = self._handshake
        assert handshake is not None, "early bytes are kept only while there is a handshake"
        data = (self._early or b"") + data
        while not handshake.finished:
            size = THIRD_SIZE_BYTES if handshake.messages_passed else FIRST_SIZE_BYTES
            check_handshake_header(data, size)
            if len(data) < HEADER_SIZE_BYTES + size:
                self._early = data
                return b""
            message, data = data[HEADER_SIZE_BYTES : HEADER_SIZE_BYTES + size], data[HEADER_SIZE_BYTES + size :]
            try:
                handshake.read(message)
                if not handshake.finished:
                    self._outgoing += record(HANDSHAKE, handshake.write())
            except NoiseError as error:
                raise handshake_failed(error) from error
        self._early = None
        self._finish_handshake(handshake)
        return data


class ClientWire(Link):
    """The client's end of one connection. The first ``data_to_send`` begins the handshake."""

    __slots__ = ("_pinned", "_size_out_max_when_ready")

    role = Role.CLIENT
    peer = Role.SERVER

    def __init__(
        self,
        static_key: StaticKey,
        pinned_server_key: bytes | None = None,
        random_bytes: RandomBytes = os.urandom,
    ) -> None:
        """Begin a handshake.

        Args:
            static_key: The device's identity.
            pinned_server_key: The 32 bytes that the server's static public key must be; None to accept any and read
                it from ``remote_static_key`` (trust on first use).
            random_bytes: Source of the ephemeral key.
        """
        handshake = Handshake(initiator=True, static=static_key, prologue=PROLOGUE, random_bytes=random_bytes)
        super().__init__(handshake)
        self._pinned = pinned_server_key
        self._size_out_max = self._size_out_max_when_ready = FRAME_SIZE_BYTES_MAX_BEFORE_READY
        self._outgoing = record(HANDSHAKE, handshake.write())

    def receive_data(self, data: bytes) -> list[ClientEvent]:
        """Take bytes from the socket, cut anywhere, and return the frames they complete.

        An `Alert` comes instead of an encrypted link and closes the wire; it is not authenticated, so a hint only.
        An `UnknownFrame` is to be skipped. Once closed, everything is ignored.

        Raises:
            RemoteProtocolError: The server broke the protocol or does not hold the pinned key. The wire is closed.
                The error's ``frames`` came before the fault.
        """
        events: list[ClientEvent] = []
        try:
            if self._early is not None:
                data = self._receive_early(data, events)
            if data:
                self._receive(data, decode_server_frame, events)
        except RemoteProtocolError as error:
            error.frames = list(events)
            self._shut()
            raise
        return events

    def send(self, frame: ClientFrame) -> None:
        """Buffer a frame, checked as the server will check it.

        Raises:
            LocalProtocolError: The state does not allow it, it is too large, or a field is wrong; nothing has changed.
        """
        state = self._says.get(type(frame))
        if state is None:
            raise self._refuse_to_say(type(frame))
        self._put(_checked(frame))
        if state is not self.state:
            self._step(state, frame)

    def _chunk_size_bytes(self) -> int:
        if self.state is State.READY:
            return RECORD_PLAINTEXT_SIZE_BYTES_MAX
        return FRAME_SIZE_BYTES_MAX_BEFORE_READY - TAG_SIZE_BYTES

    def _step(self, state: State, event: object) -> None:
        super()._step(state, event)
        if isinstance(event, Welcome):
            self._size_out_max_when_ready = min(event.frame_size_bytes_max, self._size_in_max)
        elif state is State.READY:
            self._size_out_max = self._size_out_max_when_ready
        elif state is State.CLOSED:
            self._shut()

    def _shut(self) -> None:
        self._handshake = self._opener = self._early = self._plaintext = None
        self._outgoing = b""
        self._enter(State.CLOSED)

    def _receive_early(self, data: bytes, events: list[ClientEvent]) -> bytes:
        """Take the handshake's answer, or an alert in its place or right after it; return what follows."""
        data = (self._early or b"") + data
        if not data:
            return data
        self._early = data
        if data[0] == ALERT:
            self._receive_alert(data, events)
            return b""
        handshake = self._handshake
        if handshake is None:  # the first record after the handshake is no alert: from here on all are sealed
            self._early = None
            return data
        check_handshake_header(data, SECOND_SIZE_BYTES)
        end = HEADER_SIZE_BYTES + SECOND_SIZE_BYTES
        if len(data) < end:
            return b""
        try:
            handshake.read(data[HEADER_SIZE_BYTES:end])
            self._check_pin(handshake.remote_static)
            self._outgoing += record(HANDSHAKE, handshake.write())
        except NoiseError as error:
            raise handshake_failed(error) from error
        self._finish_handshake(handshake)
        self._early = b""
        return self._receive_early(data[end:], events)

    def _check_pin(self, server_key: bytes) -> None:
        """Before our own static key is shown, and in constant time."""
        self.remote_static_key = server_key
        if self._pinned is not None and not hmac.compare_digest(self._pinned, server_key):
            raise RemoteProtocolError(
                Code.HANDSHAKE_FAILED,
                "The server does not hold the key that is pinned for it: it is another server, or somebody stands "
                "between. Do not go on unless its operator tells you its new key.",
            )

    def _receive_alert(self, data: bytes, events: list[ClientEvent]) -> None:
        if len(data) < HEADER_SIZE_BYTES:
            return
        size = int.from_bytes(data[1:HEADER_SIZE_BYTES], "big")
        if size > _ALERT_SIZE_BYTES_MAX:
            raise bad_record(f"An alert has {size} bytes, more than {_ALERT_SIZE_BYTES_MAX}.")
        if len(data) >= HEADER_SIZE_BYTES + size:
            events.append(decode_alert(data[HEADER_SIZE_BYTES : HEADER_SIZE_BYTES + size]))
            self._shut()


def _checked(frame: ClientFrame) -> bytes:
    """Encode a frame and read it back as the server would: a wrong field is our fault before it is sent."""
    try:
        data = encode_frame(frame)
        decode_client_frame(data)
    except RemoteProtocolError as error:
        raise LocalProtocolError(error.code, error.sentence) from error
    except (ValueError, TypeError, OverflowError) as error:
        raise LocalProtocolError(Code.BAD_FIELD, f"{type(frame).__name__} cannot be encoded: {error}") from error
    return data
