"""Actors of two nodes: what a message costs each side, and how soon the end of a node is told.

Two processes, linked over a Unix socket as within a host; 50 messages to a batch, and the next batch when the last one
has been counted there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from cluster import (
    Identity,
    MessageTable,
    Peer,
    SocketNetwork,
    bound_node_socket,
    cluster_supervisor,
    fresh_incarnation,
)
from protocol import StaticKey
from runtime import Actor, Down, Named, Pid, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runtime import From, Message

__all__ = ["run"]

BATCH = 50
MESSAGES = 200_000
PAYLOAD = bytes(200)
KEYS = {"near": StaticKey(bytes(32)), "far": StaticKey(bytes(31) + b"\x01")}


class Delivery(msgspec.Struct, array_like=True):
    """What goes over."""

    position: int
    sender: Pid
    payload: bytes


class Counted(msgspec.Struct, array_like=True):
    """A whole batch has come."""


class Counter(Actor):
    """Counts what comes; says the CPU time of its process when asked."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def handle_cast(self, message: Message) -> None:
        """Count it."""
        self.count += 1
        if not self.count % BATCH:
            self.process.cast(message.sender, Counted())

    def handle_call(self, request: Message, caller: From) -> None:
        """The CPU seconds so far."""
        self.process.reply(caller, time.process_time())


class Speaker(Actor):
    """Sends batch after batch; hears of the other side's end."""

    __slots__ = ("down", "left", "over", "target")

    def __init__(self, target: Pid, over: Callable[[], None], down: Callable[[], None]) -> None:
        self.target = target
        self.left = MESSAGES
        self.over = over
        self.down = down

    def init(self) -> None:
        """Watch the target, and begin."""
        self.process.monitor(self.target)
        self.process.cast(self.process.pid, None)

    def handle_cast(self, message: Message) -> None:
        """Send the next batch."""
        if not self.left:
            self.over()
            return
        cast, target, pid = self.process.cast, self.target, self.process.pid
        for position in range(self.left, self.left - BATCH, -1):
            cast(target, Delivery(position, pid, PAYLOAD))
        self.left -= BATCH

    def handle_info(self, message: Message) -> None:
        """The other side has ended."""
        if isinstance(message, Down):
            self.down()


def node(name: str, folder: str) -> Runtime:
    """A runtime that is linked with the other one."""
    (peer,) = KEYS.keys() - {name}
    runtime = Runtime(node=name, incarnation=fresh_incarnation(os.urandom))
    table = MessageTable()
    table.register(Delivery, 16)
    table.register(Counted, 17)
    me = Identity(name, runtime.incarnation, KEYS[name], {peer: Peer(peer, KEYS[peer].public, f"unix:{folder}/{peer}")})
    network = SocketNetwork(bound_node_socket(f"unix:{folder}/{name}"))
    runtime.start(cluster_supervisor(runtime, me, table, network))
    return runtime


async def serve(folder: str) -> None:
    """The far node, until it is killed."""
    node("far", folder).start(Counter(), name="counter")
    await asyncio.Event().wait()


async def measure(folder: str) -> dict[str, float]:
    """The near node: talk, then see how soon two kinds of end are told."""
    figures: dict[str, float] = {}
    runtime = node("near", folder)
    for bar, cruelty in (
        ("remote: end of a killed process told", signal.SIGKILL),
        ("remote: end of a silent node told", signal.SIGSTOP),
    ):
        child = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.remote", folder)
        while "far" not in runtime.foreign.linked:  # noqa: ASYNC110 - a bench may look again
            await asyncio.sleep(0.05)
        over, down = asyncio.Event(), asyncio.Event()
        theirs_s: Any = await runtime.ask(Named("far", "counter"), 0)
        ours_s = time.process_time()
        runtime.start(Speaker(Named("far", "counter"), over.set, down.set))
        await over.wait()
        ours_s = time.process_time() - ours_s
        theirs_s = await runtime.ask(Named("far", "counter"), 0) - theirs_s
        for side, used_s in (("sender", ours_s), ("receiver", theirs_s)):
            name = f"remote: message between two nodes, {side}"
            figures[name] = min(figures.get(name, float("inf")), used_s / MESSAGES * 1e6)
        began_s = time.monotonic()
        child.send_signal(cruelty)
        await down.wait()
        figures[bar] = time.monotonic() - began_s
        if cruelty is signal.SIGSTOP:
            child.kill()
        await child.wait()
    runtime.close()
    return figures


def run(folder: Path, profile: Path | None) -> dict[str, float]:
    """Measure.

    Args:
        folder: For the sockets.
        profile: Not used: the sender is this process.
    """
    return asyncio.run(measure(str(folder)))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
