"""Where slow work runs: threads, or, for tests, right here."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from .errors import TasksFullError

if TYPE_CHECKING:
    from collections.abc import Callable


class Tasks(Protocol):
    """A place that runs pieces of work, each once, in any order."""

    def run(self, work: Callable[[], None]) -> None:
        """Run the work, which never raises.

        Raises:
            TasksFullError: As many pieces wait as may wait.
        """

    def close(self) -> None:
        """Take no more work; what runs is waited for, what waits is dropped."""


class ThreadTasks:
    """A pool of threads, made when the first work comes.

    Args:
        threads_max: How many threads at most.
        waiting_max: How many pieces of work may wait for a thread, or run, at most.
    """

    def __init__(self, threads_max: int = 4, waiting_max: int = 10_000) -> None:
        self._threads_max = threads_max
        self._waiting_max = waiting_max
        self._waiting = 0
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def run(self, work: Callable[[], None]) -> None:
        """Run the work in a thread.

        Raises:
            TasksFullError: As many pieces wait as may wait.
        """
        with self._lock:
            if self._waiting >= self._waiting_max:
                raise TasksFullError(self._waiting_max)
            self._waiting += 1
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads_max, thread_name_prefix="task")
        self._pool.submit(self._work, work)

    def close(self) -> None:
        """Drop what waits and wait for what runs; later work makes a new pool."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
            self._waiting = 0

    def _work(self, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._waiting -= 1


class InlineTasks:
    """Runs work where it is asked for, so that a seeded test repeats; its result still comes as a later message."""

    __slots__ = ()

    def run(self, work: Callable[[], None]) -> None:
        """Run the work now."""
        work()

    def close(self) -> None:
        """Nothing waits here."""
