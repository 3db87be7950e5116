"""The lines between the nodes of a cluster: the ports that `cluster/` asks for, over the simulated network.

A line is a TCP connection with two equal ends, over two ways that can be cut, clogged or slow each for itself: the way
from a node to another is named "node0>node1".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cluster.network import Accepted, DialFailed, Dialled, Lost, Received, Writable
from simulation.network import Pipe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from simulation.network import Network

__all__ = ["Exchange", "Line", "NodeNetwork", "way_between"]

DIAL_TIMEOUT_S: Final = 4.0
LINGER_S: Final = 1.0
FULL_SIZE_BYTES: Final = 16 << 10
"""What the other end has not taken, above which a connection is full; small, so that this end is met."""

WRITABLE_SIZE_BYTES: Final = 4 << 10
UNREAD_SIZE_BYTES_MAX: Final = 32 << 10
"""What was told of and not dealt with, above which a connection reads no further."""


def way_between(source: str, target: str) -> str:
    """The name of the way from one node to another."""
    return f"{source}>{target}"


class End:
    """One end of a line; the links' `Connection`.

    Args:
        line: The connection.
        node: At which node it is.
        tell: Hears what happens; returns whether it was heard.

    Attributes:
        pipe: Where its bytes go.
        other: The other end.
    """

    __slots__ = ("_is_full", "_is_open", "_line", "_silent", "_tell", "_unread", "node", "other", "pipe")

    pipe: Pipe
    other: End

    def __init__(self, line: Line, node: str, tell: Callable[[object], bool]) -> None:
        self._line = line
        self._tell = tell
        self._is_open = True
        self._is_full = False
        self._silent = False
        self._unread = 0
        self.node = node

    # What the links do.

    @property
    def is_full(self) -> bool:
        """Whether it wants nothing more to write for now."""
        if self.pipe.backlog_bytes > FULL_SIZE_BYTES:
            if not self._is_full:
                self._line.network.coverage.reached("a node takes in less than another has for it")
            self._is_full = True
        return self._is_full

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._is_open:
            self.pipe.send(data)

    def taken(self, size_bytes: int) -> None:
        """So many bytes are dealt with."""
        self._unread -= size_bytes
        if self.other.pipe.paused and self._unread <= UNREAD_SIZE_BYTES_MAX:
            self.other.pipe.resume()

    def close(self) -> None:
        """Send what is written, then close."""
        if self._is_open:
            self._is_open = False
            self.pipe.close()
            self._line.network.agenda.after(LINGER_S, self._line.give_up)

    # What happens to it.

    def vanish(self, told: bool) -> None:
        """Its process is gone; its kernel says so, or nobody does."""
        self._is_open = False
        self._silent = not told
        if told:
            self._line.reset_from(self)

    def arrived(self, data: bytes) -> None:
        """Bytes of the other end."""
        if self._is_open:
            self._unread += len(data)
            if self._unread > UNREAD_SIZE_BYTES_MAX:
                self.other.pipe.paused = True
            if not self._tell(Received(self, data)):  # the links were killed
                self._is_open = False
                self._line.reset_from(self)
        elif not self._silent or self._line.is_born_again(self.node):
            self._line.reset_from(self)
        if self.other._is_full and self.other.pipe.backlog_bytes <= WRITABLE_SIZE_BYTES:
            self.other.drained()

    def drained(self) -> None:
        """The other end has taken in most of it."""
        self._is_full = False
        if self._is_open:
            self._tell(Writable(self))

    def lose(self, problem: str) -> None:
        """The connection is no more."""
        if self._is_open:
            self._is_open = False
            self._tell(Lost(self, problem))


class Line:
    """One connection between two nodes.

    Args:
        exchange: Where it was made.
        near: The dialler, and what hears for it.
        far: The node that was dialled, and what hears for it.

    Attributes:
        network: What it runs over.
        ends: Both ends.
        dead: Nothing passes any more.
    """

    __slots__ = ("_exchange", "_lives", "dead", "ends", "network")

    def __init__(
        self, exchange: Exchange, near: tuple[str, Callable[[object], bool]], far: tuple[str, Callable[[object], bool]]
    ) -> None:
        self._exchange = exchange
        self.network: Network = exchange.network
        self.dead = False
        one, other = End(self, *near), End(self, *far)
        self.ends = (one, other)
        for end, peer in ((one, other), (other, one)):
            end.other = peer
            end.pipe = Pipe(self, way_between(end.node, peer.node), peer.arrived, lambda peer=peer: self._ended(peer))  # type: ignore[misc]
        self._lives = {end.node: exchange.listening.get(end.node) for end in self.ends}

    def is_born_again(self, node: str) -> bool:
        """Whether another life of a node listens than the one that had this line."""
        now = self._exchange.listening.get(node)
        return now is not None and now is not self._lives[node]

    def give_up(self) -> None:
        """Nothing came through for too long, or nobody wants it any more: each end learns it on its own."""
        self.dead = True
        self._exchange.lines.pop(self, None)
        for end in self.ends:
            end.lose("it broke")

    def reset_from(self, end: End) -> None:
        """One end is closed for good, and its kernel says so to the other one."""
        network, other = self.network, end.other

        def reset() -> None:
            if not self.dead:
                self.dead = True
                self._exchange.lines.pop(self, None)
                other.lose("the other side has reset it")

        if way_between(end.node, other.node) not in network.cut:
            network.agenda.after(network.chance.uniform(*network.conditions.latency_s), reset)

    def _ended(self, end: End) -> None:
        """Nothing more comes for an end: the other one has closed."""
        end.lose("the other side closed it")
        self.dead = True
        self._exchange.lines.pop(self, None)


class Exchange:
    """Who listens where, and the lines between them.

    Args:
        network: What they run over.
        frozen: Which nodes answer nobody for now.

    Attributes:
        network: As given.
        frozen: As given.
        listening: By node, which is its address, too.
        lines: Those that stand.
    """

    def __init__(self, network: Network, frozen: Callable[[], Collection[str]]) -> None:
        self.network = network
        self.frozen = frozen
        self.listening: dict[str, NodeNetwork] = {}
        self.lines: dict[Line, None] = {}

    def ends_of(self, node: str) -> list[End]:
        """The ends that are at a node."""
        return [end for line in self.lines for end in line.ends if end.node == node]

    def are_in_sight(self, one: str, other: str) -> bool:
        """Whether a segment could pass both ways."""
        cut = self.network.cut
        return way_between(one, other) not in cut and way_between(other, one) not in cut

    def dial(self, source: NodeNetwork, number: int, address: str) -> None:
        """Connect; who dialled hears of it, or of having waited in vain."""
        network, tell = self.network, source.tell
        way, back = way_between(source.node, address), way_between(address, source.node)
        answered = False
        early: list[object] = []

        def answer(event: object) -> bool:
            nonlocal answered
            if answered:
                return False
            answered = True
            return tell(event)

        def tell_in_order(event: object) -> bool:
            """What overtakes the answer waits for it: a kernel hands out no bytes of what is not connected."""
            if answered:
                return tell(event)
            early.append(event)
            return True

        def arrive() -> None:
            target = self.listening.get(address)
            if way in network.cut or network.held(way, arrive) or address in self.frozen():
                return
            if target is None:
                network.agenda.after(self._latency_s(back), lambda: answer(DialFailed(number, "refused")))
                return
            line = Line(self, (source.node, tell_in_order), (address, target.tell))
            self.lines[line] = None
            near, far = line.ends
            if not target.tell(Accepted(far)):
                line.give_up()
                return
            network.agenda.after(self._latency_s(back), lambda: connected(near))

        def connected(near: End) -> None:
            if back in network.cut or not answer(Dialled(number, near)):
                near._line.give_up()
            for event in early:
                tell(event)

        network.agenda.after(self._latency_s(way), arrive)
        network.agenda.after(DIAL_TIMEOUT_S, lambda: answer(DialFailed(number, "nobody answers")))

    def _latency_s(self, way: str) -> float:
        conditions = self.network.slow.get(way, self.network.conditions)
        return self.network.chance.uniform(*conditions.latency_s)


class NodeNetwork:
    """One life of a node as its links see the others; their `Network`.

    Args:
        exchange: Where it is connected.
        node: The node.

    Attributes:
        node: As given.
        tell: Hears what happens, if somebody listens.
    """

    __slots__ = ("_exchange", "node", "tell")

    def __init__(self, exchange: Exchange, node: str) -> None:
        self._exchange = exchange
        self.node = node
        self.tell: Callable[[object], bool] = _nobody

    def open(self, tell: Callable[[object], bool]) -> None:
        """Begin to accept."""
        self.tell = tell
        self._exchange.listening[self.node] = self

    def dial(self, number: int, address: str) -> None:
        """Connect."""
        self._exchange.dial(self, number, address)

    def close(self) -> None:
        """Accept and dial no more; open connections stay with whoever has them."""
        self.tell = _nobody
        if self._exchange.listening.get(self.node) is self:
            del self._exchange.listening[self.node]

    def vanish(self, told: bool) -> None:
        """The process is gone: nobody says goodbye.

        Args:
            told: Whether the kernel lives on and resets its connections.
        """
        self.close()
        for end in self._exchange.ends_of(self.node):
            end.vanish(told)


def _nobody(event: object) -> bool:
    return False
