"""60,000 people on one host of four workers log in and then say nothing: what such a connection takes up.

One source address has 28,000 ports and one process 20,000 descriptors: so the people come in four processes, each from
an address of its own of this machine.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

import uvloop

from bench.client import Client, connect, leave
from bench.live_node import PROJECT
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import enter

if TYPE_CHECKING:
    from pathlib import Path

    from bench.live_node import Settings
    from bench.person import Person

WORKERS: Final = 4
CROWDS: Final = 4
CROWD: Final = 15_000
FIRST: Final = 400
REST_S: Final = 8.0
# Shards are drawn by the names of the nodes; with this one no worker has more people than it may have files open.
SETTINGS: Final[Settings] = {
    "node": {"name": "c4", "workers": WORKERS},
    "limits": {"connections_max": 72_000, "connections_unauthenticated_max": 72_000},
}


class _Crowd:
    """A process full of people, who come when told to and stay.

    Args:
        node: Where they go.
        number: Which of the crowds it is.
    """

    def __init__(self, node: MeasuredNode, number: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.crowd", node.address, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT,
            text=True,
        )
        self.wait("ready")

    def say(self, word: str) -> None:
        """Tell it to go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def wait(self, word: str) -> None:
        """Wait until it has come so far.

        Raises:
            RuntimeError: It has ended.
        """
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != word:
            raise RuntimeError(f"a crowd of the bench ended before it said {word!r}; its error is above")

    def end(self) -> None:
        """Everybody goes."""
        self._process.kill()
        self._process.communicate()


def _persons(number: int) -> list[Person]:
    return people(f"c{number}n", CROWD)


async def _come(address: str, number: int) -> None:
    """The life of a crowd: what it says and hears is a word a line."""
    persons = _persons(number)
    clients = [Client(person, foreground=False) for person in persons]
    loop = asyncio.get_running_loop()

    def told() -> asyncio.Future[str]:
        return loop.run_in_executor(None, sys.stdin.readline)

    print("ready", flush=True)
    await told()
    await connect(address, clients, source=f"127.0.1.{number + 1}")
    print("in", flush=True)
    await told()
    leave(clients)


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder.

    Args:
        folder: The folder.
        profile: Not used: there are several workers.
    """
    first = people("first", FIRST)
    with MeasuredNode(folder, settings=SETTINGS) as node:
        uvloop.run(enter([node], [*first, *(person for number in range(CROWDS) for person in _persons(number))]))
        crowds = [_Crowd(node, number) for number in range(CROWDS)]
        try:
            return uvloop.run(_measure(node, crowds, first))
        finally:
            for crowd in crowds:
                crowd.end()


async def _measure(node: MeasuredNode, crowds: list[_Crowd], persons: list[Person]) -> dict[str, float]:
    first = [Client(person, foreground=False) for person in persons]
    await connect(node.address, first)  # what is loaded at the first login belongs to no connection
    await asyncio.sleep(REST_S)
    pss_bytes, cpu_s, began_s = node.pss_bytes(), node.cpu_s(), time.perf_counter()
    for crowd in crowds:
        crowd.say("come")
    for crowd in crowds:
        crowd.wait("in")
    cpu_s, wall_s = node.cpu_s() - cpu_s, time.perf_counter() - began_s
    await asyncio.sleep(REST_S)
    pss_bytes = node.pss_bytes() - pss_bytes
    leave(first)
    count = CROWDS * CROWD
    return {
        "crowd: idle connections on four workers": float(count),
        "crowd: memory of a connection": pss_bytes / count / 1024,
        "crowd: CPU of a login": cpu_s / count * 1e6,
        "crowd: seconds in which all came": wall_s,
    }


if __name__ == "__main__":
    uvloop.run(_come(sys.argv[1], int(sys.argv[2])))
