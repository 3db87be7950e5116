"""Seeds of the simulator in which people come and go in groups all the time, while everybody writes in bursts."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SEEDS: Final = 1_000
BROKEN: Final = re.compile(r"(?:lost|shown twice|out of order|broken otherwise) (\d+)")
"""How often which kind of invariant broke, in the last line of `python -m simulation`."""


def broken(last_line: str) -> int:
    """In how many runs an invariant broke.

    Args:
        last_line: What the simulator says at its end.

    Raises:
        ValueError: It is another line, so the run came to no end.
    """
    counts = BROKEN.findall(last_line)
    if not last_line.startswith(f"seeds {SEEDS}, ") or not counts:
        raise ValueError(f"the simulator did not come to its end: {last_line}")
    return sum(map(int, counts))


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Run them, on all processors; there is no node that could leave a profile."""
    command = [sys.executable, "-m", "simulation", "--groups", "--seeds", f"1:{1 + SEEDS}"]
    began_s = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    took_s = time.monotonic() - began_s
    lines = done.stdout.splitlines() or [""]
    print(done.stdout if done.returncode else lines[-1], file=sys.stderr, flush=True)  # all of it names the seeds
    return {
        "weather: groups in flux, broken seeds of 1,000": broken(lines[-1]),
        "weather: groups in flux, 1,000 seeds": took_s / 60,
    }
