"""1:1 across nodes: as `online`, but writers come to one node and readers to another, and shards lie as they fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop

from bench.client import Client
from bench.measured_cluster import measured_cluster
from bench.online import PAIRS, Flow, Writer, flow
from bench.person import people
from bench.registration import enter

if TYPE_CHECKING:
    from pathlib import Path

    from bench.live_cluster import LiveCluster
    from bench.measured_node import MeasuredNode

__all__ = ["run"]


async def _measure(cluster: LiveCluster[MeasuredNode]) -> Flow:
    writers, readers = people("ann", PAIRS), people("bob", PAIRS)
    nodes = list(cluster.nodes.values())
    await cluster.wait_whole()
    await enter(nodes, [*writers, *readers])
    pairs = zip(writers, readers, strict=True)
    return await flow(nodes, [Writer(*pair) for pair in pairs], [Client(reader) for reader in readers])


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder; a profile is of the node to which the writers come."""
    with measured_cluster(folder, "ab", profile) as cluster:
        measured = uvloop.run(_measure(cluster))
    return {
        "cross: CPU of two nodes a message": measured.cpu_us,
        "cross: messages a second": measured.per_s,
        "cross: nodes ready but without a processor, % of the time": measured.waited_share * 100,
    }
