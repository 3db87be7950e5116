"""Many nodes: runtimes whose actors send, call, link, monitor and exit each other as if they were in one.

The semantics are the runtime's own (`runtime.Foreign`); this storey carries them. In reading order:

- `codes`: why a link was refused or ended, and what a sender is told.
- `peers`: who is in the cluster, and who we are in it.
- `table`: which messages cross; pids and references as values.
- `frames`: what a link carries, version 1. `translation`: between a runtime's words and these.
- `session`: one connection without a socket: handshake, Hello, frames.
- `outbound`, `channel`: what waits to leave, bounded; what was heard, and when.
- `links`: one link a pair of nodes; who dials, who wins, who is silent. The runtime's Distribution.
- `network`, `sockets`: connections as a port, and as TCP and Unix sockets.
- `membership`: who is up, for whoever asks. `groups`: who belongs together, as OTP's pg.
- `tree`: the supervisor of all that.
- `rendezvous`, `election`: who should have what, and who runs which service; pure. `whereabouts`: where each runs.
- `singletons`: a supervisor that spans nodes, with one of each service among them.

Invariants: only the host whose key is pinned is believed, under the names that belong to that key. A link joins one
life of a node with one life of another; what was said in an earlier one is not heard. Between two actors order holds.
A link that ends is down on both sides before another comes up, and everything that spanned it has heard so: nothing
that was on its way is silently missing. Junk, silence and a flood end that link, with a code, and touch nothing else.
What waits for a node is bounded; its senders are told. Nothing is unpickled; a type that is not registered raises at
its sender.
"""

from cluster.codes import LinkCode, LinkError, MessageTooLargeError, UnregisteredError
from cluster.groups import GROUPS, GroupNameError, Groups, GroupsFullError, NotAMemberError
from cluster.links import LinkLimits, Links
from cluster.membership import (
    MEMBERSHIP,
    ListNodes,
    NodeChange,
    NodeClock,
    NodeDown,
    NodeRefused,
    NodeStatus,
    NodeUp,
    Subscribe,
    Unsubscribe,
)
from cluster.network import Connection, Network
from cluster.peers import Identity, Peer, fresh_incarnation
from cluster.rendezvous import rendezvous
from cluster.singletons import SINGLETONS, RetrySingleton, Singletons, singletons_spec
from cluster.sockets import SocketNetwork, bound_node_socket
from cluster.table import MessageTable
from cluster.tree import cluster_supervisor
from cluster.whereabouts import SingletonPlace, Whereabouts

__all__ = [
    "GROUPS",
    "MEMBERSHIP",
    "SINGLETONS",
    "Connection",
    "GroupNameError",
    "Groups",
    "GroupsFullError",
    "Identity",
    "LinkCode",
    "LinkError",
    "LinkLimits",
    "Links",
    "ListNodes",
    "MessageTable",
    "MessageTooLargeError",
    "Network",
    "NodeChange",
    "NodeClock",
    "NodeDown",
    "NodeRefused",
    "NodeStatus",
    "NodeUp",
    "NotAMemberError",
    "Peer",
    "RetrySingleton",
    "SingletonPlace",
    "Singletons",
    "SocketNetwork",
    "Subscribe",
    "UnregisteredError",
    "Unsubscribe",
    "Whereabouts",
    "bound_node_socket",
    "cluster_supervisor",
    "fresh_incarnation",
    "rendezvous",
    "singletons_spec",
]
