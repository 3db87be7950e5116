"""Bugs of the fan-out between shards, and of those who live in one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.shard.actor import ShardActor
from actors.tree import Parts
from simulation import Scenario
from tests.simulation.planted.bug import EMPTY, LOST, ONCE, ORDER, RESTS, Bug

if TYPE_CHECKING:
    from storage import ShardView

__all__ = ["BUGS"]


class CursorIgnored(ShardActor):
    """A target shard that starts anew takes everything again."""

    __slots__ = ()

    def _restore(self, view: ShardView) -> None:
        view.cursors.update(dict.fromkeys(view.cursors, 0))
        super()._restore(view)


class OutboxForgotten(ShardActor):
    """A source shard that starts anew does not spread what waits in its outbox."""

    __slots__ = ()

    def _restore(self, view: ShardView) -> None:
        view.outbox.clear()
        super()._restore(view)


def _planted(shard: type[ShardActor]) -> Scenario:
    return Scenario(parts=Parts(shard=shard))


BUGS: Final = {
    "resumed fan-out doubling an entry": Bug(_planted(CursorIgnored), ONCE),
    "outbox forgotten after restart": Bug(_planted(OutboxForgotten), LOST, ORDER, EMPTY, RESTS),
}
