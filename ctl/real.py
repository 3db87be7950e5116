"""`roostctl verify --real`: a real node and real clients on this machine's disk, the node killed at random."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.crash import live_through
from bench.live_node import PROJECT
from ctl.disk import MEMORY, file_system
from ctl.progress import Advance

if TYPE_CHECKING:
    from bench.ledger import Counts

__all__ = ["verify_real"]


def verify_real(rounds: int, seed: int | None = None) -> int:
    """Kill a node again and again under load, then let everybody come together, and count.

    Args:
        rounds: How many kills.
        seed: Decides when the node dies and who sleeps, as an earlier run printed it; None draws one. The machine
            decides the rest, so the same seed is the same plan and not the same run.

    Returns:
        0 if nothing was lost, doubled or turned round and nothing crashed; else 1.
    """
    if not (PROJECT / "node.py").is_file():
        print(
            "roostctl: verify --real starts node.py, which lies in Roost's source tree, not in this installation: "
            "run it there, as in README.md; without --real it runs here.",
            file=sys.stderr,
        )
        return 1
    if seed is None:
        seed = random.SystemRandom().getrandbits(32)
    _warn_of_memory(Path(tempfile.gettempdir()))
    print(f"{rounds} kills of a real node under load: --rounds {rounds} --seed {seed}", flush=True)
    with Advance("kills", rounds) as advance:

        def told(number: int, counts: Counts) -> None:
            advance.at(number, f"accepted {counts.accepted}, on their way {counts.lost}")

        result = live_through(rounds, seed, told)
    for crash in result.crashes:
        print(f"an actor crashed: {crash}")
    if result.fault:
        print(f"the run ended early: {result.fault}")
    print(f"kills {result.kills}, real hours {result.spent_s / 3600:.2f}, {result.counts}", flush=True)
    return 0 if result.all_is_well else 1


def _warn_of_memory(folder: Path) -> None:
    """Say so if the folder is on no disk."""
    kind = file_system(folder)
    if kind in MEMORY:
        print(
            f"roostctl: warning: {folder} is a {kind}, which lives in memory: this proves nothing of a disk. Point "
            "TMPDIR at a folder on the one that you mean, as in TMPDIR=/mnt/disk roostctl verify --real.",
            file=sys.stderr,
            flush=True,
        )
