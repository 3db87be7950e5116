"""Offline: 100 people write 100 messages each to people who are away; these come back and take them all home."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import uvloop

from bench.absence import Returner, Writer
from bench.client import connect, leave
from bench.direct_store import inbox_entries
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register

if TYPE_CHECKING:
    from pathlib import Path

    from bench.live_node import Settings

PAIRS = 100
MESSAGES = 100
SETTINGS: Settings = {"journal": {"hot_window_s_max": 1}}
STEP_TIMEOUT_S = 60.0
REST_S = 1.2
REST_SHARE_MAX = 0.02


async def _settled(node: MeasuredNode, data: Path, entries: int) -> None:
    """Wait until the inbox holds that many entries and the node has come to rest."""
    while True:
        cpu_s = node.cpu_s()
        await asyncio.sleep(REST_S)
        if node.cpu_s() - cpu_s < REST_S * REST_SHARE_MAX and inbox_entries(data) == entries:
            return


async def _store(node: MeasuredNode, data: Path, writers: list[Writer]) -> float:
    """CPU of the whole way to the inbox, in seconds; ends when the last entry is there."""
    await connect(node.address, writers)
    cpu_s = node.cpu_s()
    for writer in writers:
        writer.begin()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await asyncio.gather(*(writer.done.wait() for writer in writers))
        await _settled(node, data, PAIRS * MESSAGES)
    cpu_s = node.cpu_s() - cpu_s
    leave(writers)
    return cpu_s


async def _drain(node: MeasuredNode, data: Path, readers: list[Returner]) -> tuple[float, float]:
    """CPU and wall time from the logins to the last acknowledgement; handshakes have a bar of their own."""
    await connect(node.address, readers, login=False)
    cpu_s, began_s = node.cpu_s(), time.perf_counter()
    for reader in readers:
        reader.login()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await asyncio.gather(*(reader.done.wait() for reader in readers))
    wall_s = time.perf_counter() - began_s
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await _settled(node, data, 0)  # what was acknowledged leaves the inbox with the next move
    cpu_s = node.cpu_s() - cpu_s
    count = sum(reader.count for reader in readers)
    leave(readers)
    if count != PAIRS * MESSAGES:
        raise RuntimeError(f"{count} of {PAIRS * MESSAGES} messages came")
    return cpu_s, wall_s


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder; a profile shows the drain."""
    writers, readers = people("ann", PAIRS), people("bob", PAIRS)
    data = folder / "data"
    register(folder, [*writers, *readers])
    total = PAIRS * MESSAGES

    async def fill(node: MeasuredNode) -> float:
        return await _store(node, data, [Writer(*pair, MESSAGES) for pair in zip(writers, readers, strict=True)])

    async def drain(node: MeasuredNode) -> tuple[float, float]:
        return await _drain(node, data, [Returner(reader) for reader in readers])

    with MeasuredNode(folder, settings=SETTINGS) as node:
        stored_s = uvloop.run(fill(node))
        if profile is None:
            drained_s, _ = uvloop.run(drain(node))
    if profile is not None:
        with MeasuredNode(folder, profile, SETTINGS) as node:
            drained_s, _ = uvloop.run(drain(node))
    return {
        "offline: stored, CPU a message": stored_s / total * 1e6,
        "offline: drained, CPU a message": drained_s / total * 1e6,
    }
