"""One turn at a time: no callback of an actor runs inside another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.witness import Checker

if TYPE_CHECKING:
    from runtime import Process
    from simulation.node import SimulatedNode
    from simulation.witness import Witness

__all__ = ["Reentry"]


class Reentry(Checker):
    """Who is given a turn is not in the middle of one, and neither is anybody else."""

    name = "no handler is entered twice"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._last: dict[SimulatedNode, Process] = {}

    def turned(self, node: SimulatedNode, process: Process) -> None:
        """A turn begins: that of whoever had the last one is over."""
        last = self._last.get(node)
        if process._running and process._actor is not None:  # who has ended keeps the mark, and gets nothing to do
            self.breaks(f"{process} was given a turn in the middle of its turn")
        elif last is not None and last._running and last._actor is not None:
            self.breaks(f"{process} was given a turn in the middle of that of {last}")
        self._last[node] = process
