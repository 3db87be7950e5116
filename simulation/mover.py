"""An operator who has a shard moved to another node, as `roostctl move-shard` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.placement.api import PLACEMENT, Moved, MoveShard
from runtime import Actor, Named, NoReply, Reply

if TYPE_CHECKING:
    from runtime import Message
    from simulation.node import SimulatedNode

__all__ = ["Mover"]


class Mover(Actor):
    """Asks a node to hand a shard over, notes what came of it, and ends.

    Args:
        node: The node.
        shard: Number of the shard.
        to: Name of the node that is to have it.
    """

    __slots__ = ("_node", "_shard", "_to")

    def __init__(self, node: SimulatedNode, shard: int, to: str) -> None:
        self._node = node
        self._shard = shard
        self._to = to

    def init(self) -> None:
        """Ask."""
        self.process.call(Named(self._node.name, PLACEMENT), MoveShard(self._shard, self._to), None)

    def handle_info(self, message: Message) -> None:
        """Hear how it went."""
        world = self._node.world
        match message:
            case Reply(_, Moved(rows=rows)):
                world.log(f"LIFE shard {self._shard} has moved from {self._node.name} to {self._to}, {rows} rows")
                world.coverage.reached("a shard moves")
            case Reply(_, refused):
                world.log(f"LIFE shard {self._shard} stays at {self._node.name}: {refused}")
                world.coverage.reached("a move is refused or given up")
            case NoReply():
                world.log(f"LIFE nobody can say whether shard {self._shard} has moved to {self._to}")
        self.process.stop()
