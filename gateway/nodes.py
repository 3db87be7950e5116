"""The nodes of the cluster as this one sees them, for `roostctl nodes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cluster import MEMBERSHIP, ListNodes, NodeRefused, NodeUp
from gateway.control import Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cluster import NodeStatus
    from config import ClusterNode
    from runtime import Runtime

__all__ = ["node_rows", "nodes_route"]


def nodes_route(runtime: Runtime, nodes: Sequence[ClusterNode], me: ClusterNode) -> Route:
    """`GET /nodes`: a row for each node of the cluster, in the order of cluster.toml.

    Args:
        runtime: The node's.
        nodes: All nodes of the cluster.
        me: This one.
    """

    async def answer(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
        membership = runtime.whereis(MEMBERSHIP)
        statuses = () if membership is None else await runtime.ask(membership, ListNodes())
        return node_rows(nodes, me, runtime.incarnation, statuses)

    return Route("GET", "/nodes", answer)


def node_rows(
    nodes: Iterable[ClusterNode], me: ClusterNode, incarnation: int, statuses: Iterable[NodeStatus]
) -> list[dict[str, object]]:
    """What is known of each node.

    Args:
        nodes: All nodes of the cluster.
        me: This one.
        incarnation: Its life.
        statuses: Of the others, as far as anything was heard of them.

    Returns:
        For each its name, host, worker, link, state (here, up, down, refused or unheard), life where it is up, how far
        its clock is ahead, and a sentence.
    """
    known = {status.node: status for status in statuses}
    return [
        {"node": node.name, "host": node.host, "worker": node.worker, "link": node.link}
        | (
            {"state": "here", "incarnation": incarnation, "clock_ahead_s": 0.0, "sentence": "answers this question"}
            if node == me
            else _seen(node, me, known.get(node.name))
        )
        for node in nodes
    ]


def _seen(node: ClusterNode, me: ClusterNode, status: NodeStatus | None) -> dict[str, object]:
    incarnation, ahead_s = None, 0.0
    if status is None:
        state, sentence = (
            "unheard",
            "nothing was heard of it yet: is it started, and can its link be reached from here?",
        )
        if node.host == me.host:
            sentence = "nothing was heard of it yet: it is another worker of this host, whose log says more"
    elif status.is_up:
        state, sentence, ahead_s = "up", "is linked", status.clock_ahead_s
        if isinstance(status.last, NodeUp):
            incarnation = status.last.incarnation
        if ahead_s:
            sentence = f"is linked; its clock is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    else:
        state = "refused" if isinstance(status.last, NodeRefused) else "down"
        sentence = "was linked" if isinstance(status.last, NodeUp) else status.last.sentence
    return {"state": state, "incarnation": incarnation, "clock_ahead_s": ahead_s, "sentence": sentence}
