"""One connection between two nodes, without a socket: handshake, Hello, frames; bytes in, frames out, and back.

dialler                                    acceptor
-------                                    --------
Noise e                        ----->
                               <-----      e, ee, s, es      its key must be that of the node dialled
s, se; Hello                   ----->                        its key must be that of a node of the cluster
                               <-----      Hello             unless another link stays
Up; frames                     ----->
                               <-----      frames            once Up has come

*Invariant*: the dialler counts the link as up when it has seen the acceptor's Hello, the acceptor when it has seen
Up; before that neither says or believes anything else.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Final

from cluster.codes import SENTENCE_LENGTH_MAX, LinkCode, LinkError
from cluster.frames import (
    FRAME_SIZE_BYTES_MAX,
    FRAME_SIZE_BYTES_MAX_BEFORE_UP,
    VERSIONS_SUPPORTED,
    GoodbyeFrame,
    HelloFrame,
    UnknownLinkFrame,
    UpFrame,
    decode_frame,
    encode_frame,
)
from protocol import RemoteProtocolError
from protocol.frames import LENGTH_SIZE_BYTES, FrameReader
from protocol.limits import RECORD_PLAINTEXT_SIZE_BYTES_MAX, RECORD_SIZE_BYTES_MAX
from protocol.link import FIRST_SIZE_BYTES, SECOND_SIZE_BYTES, THIRD_SIZE_BYTES, check_handshake_header
from protocol.noise import CipherState, Handshake, NoiseError
from protocol.records import ALERT, HANDSHAKE, HEADER_SIZE_BYTES, TRANSPORT, RecordReader, record

if TYPE_CHECKING:
    from cluster.frames import LinkFrame
    from cluster.peers import Identity, Peer
    from protocol.keys import RandomBytes

__all__ = ["Session", "SessionState"]

PROLOGUE: Final = b"roost link/1"
"""Noise prologue: a client that dials a node's port, or a node that dials a client's, fails its handshake."""
_ALERT_SIZE_BYTES_MAX: Final = 4 * SENTENCE_LENGTH_MAX + 32
_SIZES: Final = (FIRST_SIZE_BYTES, SECOND_SIZE_BYTES, THIRD_SIZE_BYTES)


class SessionState(Enum):
    """How far a session is."""

    HANDSHAKE = "handshake"
    HELLO = "hello"
    GREETED = "greeted"
    ANSWERED = "answered"
    UP = "up"
    CLOSED = "closed"


class Session:
    """One end of one connection.

    Args:
        me: This node.
        dialled: The node that was dialled; None on the side that was.
        random_bytes: Source of the ephemeral key.

    Attributes:
        state: How far it is.
        peer: The other node's name: who was dialled, or who it says to be with a key that may speak for that name.
        incarnation: The other node's life; known with its Hello.
        version: The version of the frames; known with its Hello.
        unknown: Frames of unknown types that were skipped.
        frames_read: Frames that came since the link is up.
    """

    __slots__ = (
        "_dialled",
        "_early",
        "_entitled",
        "_frames",
        "_handshake",
        "_may_refuse",
        "_me",
        "_opener",
        "_outgoing",
        "_records",
        "_sealer",
        "_size_max",
        "frames_read",
        "incarnation",
        "peer",
        "state",
        "unknown",
        "version",
    )

    def __init__(self, me: Identity, dialled: Peer | None = None, random_bytes: RandomBytes = os.urandom) -> None:
        self._me = me
        self._dialled = dialled
        self._handshake = Handshake(
            initiator=dialled is not None,
            static=me.key,
            prologue=PROLOGUE,
            random_bytes=random_bytes,
            own_allowed=me.key.public in me.names_by_key,  # who leads us to ourselves is found out by the name
        )
        self._entitled = frozenset(() if dialled is None else (dialled.name,))
        self._early = bytearray()
        self._records = RecordReader()
        self._frames = FrameReader()
        self._sealer: CipherState | None = None
        self._opener: CipherState | None = None
        self._outgoing = b""
        self._size_max = FRAME_SIZE_BYTES_MAX_BEFORE_UP
        self._may_refuse = dialled is not None
        self.state = SessionState.HANDSHAKE
        self.peer = "" if dialled is None else dialled.name
        self.incarnation = 0
        self.version = 0
        self.unknown = 0
        self.frames_read = 0
        if dialled is not None:
            self._outgoing = record(HANDSHAKE, self._handshake.write())

    @property
    def is_dialler(self) -> bool:
        """Whether this side dialled."""
        return self._dialled is not None

    def data_to_send(self) -> bytes:
        """What the connection's owner has to write now; empty if nothing."""
        data, self._outgoing = self._outgoing, b""
        return data

    def receive(self, data: bytes) -> list[LinkFrame]:
        """Take bytes, cut anywhere; the frames that they complete, Hello and Up among them.

        Raises:
            LinkError: The peer is not who it should be, or said what it must not. The session is closed, and
                `data_to_send` gives what tells the peer why.
        """
        if self.state is SessionState.CLOSED:
            return []
        frames: list[LinkFrame] = []
        try:
            if self._opener is None:
                data = self._receive_handshake(data)
            if self._opener is not None and self._may_refuse:
                data = self._receive_refusal(data)
            if self._opener is not None and data:
                self._receive_records(data, frames)
        except RemoteProtocolError as error:
            junk = LinkError(LinkCode.JUNK, f"{self._whom()} sent no frames of a link: {error.sentence}")
            raise self._failed(junk, frames) from error
        except LinkError as error:
            raise self._failed(error, frames) from error.__cause__
        return frames

    def greet(self) -> None:
        """Answer the peer's Hello with ours: the acceptor lets the link come up."""
        self._say(encode_frame(self._hello()))
        self.state = SessionState.ANSWERED

    def confirm(self) -> None:
        """Say that the link is up: the dialler's last word before frames."""
        self._say(encode_frame(UpFrame()))
        self._rise()

    def leave(self, code: LinkCode, sentence: str) -> None:
        """Say why, and close."""
        if self.state is SessionState.CLOSED:
            return
        goodbye = encode_frame(GoodbyeFrame(code, sentence[:SENTENCE_LENGTH_MAX]))
        if self._sealer is None:
            self._outgoing += record(ALERT, goodbye)
        else:
            self._say(goodbye)
        self.state = SessionState.CLOSED

    def seal(self, plaintext: bytes) -> bytes:
        """Frames, each with its length before it, as records to write."""
        assert self._sealer is not None, "nothing is sealed before the handshake"
        encrypt = self._sealer.encrypt
        chunk = RECORD_PLAINTEXT_SIZE_BYTES_MAX
        if len(plaintext) <= chunk:
            return record(TRANSPORT, encrypt(plaintext))
        return b"".join(
            record(TRANSPORT, encrypt(plaintext[start : start + chunk])) for start in range(0, len(plaintext), chunk)
        )

    def _say(self, frame: bytes) -> None:
        self._outgoing += self.seal(len(frame).to_bytes(LENGTH_SIZE_BYTES, "big") + frame)

    def _hello(self) -> HelloFrame:
        me = self._me
        return HelloFrame(me.name, me.incarnation, list(VERSIONS_SUPPORTED), me.digests())

    def _rise(self) -> None:
        self.state = SessionState.UP
        self._size_max = FRAME_SIZE_BYTES_MAX

    def _whom(self) -> str:
        return self.peer or "Somebody unknown"

    def _failed(self, error: LinkError, frames: list[LinkFrame]) -> LinkError:
        self.leave(error.code, error.sentence)
        error.frames = frames
        return error

    def _receive_handshake(self, data: bytes) -> bytes:
        """Take the handshake's messages; what follows the last of them is left."""
        early = self._early
        early += data
        while self._opener is None:
            if early[:1] == bytes((ALERT,)):
                self._receive_alert(early)
                return b""
            size = _SIZES[self._handshake.messages_passed]
            if early:
                check_handshake_header(bytes(early[:HEADER_SIZE_BYTES]), size)
            end = HEADER_SIZE_BYTES + size
            if len(early) < end:
                return b""
            message = bytes(early[HEADER_SIZE_BYTES:end])
            del early[:end]
            self._step_handshake(message)
        rest = bytes(early)
        early.clear()
        return rest

    def _step_handshake(self, message: bytes) -> None:
        handshake = self._handshake
        try:
            handshake.read(message)
            if self._dialled is not None:
                self._check_answerer(handshake.remote_static)
            if handshake.our_turn:
                self._outgoing += record(HANDSHAKE, handshake.write())
        except NoiseError as error:
            raise LinkError(
                LinkCode.HANDSHAKE_FAILED, f"The handshake with {self._whom()} failed: {error}; check keys and address."
            ) from error
        if not handshake.finished:
            return
        self._sealer, self._opener = handshake.split()
        self.state = SessionState.HELLO
        if self._dialled is not None:
            self._say(encode_frame(self._hello()))
        else:
            self._check_dialler(handshake.remote_static)

    def _check_answerer(self, key: bytes) -> None:
        assert self._dialled is not None
        if key == self._dialled.public_key:
            return
        raise LinkError(
            LinkCode.KEY_WRONG,
            f"{self._me.name} dialled {self.peer}, but who answered has another key; check the key of {self.peer} in "
            "the settings, and who listens at its address.",
        )

    def _check_dialler(self, key: bytes) -> None:
        names = self._me.names_by_key.get(key)
        if names is None:
            raise LinkError(
                LinkCode.KEY_UNKNOWN,
                f"A node with the key {key.hex()} dialled {self._me.name}, which knows no such node; put that key into "
                "the settings of the node it belongs to, on every host.",
            )
        self._entitled = names
        if len(names) == 1:
            [self.peer] = names

    def _receive_alert(self, data: bytearray) -> None:
        """The other side refused before the link was encrypted; anyone on the way could have said it."""
        size = int.from_bytes(data[1:HEADER_SIZE_BYTES], "big") if len(data) >= HEADER_SIZE_BYTES else 0
        if size > _ALERT_SIZE_BYTES_MAX:
            raise LinkError(LinkCode.JUNK, f"{self._whom()} refused with more words than are allowed.")
        if len(data) < HEADER_SIZE_BYTES + size or not size:
            return
        frame = decode_frame(bytes(data[HEADER_SIZE_BYTES : HEADER_SIZE_BYTES + size]))
        if not isinstance(frame, GoodbyeFrame):
            raise LinkError(LinkCode.JUNK, f"{self._whom()} sent an alert that is none.")
        self.state = SessionState.CLOSED
        raise left(self._whom(), frame)

    def _receive_refusal(self, data: bytes) -> bytes:
        """Who was dialled may refuse before our last handshake message has come, so in the clear; not later."""
        early = self._early
        early += data
        if early[:1] == bytes((ALERT,)):
            self._receive_alert(early)
            return b""
        rest = bytes(early)
        early.clear()
        self._may_refuse = not rest
        return rest

    def _receive_records(self, data: bytes, frames: list[LinkFrame]) -> None:
        opener = self._opener
        assert opener is not None
        for body in self._records.receive(data, RECORD_SIZE_BYTES_MAX):
            try:
                plaintext = opener.decrypt(body)
            except NoiseError as error:
                raise LinkError(
                    LinkCode.JUNK, f"A record of {self._whom()} fails authentication: it was changed, repeated or lost."
                ) from error
            for raw in self._frames.receive(plaintext, self._size_max):
                frame = decode_frame(raw)
                if self.state is SessionState.UP:
                    self.frames_read += 1
                if isinstance(frame, UnknownLinkFrame):
                    self.unknown += 1
                    continue
                if self.state is not SessionState.UP or isinstance(frame, (HelloFrame, UpFrame, GoodbyeFrame)):
                    self._step(frame)
                frames.append(frame)

    def _step(self, frame: LinkFrame) -> None:
        """Let a frame of the link's beginning or end change the state."""
        if isinstance(frame, GoodbyeFrame):
            self.state = SessionState.CLOSED
            raise left(self._whom(), frame)
        if isinstance(frame, HelloFrame) and self.state is SessionState.HELLO:
            self._check_hello(frame)
            self.state = SessionState.GREETED
        elif isinstance(frame, UpFrame) and self.state is SessionState.ANSWERED:
            self._rise()
        else:
            name = type(frame).__name__
            raise LinkError(
                LinkCode.WRONG_STATE, f"{self._whom()} said {name} while the link was {self.state.value}; update it."
            )

    def _check_hello(self, hello: HelloFrame) -> None:
        me = self._me
        if hello.node not in self._entitled:
            owner = " and ".join(sorted(self._entitled)[:3])
            raise LinkError(
                LinkCode.NAME_WRONG,
                f"The node whose key is that of {owner} calls itself {hello.node[:64]}; mend its name or its key.",
            )
        self.peer = hello.node
        version = next((version for version in VERSIONS_SUPPORTED if version in hello.versions), None)
        if version is None:
            raise LinkError(
                LinkCode.VERSION_UNSUPPORTED,
                f"{self.peer} speaks versions {sorted(hello.versions)} of the link, {me.name} "
                f"{sorted(VERSIONS_SUPPORTED)}; update the older node.",
            )
        ours = me.digests()
        differing = sorted(
            key for key in ours.keys() | hello.settings.keys() if ours.get(key) != hello.settings.get(key)
        )
        if differing:
            keys = ", ".join(key[:100] for key in differing[:3])
            raise LinkError(
                LinkCode.SETTINGS_DIFFER,
                f"{self.peer} and {me.name} differ in {keys}; make these settings the same on every host, and start "
                "again those that had them wrong.",
            )
        self.version = version
        self.incarnation = hello.incarnation


def left(peer: str, goodbye: GoodbyeFrame) -> LinkError:
    """What a peer's goodbye means to us."""
    try:
        code = LinkCode(goodbye.code)
    except ValueError:
        code = LinkCode.LOST
    return LinkError(code, f"{peer} ended the link: {goodbye.sentence}")
