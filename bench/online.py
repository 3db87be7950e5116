"""1:1 online: 100 pairs write as fast as their windows allow, every message acknowledged and its receipt awaited."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import uvloop

from bench.client import Client, Sender, connect, leave
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register

if TYPE_CHECKING:
    from pathlib import Path

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


async def _measure(node: MeasuredNode, writers: list[Writer], readers: list[Client]) -> dict[str, float]:
    await connect(node.address, [*readers, *writers])
    for writer in writers:
        writer.fill()
        writer.flush()
    await asyncio.sleep(WARM_UP_S)
    confirmed, waited_s = sum(writer.confirmed for writer in writers), node.waited_s()
    cpu_s, began_s = node.cpu_s(), time.perf_counter()
    await asyncio.sleep(MEASURED_S)
    cpu_s, wall_s = node.cpu_s() - cpu_s, time.perf_counter() - began_s
    messages, waited_s = sum(writer.confirmed for writer in writers) - confirmed, node.waited_s() - waited_s
    for writer in writers:
        writer.stopped = True
    leave([*writers, *readers])
    if not messages:
        raise RuntimeError("no message was confirmed: the node answers nothing")
    return {
        "online: CPU a message": cpu_s / messages * 1e6,
        "online: messages a second": messages / wall_s,
        "online: node ready but without a processor, % of the time": waited_s / wall_s * 100,
    }


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    writers, readers = people("ann", PAIRS), people("bob", PAIRS)
    register(folder, [*writers, *readers])

    async def scenario(node: MeasuredNode) -> dict[str, float]:
        pairs = zip(writers, readers, strict=True)
        return await _measure(node, [Writer(*pair) for pair in pairs], [Client(reader) for reader in readers])

    with MeasuredNode(folder, profile) as node:
        return uvloop.run(scenario(node))
