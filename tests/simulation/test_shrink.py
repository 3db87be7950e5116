"""Shrinking: the same failure, with less and less around it, and always the same way."""

from __future__ import annotations

import pytest

from simulation import Plan, Violation, attempt, shrink
from tests.simulation.hasty import HASTY, PROMISE


def failure(seed: int) -> Violation:
    violation = attempt(seed, HASTY).violation
    assert violation is not None
    return violation


@pytest.mark.slow
def test_what_no_fault_is_needed_for_shrinks_to_no_fault_and_one_person() -> None:
    found = failure(2)
    shrunk = shrink(found, HASTY, ("ann", "bob", "cid"))
    assert shrunk.plan.faults == ()
    assert shrunk.plan.storm_s < HASTY.faults.storm_s
    assert shrunk.plan.silent
    assert shrunk.violation.invariant == PROMISE
    again = attempt(2, HASTY, Plan.parse(str(shrunk.plan), HASTY)).violation
    assert again == shrunk.violation


@pytest.mark.slow
def test_shrinking_is_deterministic_and_keeps_to_its_attempts() -> None:
    found = failure(3)
    one, other = (shrink(found, HASTY, ("ann",), attempts_max=4) for _ in range(2))
    assert one == other
    assert one.attempts <= 4


def test_a_failure_that_cannot_be_had_again_is_handed_back_as_it_was() -> None:
    unheard = Violation(2, "nobody ever broke this", "a story")
    shrunk = shrink(unheard, HASTY, attempts_max=3)
    assert shrunk.violation == unheard
    assert shrunk.plan == Plan.drawn(2, HASTY)
