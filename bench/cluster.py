"""Three hosts on this machine, twelve people who write to each other across them, moves of shards, and a SIGKILL.

Run with `make cluster` or `python -m bench.cluster`. On a terminal a table shows who has how many shards, who sees whom
and what is on its way; else there are lines. The last line counts; the exit status is 0 if nothing was lost, shown
twice or out of order, and everything that was to happen did.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import roost
from bench.cluster_run import ClusterRun
from bench.cluster_view import View
from bench.live_cluster import loopback
from bench.live_node import NodeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bench.live_cluster import Spot

__all__ = ["main", "perform", "play"]

PLAY_S_MAX: Final = 115.0
TALK_S: Final = 3.0


async def play(run: ClusterRun, talk_s: float = TALK_S) -> None:
    """The play, in four acts.

    Args:
        run: It has begun.
        talk_s: How long people chat undisturbed before each event.
    """
    first, second, third = run.hosts
    run.say("Everybody is online and writes to those beside them, who are at other hosts.")
    await run.live(talk_s)
    await run.move(first, second)
    await run.live(talk_s)
    await run.kill(second)
    run.say(f"What lives on {second} waits there, and at its senders; {first} and {third} go on.")
    await run.live(talk_s)
    await run.restart(second)
    await run.cluster.wait_whole()
    run.say("All are linked again, and what has waited goes through.")
    await run.live(talk_s)
    await run.move(second, third)
    moving = asyncio.create_task(run.move(third, first))
    await run.move(first, third)
    await moving
    await run.live(talk_s)


def perform(spots: Mapping[str, Spot], seed: int, act: Callable[[ClusterRun], Awaitable[None]], s_max: float) -> int:
    """Let people gather at hosts, do something to these, let everything arrive, and print the last line.

    Args:
        spots: Where the hosts stand.
        seed: Decides who writes how much when.
        act: What is done.
        s_max: How long all of it may take.

    Returns:
        The exit status: 0 if every promise was kept and nothing crashed.
    """
    fault = ""
    with tempfile.TemporaryDirectory(prefix="roost-cluster-") as folder, View() as view:
        run = ClusterRun(Path(folder), spots, seed, view)

        async def limited() -> None:
            async with asyncio.timeout(s_max), run:
                await act(run)
                await run.converge()

        try:
            asyncio.run(limited())
        except (AssertionError, NodeError, roost.RoostError) as error:
            fault = str(error)
        except TimeoutError:
            fault = "it took too long"
    for crash in run.crashes:
        print(f"an actor crashed: {crash}")
    if fault:
        print(f"it ended early: {fault}")
    print(run.line, flush=True)
    return 0 if run.ledger.counts().all_is_well and not fault and not run.crashes else 1


def main(arguments: list[str] | None = None) -> int:
    """Play it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bench.cluster", description="Three hosts on this machine, under load.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32), help="of an earlier run")
    chosen = parser.parse_args(arguments)
    print(f"--seed {chosen.seed}", flush=True)
    try:
        return perform(loopback("abc"), chosen.seed, play, PLAY_S_MAX)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
