"""A node in a process of its own, for the tests that kill it: `python -m tests.cluster.node_process NAME ADDRESS PEER`.

It registers an actor as "echo", which sends back what it gets, shares the service "clerk" with the others, and prints a
line when it listens.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from cluster import (
    Identity,
    MessageTable,
    Peer,
    SocketNetwork,
    bound_node_socket,
    cluster_supervisor,
    fresh_incarnation,
    singletons_spec,
)
from runtime import Actor, Runtime
from supervisors import ChildSpec, Supervisor, SupervisorFlags
from tests.cluster.messages import Note, registered
from tests.cluster.world import key_of

if TYPE_CHECKING:
    from runtime import From, Message


class Echo(Actor):
    """Sends back what it gets."""

    def handle_cast(self, message: Message) -> None:
        if isinstance(message, Note) and message.sender is not None:
            self.process.cast(message.sender, Note(message.text, self.process.pid, message.about))

    def handle_call(self, request: Message, caller: From) -> None:
        self.process.reply(caller, request)


async def main(name: str, address: str, peer: str, peer_address: str) -> None:
    """Run until killed."""
    runtime = Runtime(node=name, incarnation=fresh_incarnation(os.urandom))
    peers = {peer: Peer(peer, key_of(peer).public, peer_address)}
    me = Identity(name, runtime.incarnation, key_of(name), peers)
    network = SocketNetwork(bound_node_socket(address))
    runtime.start(cluster_supervisor(runtime, me, registered(MessageTable()), network))
    runtime.start(Echo(), name="echo")
    runtime.start(Supervisor(SupervisorFlags(), [singletons_spec([ChildSpec("clerk", Echo)])]))
    print("listening", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
