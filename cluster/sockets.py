"""Links over sockets: TCP between hosts, Unix sockets within one, on asyncio or uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import stat
import sys
from typing import TYPE_CHECKING, Any, Final, cast

from cluster.network import Accepted, DialFailed, Dialled, Lost, Received, Writable

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[object], bool]

__all__ = ["SocketNetwork", "bound_node_socket"]

BACKLOG: Final = 128
DIAL_TIMEOUT_S: Final = 4.0
LINGER_S: Final = 1.0
UNREAD_SIZE_BYTES_MAX: Final = 1 << 20
"""Bytes that were told of and not dealt with, above which a connection reads no further."""
UNWRITTEN_SIZE_BYTES_MAX: Final = 1 << 18
"""Bytes that the system has not taken, above which a connection is full."""

_TCP: Final = re.compile(r"tcp://(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<host>[^:/\[\]]+)):(?P<port>\d{1,5})")
_UNIX: Final = "unix:"
_KEPT: Final[dict[str, Any]] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""The path belongs to the bound socket, which outlives a restart of the links; Python 3.13 would remove it."""


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of `tcp://host:port`.

    Raises:
        ValueError: It is not written so.
    """
    match = _TCP.fullmatch(address)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError(f'{address!r} is no address of a node: write "tcp://host:port" or "unix:path"')
    return match["six"] or match["host"], int(match["port"])


def bound_node_socket(address: str) -> socket.socket:
    """A listening socket for other nodes.

    Args:
        address: `tcp://host:port` (port 0 takes a free one) or `unix:path`; a path that a dead node has left is taken
            over.

    Raises:
        ValueError: It is no address.
        OSError: It is in use, not of this host, or not allowed.
    """
    if address.startswith(_UNIX):
        return _bound_unix(address.removeprefix(_UNIX))
    host, port = host_and_port(address)
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _listening(listening, (host, port))


def _bound_unix(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode) and not _is_answered(path):
            os.unlink(path)
    listening = _listening(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), path)
    os.chmod(path, 0o600)
    return listening


def _is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0


def _listening(listening: socket.socket, address: tuple[str, int] | str) -> socket.socket:
    try:
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


class _NodeSocket(asyncio.Protocol):
    """One socket to another node; the links' `Connection`."""

    __slots__ = ("_accepted", "_gone", "_is_open", "_tell", "_transport", "_unread", "is_full")

    _transport: asyncio.Transport

    def __init__(self, tell: Tell, accepted: bool) -> None:
        self._tell = tell
        self._accepted = accepted
        self._is_open = True
        self._gone = False
        self._unread = 0
        self.is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one without being its subclass
        self._transport.set_write_buffer_limits(high=UNWRITTEN_SIZE_BYTES_MAX)
        if self._accepted and not self._tell(Accepted(self)):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._is_open:
            return
        self._unread += len(data)
        if self._unread > UNREAD_SIZE_BYTES_MAX:
            self._transport.pause_reading()
        if not self._tell(Received(self, data)):
            self._transport.abort()  # the links were killed

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self._is_open:
            self._tell(Writable(self))

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        if self._is_open:
            self._is_open = False
            self._tell(Lost(self, "it was closed" if exc is None else str(exc)))

    def write(self, data: bytes) -> None:
        if self._is_open and not self._transport.is_closing():  # uvloop raises where asyncio would warn
            self._transport.write(data)

    def taken(self, size_bytes: int) -> None:
        was_full = self._unread > UNREAD_SIZE_BYTES_MAX
        self._unread -= size_bytes
        if was_full and self._unread <= UNREAD_SIZE_BYTES_MAX and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._transport.close()
            asyncio.get_running_loop().call_later(LINGER_S, self._abort)

    def _abort(self) -> None:
        """End what has not been written in time."""
        if not self._gone:
            self._transport.abort()


class SocketNetwork:
    """Accepts nodes on bound sockets, and dials others.

    Args:
        listening: From `bound_node_socket`; they belong to the caller, so that they outlive a restart of the links.
            None: this node only dials.
    """

    def __init__(self, *listening: socket.socket) -> None:
        self._listening = listening
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tell: Tell = _nobody

    def open(self, tell: Tell) -> None:
        """Begin to accept."""
        self._tell = tell
        for listening in self._listening:
            self._run(self._serve(listening.dup(), tell))

    def dial(self, number: int, address: str) -> None:
        """Connect to an address."""
        self._run(self._dial(number, address, self._tell))

    def close(self) -> None:
        """Accept and dial no more; open connections stay with whoever has them."""
        for task in self._tasks:
            task.cancel()
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._tell = _nobody

    def _run(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, listening: socket.socket, tell: Tell) -> None:
        loop = asyncio.get_running_loop()

        def accepted() -> _NodeSocket:
            return _NodeSocket(tell, accepted=True)

        if listening.family == socket.AF_UNIX:
            server = await loop.create_unix_server(accepted, sock=listening, backlog=BACKLOG, **_KEPT)
        else:
            server = await loop.create_server(accepted, sock=listening, backlog=BACKLOG)
        self._servers.append(server)

    async def _dial(self, number: int, address: str, tell: Tell) -> None:
        loop = asyncio.get_running_loop()

        def dialled() -> _NodeSocket:
            return _NodeSocket(tell, accepted=False)

        try:
            async with asyncio.timeout(DIAL_TIMEOUT_S):
                if address.startswith(_UNIX):
                    _, connection = await loop.create_unix_connection(dialled, address.removeprefix(_UNIX))
                else:
                    host, port = host_and_port(address)
                    _, connection = await loop.create_connection(dialled, host, port)
        except (OSError, ValueError) as error:  # a timeout is an OSError, too
            tell(DialFailed(number, str(error)))
            return
        if not tell(Dialled(number, connection)):
            connection.close()


def _nobody(event: object) -> bool:
    return False
