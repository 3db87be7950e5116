"""Nodes under load that are linked, each a host of its own on this machine."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bench.live_cluster import LiveCluster, cluster_settings
from bench.live_node import free_port
from bench.measured_node import MeasuredNode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["measured_cluster"]


@contextmanager
def measured_cluster(
    folder: Path, names: Sequence[str], profile: Path | None = None
) -> Iterator[LiveCluster[MeasuredNode]]:
    """Start hosts, and stop them at the end; they may still be claiming shards.

    Args:
        folder: Of the scenario.
        names: Of the hosts.
        profile: Where the profile of the first one goes.

    Raises:
        NodeError: One of them did not start, or an actor of it crashed.
    """
    settings = cluster_settings(folder, {name: f"127.0.0.1:{free_port()}" for name in names})
    with ExitStack() as stack:
        nodes = {
            name: MeasuredNode(folder / name, profile if name == names[0] else None, settings[name]) for name in names
        }
        for node in nodes.values():
            stack.enter_context(node)
        yield LiveCluster(nodes)
