"""The network between devices and nodes: TCP as its ends see it, over segments that are late, lost, doubled or held.

A stream is cut into segments with an offset each. What is lost is sent again after a growing pause; what comes twice or
too early is sorted out by its offset; whoever gets nothing through for long enough gives up. That is the part of TCP
that its users can notice (RFC 9293). Acknowledgements of segments are not simulated: the sender knows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from simulation.agenda import Agenda
    from simulation.coverage import Coverage

__all__ = ["Conditions", "Network", "Pipe", "Socket", "SocketUser", "Stream"]

SEGMENT_SIZE_BYTES_MAX: Final = 1_400
SOCKET_BUFFER_BYTES: Final = 512
HIGH_WATER_BYTES: Final = 1_536
LOW_WATER_BYTES: Final = 512
RETRANSMISSION_S: Final = 0.2
RETRANSMISSIONS_MAX: Final = 7
CONNECT_WAIT_S: Final = 10.0


@dataclass(slots=True)
class Conditions:
    """How the network is just now.

    Attributes:
        latency_s: Shortest and longest way of a segment.
        loss: Part of the segments that are lost.
        duplication: Part of the segments that come twice.
    """

    latency_s: tuple[float, float] = (0.002, 0.03)
    loss: float = 0.0
    duplication: float = 0.0


class SocketUser(Protocol):
    """One end of a connection, which hears what the other one does."""

    def connected(self, socket: Socket) -> None:
        """The connection stands."""

    def received(self, socket: Socket, data: bytes) -> None:
        """Bytes came."""

    def lost(self, socket: Socket) -> None:
        """The connection has ended, or could not be made."""

    def pressed(self, socket: Socket, full: bool) -> None:
        """What was written piles up, or no longer does."""


class Stream(Protocol):
    """A connection, as its two directions know it."""

    network: Network
    dead: bool

    def give_up(self) -> None:
        """Nothing came through for too long."""


class Pipe:
    """One direction of a connection.

    Args:
        socket: The connection.
        way: Name of what it passes, which may be cut, clogged or slow.
        received: Gets the bytes in order.
        finished: Is told that nothing more comes.
    """

    __slots__ = (
        "_early",
        "_ended",
        "_expected",
        "_finished",
        "_network",
        "_received",
        "_sent",
        "_socket",
        "_unread",
        "_unread_bytes",
        "_way",
        "closed",
        "paused",
    )

    def __init__(
        self, socket: Stream, way: str, received: Callable[[bytes], None], finished: Callable[[], None]
    ) -> None:
        self._socket = socket
        self._way = way
        self._network = socket.network
        self._received = received
        self._finished = finished
        self._sent = 0
        self._expected = 0
        self._early: dict[int, bytes] = {}
        self._ended = False
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self.paused = False
        self.closed = False

    @property
    def backlog_bytes(self) -> int:
        """What was written and the peer's kernel and ours do not hold for free."""
        return max(0, self._sent - self._expected + self._unread_bytes - SOCKET_BUFFER_BYTES)

    def send(self, data: bytes) -> None:
        """Send bytes, cut anywhere."""
        if self.closed:
            return
        chance = self._network.chance
        begin = 0
        while begin < len(data):
            size = min(SEGMENT_SIZE_BYTES_MAX, len(data) - begin)
            if size > 1 and chance.random() < 0.15:
                size = chance.randrange(1, size)
            self._transmit(self._sent, data[begin : begin + size], 0)
            self._sent += size
            begin += size

    def close(self) -> None:
        """Say that nothing more comes, behind everything that was sent."""
        if not self.closed:
            self.closed = True
            self._transmit(self._sent, b"", 0)

    def resume(self) -> None:
        """The reader reads again."""
        self.paused = False
        while self._unread and not self.paused and not self._socket.dead:
            data = self._unread.popleft()
            self._unread_bytes -= len(data)
            self._hand_over(data)
        self._finish()

    def _transmit(self, offset: int, data: bytes, attempt: int) -> None:
        socket, network = self._socket, self._network
        if socket.dead:
            return
        if attempt > RETRANSMISSIONS_MAX:
            socket.give_up()
            return
        again = lambda: self._transmit(offset, data, attempt + 1)  # noqa: E731  # a name for what is passed on twice
        if network.held(self._way, again):
            return
        chance, conditions = network.chance, network.slow.get(self._way, network.conditions)
        if self._way in network.cut or (conditions.loss and chance.random() < conditions.loss):
            network.coverage.reached("a segment is lost")
            network.agenda.after(RETRANSMISSION_S * 2**attempt, again)
            return
        arrive = lambda: self._arrive(offset, data)  # noqa: E731
        network.agenda.after(chance.uniform(*conditions.latency_s), arrive)
        if conditions.duplication and chance.random() < conditions.duplication:
            network.agenda.after(chance.uniform(*conditions.latency_s) * 3, arrive)

    def _arrive(self, offset: int, data: bytes) -> None:
        if self._socket.dead:
            return
        if offset < self._expected:
            self._network.coverage.reached("a segment comes twice")
            return
        if offset > self._expected:
            self._network.coverage.reached("a segment overtakes another")
            self._early[offset] = data
            return
        following: bytes | None = data
        while following is not None and not self._socket.dead:
            if not following:
                self._expected += 1  # the end of a stream takes a place of its own
                self._ended = True
                self._finish()
                return
            self._expected += len(following)
            self._hand_over(following)
            following = self._early.pop(self._expected, None)

    def _finish(self) -> None:
        """The end is read like everything before it: by a reader who reads, and behind that."""
        if self._ended and not self.paused and not self._unread and not self._socket.dead:
            self._ended = False
            self._finished()

    def _hand_over(self, data: bytes) -> None:
        if self.paused:
            self._unread.append(data)
            self._unread_bytes += len(data)
        else:
            self._received(data)


