"""Bugs of the fan-out between shards, and of those who live in one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from actors.shard.actor import ShardActor
from actors.shard.logic import Inbound
from actors.shard.spreading import Spread
from actors.tree import Parts
from simulation import Habit, Scenario
from tests.simulation.planted.bug import EMPTY, LOST, ONCE, ORDER, RESTS, Bug, rough

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.shard.logic import Job
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


class Unchained(Inbound):
    """Takes whatever is newer, and does not see a gap before it."""

    __slots__ = ()

    def take(self, previous: int, jobs: Sequence[Job]) -> Sequence[Job] | None:
        return super().take(min(previous, self.appended), jobs)


class ChainNotChecked(ShardActor):
    """A target shard does not look at what a batch is chained to."""

    __slots__ = ()

    def _spread(self, spread: Spread) -> None:
        inbound = self._spreading._inbound
        known = inbound.get(spread.source)
        if type(known) is not Unchained:
            inbound[spread.source] = Unchained(0 if known is None else known.appended)
        super()._spread(spread)

    _routes = ShardActor._routes | {Spread: _spread}  # type: ignore[misc]  # the parent's is final


RUSH: Final = Habit("in a hurry", write_every_s=0.4, burst=8)
"""So many messages that one shard often has a second batch for another before the first one has arrived."""


def _planted(shard: type[ShardActor]) -> Scenario:
    return Scenario(parts=Parts(shard=shard))


BUGS: Final = {
    "resumed fan-out doubling an entry": Bug(_planted(CursorIgnored), ONCE),
    "chain of the fan-out not checked": Bug(
        replace(
            _planted(ChainNotChecked), people=(RUSH,) * 3, faults=rough(fan_out_is_lost_on_its_way=40, disk_is_slow=10)
        ),
        LOST,
        ORDER,
        EMPTY,
        RESTS,
    ),
    "outbox forgotten after restart": Bug(_planted(OutboxForgotten), LOST, ORDER, EMPTY, RESTS),
}
