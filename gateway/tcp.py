"""The TCP door: sockets in, connection actors out."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final, Protocol, cast

from actors.connection.api import Drain, Ended, Luggage, Origin, Pressure, Transport
from gateway.door import Door, Visit, network_of
from gateway.passage import HELD_S_MAX, Passage, last_word
from protocol import Code, ServerWire, StaticKey
from runtime import Actor, Crash, Pid, Reason, Runtime, StartError
from supervisors import DynamicSupervisor, TooManyChildrenError

__all__ = ["Connect", "TcpListener", "bound_socket", "drain"]

BACKLOG: Final = 4_096
RETRY_MS: Final = 5_000
LINGER_S: Final = 1.0
LINGERING_MAX: Final = 512
BUSY_RETRY_MS: Final = 1_000


class Connect(Protocol):
    """Makes the actor of a connection."""

    def __call__(self, transport: Transport, origin: Origin, admission: Visit, luggage: Luggage | None = None) -> Actor:
        """`luggage` is what a sibling knows of it that has accepted it."""
        ...


def bound_socket(host: str, port: int) -> socket.socket:
    """A listening TCP socket.

    Args:
        host: Address to bind; IPv6 without brackets.
        port: Port, 0 for any free one.

    Raises:
        OSError: The address is in use, not of this host, or not allowed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


class _Socket(asyncio.Protocol):
    """One client's socket: every event becomes a message to its connection, which writes to it as its `Transport`."""

    __slots__ = ("_linger", "_listener", "_pid", "_transport", "_visit")

    _transport: asyncio.Transport

    def __init__(self, listener: TcpListener) -> None:
        self._listener = listener
        self._pid: Pid | None = None
        self._visit: Visit | None = None
        self._linger: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begin(transport, None)

    def _begin(self, transport: asyncio.BaseTransport, luggage: Luggage | None) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being its subclass
        self._pid, self._visit = self._listener.admit(self, self._transport, luggage)

    def data_received(self, data: bytes) -> None:
        if self._pid is not None and not self._listener.runtime.cast(self._pid, data):
            self._transport.abort()  # its actor was killed, or cannot keep up with one socket

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self._pid is not None:
            self._listener.runtime.cast(self._pid, Pressure(full=True))

    def resume_writing(self) -> None:
        if self._pid is not None:
            self._listener.runtime.cast(self._pid, Pressure(full=False))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._visit is not None:
            self._visit.left()
            self._visit = None
        if self._linger is not None:
            self._linger.cancel()
            self._listener.lingering -= 1
        if self._pid is not None:
            self._listener.runtime.cast(self._pid, Ended())

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():  # uvloop raises, and our actor may not have heard yet that it has ended
            self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    def abort(self) -> None:
        self._transport.abort()

    def close(self) -> None:
        """Say no more, and hear the client out for a moment.

        A socket that is closed while the client still speaks is reset, and a reset takes the last word, which says
        why, out of the client's hands (RFC 9112, section 9.6).
        """
        self._pid = None
        transport, listener = self._transport, self._listener
        if transport.is_closing():
            return
        if listener.lingering >= LINGERING_MAX:
            transport.close()
            return
        if self._visit is not None:
            self._visit.logged_in()  # whatever it was, it takes no stranger's place any more
        self._end_after(LINGER_S)
        transport.resume_reading()
        try:
            transport.write_eof()
        except OSError:
            transport.abort()  # the client has reset it, which nobody has read yet

    def _end_after(self, delay_s: float) -> None:
        """However long the client takes, it is not borne longer than that."""
        if self._linger is None:
            self._listener.lingering += 1
        else:
            self._linger.cancel()
        self._linger = asyncio.get_running_loop().call_later(delay_s, self._transport.abort)

    def hold(self) -> None:
        if not self._transport.is_closing():  # or its client has gone, and nothing would take it off the book again
            self._transport.pause_reading()
            self._end_after(HELD_S_MAX)

    def descriptor(self) -> int | None:
        if self._transport.is_closing():
            return None
        descriptor: int = self._transport.get_extra_info("socket").fileno()
        return descriptor

    def leave(self) -> None:
        self._pid = None
        self._transport.abort()

    def refuse(self, luggage: Luggage) -> None:
        if not self._transport.is_closing():
            self.write(last_word(luggage, Code.BUSY, None, BUSY_RETRY_MS))
        self.close()


