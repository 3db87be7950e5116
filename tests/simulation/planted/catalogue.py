"""All planted bugs, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.planted import conversations, devices, groups, links, moves, nodes, queues, shards, stores

if TYPE_CHECKING:
    from tests.simulation.planted.bug import Bug

__all__ = ["PLANTED"]

PLANTED: Final[dict[str, Bug]] = (
    conversations.BUGS
    | devices.BUGS
    | groups.BUGS
    | queues.BUGS
    | shards.BUGS
    | stores.BUGS
    | nodes.BUGS
    | links.BUGS
    | moves.BUGS
)
