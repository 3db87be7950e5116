"""What a shard holds back of large fan-outs, and what it does not."""

from __future__ import annotations

from typing import Any

import pytest

from actors.queue.api import QueueLimits
from actors.router.api import Router
from actors.shard.absent import Absent
from actors.shard.actor import Commits, ShardActor
from actors.shard.api import Disk, PaceLimits
from actors.shard.pace import Pace
from actors.shard.spreading import Spread
from actors.tally import Tally
from protocol import shard_of
from runtime import InlineTasks, Runtime, SeededScheduler, VirtualClock
from storage import Removed
from storage.group import Committed
from tests.actors.shard.test_spreading import Line
from tests.storage.desk import PHONE, Desk

SHARD = 0
EVERYWHERE = tuple(range(21))
LIMITS = QueueLimits(100, 1 << 20, 1 << 16, 5, 60.0)
SLOW = PaceLimits(targets_min=10, shards_burst=0, step_shards=2, step_s=0.01)


def word(*shards: int) -> Removed:
    """A record that says something to somebody of each of these shards."""
    names = [next(name for name in map(str, range(100_000)) if shard_of(name) == shard) for shard in shards]
    return Removed(PHONE, "ann", [], 1, [("ann", "ann:bob", 1)], [(name, [PHONE]) for name in names], [b"body"])


@pytest.mark.parametrize("small", [(SHARD, 5), (SHARD,), (5, 6)])
def test_what_is_for_few_goes_out_at_once_beside_a_large_fan_out_that_is_held_back(small: tuple[int, ...]) -> None:
    desk, line, scheduler = Desk(), Line(), SeededScheduler(1)
    line.room = 1_000
    runtime = Runtime(node="a", clock=VirtualClock(), scheduler=scheduler, tasks=InlineTasks())
    runtime.foreign.attach(line)
    router = Router(runtime)
    router.places.update(dict.fromkeys(EVERYWHERE[1:], "b"))
    disk = Disk(desk.store, SHARD, desk.epochs[SHARD], Tally())
    pid = runtime.start(ShardActor(disk, router, range(64), 100.0, SLOW, Absent(LIMITS)), name=("shard", SHARD))
    desk.run()
    scheduler.run_until_idle()

    def positions() -> list[list[int]]:
        return [[position for position, _ in spread.jobs] for spread in line.told if isinstance(spread, Spread)]

    records = [word(*EVERYWHERE), word(*small)]
    runtime.cast(pid, Commits([Committed(SHARD, 100 + index, record, None) for index, record in enumerate(records)]))
    scheduler.run_until_idle()
    prompt = [[100, 101]] * len(set(small) - {SHARD})
    assert positions() == prompt
    scheduler.run_for(0.2)
    assert positions() == prompt + [[100]] * (20 - len(prompt))


def test_while_somebody_waits_what_comes_waits_too() -> None:
    pace = Pace(PaceLimits(shards_burst=4, step_shards=1, step_s=1.0), 0.0)
    jobs: Any = [(1, "record")]
    assert not pace.holds(dict.fromkeys(range(4), jobs), 0.0)
    assert pace.holds(dict.fromkeys(range(4), jobs), 0.0)
    assert pace.holds({9: jobs}, 100.0)
    assert [pace.joined(target, []) for target in pace.turns()] == [jobs]
    assert pace.waits


def test_a_group_that_is_only_lively_never_waits_however_small_the_steps_are() -> None:
    pace = Pace(PaceLimits(shards_burst=64, shards_per_s=2_000.0, step_shards=1, step_s=1.0), 0.0)
    jobs: Any = [(1, "record")]
    everywhere = dict.fromkeys(range(64), jobs)
    for count in range(100):
        assert not pace.holds(everywhere, count / 31)
    assert pace.holds(everywhere, 99 / 31 + 0.02)


def test_at_the_defaults_each_shard_has_its_turn_in_an_eighth_of_a_second() -> None:
    limits = PaceLimits()
    pace = Pace(limits, 0.0)
    now_s, seq = 0.0, 0
    waited_s: dict[int, float] = {}
    longest_s = 0.0
    while now_s < 2.0:
        if now_s >= seq / 100:
            seq += 1
            job: Any = (seq, "record")
            if pace.holds({target: [job] for target in range(64)}, now_s):
                for target in range(64):
                    waited_s.setdefault(target, now_s)
        for target in pace.turns():
            pace.joined(target, [])
            longest_s = max(longest_s, now_s - waited_s.pop(target))
        now_s += limits.step_s
    assert seq > 100
    assert 0.1 < longest_s <= 0.13
