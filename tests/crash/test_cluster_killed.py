"""Three real hosts on this machine: one is killed and shards move while people at all of them write to each other."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bench.cluster import play
from bench.cluster_run import ClusterRun
from bench.cluster_view import View
from bench.ledger import Counts
from bench.live_cluster import loopback

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.crash, pytest.mark.slow]

STORY_S_MAX = 60.0
PEOPLE = 6
TALK_S = 0.4


def test_a_host_killed_and_shards_moved_under_load_lose_double_and_reorder_nothing(tmp_path: Path, seed: int) -> None:
    console = Console(file=sys.stdout, soft_wrap=True, highlight=False)  # shown with a failure

    async def story() -> tuple[ClusterRun, Counts]:
        run = ClusterRun(tmp_path, loopback("abc"), seed, View(console), PEOPLE, pause_s=0.1)
        async with asyncio.timeout(STORY_S_MAX), run:
            await play(run, TALK_S)
            return run, await run.converge()

    run, counts = asyncio.run(story())
    assert run.crashes == []
    assert (run.kills, run.moves) == (1, 4)
    assert counts.accepted > 100
    assert counts == Counts(counts.accepted, counts.accepted, lost=0, shown_twice=0, out_of_order=0)
