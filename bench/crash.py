"""Kill a node with SIGKILL at random moments, again and again, and count what that did to anybody's messages.

Run with `python -m bench.crash --rounds 1000`. Four people, one with two devices, write to each other through the real
client without pause, with full windows of unacknowledged sends; one or another sleeps through some rounds, so that
messages wait, move to the inbox and come back from it. The windows of the node's disk are as small as they may be, so
kills meet moves and trims. At the end everyone comes online once more, and the books must balance. The last line
counts; the exit status is 1 unless all is well.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import roost
from bench.circle import Circle
from bench.device import Device, until
from bench.ledger import Ledger
from bench.live_node import LiveNode, NodeError, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.ledger import Counts

__all__ = ["CrashRun", "Result", "live_through"]

FRIENDS: Final = Circle({"ann": ("phone", "laptop"), "bob": ("phone",), "cid": ("phone",), "dee": ("phone",)})
LIFE_S_MAX: Final = 0.6
DEATH_AT_START: Final = 0.1
SLEEP: Final = 0.4
SLEEP_ROUNDS_MAX: Final = 3
CONVERGE_S_MAX: Final = 120.0

SETTINGS: Final[Settings] = {
    "limits": {"payload_size_bytes_max": 4_096, "delivery_window_bytes": 4_096},
    "journal": {"hot_window_bytes_max": 524_288, "hot_window_s_max": 1},
    # A sleeper on a slow machine may have more waiting than the default allows; a notice is no loss, but ends the run.
    "queue": {"sweep_interval_s": 1, "entries_max": 1_000_000, "size_bytes_max": 1 << 30},
    "rates": {
        **{f"{operation}_per_minute": 1_000_000 for operation in ("sends", "marks", "logins")},
        **{f"{operation}_burst": 1_000_000 for operation in ("sends", "marks", "logins")},
    },
}


class CrashRun:
    """A run of many rounds on one folder.

    Args:
        folder: Where everything is kept; empty at first.
        seed: Decides when the node dies and who sleeps.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.ledger = Ledger(FRIENDS.streams())
        self.node = LiveNode(folder / "node", SETTINGS)
        self.kills = 0
        self.crashes: list[str] = []
        self._random = random.Random(seed)
        self._devices = [
            Device(name, FRIENDS.neighbours(name.partition("/")[0]), folder, self.ledger, f"{seed} {name}")
            for name in FRIENDS.devices
        ]

    async def run(self, rounds: int, told: Callable[[int, Counts], None] | None = None) -> Counts:
        """Live through so many kills, then let everybody come together and count.

        Args:
            rounds: How many kills.
            told: Hears of each round's end, with the counts so far.

        Raises:
            AssertionError: A client gave up or a message was refused; says which and why.
            NodeError: The node did not start again.
        """
        try:
            await asyncio.to_thread(self.node.start)
            primaries: dict[str, Device] = {}
            for device in self._devices:
                primary = primaries.setdefault(device.person, device)
                if primary is device:
                    await device.register(self.node, self.node.code_for)
                else:
                    await device.link(self.node, primary)
            for device in self._devices:
                await device.wake()
            for number in range(1, rounds + 1):
                await self._round()
                if told is not None:
                    told(number, self.ledger.counts())
            await self._converge()
            return self.ledger.counts()
        finally:
            await asyncio.gather(*(device.sleep() for device in self._devices), return_exceptions=True)
            await asyncio.to_thread(self.node.kill)
            self.crashes += self.node.crashes

    async def _round(self) -> None:
        """The node lives for a moment and is killed; at times it does not even get to its start-up line."""
        if not self.node.running:
            await self._start()
        if self.node.running:
            coming = asyncio.gather(*(device.come_online() for device in self._devices))
            await asyncio.sleep(self._random.uniform(0, LIFE_S_MAX))
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
            await self._kill()
        for device in self._devices:
            device.check()
        await self._change_shifts()

    async def _start(self) -> None:
        if self._random.random() < DEATH_AT_START:
            self.node.launch()
            await asyncio.sleep(self._random.uniform(0.05, 0.35))
            await self._kill()
        else:
            await asyncio.to_thread(self.node.start)

    async def _kill(self) -> None:
        await asyncio.to_thread(self.node.kill)
        self.kills += 1
        self.crashes += self.node.crashes

    async def _change_shifts(self) -> None:
        for device in self._devices:
            if device.client is None:
                device.asleep_rounds -= 1
                if device.asleep_rounds <= 0:
                    await device.wake()
        if self._random.random() < SLEEP:
            device = self._random.choice(self._devices)
            device.asleep_rounds = self._random.randint(1, SLEEP_ROUNDS_MAX)
            await device.sleep()

    async def _converge(self) -> None:
        """Everyone awake, everything sent, everything shown."""
        deadline_s = time.monotonic() + CONVERGE_S_MAX
        await asyncio.to_thread(self.node.start)
        for device in self._devices:
            if device.client is None:
                await device.wake()
        await asyncio.gather(*(device.come_online() for device in self._devices))
        await asyncio.gather(*(device.finish(deadline_s) for device in self._devices))
        await until(lambda: not self.ledger.waiting(), deadline_s)


@dataclass(frozen=True)
class Result:
    """How a run went.

    Attributes:
        counts: What became of the messages.
        kills: How often the node died.
        crashes: Actors that crashed by themselves.
        fault: Why it ended early; "" if it did not.
        spent_s: Seconds that it took.
    """

    counts: Counts
    kills: int
    crashes: list[str]
    fault: str
    spent_s: float

    @property
    def all_is_well(self) -> bool:
        """Whether every promise was kept and nothing crashed."""
        return self.counts.all_is_well and not self.fault and not self.crashes


def live_through(rounds: int, seed: int, told: Callable[[int, Counts], None]) -> Result:
    """Live through so many kills in a temporary folder.

    Args:
        rounds: How many kills.
        seed: Decides when the node dies and who sleeps.
        told: Hears of each round's end, with the counts so far.
    """
    fault = ""
    with tempfile.TemporaryDirectory(prefix="roost-crash-") as folder:
        run = CrashRun(Path(folder), seed)
        began_s = time.monotonic()
        try:
            asyncio.run(run.run(rounds, told))
        except (AssertionError, NodeError, roost.RoostError) as error:
            fault = str(error)
    return Result(run.ledger.counts(), run.kills, run.crashes, fault, time.monotonic() - began_s)


def main(arguments: list[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="bench.crash", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=50, help="how often the node is killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="of an earlier run")
    chosen = parser.parse_args(arguments)
    print(f"{chosen.rounds} rounds, --seed {chosen.seed}", flush=True)

    def told(number: int, counts: Counts) -> None:
        if number % 50 == 0:
            print(
                f"round {number} of {chosen.rounds}: accepted {counts.accepted}, on their way {counts.lost}, "
                f"shown twice {counts.shown_twice}, out of order {counts.out_of_order}",
                flush=True,
            )

    result = live_through(chosen.rounds, chosen.seed, told)
    for crash in result.crashes:
        print(f"an actor crashed: {crash}")
    if result.fault:
        print(f"the run ended early: {result.fault}")
    print(f"{result.kills} kills in {result.spent_s:.0f} s")
    print(result.counts, flush=True)
    return 0 if result.all_is_well else 1


if __name__ == "__main__":
    sys.exit(main())
