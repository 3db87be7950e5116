"""The door to the other nodes: who they are by the settings, and what the log says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cluster import (
    Identity,
    NodeChange,
    NodeClock,
    NodeDown,
    NodeRefused,
    NodeUp,
    Peer,
    SocketNetwork,
    cluster_supervisor,
)
from config import shared_settings
from gateway.workplace import link_socket
from supervisors import ChildSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cluster import MessageTable
    from config import ClusterConfig, ClusterNode
    from gateway.workplace import Workplace
    from protocol import StaticKey
    from runtime import Runtime

__all__ = ["link_children", "node_changes_logged", "peers_of"]

REPEATED_S: Final = 300.0
"""A refusal that is met again is logged again after so long."""


def link_children(
    runtime: Runtime,
    config: ClusterConfig,
    nodes: Sequence[ClusterNode],
    place: Workplace,
    key: StaticKey,
    table: Callable[[], MessageTable],
    log: Any,
) -> list[ChildSpec]:
    """What makes this node one of a cluster; nothing if it is the only one.

    Args:
        runtime: The node's, in a life of its own.
        config: Every setting.
        nodes: All nodes of the cluster.
        place: This node's.
        key: The host's.
        table: Makes the table of the messages that cross.
        log: The node's logger.
    """
    if len(nodes) == 1:
        return []
    peers = peers_of(config, nodes, place.node, key.public)
    me = Identity(place.node.name, runtime.incarnation, key, peers, shared_settings(config))
    observer = node_changes_logged(log, runtime.clock.now_s)

    def start() -> Any:
        return cluster_supervisor(runtime, me, table(), SocketNetwork(*place.links), observer=observer)

    return [ChildSpec("cluster", start, kind="supervisor")]


def peers_of(config: ClusterConfig, nodes: Sequence[ClusterNode], me: ClusterNode, own_key: bytes) -> dict[str, Peer]:
    """The other nodes: those of this host by their sockets, with our own key; the others by what cluster.toml says."""
    folder = config.node.data_folder
    return {
        node.name: Peer(node.name, own_key, link_socket(folder, node.worker))
        if node.host == me.host
        else Peer(node.name, node.key, node.link)
        for node in nodes
        if node.name != me.name
    }


def node_changes_logged(log: Any, now_s: Callable[[], float]) -> Callable[[NodeChange], None]:
    """An observer of the links that logs who is up, down or refused, and whose clock is wrong.

    A refusal that is met at every dial is said once, and again after five minutes or when the node was up meanwhile.

    Args:
        log: A structured logger.
        now_s: Monotonic seconds.
    """
    said: dict[str, tuple[NodeRefused, float]] = {}

    def told(change: NodeChange) -> None:
        match change:
            case NodeUp(node, incarnation):
                said.pop(node, None)
                log.info("node_up", peer=node, incarnation=incarnation)
            case NodeDown(node, incarnation, code, sentence):
                log.warning("node_down", peer=node, incarnation=incarnation, code=code.name, why=sentence)
            case NodeRefused(node, code, sentence):
                last, at_s = said.get(node, (None, 0.0))
                if last != change or now_s() - at_s >= REPEATED_S:
                    said[node] = change, now_s()
                    log.warning("node_refused", peer=node, code=code.name, why=sentence)
            case NodeClock(node, ahead_s) if ahead_s:
                fix = "see which of the two hosts has the wrong time, and let NTP set it"
                log.warning("clock_apart", peer=node, ahead_s=round(ahead_s), fix=fix)
            case NodeClock(node):
                log.info("clock_agrees", peer=node)

    return told
