"""Bugs below the messenger: supervisors, and a mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.tree import Parts
from runtime import Runtime
from simulation import Scenario
from supervisors import Supervisor, SupervisorFlags
from tests.simulation.planted.bug import DELETED, LOST, ORDER, PRESENCE, SUPERVISION, Bug

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from runtime import Message, Pid
    from supervisors import ChildSpec

__all__ = ["BUGS"]


class OnlyTheFailedOne(Supervisor):
    """Restarts the child that failed, and not those that were started after it."""

    __slots__ = ()

    def __init__(self, flags: SupervisorFlags, children: Iterable[ChildSpec]) -> None:
        super().__init__(SupervisorFlags("one_for_one", flags.intensity, flags.period_s), children)


class OrphansForgotten(Runtime):
    """Does not know what a dead supervisor has left, so the next one starts beside it."""

    def children_of(self, pids: Collection[Pid]) -> tuple[Pid, ...]:
        return ()


class OldestDropped(Runtime):
    """Takes a mailbox with five messages for half full, and drops the first of them to make room for presence."""

    def cast_sheddable(self, pid: Pid, message: Message) -> bool:
        target = pid._process
        mailbox = None if target is None else target._mailbox
        if target is not None and mailbox and len(mailbox) >= target.mailbox_limit // 2_000:
            mailbox.popleft()
        return self.cast(pid, message)


BUGS: Final = {
    "supervisor restarting the wrong siblings": Bug(
        Scenario(parts=Parts(shard_supervisor=OnlyTheFailedOne)), SUPERVISION
    ),
    "supervisor starting beside the orphans of the former one": Bug(Scenario(runtime=OrphansForgotten), SUPERVISION),
    "mailbox dropping a message rather than presence": Bug(
        Scenario(runtime=OldestDropped), LOST, ORDER, DELETED, PRESENCE
    ),
}
