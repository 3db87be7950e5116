"""The passage between the workers of a host: a client's socket goes to the one that has its account.

All workers accept on one socket, so most clients meet the wrong one first. Each worker has a hatch, a pair of Unix
sockets without a name, made before the first fork: whoever puts a connection in needs no path, and nobody else can.
A hatch outlives its worker, so a connection that is put in while the worker is replaced waits for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from array import array
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

import msgspec

from actors.connection.api import Luggage, Transport
from protocol import Code, ServerWire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from protocol import AccountId

__all__ = ["HELD_S_MAX", "Hatch", "Passage", "hatches", "last_word"]

HELD_S_MAX: Final = 10.0
"""Whoever holds a socket and is killed before it lets go of it has it closed after that time."""
WAITING_MAX: Final = 256
"""Connections that wait because a sibling's hatch is full."""
PATIENCE_S: Final = 2.0
LUGGAGE_BYTES_MAX: Final = 1 << 16
ARRIVALS_A_TURN: Final = 32
DRAINING_RETRY_MS: Final = 2_000
_DESCRIPTOR: Final = array("i", [0]).itemsize
# More room than one descriptor needs, so that a second one would be seen and closed.
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(2 * _DESCRIPTOR)
_FULL: Final = (errno.EAGAIN, errno.ENOBUFS)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Luggage).decode


class Movable(Transport, Protocol):
    """A client's socket that can leave this process."""

    def hold(self) -> None:
        """Read no more."""
        ...

    def descriptor(self) -> int | None:
        """The open socket's; None once it is closed."""
        ...

    def leave(self) -> None:
        """Close it here; the client does not notice, for somebody else has it open."""
        ...

    def refuse(self, luggage: Luggage) -> None:
        """Tell the client to come again, and close it."""
        ...


class Hatch(NamedTuple):
    """Where connections for one worker are put in and taken out; each is one packet with a descriptor."""

    inside: socket.socket
    outside: socket.socket


class Statistics(NamedTuple):
    """What has passed since the start.

    Attributes:
        departed: Connections that a sibling was given.
        refused: Connections that no sibling took in time.
        arrived: Connections taken over from a sibling.
        waiting: Connections that wait for a sibling at this moment.
    """

    departed: int
    refused: int
    arrived: int
    waiting: int


