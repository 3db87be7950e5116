"""Committers: who makes a batch durable, and on which thread."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from storage.errors import EngineError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.engine import Batch, Engine, Prepared

    Done = Callable[[Exception | None], None]


class Committer(Protocol):
    """Takes one batch at a time; `done` is called on the loop thread, never inside `submit`."""

    def submit(self, batch: Batch, done: Done) -> None:
        """Commit a batch; `done` gets None when it is durable, or the error after which none of it is."""
        ...

    def close(self) -> None:
        """Let go of the thread, if there is one; no batch may be in flight."""
        ...


class ThreadCommitter:
    """Prepares on the loop thread and syncs in a thread of its own.

    Args:
        engine: Where batches go.
        post: Runs a function on the loop thread soon, from any thread.
    """

    __slots__ = ("_engine", "_post", "_queue", "_thread")

    def __init__(self, engine: Engine, post: Callable[[Callable[[], None]], None]) -> None:
        self._engine = engine
        self._post = post
        self._queue: SimpleQueue[tuple[Prepared, Done] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
        self._thread.start()

    def submit(self, batch: Batch, done: Done) -> None:
        """Write the batch here and now, and hand its sync to the thread."""
        try:
            prepared = self._engine.prepare(batch)
        except Exception as error:  # whatever it is, the journal must hear of it, or nothing is ever stored again
            failure: Exception = error
            self._post(lambda: done(failure))
        else:
            self._queue.put((prepared, done))

    def close(self) -> None:
        """Stop the thread, after what it has in hand."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            prepared, done = work
            failure: Exception | None = None
            try:
                prepared.commit()
            except StorageError as error:
                failure = error
            except Exception as error:  # the loop must hear of any failure, or its senders wait for ever
                failure = EngineError(f"{type(error).__name__}: {error}")
            self._post(lambda done=done, failure=failure: done(failure))  # type: ignore[misc]


class ManualCommitter:
    """Commits when told to, for tests and simulations.

    Args:
        engine: Where batches go.
    """

    __slots__ = ("_engine", "_in_flight")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._in_flight: tuple[Prepared | StorageError, Done] | None = None

    @property
    def waiting(self) -> bool:
        """Whether a batch waits for `step` or `fail`."""
        return self._in_flight is not None

    def submit(self, batch: Batch, done: Done) -> None:
        """Write the batch and keep it for `step`."""
        try:
            self._in_flight = (self._engine.prepare(batch), done)
        except StorageError as error:
            self._in_flight = (error, done)

    def step(self) -> bool:
        """Commit what waits and tell; False when nothing waited."""
        if self._in_flight is None:
            return False
        prepared, done = self._in_flight
        self._in_flight = None
        if isinstance(prepared, StorageError):
            done(prepared)
            return True
        failure: StorageError | None = None
        try:
            prepared.commit()
        except StorageError as error:
            failure = error
        done(failure)
        return True

    def fail(self, error: Exception) -> bool:
        """Let what waits fail with an error, nothing of it stored; False when nothing waited."""
        if self._in_flight is None:
            return False
        prepared, done = self._in_flight
        self._in_flight = None
        if not isinstance(prepared, StorageError):
            prepared.abandon()
        done(error)
        return True

    def crash(self) -> Prepared | None:
        """Stop as a killed process does: nobody is told. Return the batch in flight, whose fate the caller decides."""
        waiting, self._in_flight = self._in_flight, None
        return None if waiting is None or isinstance(waiting[0], StorageError) else waiting[0]

    def run_until_idle(self) -> None:
        """Step until nothing waits."""
        while self.step():
            pass

    def close(self) -> None:
        """Nothing to let go of."""
