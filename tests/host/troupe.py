"""A host of small workers, each with one habit: `python -m tests.host.troupe steady steady hangs` plays it.

Every worker says `<name> <process id>` when it begins. The test is the process above the launcher.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import psutil

from actors.logbook import configure
from bench.live_node import PROJECT
from supervisors.host import BEAT_S, REFUSED, STOPPED, HostPlan, Shift, WorkerSpec
from supervisors.host.launcher import run_host

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

GONE_S_MAX: Final = 2.0
LINGERS_S: Final = 60.0
PLAY_S_MAX: Final = 60.0


def say(line: str) -> None:
    """A line in one write: other processes have something to say, too."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def serve(name: str, shift: Shift) -> int:
    """One life of a worker; its habit is its name up to the first dash."""
    habit = name.partition("-")[0]
    stop = threading.Event()
    shift.on_stop(stop.set)
    shift.beat()
    say(f"{name} {os.getpid()}")
    first = shift.is_first
    if shift.announce() and habit == "counted":
        say("everybody is there")
    match habit:
        case "refuses":
            say(f"{name} cannot start")
            return REFUSED
        case "fails":
            raise RuntimeError("a worker's fault")
        case "dies" if first:
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs" if first:
            threading.Event().wait()
    while not stop.wait(BEAT_S):
        shift.beat()
    say(f"{name} stops")
    if habit == "lingers":
        time.sleep(LINGERS_S)
    return STOPPED


class Troupe:
    """A running troupe.

    Args:
        habits: Of its workers.
    """

    def __init__(self, *habits: str) -> None:
        names = [f"{habit}-{number}" for number, habit in enumerate(habits)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.host.troupe", *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=PROJECT,
            text=True,
        )
        self.names = names
        self.lines: list[str] = []
        self._guard = threading.Timer(PLAY_S_MAX, self.process.kill)  # against a test that waits for a line in vain

    def __enter__(self) -> Self:
        self._guard.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self.process.stdout is not None
        self._guard.cancel()
        self.process.kill()
        self.rest()
        self.process.stdout.close()

    def line(self, start: str) -> str:
        """The next line that starts so; what comes before it is kept in `lines`, as is this one."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.startswith(start):
                return self.lines[-1]
        raise AssertionError(f"the troupe ended without saying {start!r}; it said {self.lines}")

    def begun(self, count: int) -> dict[str, int]:
        """The process ids of the next so many workers to begin, by name."""
        pids: dict[str, int] = {}
        for _ in range(count):
            while True:
                name, _, pid = self.line("").partition(" ")
                if name in self.names and pid.isdecimal():
                    assert name not in pids, f"{name} began twice"
                    pids[name] = int(pid)
                    break
        return pids

    def rest(self) -> list[str]:
        """All that it says from now to its end."""
        assert self.process.stdout is not None
        lines = [line.rstrip("\n") for line in self.process.stdout]
        self.process.wait()
        self.lines += lines
        return lines

    def below(self) -> dict[str, list[psutil.Process]]:
        """The processes of the tree by name, without the launcher."""
        processes: dict[str, list[psutil.Process]] = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            processes.setdefault(process.name(), []).append(process)
        return processes


def left_after_a_while(processes: Collection[psutil.Process]) -> list[psutil.Process]:
    """Which of them still are after two seconds, be it as a zombie that its parent has not reaped; mostly at once none.

    What this machine's first process is slow to reap is gone for all that: it holds nothing.
    """
    deadline_s = time.monotonic() + GONE_S_MAX
    while (left := [process for process in processes if not _gone(process)]) and time.monotonic() < deadline_s:
        time.sleep(0.005)
    return left


def _gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or (process.status() == psutil.STATUS_ZOMBIE and process.ppid() == 1)
    except psutil.NoSuchProcess:
        return True


if __name__ == "__main__":
    workers = tuple(WorkerSpec(name, partial(serve, name)) for name in sys.argv[1:])
    sys.exit(run_host(HostPlan(workers, configure("info", "json"), stop_s_max=LINGERS_S, intensity=10)))
