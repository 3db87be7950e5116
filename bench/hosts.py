"""Three hosts with addresses of their own, real people, and everything that a network and a power cut do to them.

Run with `make hosts` or `python -m bench.hosts`. Each host is a network namespace with its own address and its own
`node.py`; people are outside and come by TCP. Lines are cut (all of a host's, one, one way of one), become slow and
lossy; hosts are killed, alone and together, and stopped as if the machine slept; shards move meanwhile. The last line
counts; the exit status is 0 if nothing was lost, shown twice or out of order. Where this machine allows no namespaces
the last line says why nothing was done.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cluster import perform
from bench.wires import CONFINED, Wires, WiresError, confined, missing

if TYPE_CHECKING:
    from bench.cluster_run import ClusterRun

__all__ = ["Trials", "main"]

RUN_S_MAX: Final = 300.0
CALM_S: Final = 1.5
TROUBLE_S: Final = 6.0
LONG_TROUBLE_S: Final = 10.0
SLEEP_S: Final = 6.0
PROBE_S_MAX: Final = 20.0


class Trials:
    """What the hosts go through, one after the other; people write all the time.

    Args:
        run: It has begun.
        wires: Of its hosts.
    """

    def __init__(self, run: ClusterRun, wires: Wires) -> None:
        self._run = run
        self._wires = wires
        self._hosts = run.hosts

    async def go(self) -> None:
        """All of them."""
        for trial in (
            self.a_host_apart,
            self.two_that_do_not_hear_each_other,
            self.one_way_only,
            self.a_move_that_is_cut,
            self.rough_lines,
            self.a_host_asleep,
            self.a_host_killed,
            self.two_hosts_killed,
        ):
            await trial()
            self._wires.mend()
            await self._run.cluster.wait_whole()
            for host in self._hosts:
                self._run.mark(host, "up")
            self._run.say("All is mended, and every host sees every shard again.")
            await self._run.live(CALM_S)

    async def a_host_apart(self) -> None:
        """A whole partition."""
        a, b, c = self._hosts
        self._run.say(f"{c} is cut off from {a} and {b}; its own people still reach it.")
        self._wires.part([c], [a, b])
        self._run.mark(c, "cut off")
        await self._run.live(LONG_TROUBLE_S)

    async def two_that_do_not_hear_each_other(self) -> None:
        """A partial partition."""
        a, b, c = self._hosts
        self._run.say(f"{a} and {b} do not reach each other any more, and both reach {c}.")
        self._wires.part([a], [b])
        await self._run.live(TROUBLE_S)

    async def one_way_only(self) -> None:
        """What goes from one to another is lost, and what comes back is not."""
        _, b, c = self._hosts
        self._run.say(f"Nothing that {b} sends reaches {c}; all that {c} sends reaches {b}.")
        self._wires.cut(b, c)
        await self._run.live(TROUBLE_S)

    async def a_move_that_is_cut(self) -> None:
        """A shard is on its way when the line goes."""
        a, b, _ = self._hosts
        moves = [asyncio.create_task(self._run.move(a, b)) for _ in range(2)]
        self._run.say(f"A line is cut while shards move from {a} to {b}.")
        self._wires.part([a], [b])
        await self._run.live(TROUBLE_S)
        self._wires.mend()
        await asyncio.gather(*moves)

    async def rough_lines(self) -> None:
        """Loss and delay everywhere, and a move through it."""
        _, b, c = self._hosts
        self._run.say(f"All lines are rough: {self._wires.rough}.")
        self._wires.roughen()
        await self._run.live(TROUBLE_S)
        await self._run.move(b, c)
        await self._run.live(TROUBLE_S)
        self._wires.smooth()

    async def a_host_asleep(self) -> None:
        """All its processes stand still, and go on as if nothing had been."""
        _, b, _ = self._hosts
        self._run.signal(b, signal.SIGSTOP, "stopped")
        await self._run.live(SLEEP_S)
        self._run.signal(b, signal.SIGCONT, "up")

    async def a_host_killed(self) -> None:
        """SIGKILL of all its processes, while a shard comes to it."""
        a, _, c = self._hosts
        moving = asyncio.create_task(self._run.move(c, a))
        await self._run.kill(a)
        await self._run.live(TROUBLE_S)
        await self._run.restart(a)
        await moving

    async def two_hosts_killed(self) -> None:
        """SIGKILL of two at once: a power cut in one room."""
        _, b, c = self._hosts
        await asyncio.gather(self._run.kill(b), self._run.kill(c))
        await self._run.live(CALM_S)
        await asyncio.gather(self._run.restart(b), self._run.restart(c))


def main(arguments: list[str] | None = None) -> int:
    """Play it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bench.hosts", description="Three hosts with addresses of their own.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="of an earlier run")
    parser.add_argument(CONFINED, action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not chosen.confined:
        return _in_namespaces(chosen.seed)
    try:
        wires = Wires("abc")
    except WiresError as error:
        return _skipped(str(error))
    print(f"--seed {chosen.seed}", flush=True)
    try:
        return perform(wires.spots, chosen.seed, lambda run: Trials(run, wires).go(), RUN_S_MAX)
    except KeyboardInterrupt:
        return 130


def _in_namespaces(seed: int) -> int:
    lacking = missing()
    if lacking:
        return _skipped("; ".join(lacking))
    probe = subprocess.run(confined("-c", ""), capture_output=True, text=True, timeout=PROBE_S_MAX, check=False)
    if probe.returncode:
        return _skipped(f"no namespaces here ({probe.stderr.strip()}); run it as root, on a machine that allows them")
    with tempfile.TemporaryDirectory(prefix="roost-hosts-") as folder:
        command = confined("-m", "bench.hosts", CONFINED, "--seed", str(seed))
        child = subprocess.Popen(command, env={**os.environ, "TMPDIR": folder})
        try:
            return child.wait()
        except KeyboardInterrupt:
            return 130
        finally:
            for pid in _children(child.pid):  # the first process of its namespace, with which all others end
                os.kill(pid, signal.SIGKILL)
            child.wait()


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:  # it has been waited for
        return []


def _skipped(why: str) -> int:
    print(f"skipped: {why}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
