"""A worker is killed again and again: when does its successor answer a client? And what does the process tree cost?"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Final

import uvloop

from bench.bars import percentile
from bench.client import Client
from bench.measured_node import MeasuredNode
from bench.person import Person
from cluster import rendezvous
from config import worker_name
from protocol import AccountId, StaticKey, device_id_of, shard_of
from protocol.messages import Closing, Error, Welcome

if TYPE_CHECKING:
    from pathlib import Path

    from bench.live_node import Settings

KILLS: Final = 100
KILLS_A_HOST: Final = 10  # one more within half a minute, and a host gives up
IDLE_S: Final = 10.0
ANSWER_S_MAX: Final = 20.0
LOOK_S: Final = 0.002


class Caller(Client):
    """Somebody whom the node does not know: whoever would have the account answers a login, and it is no success."""

    def __init__(self, account: str) -> None:
        key = StaticKey.generate()  # one device may not try so often
        super().__init__(Person(AccountId(account), key, device_id_of(key.public)))
        self.answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def other(self, frame: Any) -> None:
        """A greeting is followed by the login; of the answers an Error is one of the account."""
        if isinstance(frame, Welcome):
            self.login()
        elif isinstance(frame, Error) and not self.answered.done():
            self.answered.set_result(True)
        elif isinstance(frame, Closing):
            self.fail(frame.sentence)

    def fail(self, why: str) -> None:
        """It was reset, or sent away for now."""
        super().fail(why)
        if not self.answered.done():
            self.answered.set_result(False)


async def replacement_s(node: MeasuredNode, worker: int, account: str) -> float:
    """Kill a worker, and log in at once: how long until somebody answers for an account of its own, in seconds.

    A connection that the dying worker itself had still taken is reset, and the link to it may have gone: then the next
    login counts, from the kill.
    """
    pid = node.workers()[worker]
    killed_s = time.perf_counter()
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(ANSWER_S_MAX):
        while not await _answered(node.address, account):
            pass
    return time.perf_counter() - killed_s


async def _answered(address: str, account: str) -> bool:
    host, _, port = address.rpartition(":")
    client = Caller(account)
    await asyncio.get_running_loop().create_connection(lambda: client, host, int(port))
    try:
        return await client.answered
    finally:
        client.close()


def _times_s(folder: Path, workers: int) -> list[float]:
    """The times of all kills, of each worker in turn; whoever is called lives at the one that is killed."""
    weights = {worker_name("local", number): 1.0 for number in range(1, workers + 1)}
    callers = {
        rendezvous(shard_of(account), weights): account for account in (f"caller{number}" for number in range(100))
    }
    times_s: list[float] = []

    async def kill_all(node: MeasuredNode) -> None:
        for number in range(KILLS_A_HOST):
            worker = number % workers
            while len(node.workers()) < workers:  # noqa: ASYNC110 - a bench may look again
                await asyncio.sleep(LOOK_S)
            times_s.append(await replacement_s(node, worker, callers[worker_name("local", worker + 1)]))

    for number in range(KILLS // KILLS_A_HOST):
        settings: Settings = {"node": {"workers": workers}}
        with MeasuredNode(folder / f"{workers} {number}", settings=settings, watchful=False) as node:
            uvloop.run(kill_all(node))
    return times_s


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
    one_s, two_s = (_times_s(folder, workers) for workers in (1, 2))
    return {
        "replace: killed worker answers again, p50": percentile(one_s, 50) * 1000,
        "replace: killed worker answers again, p99": percentile(one_s, 99) * 1000,
        "replace: killed one of two answers again, p50": percentile(two_s, 50) * 1000,
        "replace: killed one of two answers again, p99": percentile(two_s, 99) * 1000,
        **_idle(folder / "idle"),
    }
