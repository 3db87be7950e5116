"""The wheel against a plain sorted list, and timers as actors see them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import Clock, Process, Ref, VirtualClock
from runtime.timers import Timer, TimerWheel
from tests.runtime.cast import Box, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

DELAYS_S = st.one_of(
    st.floats(0, 0.3), st.floats(0, 70), st.floats(0, 70_000), st.floats(0, 2e7), st.sampled_from([0.0, 0.256, 65.536])
)


class Mark(Timer):
    """Notes when it fired."""

    def __init__(self, number: int, clock: Clock, fired: list[tuple[int, float]]) -> None:
        super().__init__()
        self.number = number
        self.clock = clock
        self.fired = fired
        self.due_s = 0.0

    def fire(self) -> None:
        self.fired.append((self.number, self.clock.now_s()))


class Wheel:
    """A wheel whose alarm a test can see."""

    def __init__(self, now_s: float = 0.0) -> None:
        self.clock = VirtualClock(now_s)
        self.armed_s: list[float] = []
        self.wheel = TimerWheel(self.clock, self.armed_s.append)
        self.fired: list[tuple[int, float]] = []
        self.marks: list[Mark] = []

    def insert(self, delay_s: float) -> Mark:
        mark = Mark(len(self.marks), self.clock, self.fired)
        mark.due_s = self.clock.now_s() + delay_s
        self.marks.append(mark)
        self.wheel.insert(mark, delay_s)
        return mark

    def run_to(self, until_s: float) -> None:
        """Advance as a punctual alarm would."""
        while (visit_s := self.wheel.next_visit_s()) is not None and visit_s <= until_s:
            self.clock.advance_to(max(visit_s, self.clock.now_s()))
            self.wheel.advance()
        self.clock.advance_to(max(until_s, self.clock.now_s()))
        self.wheel.advance()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), DELAYS_S),
        st.tuples(st.just("cancel"), st.floats(0, 1)),
        st.tuples(st.just("run"), DELAYS_S),
        st.tuples(st.just("sleep"), DELAYS_S),
    ),
    max_size=40,
)


@given(start_s=st.floats(0, 1e7), steps=STEPS)
def test_each_timer_fires_once_in_order_never_early_and_at_most_a_tick_late(
    start_s: float, steps: list[tuple[str, float]]
) -> None:
    wheel = Wheel(start_s)
    waiting: dict[int, Mark] = {}
    slept = False
    for verb, value in steps:
        if verb == "insert":
            mark = wheel.insert(value)
            waiting[mark.number] = mark
        elif verb == "cancel" and wheel.marks:
            mark = wheel.marks[int(value * (len(wheel.marks) - 1))]
            assert wheel.wheel.cancel(mark) == (waiting.pop(mark.number, None) is not None)
            assert not mark.is_waiting
        elif verb == "sleep":
            slept = True
            wheel.clock.advance(value)
        elif verb == "run":
            wheel.run_to(wheel.clock.now_s() + value)
            check(wheel, waiting, slept)
            slept = False
    assert len(wheel.wheel) == len(waiting)
    wheel.run_to(wheel.clock.now_s() + 1e8)
    check(wheel, waiting, slept)
    assert waiting == {}
    assert len(wheel.wheel) == 0


def check(wheel: Wheel, waiting: dict[int, Mark], slept: bool) -> None:
    """What fired was due, in order; what was due has fired; unless somebody slept, it was punctual."""
    ticks = [wheel.marks[number].due_tick for number, _ in wheel.fired]
    if not slept:
        assert ticks == sorted(ticks)
    for number, at_s in wheel.fired:
        mark = waiting.pop(number)
        assert at_s >= mark.due_s - 2e-6
        assert slept or at_s <= mark.due_s + 0.001 + 2e-6
    assert all(mark.due_s > wheel.clock.now_s() - 0.001 for mark in waiting.values())
    wheel.fired.clear()


def test_timers_of_the_same_moment_fire_in_order_of_insertion() -> None:
    wheel = Wheel()
    wheel.insert(0.3)
    wheel.run_to(0.1)
    wheel.insert(0.2)
    wheel.insert(0.2)
    wheel.run_to(1)
    assert [number for number, _ in wheel.fired] == [0, 1, 2]


def test_a_hundred_thousand_heartbeats_need_one_alarm_until_one_is_due() -> None:
    wheel = Wheel()
    for number in range(100_000):
        wheel.insert(60 + number / 100_000)
    assert len(wheel.armed_s) == 1
    wheel.run_to(59)
    assert wheel.fired == []
    assert len(wheel.armed_s) <= 3
    wheel.run_to(61)
    assert len(wheel.fired) == 100_000


def test_a_nearer_timer_moves_the_alarm_and_a_farther_one_does_not() -> None:
    wheel = Wheel()
    wheel.insert(0.2)
    wheel.insert(0.25)
    wheel.insert(0.1)
    assert wheel.armed_s == [0.2, 0.1]


def test_timers_that_fire_may_insert_and_cancel_others() -> None:
    wheel = Wheel()

    class Chain(Mark):
        def fire(self) -> None:
            super().fire()
            wheel.wheel.cancel(victim)
            wheel.insert(0.0)

    chain = Chain(0, wheel.clock, wheel.fired)
    wheel.marks.append(chain)
    wheel.wheel.insert(chain, 0.01)
    victim = wheel.insert(0.01)
    wheel.run_to(1)
    assert [number for number, _ in wheel.fired] == [0, 2]


def test_a_late_alarm_fires_everything_that_is_due() -> None:
    wheel = Wheel()
    for delay_s in (0.001, 0.3, 70.0, 100_000.0):
        wheel.insert(delay_s)
    wheel.clock.advance(80)
    assert wheel.wheel.advance() == 3
    assert len(wheel.wheel) == 1


@pytest.mark.parametrize("delay_s", [math.inf, math.nan, 1e12])
def test_an_impossible_delay_is_refused_and_nothing_waits(delay_s: float) -> None:
    wheel = Wheel()
    with pytest.raises(ValueError, match="may wait for at most"):
        wheel.insert(delay_s)
    assert len(wheel.wheel) == 0
    assert wheel.wheel.next_visit_s() is None


def test_a_negative_delay_means_the_next_tick() -> None:
    wheel = Wheel()
    wheel.insert(-5)
    wheel.run_to(0.001)
    assert len(wheel.fired) == 1


def test_a_cleared_wheel_fires_nothing() -> None:
    wheel = Wheel()
    marks = [wheel.insert(delay_s) for delay_s in (0.1, 70.0)]
    wheel.wheel.clear()
    assert not any(mark.is_waiting for mark in marks)
    wheel.run_to(100)
    assert wheel.fired == []
    wheel.insert(1)
    wheel.run_to(102)
    assert len(wheel.fired) == 1


def test_a_machine_that_is_up_for_thirty_years_advances_to_each_tick() -> None:
    wheel = Wheel(1e9)
    for number in range(2000):
        wheel.insert(number / 1000)
    wheel.run_to(1e9 + 3)
    assert [number for number, _ in wheel.fired] == list(range(2000))


def test_a_bare_timer_is_for_nothing() -> None:
    with pytest.raises(AssertionError):
        Timer().fire()


def test_an_actor_hears_its_timer_in_time_unless_it_cancelled(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()
    box = Box()
    stage.play(puppet, box.of(lambda process: [process.send_after(delay_s, delay_s) for delay_s in (3, 1, 2)]))
    stage.wait(1.5)
    assert puppet.heard == [1]
    cancelled = Box()
    stage.play(puppet, cancelled.of(lambda process: [process.cancel(ref) for ref in (*box.value, Ref())]))
    assert cancelled.value == [True, False, True, False]
    stage.wait(10)
    assert puppet.heard == [1]


def test_a_timer_of_an_ended_process_comes_to_nothing(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()

    def wind_up(process: Process) -> None:
        process.send_after(1, "tick")
        process.stop()

    stage.play(puppet, wind_up)
    stage.wait(2)
    assert puppet.heard == []
    assert stage.runtime.statistics().timers == 0


def test_functions_can_be_scheduled_and_cancelled(seed: int) -> None:
    stage = Stage(seed)
    ran: list[str] = []
    note: Callable[[str], Callable[[], None]] = lambda word: lambda: ran.append(word)  # noqa: E731
    stage.runtime.schedule(1, note("one"))
    cancelled = stage.runtime.schedule(1, note("two"))
    assert cancelled.cancel()
    assert not cancelled.cancel()
    stage.wait(1)
    assert ran == ["one"]


def test_a_scheduled_function_that_raises_fails_the_seeded_run(seed: int) -> None:
    stage = Stage(seed)
    stage.runtime.schedule(1, lambda: [][0])
    with pytest.raises(IndexError):
        stage.wait(1)
