"""The stand-in of a process on another node: it holds that process's links and monitors here, and exists for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .pid import FarRef
from .signals import Demonitor, Ended
from .ties import Tied

if TYPE_CHECKING:
    from .pid import Pid, Ref
    from .process import Process
    from .reasons import Reason
    from .runtime import Runtime


class Standin(Tied):
    """One process of another node, as far as processes here are tied to it.

    Attributes:
        unlinking: How many of our unlinks a process's partner there has not confirmed yet. Until it has, what it says
            about their link was said before it knew.
    """

    __slots__ = ("unlinking",)

    is_here: ClassVar[bool] = False

    def __init__(self, runtime: Runtime, pid: Pid) -> None:
        super().__init__(runtime, pid, None)
        self.unlinking: dict[Process, int] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing here is tied to the process any more."""
        return not (self._links or self._monitors or self._watchers or self.unlinking)

    def _hear_end(self, ref: Ref, pid: Pid, reason: Reason) -> None:
        """A process here that it watches has ended: tell the node it is on."""
        assert isinstance(ref, FarRef), "a process elsewhere watches under a reference of its own node"
        self.runtime.foreign.carry(self.pid, Ended(self.pid, ref.number, reason))
        self.runtime.foreign.retire(self)

    def _forgotten(self, watcher: Tied, ref: Ref) -> None:
        """A process here does not watch it any more: tell the node it is on."""
        foreign = self.runtime.foreign
        foreign.carry(self.pid, Demonitor(watcher.pid, foreign.number_of(ref)))
        foreign.retire(self)
