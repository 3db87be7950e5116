"""The links between nodes: what a stranger at a node's port, and a peer that has gone mad, can say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cluster import LinkError, MessageTable, Peer
from cluster.frames import (
    FRAME_SIZE_BYTES_MAX,
    GoodbyeFrame,
    HeartbeatFrame,
    HelloFrame,
    PostFrame,
    UnknownLinkFrame,
    UpFrame,
    decode_frame,
)
from cluster.session import Session, SessionState
from cluster.translation import Translation
from protocol import RemoteProtocolError
from protocol.frames import FrameReader
from tests.cluster.messages import registered
from tests.cluster.test_session import exchange, exchange_handshake, identity
from tests.cluster.world import key_of
from tests.fuzz.target import Target, check_sentence
from tests.fuzz.wires import pieces
from tests.protocol.links import random_bytes_of
from tests.runtime.web import Web

if TYPE_CHECKING:
    from cluster.frames import LinkFrame

STAGES = ("acceptor", "dialler", "hello", "up")
OF_THE_LINK = (HelloFrame, UpFrame, GoodbyeFrame, HeartbeatFrame, UnknownLinkFrame)


def sessions(stage: str) -> tuple[Session, Session]:
    """Who is attacked, and who attacks, as far as the stage says; equal each time."""
    dialler = Session(identity("a"), Peer("b", key_of("b").public), random_bytes_of("a"))
    acceptor = Session(identity("b"), None, random_bytes_of("b"))
    if stage == "dialler":
        return dialler, acceptor
    if stage == "hello":
        exchange_handshake(dialler, acceptor)
    elif stage == "up":
        exchange(dialler, acceptor)
        acceptor.greet()
        exchange(dialler, acceptor)
        dialler.confirm()
        exchange(dialler, acceptor)
    return acceptor, dialler


def node_link(data: bytes) -> None:
    """A session at a stage; once the handshake is over the bytes are a peer's plaintext.

    Input: a byte for the stage, a byte for how the stream is cut, then the stream.
    """
    stage = STAGES[data[0] % len(STAGES)] if data else "acceptor"
    outcomes = []
    for size in (0, data[1] >> 1 if len(data) > 1 else 0):
        session, peer = sessions(stage)
        stream = data[2:]
        if stage in ("hello", "up") and stream:
            stream = peer.seal(stream)
        session.data_to_send()
        heard, error = fed(session, pieces(stream, size))
        outcomes.append((heard, str(error)))
        if error is not None:
            assert session.state is SessionState.CLOSED
            assert session.receive(stream) == []
    assert outcomes[0] == outcomes[1]


def fed(session: Session, parts: list[bytes]) -> tuple[list[LinkFrame], LinkError | None]:
    heard: list[LinkFrame] = []
    for part in parts:
        try:
            heard += session.receive(part)
        except LinkError as error:
            check_sentence(error.sentence)
            return heard + error.frames, error
    return heard, None


def node_words(data: bytes) -> None:
    """The plaintext of a link that is up, given to a runtime with actors that listen."""
    heard_words(data, registered(MessageTable()))


def heard_words(data: bytes, table: MessageTable) -> None:
    """The same, with these messages."""
    web = Web()
    puppets = [web.puppet("b", trap_exit=True, name=name) for name in ("office", "door")]
    translation = Translation(web.runtimes["b"], table)
    incarnation = web.runtimes["a"].incarnation
    count = 0
    try:
        for raw in FrameReader().receive(data, FRAME_SIZE_BYTES_MAX):
            frame = decode_frame(raw)
            count += 1
            if isinstance(frame, PostFrame):
                translation.receive_post(frame)
            elif not isinstance(frame, OF_THE_LINK):
                translation.receive("a", incarnation, frame)
    except (LinkError, RemoteProtocolError) as error:
        check_sentence(error.sentence)
    web.settle()
    assert web.runtimes["b"].foreign.tied("a") <= count
    assert sum(len(puppet.heard) + len(puppet.callers) for puppet in puppets) <= count
    assert translation.unreadable <= count
    web.part("a", "b")
    web.settle()
    assert web.runtimes["b"].foreign.tied("a") == 0
    web.close()


LINK_TARGETS = (
    Target("node_link", node_link, "frames, or LinkError; cut anywhere the same"),
    Target("node_words", node_words, "messages and signals, or LinkError; nothing is kept when the link is down"),
)
