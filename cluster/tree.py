"""The actors of a node in a cluster: membership, links, groups, and their supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cluster.codes import LinkCode
from cluster.groups import GROUPS, Groups, register_group_messages
from cluster.links import LINKS, Links
from cluster.membership import MEMBERSHIP, Membership, NodeDown, NodeUp
from cluster.singletons import register_singleton_messages
from runtime import Named, Runtime
from supervisors import ChildSpec, Supervisor, SupervisorFlags

if TYPE_CHECKING:
    from collections.abc import Callable

    from cluster.links import LinkLimits
    from cluster.membership import NodeChange
    from cluster.network import Network
    from cluster.peers import Identity
    from cluster.table import MessageTable

__all__ = ["cluster_supervisor"]

MAILBOX_LIMIT: Final = 1_000_000
"""What connections and other nodes tell is bounded by their own limits, and none of it may be refused."""


def cluster_supervisor(
    runtime: Runtime,
    me: Identity,
    table: MessageTable,
    network: Network,
    *,
    observer: Callable[[NodeChange], object] | None = None,
    limits: LinkLimits | None = None,
) -> Supervisor:
    """The supervisor that makes a runtime a node of a cluster once it is started.

    Args:
        runtime: The runtime; its node and incarnation are those of `me`.
        me: Who we are, and who the others are.
        table: Which messages cross; those of the groups and singletons are added.
        network: Where connections come from.
        observer: Also told of each change, for logs.
        limits: Times and bounds.
    """
    register_group_messages(table)
    register_singleton_messages(table)
    membership = Named(runtime.node, MEMBERSHIP)

    up: dict[str, int] = {}

    def changed(change: NodeChange) -> None:
        if isinstance(change, NodeUp):
            up[change.node] = change.incarnation
        elif isinstance(change, NodeDown):
            up.pop(change.node, None)
        runtime.cast(membership, change)
        if observer is not None:
            observer(change)

    def links() -> Links:
        """The links, at first and after each crash; those that were killed have said of nobody that it is down."""
        for node, incarnation in tuple(up.items()):
            changed(NodeDown(node, incarnation, LinkCode.LOST, f"The links of {me.name} were killed; others begin."))
        return Links(me, table, network, changed, limits)

    return Supervisor(
        SupervisorFlags("one_for_one"),
        [
            ChildSpec("membership", Membership, name=MEMBERSHIP),
            ChildSpec("groups", Groups, name=GROUPS, mailbox_limit=MAILBOX_LIMIT),
            ChildSpec("links", links, name=LINKS, mailbox_limit=MAILBOX_LIMIT),
        ],
    )