class Socket:
    """One TCP connection of a device to a node.

    Args:
        network: What it runs over.
        link: Name of the way, which may be cut or clogged.
        client: The device's end.
        server: The node's end.
    """

    __slots__ = ("_client", "_full", "_server", "dead", "down", "link", "network", "up")

    def __init__(self, network: Network, link: str, client: SocketUser, server: SocketUser) -> None:
        self.network = network
        self.link = link
        self._client: SocketUser | None = client
        self._server: SocketUser | None = server
        self._full = False
        self.dead = False
        self.up = Pipe(self, link, self._for_server, self._client_left)
        self.down = Pipe(self, link, self._for_client, self._server_left)

    # What the device does.

    def send(self, data: bytes) -> None:
        """Send bytes to the node."""
        self.up.send(data)

    def leave(self, told: bool = True) -> None:
        """The device's end is closed; the node hears of it, or believes in the connection for a while."""
        self._client = None
        self.network.open.pop(self, None)
        if told:
            self.up.close()
        else:
            self.network.coverage.reached("a half-open connection")

    # What the node does; fits the Transport port of a connection actor.

    def write(self, data: bytes) -> None:
        """Send bytes to the device."""
        self.down.send(data)
        if not self._full and self.down.backlog_bytes > HIGH_WATER_BYTES:
            self._press(True)

    def close(self) -> None:
        """Send what was written, then end."""
        self._server = None
        self.down.close()

    def abort(self) -> None:
        """End at once; the device hears of it when it is reached."""
        self._server = None
        self._reset_later()

    def get_write_buffer_size(self) -> int:
        """Bytes that the device has not taken."""
        return self.down.backlog_bytes

    # What happens to both.

    def vanish(self, told: bool) -> None:
        """The node's host is gone; its kernel says so, or nobody does. A killed process says nothing more."""
        self._server = None
        self.down.closed = True
        if told:
            self._reset_later()
        self.network.coverage.reached("a node leaves with a reset" if told else "a node leaves without a word")

    def give_up(self) -> None:
        """Nothing came through for too long: each end learns it on its own."""
        self.dead = True
        self._end(self._client)
        self._end(self._server)

    def _reset_later(self) -> None:
        network = self.network

        def reset() -> None:
            if not self.dead:
                self.dead = True
                self._end(self._client)

        if self.link not in network.cut:
            network.agenda.after(network.chance.uniform(*network.conditions.latency_s), reset)

    def _end(self, user: SocketUser | None) -> None:
        self.network.open.pop(self, None)
        if user is not None:
            user.lost(self)

    def _for_server(self, data: bytes) -> None:
        if self._server is None:
            self._refuse(self._client)
        else:
            self._server.received(self, data)

    def _for_client(self, data: bytes) -> None:
        if self._client is None:
            self._refuse(self._server)
            return
        self._client.received(self, data)
        if self._full and self.down.backlog_bytes < LOW_WATER_BYTES:
            self._press(False)

    def _refuse(self, speaker: SocketUser | None) -> None:
        """Nobody is there any more: who spoke gets a reset."""
        if not self.dead:
            self.dead = True
            self._end(speaker)

    def _press(self, full: bool) -> None:
        self._full = full
        if self._server is not None:
            self._server.pressed(self, full)

    def _client_left(self) -> None:
        if self._server is not None:
            self._server.lost(self)
        self.dead = True

    def _server_left(self) -> None:
        self.dead = True
        self._end(self._client)


