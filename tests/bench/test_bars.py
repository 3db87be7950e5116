from __future__ import annotations

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import runtime_bars
from bench.bars import BARS, RUNTIME_BARS, Bar, line, percentile, rows

LOWER = Bar("cost", "us", 40, 20)
HIGHER = Bar("speed", "1/s", 20, 45, "higher")
COMPARISON = Bar("peer", "us")
VALUES = st.lists(st.floats(allow_nan=False), min_size=1, max_size=50)


@pytest.mark.parametrize(
    ("bar", "value", "met"),
    [
        (LOWER, 40, True),
        (LOWER, 40.1, False),
        (HIGHER, 20, True),
        (HIGHER, 19.9, False),
        (COMPARISON, 7, None),
        (LOWER, None, False),
        (HIGHER, None, False),
        (COMPARISON, None, False),
    ],
)
def test_a_bar_is_met_at_its_must_and_never_without_a_figure(bar: Bar, value: float | None, met: bool | None) -> None:
    assert bar.met(value) is met


def test_every_bar_has_a_row_whether_it_was_measured_or_not() -> None:
    result = rows([LOWER, HIGHER], {"cost": 12.34567, "unheard of": 1})
    assert result == [
        {"bar": "cost", "value": 12.346, "unit": "us", "better": "lower", "must": 40, "aim": 20, "met": True},
        {"bar": "speed", "value": None, "unit": "1/s", "better": "higher", "must": 20, "aim": 45, "met": False},
    ]


def test_no_two_bars_share_a_name() -> None:
    names = [bar.bar for bar in (*BARS, *RUNTIME_BARS)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("bar", [*BARS, *RUNTIME_BARS], ids=lambda bar: bar.bar)
def test_an_aim_is_at_least_as_hard_as_its_must(bar: Bar) -> None:
    assert (bar.must is None) == (bar.aim is None)
    if bar.must is not None and bar.aim is not None:
        assert bar.aim <= bar.must if bar.better == "lower" else bar.aim >= bar.must


@pytest.mark.parametrize("bar", RUNTIME_BARS, ids=lambda bar: bar.bar)
def test_the_runtime_measures_each_of_its_bars_under_the_same_name(bar: Bar) -> None:
    assert f'"{bar.bar}"' in inspect.getsource(runtime_bars.run)


def test_a_line_shows_figure_must_aim_and_verdict() -> None:
    met, missed, peer = (
        line(row) for row in rows([LOWER, HIGHER, COMPARISON], {"cost": 12, "speed": 3, "peer": 1_234.5})
    )
    assert met.split() == ["cost", "12", "us", "40", "20", "yes"]
    assert missed.split() == ["speed", "3", "1/s", "20", "45", "NO"]
    assert peer.split() == ["peer", "1,234.5", "us", "-", "-", "-"]


def test_a_wall_time_on_a_slow_disk_is_marked_void() -> None:
    (row,) = rows([LOWER], {"cost": 12})
    assert line(row, void=True).endswith("yes (void: slow disk)")


@given(VALUES, st.floats(min_value=0.001, max_value=100))
def test_a_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(
    values: list[float], percent: float
) -> None:
    found = percentile(values, percent)
    needed = len(values) * percent / 100
    assert found in values
    assert sum(value <= found for value in values) >= needed
    assert sum(value < found for value in values) < needed


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 100.1)])
def test_there_is_no_percentile_of_nothing_and_none_beyond_a_hundred(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)
