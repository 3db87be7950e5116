"""Two runtimes on two nodes whose actors call and watch each other: run it in two terminals.

    python examples/two_nodes.py key                                       # twice: a private and a public key each
    python examples/two_nodes.py clock tcp://127.0.0.1:7801 PRIVATE_KEY reader tcp://127.0.0.1:7802 PUBLIC_KEY
    python examples/two_nodes.py reader tcp://127.0.0.1:7802 PRIVATE_KEY clock tcp://127.0.0.1:7801 PUBLIC_KEY

The node called "clock" runs an actor that tells the time; any other node asks it once a second. Kill the clock, and the
reader says so; start it again, and it goes on. docs/distribution.md says what is promised.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import msgspec

from cluster import (
    MEMBERSHIP,
    Identity,
    MessageTable,
    NodeUp,
    Peer,
    SocketNetwork,
    Subscribe,
    bound_node_socket,
    cluster_supervisor,
    fresh_incarnation,
)
from protocol import StaticKey
from runtime import Actor, Down, Named, Reply, Runtime

if TYPE_CHECKING:
    from runtime import From, Message

TABLE = MessageTable()


@TABLE.message(16)
class WhatTime(msgspec.Struct, array_like=True):
    """A question; only registered types cross, each under a number of its own."""


@TABLE.message(17)
class Time(msgspec.Struct, array_like=True):
    """The answer."""

    seconds: float


class Clock(Actor):
    """Tells the time to whoever asks, wherever they run."""

    def handle_call(self, request: Message, caller: From) -> None:
        """Answer."""
        self.process.reply(caller, Time(self.process.runtime.clock.now_s()))


class Reader(Actor):
    """Asks the clock once a second while its node is up."""

    def __init__(self, clock: str) -> None:
        self.clock = Named(clock, "clock")

    def init(self) -> None:
        """Hear of nodes."""
        membership = self.process.runtime.whereis(MEMBERSHIP)
        assert membership is not None
        self.process.cast(membership, Subscribe(self.process.pid))

    def handle_info(self, message: Message) -> None:
        """A node is up, an answer has come, or the clock is gone."""
        match message:
            case NodeUp(node) if node == self.clock.node:
                self.process.monitor(self.clock)
                self.process.call(self.clock, WhatTime())
            case "ask":
                self.process.call(self.clock, WhatTime())
            case Reply(_, Time(seconds)):
                print(f"the clock of {self.clock.node} shows {seconds:.0f} s", flush=True)
                self.process.send_after(1.0, "ask")
            case Down(_, _, reason):
                print(f"the clock is gone: {reason}", flush=True)


async def main(name: str, address: str, private_key: str, peer: str, peer_address: str, peer_key: str) -> None:
    """Run one node until it is stopped."""
    runtime = Runtime(node=name, incarnation=fresh_incarnation(os.urandom))
    peers = {peer: Peer(peer, bytes.fromhex(peer_key), peer_address)}
    me = Identity(name, runtime.incarnation, StaticKey(bytes.fromhex(private_key)), peers)
    network = SocketNetwork(bound_node_socket(address))
    runtime.start(cluster_supervisor(runtime, me, TABLE, network, observer=print))
    if name == "clock":
        runtime.start(Clock(), name="clock")
    else:
        runtime.start(Reader(peer))
    try:
        await asyncio.Event().wait()
    finally:
        runtime.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["key"]:
        key = StaticKey.generate()
        print("private", key.private_bytes().hex(), "public", key.public.hex())
    elif len(sys.argv) == 7:
        asyncio.run(main(*sys.argv[1:]))
    else:
        sys.exit(__doc__)
