"""What a node's scheduler tells the witness of each turn: how much waits, and that no turn is within another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import Actor, InlineTasks, Runtime, SeededScheduler, VirtualClock
from simulation.checkers.bounds import MAILBOX_MAX, Bounds
from simulation.checkers.reentry import Reentry

if TYPE_CHECKING:
    from tests.simulation.stage import Stage


class Turns(Actor):
    """Tells the witness of its turns, as a node's scheduler does."""

    def __init__(self, stage: Stage, times: int) -> None:
        self._stage = stage
        self._times = times

    def handle_cast(self, message: object) -> None:
        for _ in range(self._times):
            self._stage.witness.turned(self._stage.node, self.process)


def runtime_of_one(actor: Actor) -> Runtime:
    runtime = Runtime(clock=VirtualClock(), scheduler=SeededScheduler(1), tasks=InlineTasks(), mailbox_limit=1_000)
    runtime.start(actor, name="one")
    return runtime


def test_a_mailbox_without_end_is_objected_to(stage: Stage) -> None:
    runtime = runtime_of_one(Turns(stage, 0))
    pid = runtime.whereis("one")
    assert pid is not None
    process = runtime._processes[pid.serial]
    for _ in range(MAILBOX_MAX):
        runtime.cast(pid, "more")
    stage.witness.turned(stage.node, process)
    assert stage.broken == set()
    runtime.cast(pid, "more")
    stage.witness.turned(stage.node, process)
    assert stage.broken == {Bounds.name}


def test_a_turn_within_a_turn_is_objected_to(stage: Stage) -> None:
    runtime = runtime_of_one(Turns(stage, 1))
    pid = runtime.whereis("one")
    assert pid is not None
    stage.witness.turned(stage.node, runtime._processes[pid.serial])
    assert stage.broken == set()
    runtime.cast(pid, "a turn")
    runtime.scheduler.run_until_idle()  # type: ignore[attr-defined]  # it is a seeded one
    assert stage.broken == {Reentry.name}
