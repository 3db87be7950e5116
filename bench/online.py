"""1:1 online: 100 pairs write as fast as their windows allow, every message acknowledged and its receipt awaited."""

from __future__ import annotations

import asyncio
import time
from operator import sub
from typing import TYPE_CHECKING, Any, NamedTuple

import uvloop

from bench.client import Client, Sender, connect, leave
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.live_node import Settings

PAIRS = 100
WINDOW = 16
WARM_UP_S = 1.0
MEASURED_S = 4.0


class Writer(Sender):
    """Has at most a window of messages whose delivery it has not heard of."""

    def __init__(self, *pair: Any) -> None:
        super().__init__(*pair)
        self.confirmed = 0
        self.stopped = False

    def receipt(self, receipt: Any) -> None:
        """Room in the window for what was delivered. The only sender of a fresh chat: its numbers are the seqs."""
        if receipt.account == self.partner and receipt.delivered > self.confirmed:
            self.confirmed = receipt.delivered
            self.fill()

    def fill(self) -> None:
        """Fill the window."""
        if not self.stopped:
            for _ in range(self.confirmed + WINDOW - self.number):
                self.say_next()


class Flow(NamedTuple):
    """What was measured.

    Attributes:
        cpu_us: Microseconds of CPU of all nodes for each message.
        busiest_us: Of these, what the busiest worker takes.
        per_s: Messages a second.
        waited_share: Of the time that a node's threads were ready and got no processor, on average.
    """

    cpu_us: float
    busiest_us: float
    per_s: float
    waited_share: float


async def flow(nodes: Sequence[MeasuredNode], writers: Sequence[Writer], readers: Sequence[Client]) -> Flow:
    """Measure how messages flow from writers at the first node to readers at the last one.

    Raises:
        RuntimeError: A client failed, or no message came.
    """
    await connect(nodes[-1].address, readers)
    await connect(nodes[0].address, writers)
    for writer in writers:
        writer.fill()
        writer.flush()
    await asyncio.sleep(WARM_UP_S)
    confirmed, waited_s = sum(writer.confirmed for writer in writers), sum(node.waited_s() for node in nodes)
    workers_s = [cpu_s for node in nodes for cpu_s in node.workers_cpu_s()]
    cpu_s, began_s = sum(node.cpu_s() for node in nodes), time.perf_counter()
    await asyncio.sleep(MEASURED_S)
    cpu_s, wall_s = sum(node.cpu_s() for node in nodes) - cpu_s, time.perf_counter() - began_s
    now_s = [cpu_s for node in nodes for cpu_s in node.workers_cpu_s()]
    busiest_s = max(map(sub, now_s, workers_s))
    messages = sum(writer.confirmed for writer in writers) - confirmed
    waited_s = sum(node.waited_s() for node in nodes) - waited_s
    for writer in writers:
        writer.stopped = True
    leave([*writers, *readers])
    if not messages:
        raise RuntimeError("no message was confirmed: the node answers nothing")
    waited_share = waited_s / wall_s / len(workers_s)
    return Flow(cpu_s / messages * 1e6, busiest_s / messages * 1e6, messages / wall_s, waited_share)


def at_one_host(folder: Path, profile: Path | None = None, settings: Settings | None = None) -> Flow:
    """Measure in a fresh folder.

    Args:
        folder: The folder.
        profile: Where the node's profile goes.
        settings: What differs from those of every scenario.
    """
    writers, readers = people("ann", PAIRS), people("bob", PAIRS)
    register(folder, [*writers, *readers], settings)

    async def scenario(node: MeasuredNode) -> Flow:
        pairs = zip(writers, readers, strict=True)
        return await flow([node], [Writer(*pair) for pair in pairs], [Client(reader) for reader in readers])

    with MeasuredNode(folder, profile, settings) as node:
        return uvloop.run(scenario(node))


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    measured = at_one_host(folder, profile)
    return {
        "online: CPU a message": measured.cpu_us,
        "online: messages a second": measured.per_s,
        "online: node ready but without a processor, % of the time": measured.waited_share * 100,
    }
