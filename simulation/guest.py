"""A client at a node: the node's end of one simulated socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.connection.api import Ended, Pressure

if TYPE_CHECKING:
    from runtime import Pid
    from simulation.network import Socket
    from simulation.node import SimulatedNode

__all__ = ["Anyone", "Guest"]


class Anyone:
    """A door's book without limits."""

    def logged_in(self) -> None:
        """Nobody counts strangers here."""


class Guest:
    """The node's end of one socket: every event becomes a message to its connection, as at the TCP door."""

    __slots__ = ("_life", "_node", "pid")

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._life = node.life
        self.pid: Pid | None = None

    def _cast(self, message: object) -> bool:
        node = self._node
        return self._life == node.life and self.pid is not None and node.runtime.cast(self.pid, message)

    def connected(self, socket: Socket) -> None:
        """The socket is the connection's transport already."""

    def received(self, socket: Socket, data: bytes) -> None:
        """Bytes of the client."""
        if not self._cast(data):
            socket.abort()

    def lost(self, socket: Socket) -> None:
        """The client is gone."""
        self._node.guests.pop(socket, None)
        self._cast(Ended())

    def pressed(self, socket: Socket, full: bool) -> None:
        """The client does not read, or reads again."""
        if full:
            self._node.world.coverage.reached("a slow reader stops its queue")
        self._cast(Pressure(full))
