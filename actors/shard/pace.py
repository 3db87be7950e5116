"""The pace of large fan-outs: what one message sets off in many shards does not all happen at once. Pure.

A message to a group of 1,024 is work for every shard. One now and then goes everywhere at once. When they follow each
other closely, a few shards at a time get what has come together for them: so nobody else stands behind 64 shards at
work, and there is less of it, for a shard takes a chain of messages at once.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.shard.api import PaceLimits
    from actors.shard.logic import Job

__all__ = ["Pace"]


class Pace:
    """What a shard has not handed out yet; all of it is on its disk.

    The shards that may be given something at once are a token bucket. It fills faster than steps would empty it, so a
    group that is only lively does not wait at all. While some wait, whatever comes waits too.

    Args:
        limits: How fast it goes.
        now_s: The time.
    """

    __slots__ = ("_allowed", "_allowed_s", "_limits", "_waiting")

    def __init__(self, limits: PaceLimits, now_s: float) -> None:
        self._limits = limits
        self._allowed = float(limits.shards_burst)
        self._allowed_s = now_s
        self._waiting: dict[int, list[Job]] = {}  # by target shard, in the order of their turns

    @property
    def waits(self) -> bool:
        """Whether some shard has yet to be given something."""
        return bool(self._waiting)

    @property
    def step_s(self) -> float:
        """The time between two steps."""
        return self._limits.step_s

    def holds(self, spreads: Mapping[int, list[Job]], now_s: float) -> bool:
        """Whether jobs, by target shard, wait from now on for the turn of their shard."""
        limits = self._limits
        gained = (now_s - self._allowed_s) * limits.shards_per_s
        allowed = min(float(limits.shards_burst), self._allowed + gained)
        self._allowed, self._allowed_s = max(0.0, allowed - len(spreads)), now_s
        if not self._waiting and allowed >= len(spreads):
            return False
        for target, jobs in spreads.items():
            self._waiting.setdefault(target, []).extend(jobs)
        return True

    def joined(self, target: int, jobs: list[Job]) -> list[Job]:
        """All that a shard is given now, when it gets these jobs: they do not pass what has waited."""
        waiting = self._waiting.pop(target, None)
        return jobs if waiting is None else waiting + jobs

    def turns(self) -> list[int]:
        """The shards whose turn it is."""
        return list(islice(self._waiting, self._limits.step_shards))
