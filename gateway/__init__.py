"""The doors of a node: where clients come in, other nodes link, and the operator asks.

Reading order: `door` (who may come in; pure), `headcount` (what the doors of a host know of each other), `tcp` (sockets
to connection actors), `passage` (sockets from one worker of a host to another), `workplace` (what outlives one worker),
`premises` (what outlives all of them), `links` (the other nodes), `control` (the operator's questions, by HTTP on a
Unix socket), `nodes` and `shards` (two kinds of them: who is up, and who has what).

Invariants: a stranger costs a bounded amount, and is told why when there is no room; the door hands a socket to one
connection process and never looks at what it says.
"""

from gateway.control import CONTROL_SOCKET, Control, ControlError, Route
from gateway.door import Door, DoorLimits
from gateway.links import link_children
from gateway.nodes import nodes_route
from gateway.passage import Hatch, Passage, hatches
from gateway.premises import KEY_FILE, Premises, host_key
from gateway.shards import shard_routes
from gateway.tcp import TcpListener, bound_socket, drain
from gateway.workplace import StartRefusedError, Workplace

__all__ = [
    "CONTROL_SOCKET",
    "KEY_FILE",
    "Control",
    "ControlError",
    "Door",
    "DoorLimits",
    "Hatch",
    "Passage",
    "Premises",
    "Route",
    "StartRefusedError",
    "TcpListener",
    "Workplace",
    "bound_socket",
    "drain",
    "hatches",
    "host_key",
    "link_children",
    "nodes_route",
    "shard_routes",
]
