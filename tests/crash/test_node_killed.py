"""SIGKILL of the node, and of a client, at random moments under load: nothing with a ✓ is lost or shown twice."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest

from bench.crash import CrashRun
from bench.ledger import Counts
from bench.live_node import PROJECT, LiveNode
from tests.stories.town import Town, text_of, texts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.crash, pytest.mark.slow]

ROUNDS = 50
BATCH = 8
WRITER = f"""
import asyncio, sys
from pathlib import Path
import roost

async def main():
    to, number = sys.argv[2], int(sys.argv[3])
    async with roost.connect(folder=Path(sys.argv[1])) as client:
        await client.wait_online()
        while True:
            await asyncio.gather(*(client.send(to, str(number + offset)) for offset in range({BATCH})))
            number += {BATCH}
            print(number, flush=True)

asyncio.run(main())
"""


def test_fifty_kills_of_the_node_lose_nothing_and_double_nothing(tmp_path: Path, seed: int) -> None:
    run = CrashRun(tmp_path, seed)
    counts = asyncio.run(run.run(ROUNDS))
    assert run.crashes == []
    assert run.kills == ROUNDS
    assert counts.accepted > ROUNDS
    assert counts == Counts(counts.accepted, counts.accepted, lost=0, shown_twice=0, out_of_order=0)


def test_a_client_killed_in_mid_send_has_everything_sent_once_by_the_next(tmp_path: Path) -> None:
    async def writer(town: Town, number: int, batches: int) -> int:
        """Let a writer send some batches, kill it, and return the first number it cannot have used."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(town.home("phone")), town.address("bob"), str(number),
            stdout=asyncio.subprocess.PIPE, cwd=PROJECT,
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(batches):
            number = int(await process.stdout.readline())
        process.kill()
        for line in (await process.stdout.read()).split():
            number = int(line)
        await process.wait()
        return number + BATCH

    async def crash(town: Town) -> None:
        await town.register("alice")
        await town.register("bob", "tablet")
        number = 0
        async with town.connect("bob", "tablet") as bob:
            for round_number in range(5):
                number = await writer(town, number, 2 + 3 * round_number)
            async with town.connect("alice") as alice:
                typed = [text_of(message) for message in await alice.history(bob.account, limit=100_000)]
                assert await texts(bob.events(), len(typed)) == typed
                await (await alice.send(bob.account, "last")).delivered()
            shown = [text_of(message) for message in await bob.history(alice.account, limit=100_000)]
        assert shown == [*typed, "last"]
        assert len(set(typed)) == len(typed)
        assert sorted(map(int, typed)) == list(map(int, typed))

    async def limited(town: Town) -> None:
        async with asyncio.timeout(60):
            await crash(town)

    with LiveNode(tmp_path / "node", {"rates": {"sends_burst": 1_000_000}}) as node:
        asyncio.run(limited(Town(node, tmp_path)))
        assert node.crashes == []
