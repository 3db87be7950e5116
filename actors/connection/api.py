"""The socket as a port, the limits of a connection, and what the door says to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from actors.presence.api import Load

if TYPE_CHECKING:
    from protocol import AccountId

__all__ = [
    "Admission",
    "ConnectionLimits",
    "Drain",
    "Ended",
    "Luggage",
    "Origin",
    "Pressure",
    "Siblings",
    "Transport",
]


class Transport(Protocol):
    """A byte stream to one client; asyncio's transports are ones, the simulator has its own."""

    def write(self, data: bytes) -> None:
        """Send, or buffer what the peer does not take yet."""
        ...

    def close(self) -> None:
        """Close once everything is sent."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...

    def get_write_buffer_size(self) -> int:
        """Bytes that the peer has not taken yet."""
        ...


class ConnectionLimits(NamedTuple):
    """What one connection may do and take.

    Attributes:
        handshake_timeout_s: From the connection to the end of the handshake.
        login_timeout_s: From the handshake to the login.
        payload_size_bytes_max: Told in `Welcome`.
        window: Sends without their answer, told in `Welcome`.
        outbound_buffer_bytes_max: What may wait for the client to read it.
        slow_reader_s: How long a full socket is borne.
        heartbeat_s_min: Shortest agreed heartbeat.
        heartbeat_s_max: Longest agreed heartbeat.
        open_conversations_max: Chats watched at once.
        presence: Whether there is presence at all.
        load: Whether there is none for now, because the node is behind.
    """

    handshake_timeout_s: float
    login_timeout_s: float
    payload_size_bytes_max: int
    window: int
    outbound_buffer_bytes_max: int
    slow_reader_s: float
    heartbeat_s_min: int
    heartbeat_s_max: int
    open_conversations_max: int
    presence: bool
    load: Load = Load()


class Pressure(msgspec.Struct, frozen=True):
    """From the door: the client's socket takes no more for now, or takes more again."""

    full: bool


class Ended(msgspec.Struct, frozen=True):
    """From the door: the socket is closed, without a goodbye: a crashing client closes as politely as a leaving one."""


class Drain(msgspec.Struct, frozen=True):
    """From the door: the node stops; say goodbye, to come back after so many milliseconds."""

    retry_after_ms: int


class Admission(Protocol):
    """The door's book of who is inside."""

    def logged_in(self) -> None:
        """This connection is no longer a stranger."""
        ...


class Luggage(msgspec.Struct, array_like=True, frozen=True):
    """What a connection takes along to the sibling that serves it from now on; it holds keys, and shows nothing.

    Attributes:
        wire: Its wire, exported.
        frames: What the client has said and nobody has acted on, as it was encoded.
        data: The bytes behind that.
        opened_s: When it was opened; the processes of a host share that clock.
        login_by_s: When it has to have logged in.
    """

    wire: bytes
    frames: list[bytes]
    data: bytes
    opened_s: float
    login_by_s: float

    def __repr__(self) -> str:
        return "Luggage(...)"


class Siblings(Protocol):
    """The other workers of this host, each of which can take over a connection."""

    def sibling_of(self, account: AccountId) -> str | None:
        """The sibling where an account lives; None where it lives here, on another host, or nobody knows."""
        ...

    def hold(self, transport: Transport) -> None:
        """Read no more from a socket: what comes from now on is for the sibling."""
        ...

    def take(self, sibling: str, transport: Transport, luggage: Luggage) -> None:
        """Hand a socket that is held over to a sibling, or tell its client to come again; it is closed here."""
        ...


class Origin(NamedTuple):
    """Where a connection comes from.

    Attributes:
        address: Network address of the client.
        limited: Whether limits per network address apply to it.
    """

    address: str
    limited: bool
