"""The same 100 pairs in an open loop: 1,000 messages a second, whatever the node does; from due time to delivery."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import uvloop

from bench.bars import percentile
from bench.client import Client, Sender, connect, leave
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register

if TYPE_CHECKING:
    from pathlib import Path

    from bench.person import Person

PAIRS = 100
RATE_PER_S = 1_000
WARM_UP_S = 1.0
MEASURED_S = 6.0
SEED = 1
TICK_S = 0.0005
LAST_WORDS_S = 0.5


class Reader(Client):
    """Notes how long after its due time each message came."""

    def __init__(self, person: Person, delays_s: list[float]) -> None:
        super().__init__(person)
        self.delays_s = delays_s
        self.due_s: deque[float] = deque()

    def delivered(self, deliver: Any) -> None:
        """The oldest of those on their way: a chat keeps its order."""
        self.delays_s.append(time.perf_counter() - self.due_s.popleft())


async def _say(writers: list[Sender], readers: list[Reader], seconds: float) -> int:
    """Send at random moments of a fixed rate; a moment missed is made up for, and counts from when it was due."""
    moments = random.Random(SEED)
    now_s = due_s = time.perf_counter()
    end_s, count = due_s + seconds, 0
    while due_s < end_s:
        while due_s <= now_s:
            index = moments.randrange(PAIRS)
            readers[index].due_s.append(due_s)
            writers[index].say_next()
            writers[index].flush()
            count += 1
            due_s += moments.expovariate(RATE_PER_S)
        await asyncio.sleep(TICK_S)
        now_s = time.perf_counter()
    return count


async def _measure(node: MeasuredNode, writers: list[Sender], readers: list[Reader]) -> dict[str, float]:
    await connect(node.address, [*readers, *writers])
    await _say(writers, readers, WARM_UP_S)
    delays_s = readers[0].delays_s
    delays_s.clear()
    cpu_s, waited_s = node.cpu_s(), node.waited_s()
    count = await _say(writers, readers, MEASURED_S)
    cpu_s, waited_s = node.cpu_s() - cpu_s, node.waited_s() - waited_s
    await asyncio.sleep(LAST_WORDS_S)
    leave([*writers, *readers])
    if len(delays_s) < count:
        raise RuntimeError(f"{count - len(delays_s)} of {count} messages did not come")
    return {
        "paced: CPU a message": cpu_s / count * 1e6,
        "paced: send to delivered, p50": percentile(delays_s, 50) * 1e3,
        "paced: send to delivered, p99": percentile(delays_s, 99) * 1e3,
        "paced: node ready but without a processor, % of the time": waited_s / MEASURED_S * 100,
    }


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    writers, readers = people("ann", PAIRS), people("bob", PAIRS)
    register(folder, [*writers, *readers])

    async def scenario(node: MeasuredNode) -> dict[str, float]:
        delays_s: list[float] = []
        pairs = zip(writers, readers, strict=True)
        return await _measure(node, [Sender(*pair) for pair in pairs], [Reader(reader, delays_s) for reader in readers])

    with MeasuredNode(folder, profile) as node:
        return uvloop.run(scenario(node))
