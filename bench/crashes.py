"""Accepted messages lost over some rounds of `kill -9`; `make crash` plays a thousand of them."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from bench.crash import CrashRun

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 20


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Play in a fresh folder; a node that dies by SIGKILL leaves no profile."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"crash: {ROUNDS} rounds, seed {seed}", flush=True)
    counts = asyncio.run(CrashRun(folder, seed).run(ROUNDS))
    return {f"crash: accepted messages lost in {ROUNDS} kills": counts.lost}
