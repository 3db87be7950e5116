"""Fencing: whoever lost a shard to another owner writes to it no more, and it is run at one node at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.witness import Checker

if TYPE_CHECKING:
    from runtime import Actor, Pid
    from simulation.node import SimulatedNode

__all__ = ["FormerOwnersAreFenced", "RunAtOneNode"]


def others(node: SimulatedNode) -> list[SimulatedNode]:
    """The other nodes of its cluster."""
    return [other for other in node.world.nodes if other is not node and node.world.is_cluster]


class FormerOwnersAreFenced(Checker):
    """What was written under an epoch that is over does not become durable."""

    name = "a shard's former owner writes no more"

    def written(self, node: SimulatedNode, position: int, shard: int, fenced: bool) -> None:
        """A record is durable."""
        if fenced:
            self.breaks(f"{node.name} stored position {position} of shard {shard} for its former owner")
        for other in others(node):
            if shard in other.shards:
                self.breaks(f"{node.name} stored position {position} of shard {shard}, which {other.name} has")


class RunAtOneNode(Checker):
    """The process of a shard runs on one node, which has it on its disk and on no other's."""

    name = "a shard is run by one node"

    def started(self, node: SimulatedNode, pid: Pid, actor: Actor) -> None:
        """Whoever runs a shard is alone."""
        for name in actor.process._names:
            if isinstance(name, tuple) and name[0] == "shard":
                for other in others(node):
                    if other.up and other.runtime.whereis(name) is not None:
                        self.breaks(f"{node.name} runs shard {name[1]}, and so does {other.name}")
