"""The beat of a shard: once a second while there is something to do, with the shards of its quarter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.shard.pulse import Beat, Pulse
from runtime import Actor, InlineTasks, Runtime, SeededScheduler, VirtualClock

if TYPE_CHECKING:
    from runtime import Message


class Heart(Actor):
    """Stands for a shard that has so many things to do, one a beat."""

    def __init__(self, shard: int, things: int) -> None:
        self.beats_s: list[float] = []
        self._shard = shard
        self._things = things

    def init(self) -> None:
        self.pulse = Pulse(self.process, self._shard)
        if self._things:
            self.pulse.want()

    def handle_info(self, message: Any) -> None:
        assert isinstance(message, Beat)
        self.pulse.beaten()
        self.beats_s.append(self.process.runtime.clock.now_s())
        if len(self.beats_s) < self._things:
            self.pulse.want()

    def handle_cast(self, message: Message) -> None:
        self.pulse.want()
        self.pulse.want()


class Node:
    """Shards that have their hearts alone."""

    def __init__(self) -> None:
        self.scheduler, self.clock = SeededScheduler(1), VirtualClock()
        self.runtime = Runtime(node="a", clock=self.clock, scheduler=self.scheduler, tasks=InlineTasks())

    def start(self, shard: int, things: int) -> Heart:
        heart = Heart(shard, things)
        self.runtime.start(heart)
        self.scheduler.run_until_idle()
        return heart


def test_it_beats_once_a_second_as_long_as_it_is_wanted_and_then_no_timer_waits() -> None:
    node = Node()
    heart = node.start(3, things=4)
    node.scheduler.run_for(10.0)
    first_s = heart.beats_s[0]
    assert [round(at_s - first_s, 3) for at_s in heart.beats_s] == [0, 1, 2, 3]
    assert len(node.runtime._timers) == 0


def test_it_begins_again_within_a_second_and_two_wishes_are_one_beat() -> None:
    node = Node()
    heart = node.start(0, things=0)
    node.scheduler.run_for(7.3)
    assert heart.beats_s == []
    wanted_s = node.clock.now_s()
    node.runtime.cast(heart.process.pid, "something")
    node.scheduler.run_for(5.0)
    (beat_s,) = heart.beats_s
    assert 0 < beat_s - wanted_s <= 1.001


def test_a_quarter_of_the_shards_beats_in_the_same_moment() -> None:
    node = Node()
    moments: dict[int, set[int]] = {}
    for shard in range(64):
        heart = node.start(shard, things=1)
        node.scheduler.run_for(1.237)
        moments.setdefault(shard % 4, set()).add(round(heart.beats_s[0] * 1_000) % 1_000)
    assert {shard: len(at_ms) for shard, at_ms in moments.items()} == dict.fromkeys(range(4), 1)
    assert len(set.union(*moments.values())) == 4
