"""Two workers instead of one, under the same load; and what a client costs that meets the wrong one of two."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import uvloop

from bench.client import Client, connect, leave
from bench.measured_node import MeasuredNode
from bench.online import at_one_host
from bench.person import people
from bench.registration import enter

if TYPE_CHECKING:
    from pathlib import Path

    from bench.live_node import Settings

__all__ = ["TWO", "run"]

# The draw of shards goes by the names of the nodes; with this one each has 32, as an operator would move them.
TWO: Final[Settings] = {"node": {"name": "bench", "workers": 2}}
LOGINS: Final = 2_000
FIRST: Final = 100
QUIET_S: Final = 1.0


def _login_us(folder: Path, settings: Settings) -> float:
    """CPU of a login, on average, in microseconds."""

    async def scenario(node: MeasuredNode) -> float:
        await enter([node], persons)
        clients = [Client(person, foreground=False) for person in persons]
        await connect(node.address, clients[:FIRST])
        await asyncio.sleep(QUIET_S)
        cpu_s = node.cpu_s()
        await connect(node.address, clients[FIRST:])
        cpu_s = node.cpu_s() - cpu_s
        leave(clients)
        return cpu_s / LOGINS * 1e6

    persons = people("ann", FIRST + LOGINS)
    with MeasuredNode(folder, settings=settings) as node:
        return uvloop.run(scenario(node))


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in fresh folders, one and two workers in turn.

    Args:
        folder: For their folders.
        profile: Not used: there are several workers.
    """
    one, two = at_one_host(folder / "one"), at_one_host(folder / "two", settings=TWO)
    logins_us = [_login_us(folder / f"logins {len(settings)}", settings) for settings in ({}, TWO)]
    return {
        "workers: CPU a message of two, to that of one": two.cpu_us / one.cpu_us,
        "workers: messages that two can take, to one": one.busiest_us / two.busiest_us,
        "workers: CPU of a login at two": logins_us[1],
        "workers: CPU of a login at one": logins_us[0],
        "workers: CPU a message of one": one.cpu_us,
        "workers: CPU a message of two": two.cpu_us,
        "workers: messages a second by the clock, two to one": two.per_s / one.per_s,
        "workers: one, ready but without a processor, % of the time": one.waited_share * 100,
        "workers: two, ready but without a processor, % of the time": two.waited_share * 100,
        "workers: processors of this machine, which the load shares": float(os.cpu_count() or 1),
    }
