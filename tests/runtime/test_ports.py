"""Clocks, randomness, and the seeded scheduler's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import (
    InlineTasks,
    Runtime,
    SeededRandomness,
    SeededScheduler,
    SystemClock,
    SystemRandomness,
    VirtualClock,
)
from tests.runtime.cast import Stage


@given(steps=st.lists(st.floats(0, 1e6), max_size=20))
def test_a_virtual_clock_moves_as_told_and_takes_the_calendar_along(steps: list[float]) -> None:
    clock = VirtualClock(wall_ms=1000)
    for step in steps:
        before_s = clock.now_s()
        clock.advance(step)
        assert clock.now_s() == before_s + step
    assert clock.wall_ms() == 1000 + round(clock.now_s() * 1000)


def test_a_virtual_clock_does_not_go_back_but_its_calendar_may() -> None:
    clock = VirtualClock(5)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance_to(4)
    before_ms = clock.wall_ms()
    clock.jump_wall(-3000)
    assert clock.wall_ms() == before_ms - 3000
    assert clock.now_s() == 5


def test_the_machines_clock_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.now_s() <= clock.now_s()
    assert clock.wall_ms() > 1_600_000_000_000


@pytest.mark.parametrize("randomness", [SystemRandomness(), SeededRandomness(7)])
def test_randomness_keeps_within_its_bounds(randomness: SystemRandomness | SeededRandomness) -> None:
    assert len(randomness.bytes(16)) == 16
    assert 0 <= randomness.random() < 1
    assert {randomness.below(2) for _ in range(100)} == {0, 1}
    assert randomness.choice("abc") in "abc"
    items = list(range(10))
    randomness.shuffle(items)
    assert sorted(items) == list(range(10))


def test_equal_seeds_give_equal_randomness() -> None:
    one, other = SeededRandomness(7), SeededRandomness(7)
    assert (one.bytes(9), one.random(), one.below(99)) == (other.bytes(9), other.random(), other.below(99))
    assert one.bytes(9) != SeededRandomness(8).bytes(9)


def test_only_virtual_time_can_be_told_to_pass() -> None:
    scheduler = SeededScheduler(1)
    Runtime(scheduler=scheduler, tasks=InlineTasks())
    with pytest.raises(TypeError, match="VirtualClock"):
        scheduler.run_for(1)


def test_posted_functions_run_in_their_order_among_the_turns(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()
    order: list[object] = []
    for number in range(5):
        stage.runtime.post_threadsafe(lambda number=number: order.append(number))  # type: ignore[misc]
        stage.runtime.cast(puppet.pid, number)
    stage.settle()
    assert order == list(range(5))
    assert puppet.heard == list(range(5))


def test_deferred_work_may_come_before_the_run_queue_has_drained() -> None:
    early = 0
    for seed in range(200):
        stage = Stage(seed)
        puppet, other = stage.puppet(), stage.puppet()
        puppet.process.defer()
        stage.runtime.cast(other.pid, lambda process, puppet=puppet, other=other: other.heard.append(puppet.deferred))
        stage.settle()
        early += other.heard == [1]
    assert 0 < early < 50