class Network:
    """All ways between devices and nodes.

    Args:
        agenda: Time.
        chance: Its part of the seed.
        coverage: Where it notes what it has done.

    Attributes:
        conditions: How it is just now.
        cut: Links over which nothing passes.
        clogged: Links whose segments wait until they are unclogged.
        slow: Links that have conditions of their own.
        open: Connections of devices that somebody still holds.
    """

    def __init__(self, agenda: Agenda, chance: random.Random, coverage: Coverage) -> None:
        self.agenda = agenda
        self.chance = chance
        self.coverage = coverage
        self.conditions = Conditions()
        self.cut: set[str] = set()
        self.clogged: dict[str, list[Callable[[], None]]] = {}
        self.slow: dict[str, Conditions] = {}
        self.open: dict[Socket, None] = {}

    def connect(self, link: str, client: SocketUser, listener: Callable[[Socket], SocketUser | None]) -> None:
        """Open a connection; the device hears `connected`, or `lost`.

        Args:
            link: Name of the way.
            client: The device's end.
            listener: Makes the node's end when the connection arrives there; None if nobody listens.
        """
        nobody = _Nobody()
        socket = Socket(self, link, client, nobody)
        self.open[socket] = None
        if link in self.cut:
            self.agenda.after(CONNECT_WAIT_S, socket.give_up)
            return

        def arrive() -> None:
            if socket.dead or socket._client is None:
                return
            server = listener(socket)
            if server is None:
                socket.give_up()
                return
            socket._server = server
            server.connected(socket)
            client.connected(socket)

        self.agenda.after(self.chance.uniform(*self.conditions.latency_s) * 2, arrive)

    def held(self, link: str, again: Callable[[], None]) -> bool:
        """Whether the link is clogged; `again` then runs once it no longer is."""
        waiting = self.clogged.get(link)
        if waiting is None:
            return False
        waiting.append(again)
        return True

    def clog(self, link: str) -> None:
        """Let nothing pass, and lose nothing."""
        self.clogged.setdefault(link, [])

    def unclog(self, link: str) -> None:
        """Let everything pass that waited."""
        for again in self.clogged.pop(link, ()):
            again()

    def calm_down(self) -> None:
        """Let segments travel as usual again."""
        self.conditions = Conditions()

    def heal(self) -> None:
        """Everything passes, soon, and everybody reads."""
        self.calm_down()
        self.slow.clear()
        self.cut.clear()
        for link in list(self.clogged):
            self.unclog(link)
        for socket in list(self.open):
            socket.down.resume()


class _Nobody:
    """The node's end of a connection that has not arrived."""

    def connected(self, socket: Socket) -> None:
        """Nothing to hear."""

    received = lost = pressed = lambda *_: None
