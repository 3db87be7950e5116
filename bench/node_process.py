"""The node under load, as a process of its own, and what it costs by its own accounting."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from types import TracebackType

HOUSE = Path(__file__).resolve().parent.parent
STOP_TIMEOUT_S = 30.0

SETTINGS = """
[node]
data_folder = "{data}"
listen = "127.0.0.1:0"
[limits]
connections_max = 18000
connections_unauthenticated_max = 18000
[journal]
hot_window_s_max = {hot_window_s}
[rates]
sends_per_minute = 10_000_000
sends_burst = 10_000_000
marks_per_minute = 10_000_000
marks_burst = 10_000_000
[log]
level = "warning"
"""
"""Defaults, but for the rates of one device: they are there to slow a bot down, and the load is one."""


class NodeProcess:
    """A node on a data folder; as a context it is stopped at the end.

    Args:
        folder: Where the settings and the data lie.
        profile: Run under cProfile and leave the statistics there; then no figure means anything.
        hot_window_s: After how many seconds waiting messages move to the inbox.

    Raises:
        RuntimeError: It did not start; the text holds what it said.
    """

    def __init__(self, folder: Path, profile: Path | None = None, hot_window_s: int = 30) -> None:
        settings = folder / "cluster.toml"
        settings.write_text(SETTINGS.format(data=folder / "data", hot_window_s=hot_window_s))
        profiler = [] if profile is None else ["-m", "cProfile", "-o", str(profile)]
        command = [sys.executable, *profiler, str(HOUSE / "node.py"), "--config", str(settings)]
        self.started_s = time.perf_counter()
        self._process = subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("Roost is at "):
            self._process.kill()
            raise RuntimeError(f"the node did not start: {line}{self._process.stdout.read()}")
        host, _, port = line.split(",", 1)[0].rpartition(" ")[2].rpartition(":")
        self.address = (host, int(port))
        self._entry = psutil.Process(self._process.pid)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, in seconds."""
        if sys.platform == "linux":
            # The CPU clock of another process (clock_getcpuclockid(3)): what utime and stime count in ticks of 10 ms.
            return time.clock_gettime(~self._process.pid << 3 | 2)
        times = self._entry.cpu_times()
        return float(times.user + times.system)

    def pss_bytes(self) -> int:
        """Its proportional set size."""
        return int(self._entry.memory_full_info().pss)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGTERM, and wait until it has drained."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
