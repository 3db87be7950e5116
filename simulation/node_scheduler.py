"""The processor of a simulated node: the seeded scheduler, run by the agenda, with ambushes on the turns it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import SeededScheduler
from simulation.ambush import DEFERRED, handler_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime import Process
    from simulation.node import SimulatedNode

__all__ = ["NodeScheduler"]


class NodeScheduler(SeededScheduler):
    """The seeded scheduler of one life of a node."""

    def __init__(self, seed: int, node: SimulatedNode) -> None:
        super().__init__(seed)
        self._node = node
        self._life = node.life
        self.asleep = True

    def wake(self) -> None:
        """Work soon."""
        if self.asleep and self._node.life == self._life:
            self.asleep = False
            self._node.work_soon()

    def arm(self, due_s: float) -> None:
        """Let the timers fire when they are due."""
        if self._node.life == self._life:
            self._node.alarm_at(due_s)

    def report(self, error: Exception) -> None:
        """What no actor owns is logged, as a running node does."""
        self._node.went_wrong("the scheduler", error)

    def post_threadsafe(self, function: Callable[[], None]) -> None:
        """Run a function in one of the next steps."""
        super().post_threadsafe(function)
        self.wake()

    def _take_turn(self, process: Process, budget: int) -> int:
        node = self._node
        ambush = node.ambush
        if ambush.is_laid and ambush.catches(process):
            node.kill(process.pid)
            self._runtime._settle()  # it dies before its turn, and what waited for it is lost
        node.witness.turned(node, process)
        handler = handler_of(process) if ambush.is_laid else ""
        mine = ambush.mine_for(process, handler)
        if mine is None:
            return super()._take_turn(process, budget)
        if mine.after:
            super()._take_turn(process, 1)
        else:
            assert process._mailbox is not None, "a handler is about to be called"
            process._mailbox.popleft()  # as in life: it is gone with who could not bear it
        ambush.spring(process, handler, mine)
        return 1

    def _take_deferred_turn(self, process: Process) -> None:
        node = self._node
        ambush = node.ambush
        node.witness.turned(node, process)
        is_due = ambush.is_laid and process._actor is not None and process._ending is None
        mine = ambush.mine_for(process, DEFERRED) if is_due else None
        if mine is None or mine.after:
            super()._take_deferred_turn(process)
        if mine is not None:
            ambush.spring(process, DEFERRED, mine)
