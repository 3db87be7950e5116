"""The scenario of docs/testing.md runs as it stands there, and what it says of failures does what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulation.hasty import HASTY, PROMISE

if TYPE_CHECKING:
    import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"
RUNS, TELLS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def _run(code: str, space: dict[str, Any]) -> None:
    exec(compile(code, str(DOCUMENT), "exec"), space)


def test_the_scenario_of_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert "range(100)" in RUNS
    _run(RUNS.replace("range(100)", "range(2)"), {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["0", "1"]
    assert all(int(line.split()[1]) >= 500 for line in lines)


def test_a_failure_in_the_scenario_of_the_document_can_be_seen_again(capsys: pytest.CaptureFixture[str]) -> None:
    space: dict[str, Any] = {}
    _run(RUNS.replace("range(100)", "range(0)"), space)
    _run(TELLS, space)
    assert capsys.readouterr().out == ""
    space["scenario"] = replace(space["scenario"], parts=HASTY.parts)
    _run(TELLS, space)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == f"seed 4711 broke: {PROMISE}"
    _run("\n".join(told[told.index("to see it again:") + 1 :]), {})
    seen = capsys.readouterr().out.splitlines()
    assert PROMISE in seen[0]
    assert len(seen) > 1
    assert "\n".join(seen[1:]) in "\n".join(told)
