"""A node comes back after SIGKILL, with 1,000,000 messages waiting and a full hot window: how long until it serves."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import uvloop

from bench.client import Client, connect, leave
from bench.direct_store import inbox_entries
from bench.live_node import PROJECT
from bench.measured_node import MeasuredNode
from bench.registration import register
from bench.replace import replacement_s
from bench.waiting_store import READERS, WAITING, readers

if TYPE_CHECKING:
    from pathlib import Path

    from bench.person import Person

STEP_TIMEOUT_S = 60.0


class Returner(Client):
    """Notes when its first message came, and counts all."""

    def __init__(self, person: Person) -> None:
        super().__init__(person)
        self.served_s = 0.0
        self.count = 0
        self.done = asyncio.Event()

    def delivered(self, deliver: Any) -> None:
        """One more."""
        self.count += 1
        if self.count == 1:
            self.served_s = time.perf_counter()

    def drained(self) -> None:
        """That was all of it."""
        self.done.set()


async def _measure(node: MeasuredNode) -> dict[str, float]:
    figures = await _first_served(node)
    again_s = await replacement_s(node, 0, "caller")
    return figures | {f"restart: killed worker answers again with {WAITING:,} waiting, ms": again_s * 1000}


async def _first_served(node: MeasuredNode) -> dict[str, float]:
    returner = Returner(readers()[0])
    await connect(node.address, [returner])
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await returner.done.wait()
    leave([returner])
    if returner.count <= WAITING // READERS:
        raise RuntimeError(f"only {returner.count} messages waited for a reader: the hot window was not replayed")
    return {"restart: first client served": returner.served_s - node.started_s}


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    data = folder / "data"
    register(folder, readers())
    writer = subprocess.run([sys.executable, "-m", "bench.waiting_store", str(data)], cwd=PROJECT, check=False)
    waiting = inbox_entries(data) if writer.returncode == -signal.SIGKILL else 0
    if waiting != WAITING:
        raise RuntimeError(f"the store was not prepared: status {writer.returncode}, {waiting} in the inbox")
    with MeasuredNode(folder, profile, watchful=False) as node:
        return uvloop.run(_measure(node))
