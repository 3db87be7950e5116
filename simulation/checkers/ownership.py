"""Fencing: whoever lost a shard to another owner writes to it no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.witness import Checker

if TYPE_CHECKING:
    from simulation.node import SimulatedNode

__all__ = ["FormerOwnersAreFenced"]


class FormerOwnersAreFenced(Checker):
    """What was written under an epoch that is over does not become durable."""

    name = "a shard's former owner writes no more"

    def written(self, node: SimulatedNode, position: int, shard: int, fenced: bool) -> None:
        """A record is durable."""
        if fenced:
            self.breaks(f"{node.name} stored position {position} of shard {shard} for its former owner")
