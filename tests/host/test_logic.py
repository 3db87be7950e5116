"""The supervisor's decisions, bare: who is replaced, who is killed, when the host ends."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisors import RestartWindow
from supervisors.host.logic import HUNG_SWEEPS, START_SWEEPS, Kill, Leave, Staff, Start, Stop
from supervisors.host.plan import GAVE_UP, REFUSED, STOPPED

WORKERS: Final = 3
KILLED: Final = -9


def staff(intensity: int = 10) -> Staff:
    return Staff(WORKERS, RestartWindow(intensity, 30.0))


def test_everyone_is_started_at_first() -> None:
    assert staff().begin() == [Start(0), Start(1), Start(2)]


@pytest.mark.parametrize("status", [STOPPED, GAVE_UP, KILLED, 3])
def test_a_worker_that_ends_unasked_is_replaced(status: int) -> None:
    assert staff().ended(1, status, 0.0) == [Start(1, status)]


def test_a_worker_that_cannot_start_ends_the_host() -> None:
    assert staff().ended(1, REFUSED, 0.0) == [Leave(1, "worker_cannot_start")]


@given(st.lists(st.tuples(st.integers(0, WORKERS - 1), st.floats(0, 20)), max_size=30), st.integers(0, 5))
def test_the_host_ends_at_the_first_replacement_too_many_in_a_period(
    ends: list[tuple[int, float]], intensity: int
) -> None:
    host, now_s, times = staff(intensity), 0.0, list[float]()
    for worker, after_s in ends:
        now_s += after_s
        times = [at_s for at_s in times if at_s >= now_s - 30.0] + [now_s]
        if len(times) > intensity:
            assert host.ended(worker, KILLED, now_s) == [Leave(1, "host_gave_up")]
            return
        assert host.ended(worker, KILLED, now_s) == [Start(worker, KILLED)]


def test_a_pulse_that_goes_on_is_left_alone() -> None:
    host = staff()
    assert [effect for beats in range(1, 100) for effect in host.looked(0, beats // 2 + 1)] == []


@pytest.mark.parametrize(("beats", "sweeps"), [(0, START_SWEEPS), (7, HUNG_SWEEPS)])
def test_a_pulse_that_stands_still_kills_and_goes_on_killing(beats: int, sweeps: int) -> None:
    host = staff()
    host.looked(0, beats)
    looks = sweeps - (1 if beats == 0 else 0)  # 0 is what it stood at before
    for _ in range(2):
        assert [host.looked(0, beats) for _ in range(looks - 1)] == [[]] * (looks - 1)
        assert host.looked(0, beats) == [Kill(0)]
        looks = sweeps
    assert host.looked(1, 0) == []


def test_a_worker_that_was_replaced_has_all_its_time_again() -> None:
    host = staff()
    for _ in range(HUNG_SWEEPS):
        host.looked(0, 5)
    host.ended(0, KILLED, 0.0)
    assert [host.looked(0, 0) for _ in range(START_SWEEPS - 1)] == [[]] * (START_SWEEPS - 1)
    assert host.looked(0, 0) == [Kill(0)]


def test_a_drain_asks_everyone_once_and_ends_with_the_last() -> None:
    host = staff()
    assert host.drain() == [Stop(0), Stop(1), Stop(2)]
    assert host.drain() == []
    assert host.ended(2, STOPPED, 0.0) == []
    assert host.ended(0, STOPPED, 0.0) == []
    assert host.ended(1, STOPPED, 0.0) == [Leave(0, "host_stopped")]


@pytest.mark.parametrize("status", [KILLED, GAVE_UP, REFUSED])
def test_a_worker_that_ends_badly_in_a_drain_is_not_replaced_and_not_hidden(status: int) -> None:
    host = staff()
    host.drain()
    assert host.ended(0, status, 0.0) == []
    assert [host.looked(0, 0) for _ in range(START_SWEEPS)] == [[]] * START_SWEEPS
    host.ended(1, STOPPED, 0.0)
    assert host.ended(2, STOPPED, 0.0) == [Leave(1, "host_stopped_uncleanly")]


def test_a_worker_that_hangs_in_a_drain_is_killed() -> None:
    host = staff()
    host.drain()
    host.looked(0, 4)
    assert [host.looked(0, 4) for _ in range(HUNG_SWEEPS)][-1] == [Kill(0)]