class _ArrivedSocket(_Socket):
    """The socket of a client that a sibling has accepted."""

    __slots__ = ("_luggage",)

    def __init__(self, listener: TcpListener, luggage: Luggage) -> None:
        super().__init__(listener)
        self._luggage: Luggage | None = luggage

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        luggage, self._luggage = self._luggage, None
        self._begin(transport, luggage)


class TcpListener(Actor):
    """Accepts clients on a bound socket while it lives.

    Args:
        listening: The socket; it belongs to the caller, so that it outlives a restart of this actor.
        door: Who may come in.
        connections: The supervisor of the connections.
        connect: Makes the actor of one.
        static_key: The server's identity, for the last word to those who are refused.
        passage: Where connections come in that a sibling has accepted; None where there are no siblings.

    Attributes:
        lingering: Sockets that have said their last word and wait for the client to close.
    """

    __slots__ = (
        "_arriving",
        "_closing",
        "_connect",
        "_connections",
        "_door",
        "_listening",
        "_passage",
        "_server",
        "_serving",
        "_static_key",
        "lingering",
        "runtime",
    )

    def __init__(
        self,
        listening: socket.socket,
        door: Door,
        connections: DynamicSupervisor,
        connect: Connect,
        static_key: StaticKey,
        passage: Passage | None = None,
    ) -> None:
        self._listening = listening
        self._door = door
        self._connections = connections
        self._connect = connect
        self._static_key = static_key
        self._passage = passage
        self._arriving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._closing = False
        self.lingering = 0

    runtime: Runtime

    def init(self) -> None:
        """Begin to accept."""
        self.runtime = self.process.runtime
        self._serving = asyncio.get_running_loop().create_task(self._serve())
        self._serving.add_done_callback(self._served)
        if self._passage is not None:
            self._passage.open(self._receive)

    def _served(self, serving: asyncio.Task[None]) -> None:
        """A door that could not open is a crash like any other: the supervisor tries again, or gives up."""
        if not serving.cancelled() and (error := serving.exception()) is not None:
            self.process.runtime.exit(self.process.pid, Crash(error))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Socket(self), sock=self._listening.dup(), backlog=BACKLOG)
        if self._closing:
            server.close()
        self._server = server

    def terminate(self, reason: Reason) -> None:
        """Accept no more; whoever is inside stays."""
        self._closing = True
        if self._server is not None:
            self._server.close()
        if self._passage is not None:
            self._passage.shut()

    def _receive(self, client: socket.socket, luggage: Luggage) -> None:
        """A client whom a sibling has accepted."""
        arriving = asyncio.get_running_loop().create_task(self._arrive(client, luggage))
        self._arriving.add(arriving)
        arriving.add_done_callback(self._arriving.discard)

    async def _arrive(self, client: socket.socket, luggage: Luggage) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: _ArrivedSocket(self, luggage), client)
        except OSError:
            client.close()  # the client has gone meanwhile

    def admit(
        self, client: _Socket, transport: asyncio.Transport, luggage: Luggage | None
    ) -> tuple[Pid | None, Visit | None]:
        """Start the connection of a client, or tell it why not."""
        peer: Any = transport.get_extra_info("peername")
        address = network_of(peer[0]) if isinstance(peer, tuple) else ""
        visit = self._door.enter(address)
        if isinstance(visit, Visit):
            transport.set_write_buffer_limits(high=256 * 1024, low=64 * 1024)
            admitted = visit
            origin = Origin(address, self._door.limited(address))
            try:
                return self._connections.start_actor(lambda: self._connect(client, origin, admitted, luggage)), visit
            except (StartError, TooManyChildrenError):
                visit.left()
                sentence = Code.TOO_MANY_CONNECTIONS.sentence
        else:
            sentence = visit
        wire = ServerWire(self._static_key) if luggage is None else ServerWire.imported(luggage.wire)
        wire.close(Code.TOO_MANY_CONNECTIONS, sentence, RETRY_MS)
        client.write(wire.data_to_send())
        client.close()
        return None, None


def drain(runtime: Runtime, connections: DynamicSupervisor, spread_ms: int) -> None:
    """Say goodbye to every client, each with its own moment to come back, so that they do not all come at once.

    Args:
        runtime: The node's runtime.
        connections: Who is inside.
        spread_ms: Over how long they are to come back.
    """
    children = connections.which_children()
    for index, child in enumerate(children):
        if child.pid is not None:
            runtime.cast(child.pid, Drain(500 + spread_ms * index // len(children)))
