"""A failure is told: what broke, the shortest plan, the timeline of the message, and a command that shows it again."""

from __future__ import annotations

import shlex

import pytest

from simulation import Plan, Scenario, Violation, attempt, inquest
from tests.simulation.hasty import HASTY, PROMISE


@pytest.mark.slow
def test_a_failure_tells_its_plan_its_timeline_and_its_command() -> None:
    found = attempt(2, HASTY).violation
    assert found is not None
    lines = list(inquest(found, HASTY))
    assert lines[0] == f"seed 2 broke: {PROMISE}"
    command = shlex.split(lines[-1])
    assert command[:5] == ["python", "-m", "simulation", "--seed", "2"]
    again = attempt(2, HASTY, Plan.parse(command[-1], HASTY)).violation
    assert again is not None
    assert f"with it, at {again.time_s:.3f} s: {again.story}" in lines


def test_a_failure_that_does_not_come_again_is_called_a_bug_of_its_own() -> None:
    lines = list(inquest(Violation(2, "nobody ever broke this", "a story"), Scenario()))
    assert "depends on more than the seed" in lines[-1]