def hatches(names: Iterable[str]) -> dict[str, Hatch]:
    """A hatch for each worker of a host, by its name; to be made before the first fork."""
    made = {}
    for name in names:
        made[name] = Hatch(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        for end in made[name]:
            end.setblocking(False)
    return made


def last_word(luggage: Luggage, code: Code, sentence: str | None, retry_after_ms: int) -> bytes:
    """What tells the client of a connection why nobody serves it."""
    wire = ServerWire.imported(luggage.wire)
    wire.close(code, sentence, retry_after_ms)
    return wire.data_to_send()


class _Waiting(NamedTuple):
    client: Movable
    luggage: Luggage
    packet: bytes
    until_s: float


class _Outbox:
    """The way to one sibling; what does not fit waits in order, for a bounded time."""

    __slots__ = ("_hatch", "_patience_s", "_timer", "departed", "refused", "waiting")

    def __init__(self, hatch: socket.socket, patience_s: float) -> None:
        self._hatch = hatch
        self._patience_s = patience_s
        self._timer: asyncio.TimerHandle | None = None
        self.waiting: deque[_Waiting] = deque()
        self.departed = 0
        self.refused = 0

    def put(self, client: Movable, luggage: Luggage) -> None:
        packet = _encode(luggage)
        if not self.waiting and self._sent(client, luggage, packet):
            return
        if len(self.waiting) >= WAITING_MAX:
            self._refuse(client, luggage)
            return
        loop = asyncio.get_running_loop()
        if not self.waiting:
            loop.add_writer(self._hatch, self._flush)
            self._timer = loop.call_later(self._patience_s, self._look)
        self.waiting.append(_Waiting(client, luggage, packet, loop.time() + self._patience_s))

    def close(self) -> None:
        """Nobody is to wait any more."""
        for waiting in self.waiting:
            self._refuse(waiting.client, waiting.luggage)
        self.waiting.clear()
        self._rest()

    def _sent(self, client: Movable, luggage: Luggage, packet: bytes) -> bool:
        """Whether this connection needs nothing more, be it that nobody can have it."""
        descriptor = client.descriptor()
        if descriptor is None:
            return True
        if len(packet) > LUGGAGE_BYTES_MAX:  # a client says no more than a few hundred bytes before its login
            self._refuse(client, luggage)
            return True
        try:
            socket.send_fds(self._hatch, [packet], [descriptor])
        except OSError as error:
            if error.errno in _FULL:
                return False
            self._refuse(client, luggage)
            return True
        self.departed += 1
        client.leave()
        return True

    def _flush(self) -> None:
        while self.waiting and self._sent(*self.waiting[0][:3]):
            self.waiting.popleft()
        if not self.waiting:
            self._rest()

    def _look(self) -> None:
        """The time of those is over that have waited longest."""
        loop = asyncio.get_running_loop()
        while self.waiting and self.waiting[0].until_s <= loop.time():
            waiting = self.waiting.popleft()
            self._refuse(waiting.client, waiting.luggage)
        if self.waiting:
            self._timer = loop.call_at(self.waiting[0].until_s, self._look)
        else:
            self._rest()

    def _refuse(self, client: Movable, luggage: Luggage) -> None:
        self.refused += 1
        client.refuse(luggage)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            asyncio.get_running_loop().remove_writer(self._hatch)


class Passage:
    """A worker's end of the passage; what connections know as their `Siblings`.

    Args:
        name: Of this worker.
        all_hatches: Of all workers of the host.
        node_of: Where an account lives; None while nobody knows.
        patience_s: How long a connection waits for a sibling whose hatch is full.
    """

    __slots__ = ("_arrived", "_buffer", "_inbox", "_node_of", "_outboxes", "_receive")

    def __init__(
        self,
        name: str,
        all_hatches: Mapping[str, Hatch],
        node_of: Callable[[AccountId], str | None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._inbox = all_hatches[name].inside
        self._outboxes = {
            sibling: _Outbox(hatch.outside, patience_s) for sibling, hatch in all_hatches.items() if sibling != name
        }
        self._node_of = node_of
        self._receive: Callable[[socket.socket, Luggage], None] | None = None
        self._buffer = bytearray(LUGGAGE_BYTES_MAX)
        self._arrived = 0

    def sibling_of(self, account: AccountId) -> str | None:
        """The sibling where an account lives; None where it lives here, on another host, or nobody knows."""
        node = self._node_of(account)
        return node if node in self._outboxes else None

    def hold(self, transport: Transport) -> None:
        """Read no more from a socket: what comes from now on is for the sibling."""
        cast("Movable", transport).hold()

    def take(self, sibling: str, transport: Transport, luggage: Luggage) -> None:
        """Hand a socket that is held over to a sibling, or tell its client to come again; it is closed here."""
        self._outboxes[sibling].put(cast("Movable", transport), luggage)

    def open(self, receive: Callable[[socket.socket, Luggage], None]) -> None:
        """Let connections in from now on.

        Args:
            receive: Serves a socket that a sibling has accepted; it owns it.
        """
        self._receive = receive
        asyncio.get_running_loop().add_reader(self._inbox, self._readable)

    def shut(self) -> None:
        """Whoever comes in is told to come again: this worker stops, and its siblings do, too."""
        self._receive = None
        for outbox in self._outboxes.values():
            outbox.close()

    def statistics(self) -> Statistics:
        """What has passed."""
        outboxes = self._outboxes.values()
        return Statistics(
            sum(outbox.departed for outbox in outboxes),
            sum(outbox.refused for outbox in outboxes),
            self._arrived,
            sum(len(outbox.waiting) for outbox in outboxes),
        )

    def _readable(self) -> None:
        for _ in range(ARRIVALS_A_TURN):
            try:
                size, ancillary, flags, _ = self._inbox.recvmsg_into(
                    [self._buffer], _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            descriptors = _descriptors(ancillary)
            if len(descriptors) != 1 or flags & socket.MSG_TRUNC:
                # This process has no descriptor left, so the kernel has closed it: the client connects again.
                for descriptor in descriptors:
                    os.close(descriptor)
                continue
            self._arrive(socket.socket(fileno=descriptors[0]), _decode(memoryview(self._buffer)[:size]))

    def _arrive(self, client: socket.socket, luggage: Luggage) -> None:
        self._arrived += 1
        if self._receive is not None:
            self._receive(client, luggage)
            return
        with client, contextlib.suppress(OSError):
            client.send(last_word(luggage, Code.DRAINING, None, DRAINING_RETRY_MS))


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: array[Any] = array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % _DESCRIPTOR])
    return list(found)
