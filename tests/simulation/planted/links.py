"""Bugs of the links between nodes: what a break leaves behind, and who is taken for whom after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from runtime import NODEDOWN, NOPROC, Foreign, Named
from simulation import Faults, Scenario
from tests.simulation.planted.bug import JOURNEYS, LOST, ORDER, RESTS, Bug, rough

if TYPE_CHECKING:
    from runtime import Pid, Reason
    from runtime.process import Process

__all__ = ["BUGS"]


class MonitorsForgotten(Foreign):
    """A link that breaks takes the monitors over it along, and their owners hear nothing."""

    __slots__ = ()

    def node_down(self, node: str) -> None:
        self._standins.pop(node, None)


class LivesConfused(Foreign):
    """A node that was born again is taken for what it was before: pids of its earlier life are good."""

    __slots__ = ()

    def unreachable(self, pid: Pid) -> Reason | None:
        if pid.node == self._runtime.node:
            return NOPROC
        return None if pid.node in self.linked else NODEDOWN

    def _here(self, pid: Pid) -> Process | None:
        if isinstance(pid, Named):
            return super()._here(pid)
        return self._runtime._processes.get(pid.serial)


def _planted(foreign: type[Foreign], faults: Faults = Faults()) -> Scenario:  # noqa: B008  # immutable
    return Scenario(cluster=True, foreign=foreign, faults=faults)


BUGS: Final = {
    "monitor lost when a link breaks": Bug(_planted(MonitorsForgotten), JOURNEYS, LOST, ORDER, RESTS),
    "an earlier life's pids accepted": Bug(_planted(LivesConfused, rough(node_dies=15)), JOURNEYS),
}
