"""A worker is killed again and again: when does its successor answer a client? And what does the process tree cost?"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Final

import uvloop

from bench.bars import percentile
from bench.client import Client
from bench.live_node import WORKER
from bench.measured_node import MeasuredNode
from bench.person import people

if TYPE_CHECKING:
    from pathlib import Path

KILLS: Final = 100
KILLS_A_HOST: Final = 10  # one more within half a minute, and a host gives up
IDLE_S: Final = 10.0
ANSWER_S_MAX: Final = 20.0


async def replacement_s(node: MeasuredNode) -> float:
    """Kill the worker, and connect at once: how long until the handshake is done and the greeting answered, in seconds.

    Only a connection that the dying worker itself had still accepted is reset; then the next one counts, from the kill.
    """
    worker = node.processes()[WORKER]
    killed_s = time.perf_counter()
    os.kill(worker, signal.SIGKILL)
    async with asyncio.timeout(ANSWER_S_MAX):
        while not await _answered(node.address):
            pass
    return time.perf_counter() - killed_s


async def _answered(address: str) -> bool:
    host, _, port = address.rpartition(":")
    client = Client(people("caller", 1)[0])
    await asyncio.get_running_loop().create_connection(lambda: client, host, int(port))
    try:
        await client.welcomed
    except RuntimeError:
        return False
    finally:
        client.close()
    return True


def _idle(folder: Path) -> dict[str, float]:
    """What the processes besides the worker take while nothing happens."""
    with MeasuredNode(folder) as node:
        cpu_s = node.tree_cpu_s()
        time.sleep(IDLE_S)
        cpu_s = node.tree_cpu_s() - cpu_s
        return {
            "host: memory besides the worker": node.tree_bytes() / (1 << 20),
            "host: CPU besides the worker, idle": cpu_s / IDLE_S * 1000,
        }


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder; a worker that dies by SIGKILL leaves no profile."""
    times_s: list[float] = []
    for number in range(KILLS // KILLS_A_HOST):
        with MeasuredNode(folder / str(number), watchful=False) as node:
            times_s += [uvloop.run(replacement_s(node)) for _ in range(KILLS_A_HOST)]
    return {
        "replace: killed worker answers again, p50": percentile(times_s, 50) * 1000,
        "replace: killed worker answers again, p99": percentile(times_s, 99) * 1000,
        **_idle(folder / "idle"),
    }
