"""The nodes that the settings describe: every worker of every host, by name, and what all of them must agree on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from config.schema import ClusterConfig, HostConfig

__all__ = ["ClusterNode", "cluster_nodes", "shared_settings", "worker_folder", "worker_name"]

_SHARED: Final = ("limits.payload_size_bytes_max", "limits.send_window", "queue.ttl_s_max", "presence.enabled")
"""What one node promises and another must keep: a message that one has accepted, the other takes into a queue, for as
long as was asked for; a window that a client was told of holds wherever its chat lives; and where an operator shows no
presence, no other node shows it. Everything else is a host's own affair."""


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node of the cluster: one worker process of one host, with a store of its own.

    Attributes:
        name: As in its pids and in `Named`.
        host: The host's name, which is that of its first node.
        worker: Which worker of the host it is, from 1 on.
        key: The host's public key, 32 bytes; all nodes of a host share it. Empty on a lone host, which has no entry.
        link: Where other hosts reach it, as `tcp://host:port`; None on a lone host.
        weight: How many shards it takes, compared with others.
    """

    name: str
    host: str
    worker: int
    key: bytes
    link: str | None
    weight: float


def worker_name(host: str, worker: int) -> str:
    """The name of the node that a worker of a host is: the host's own for the first, else with the worker's number."""
    return host if worker == 1 else f"{host}.{worker}"


def worker_folder(data_folder: Path, worker: int) -> Path:
    """Where a worker keeps its data: the first in the host's folder itself, so that a host may grow."""
    return data_folder if worker == 1 else data_folder / str(worker)


def cluster_nodes(config: ClusterConfig) -> tuple[ClusterNode, ...]:
    """All nodes of the cluster, in the order of cluster.toml; of a lone host its own.

    The nodes of this host are those whose `host` is `node.name`.
    """
    if config.cluster.nodes:
        return tuple(node for host in config.cluster.nodes for node in host_nodes(host))
    name = config.node.name
    return tuple(
        ClusterNode(worker_name(name, worker), name, worker, b"", None, 1.0)
        for worker in range(1, config.node.workers + 1)
    )


def host_nodes(host: HostConfig) -> tuple[ClusterNode, ...]:
    """The nodes of one host of the cluster."""
    key, place = bytes.fromhex(host.key), host.link.rpartition(":")[0]
    return tuple(
        ClusterNode(
            worker_name(host.name, worker),
            host.name,
            worker,
            key,
            f"tcp://{place}:{host.link_port + worker - 1}",
            host.weight,
        )
        for worker in range(1, host.workers + 1)
    )


def shared_settings(config: ClusterConfig) -> dict[str, str]:
    """What must be the same on all hosts, as text by key: each host of the cluster, and a few limits."""
    hosts = {f'cluster.nodes["{host.name}"]': str(sorted(asdict(host).items())) for host in config.cluster.nodes}
    return hosts | {key: str(attrgetter(key)(config)) for key in _SHARED}
