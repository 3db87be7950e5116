"""10,000 people log in and then say nothing: what a login costs, and what a quiet connection takes up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvloop

from bench.client import Client, connect, leave
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register

if TYPE_CHECKING:
    from pathlib import Path

CONNECTIONS = 10_000
FIRST = 100
REST_S = 5.0


async def _measure(node: MeasuredNode, clients: list[Client]) -> dict[str, float]:
    await connect(node.address, clients[:FIRST])  # what is loaded at the first login belongs to no connection
    await asyncio.sleep(REST_S)
    pss_bytes, cpu_s = node.pss_bytes(), node.cpu_s()
    counted = clients[FIRST:]
    await connect(node.address, counted)
    cpu_s = node.cpu_s() - cpu_s
    await asyncio.sleep(REST_S)  # connections rest after half a quiet second, accounts a little later
    pss_bytes = node.pss_bytes() - pss_bytes
    leave(clients)
    return {
        "idle: memory of a connection": pss_bytes / len(counted) / 1024,
        "login: CPU": cpu_s / len(counted) * 1e6,
    }


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    persons = people("ann", CONNECTIONS + FIRST)
    register(folder, persons)

    async def scenario(node: MeasuredNode) -> dict[str, float]:
        return await _measure(node, [Client(person, foreground=False) for person in persons])

    with MeasuredNode(folder, profile) as node:
        return uvloop.run(scenario(node))
