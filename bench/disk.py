"""How fast this machine's disk syncs while the bench runs: above some milliseconds no wall time means anything."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SYNC_P99_MS_MAX", "sync_times_ms"]

SYNC_P99_MS_MAX = 4.0
SYNCS = 200
BLOCK = os.urandom(8192)


def sync_times_ms(folder: Path, count: int = SYNCS) -> list[float]:
    """Write two pages and sync, again and again, as a small commit does.

    Args:
        folder: On the disk in question.
        count: How often.

    Returns:
        Milliseconds each took.
    """
    times_ms = []
    descriptor = os.open(folder / "sync-probe", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for _ in range(count):
            began_s = time.perf_counter()
            os.pwrite(descriptor, BLOCK, 0)
            os.fdatasync(descriptor)
            times_ms.append((time.perf_counter() - began_s) * 1e3)
    finally:
        os.close(descriptor)
    return times_ms
