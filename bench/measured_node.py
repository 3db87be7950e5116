"""The node under load, as a process of its own, and what it costs by its own accounting."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.live_node import LiveNode, NodeError, Settings, merged

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["MeasuredNode"]

SETTINGS: Settings = {
    "limits": {"connections_max": 18_000, "connections_unauthenticated_max": 18_000},
    "rates": {
        **{f"{operation}_per_minute": 10_000_000 for operation in ("sends", "marks")},
        **{f"{operation}_burst": 10_000_000 for operation in ("sends", "marks")},
    },
    "log": {"level": "warning"},
}
"""Defaults, but for the rates of one account: they are there to slow a bot down, and the load is one."""


class MeasuredNode(LiveNode):
    """A node on the folder of a scenario; as a context it is started, and stopped at the end.

    Args:
        folder: Where its settings and its data lie.
        profile: Run under cProfile and leave the statistics there; then no figure means anything.
        settings: What differs from the other scenarios.

    Attributes:
        started_s: When its process was started, by `time.perf_counter`.
    """

    def __init__(self, folder: Path, profile: Path | None = None, settings: Settings | None = None) -> None:
        profiler = () if profile is None else ("-m", "cProfile", "-o", str(profile.absolute()))
        super().__init__(folder, merged(SETTINGS, settings or {}), (sys.executable, *profiler))
        self.started_s = 0.0

    def start(self, **settings: dict[str, object]) -> None:
        """Start, and wait for the start-up line; raises as `LiveNode.start`."""
        self.started_s = time.perf_counter()
        super().start(**settings)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop; a figure from a node in which actors crashed is none."""
        self.terminate()
        if self.crashes and error is None:
            raise NodeError(f"actors crashed under load: {self.crashes[0]}")

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, in seconds."""
        if sys.platform == "linux":
            # The CPU clock of another process (clock_getcpuclockid(3)): what utime and stime count in ticks of 10 ms.
            return time.clock_gettime(~self.pid << 3 | 2)
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    def waited_s(self) -> float:
        """How long its threads were ready to run and got no processor, in seconds; 0 where the system does not say."""
        tasks = Path(f"/proc/{self.pid}/task")
        return sum(int(task.read_text().split()[1]) for task in tasks.glob("*/schedstat")) / 1e9

    def pss_bytes(self) -> int:
        """Its proportional set size."""
        return int(psutil.Process(self.pid).memory_full_info().pss)
