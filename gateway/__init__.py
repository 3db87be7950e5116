"""The doors of a node: where clients come in.

Reading order: `door` (who may come in; pure), `tcp` (sockets to connection actors), `premises` (what
outlives the process that serves).

Invariants: a stranger costs a bounded amount, and is told why when there is no room; the door hands a socket to one
connection process and never looks at what it says.
"""

from gateway.door import Door, DoorLimits
from gateway.premises import Premises, StartRefusedError
from gateway.tcp import TcpListener, bound_socket, drain

__all__ = ["Door", "DoorLimits", "Premises", "StartRefusedError", "TcpListener", "bound_socket", "drain"]
