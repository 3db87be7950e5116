"""A failure is told: what broke, the shortest plan, the timeline of the message, and lines that show it again."""

from __future__ import annotations

import pytest

from simulation import Scenario, Violation, attempt, inquest
from tests.simulation.hasty import HASTY, PROMISE


@pytest.mark.slow
def test_a_failure_tells_its_plan_its_timeline_and_the_lines_that_show_it_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = attempt(2, HASTY).violation
    assert found is not None
    lines = list(inquest(found, HASTY))
    assert lines[0] == f"seed 2 broke: {PROMISE}"
    story = lines[lines.index("timeline, in simulated seconds:") + 1 : lines.index("to see it again:") - 1]
    exec("\n".join(lines[lines.index("to see it again:") + 1 :]), {})
    again = capsys.readouterr().out.splitlines()
    assert again[1:] == story
    assert PROMISE in again[0]
    (ended,) = (line for line in lines if line.startswith("with it, at "))
    assert ended.split(" s: ", 1)[1] in again[0]


def test_a_failure_that_does_not_come_again_is_called_a_bug_of_its_own() -> None:
    lines = list(inquest(Violation(2, "nobody ever broke this", "a story"), Scenario()))
    assert "depends on more than the seed" in lines[-1]
