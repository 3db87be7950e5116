"""Two real ends of a link with keys and randomness that a test can name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, TypeVar

from protocol import (
    AccountId,
    ClientWire,
    DeviceId,
    Epoch,
    RemoteProtocolError,
    ServerWire,
    SessionToken,
    State,
    StaticKey,
    WireLimits,
)
from protocol.messages import Hello, Login, Ready, Welcome
from protocol.records import TRANSPORT, record

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

SERVER_KEY = StaticKey(bytes(range(32)))
DEVICE_KEY = StaticKey(bytes(range(32, 64)))
HELLO = Hello([1], "a test")
WELCOME = Welcome(1, "a test", 1_700_000_000_000, 65_536, 32, 131_072)
LOGIN = Login(AccountId("ann"), Epoch(b"12345678"))
READY = Ready(AccountId("ann"), DeviceId(b"d" * 16), SessionToken(b"s" * 16), False, 60, 0, 1_700_000_000_000)


def outcome(call: Callable[[bytes], Result], data: bytes) -> Result | RemoteProtocolError:
    """What a call with these bytes returns, or the error with which it blames the peer; any other error is a bug."""
    try:
        return call(data)
    except RemoteProtocolError as error:
        return error


def sealed(wire: ServerWire | ClientWire, plaintext: bytes) -> bytes:
    """A transport record with any plaintext, past all that the sending wire would check."""
    return record(TRANSPORT, wire._seal(bytearray(plaintext)))


def random_bytes_of(name: str) -> Callable[[int], bytes]:
    """A source of randomness that repeats itself for the same name."""
    counter = 0

    def random_bytes(size: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"{name} {counter}".encode()).digest(size)

    return random_bytes


def fresh(limits: WireLimits | None = None, name: str = "link") -> tuple[ServerWire, ClientWire]:
    """Two ends that have not exchanged a byte."""
    server = ServerWire(SERVER_KEY, limits or WireLimits(), random_bytes_of(f"{name} server"))
    return server, ClientWire(DEVICE_KEY, SERVER_KEY.public, random_bytes_of(f"{name} client"))


def greeting(limits: WireLimits | None = None, name: str = "link") -> tuple[ServerWire, ClientWire]:
    """Two ends after the handshake."""
    server, client = fresh(limits, name)
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    return server, client


def ready(limits: WireLimits | None = None, name: str = "link") -> tuple[ServerWire, ClientWire]:
    """Two ends after the login."""
    server, client = greeting(limits, name)
    client.send(HELLO)
    client.send(LOGIN)
    server.receive_data(client.data_to_send())
    server.send(WELCOME)
    server.send(READY)
    client.receive_data(server.data_to_send())
    assert server.state is client.state is State.READY
    return server, client
