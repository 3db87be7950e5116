"""The node under load, as a process of its own, and what it costs by its own accounting."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.live_node import WORKER, LiveNode, NodeError, Settings, merged

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
        profile: Run alone, under cProfile, and leave the statistics there; then no figure means anything.
        settings: What differs from the other scenarios.
        watchful: Whether a crash of whatever kind spoils the figures; not so where the scenario kills by itself.

    Attributes:
        started_s: When its process was started, by `time.perf_counter`.
    """

    def __init__(
        self, folder: Path, profile: Path | None = None, settings: Settings | None = None, *, watchful: bool = True
    ) -> None:
        profiler = () if profile is None else ("-m", "cProfile", "-o", str(profile.absolute()))
        alone = () if profile is None else ("--single",)
        super().__init__(folder, merged(SETTINGS, settings or {}), (sys.executable, *profiler), alone)
        self.started_s = 0.0
        self._watchful = watchful

    def start(self, **settings: dict[str, object]) -> None:
        """Start, and wait for the start-up line; raises as `LiveNode.start`."""
        self.started_s = time.perf_counter()
        super().start(**settings)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop; a figure from a node in which actors crashed is none."""
        self.terminate()
        if self._watchful and self.crashes and error is None:
            raise NodeError(f"actors crashed under load: {self.crashes[0]}")

    def cpu_s(self) -> float:
        """User and system time of all threads of all its processes so far, in seconds."""
        return sum(_cpu_s(pid) for pid in set(self.processes().values()))

    def workers_cpu_s(self) -> list[float]:
        """The same of each worker."""
        return [_cpu_s(pid) for pid in self.workers()]

    def waited_s(self) -> float:
        """How long the workers' threads were ready to run and got no processor, in seconds; 0 where nobody says."""
        tasks = [task for pid in self.workers() for task in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9

    def pss_bytes(self) -> int:
        """The proportional set size of the workers."""
        return sum(int(psutil.Process(pid).memory_full_info().pss) for pid in self.workers())

    def tree_bytes(self) -> int:
        """What only the processes besides the worker have in memory: most of theirs they share with it."""
        return sum(int(psutil.Process(pid).memory_full_info().uss) for pid in self._others())

    def tree_cpu_s(self) -> float:
        """As `cpu_s`, of the processes besides the worker."""
        return sum(_cpu_s(pid) for pid in self._others())

    def _others(self) -> list[int]:
        return [pid for name, pid in self.processes().items() if not name.startswith(WORKER)]


def _cpu_s(pid: int) -> float:
    if sys.platform == "linux":
        # The CPU clock of another process (clock_getcpuclockid(3)): what utime and stime count in ticks of 10 ms.
        return time.clock_gettime(~pid << 3 | 2)
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
