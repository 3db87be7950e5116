"""Both wires in every state, ready to be copied: a fuzzer cannot pay 300 microseconds for a handshake at each input."""

from __future__ import annotations

import copy
import hashlib
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from protocol import ClientWire, ServerWire, WireLimits
from protocol.limits import FRAME_SIZE_BYTES_MAX_BEFORE_READY, TAG_SIZE_BYTES
from protocol.link import Link
from protocol.messages import Bye
from tests.protocol import links
from tests.protocol.links import sealed

if TYPE_CHECKING:
    from protocol.noise import Handshake

STAGES = ("fresh", "answered", "greeting", "greeted", "open", "ready", "leaving")
"""Before a byte; after the server's handshake message; after the handshake; and the states of the session."""
PLAINTEXT_SIZE_BYTES_MAX = FRAME_SIZE_BYTES_MAX_BEFORE_READY - TAG_SIZE_BYTES

AnyWire = TypeVar("AnyWire", bound=Link)


def pair(stage: str) -> tuple[ServerWire, ClientWire]:
    """Two ends that stand in a stage; in "answered" the client's last handshake message waits in its buffer."""
    server, client = _prepared(stage)
    return twin(server), twin(client)


@cache
def honest_answer() -> bytes:
    """The server's handshake message to the client of every pair, for all of them begin with the same randomness."""
    server, client = pair("fresh")
    server.receive_data(client.data_to_send())
    return server.data_to_send()


@cache
def _prepared(stage: str) -> tuple[ServerWire, ClientWire]:
    server = ServerWire(links.SERVER_KEY, WireLimits(), lambda size: hashlib.shake_256(b"server").digest(size))
    client = ClientWire(
        links.DEVICE_KEY, links.SERVER_KEY.public, lambda size: hashlib.shake_256(b"client").digest(size)
    )
    index = STAGES.index(stage)
    if index >= 1:
        server.receive_data(client.data_to_send())
        client.receive_data(server.data_to_send())
    if index >= 2:
        server.receive_data(client.data_to_send())
    if index >= 3:
        client.send(links.HELLO)
        server.receive_data(client.data_to_send())
    if index >= 4:
        server.send(links.WELCOME)
        client.receive_data(server.data_to_send())
    if index >= 5:
        client.send(links.LOGIN)
        server.receive_data(client.data_to_send())
        server.send(links.READY)
        client.receive_data(server.data_to_send())
    if index >= 6:
        client.send(Bye())
        server.receive_data(client.data_to_send())
    return server, client


def twin(wire: AnyWire) -> AnyWire:
    """A copy that goes its own way."""
    other = copy.copy(wire)
    for name in ("_records", "_frames", "_sealer", "_opener"):
        setattr(other, name, copy.copy(getattr(wire, name)))
    other._handshake = None if wire._handshake is None else twin_handshake(wire._handshake)
    return other


def twin_handshake(handshake: Handshake) -> Handshake:
    """A copy that goes its own way."""
    other = copy.copy(handshake)
    other._cipher = copy.copy(handshake._cipher)
    return other


def all_sealed(wire: ServerWire | ClientWire, plaintext: bytes) -> bytes:
    """Transport records with any plaintext, each as long as either side takes at any time."""
    size = PLAINTEXT_SIZE_BYTES_MAX
    return b"".join(sealed(wire, plaintext[start : start + size]) for start in range(0, len(plaintext), size))


def pieces(stream: bytes, size: int) -> list[bytes]:
    """The stream cut into pieces of a size; 0 leaves it whole."""
    return [stream[start : start + size] for start in range(0, len(stream), size)] if size else [stream]
