"""The shards that run on this node: what the supervisor of shards starts from, and what is added and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from supervisors import ChildSpec

__all__ = ["Estate"]


class Estate:
    """The shards of a node, as data: its supervisor starts from what is in it, also after a crash.

    Args:
        shards: Shard -> ownership epoch.
        spec: Makes the child of a shard.

    Attributes:
        shards: Those that run here, or are about to.
    """

    __slots__ = ("_children", "_spec", "shards")

    def __init__(self, shards: Mapping[int, int], spec: Callable[[int, int], ChildSpec]) -> None:
        self.shards = dict(shards)
        self._spec = spec
        self._children = {shard: spec(shard, epoch) for shard, epoch in shards.items()}

    def children(self) -> list[ChildSpec]:
        """The children of the supervisor of shards, as of now."""
        return list(self._children.values())

    def add(self, shard: int, epoch: int) -> ChildSpec:
        """A shard is to run here; its child."""
        self.shards[shard] = epoch
        child = self._children[shard] = self._spec(shard, epoch)
        return child

    def remove(self, shard: int) -> None:
        """A shard is to run here no more."""
        self.shards.pop(shard, None)
        self._children.pop(shard, None)
