"""Slow work: its result comes as a message, wherever it ran."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from runtime import Process, TaskDone, TaskFailed, TasksFullError, ThreadTasks
from tests.runtime.cast import Box, Stage

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_task_that_returns_and_one_that_raises_are_told_apart(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()
    box = Box()
    stage.play(puppet, box.of(lambda process: (process.task(len, "four"), process.task(int, "four"))))
    by_ref = {message.ref: message for message in puppet.heard}
    assert by_ref[box.value[0]] == TaskDone(box.value[0], 4)
    failed = by_ref[box.value[1]]
    assert isinstance(failed, TaskFailed)
    assert isinstance(failed.error, ValueError)


def test_the_result_for_an_ended_process_is_dropped_and_counted(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()

    def work_and_stop(process: Process) -> None:
        process.task(len, "four")
        process.stop()

    stage.play(puppet, work_and_stop)
    assert puppet.heard == []
    assert stage.runtime.statistics().dropped == 1


def test_a_full_pool_refuses_work_with_an_error(seed: int) -> None:
    class Full:
        def run(self, work: Callable[[], None]) -> None:
            raise TasksFullError(3)

        def close(self) -> None:
            pass

    stage = Stage(seed)
    stage.runtime._tasks = Full()
    puppet = stage.puppet()
    stage.play(puppet, lambda process: process.task(len, "four"))
    (failed,) = puppet.heard
    assert isinstance(failed.error, TasksFullError)
    assert failed.error.waiting_max == 3


def test_threads_do_the_work_and_a_bound_holds_what_waits() -> None:
    tasks = ThreadTasks(threads_max=1, waiting_max=2)
    gate, done = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        gate.wait()
        done.release()

    tasks.run(work)
    tasks.run(work)
    with pytest.raises(TasksFullError):
        tasks.run(work)
    gate.set()
    assert done.acquire(timeout=60)
    assert done.acquire(timeout=60)
    tasks.close()
    tasks.run(work)
    assert done.acquire(timeout=60)
    tasks.close()


def test_closing_drops_what_waits_and_an_unused_pool_has_no_threads() -> None:
    tasks = ThreadTasks(threads_max=1)
    tasks.close()
    begun, gate, ran = threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        gate.wait()

    tasks.run(first)
    tasks.run(lambda: ran.append("second"))
    assert begun.wait(timeout=60)
    closer = threading.Thread(target=tasks.close)
    closer.start()
    gate.set()
    closer.join(timeout=60)
    assert not closer.is_alive()
    assert len(ran) <= 1
