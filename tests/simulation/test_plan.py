"""A plan is one line of text, and a line that is none is told what is wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation import FAULTS, Fault, Plan, PlanError, Scenario

faults = st.builds(
    Fault,
    st.integers(0, 90_000).map(lambda thousandths: thousandths / 1000),
    st.sampled_from(sorted(FAULTS)),
    st.integers(0, 2**32 - 1),
)
plans = st.builds(
    Plan,
    st.integers(0, 900).map(lambda tenths: tenths / 10),
    st.integers(0, 10_000),
    st.lists(faults, max_size=8).map(lambda some: tuple(sorted(some, key=lambda fault: fault.time_s))),
    st.lists(st.sampled_from(("ann", "bob1")), unique=True).map(tuple),
)


@given(plans)
def test_what_is_printed_is_read_back(plan: Plan) -> None:
    assert Plan.parse(str(plan), Scenario()) == plan


def test_a_drawn_plan_is_read_back_to_the_last_digit() -> None:
    drawn = Plan.drawn(4711, Scenario())
    assert len(drawn.faults) > 1
    assert Plan.parse(str(drawn), Scenario()) == drawn


def test_an_empty_plan_is_a_calm_day() -> None:
    scenario = Scenario()
    assert Plan.parse("", scenario) == Plan(scenario.faults.storm_s, scenario.accepted_min)
    assert Plan.parse("until=7.5", scenario) == Plan(7.5)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("until=soon", "'until=soon' in the plan names no time"),
        ("talk=much", "counts no messages"),
        ("until=-1", "names no time"),
        ("x:node-dies:1", "names no time"),
        ("nan:node-dies:1", "names no time"),
        ("1.5:node-melts:1", "names no fault"),
        ("1.5", "names no fault"),
        ("1.5:node-dies", "has no luck"),
        ("1.5:node-dies:xyz", "has no luck"),
    ],
)
def test_what_is_no_plan_is_told_why(text: str, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        Plan.parse(text, Scenario())
