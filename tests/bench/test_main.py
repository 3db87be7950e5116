from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from bench import __main__ as command
from bench.bars import BARS, RUNTIME_BARS, rows
from bench.disk import sync_times_ms

if TYPE_CHECKING:
    from pathlib import Path


def test_every_messenger_bar_belongs_to_a_scenario() -> None:
    scenarios = {"login": "idle", "host": "replace"}
    for bar in (*BARS, *RUNTIME_BARS):
        word = bar.bar.partition(":")[0]
        assert scenarios.get(word, word) in command.SCENARIOS


def test_a_profile_of_more_than_one_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--profile", "somewhere"])
    assert "--profile needs --only" in capsys.readouterr().err


def test_an_unknown_scenario_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--only", "everything"])
    assert "online" in capsys.readouterr().err


def test_a_scenario_that_fails_leaves_its_bars_unmet_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(folder: Path, profile: Path | None) -> dict[str, float]:
        raise RuntimeError("no such disk")

    figures, _, worked = command.measure({"broken": broken, "whole": lambda *_: {"login: CPU": 1.0}}, None)
    assert not worked
    assert figures == {"login: CPU": 1.0}
    assert "no such disk" in capsys.readouterr().err


def test_the_report_has_a_line_a_bar_then_notes_then_the_disk(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"restart: first client served": 0.5, "something of the machine": 12.0}
    command.report(rows(BARS, figures), figures, 4.5)
    lines = capsys.readouterr().out.splitlines()
    assert [bar.bar for bar in BARS] == [re.split(r"  ", line)[0] for line in lines[1 : 1 + len(BARS)]]
    assert sum("void" in line for line in lines[:-1]) == sum(bar.wall for bar in BARS)
    assert lines[-2] == "something of the machine: 12.0"
    assert lines[-1].startswith("fsync p99 4.50 ms")


def test_what_is_written_is_a_list_of_rows_with_the_agreed_keys(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    command.write(rows([*BARS, *RUNTIME_BARS], {"login: CPU": 300.0}), path)
    written = json.loads(path.read_text())
    assert len(written) == len(BARS) + len(RUNTIME_BARS)
    assert all(list(row) == ["bar", "value", "unit", "better", "must", "aim", "met"] for row in written)
    assert sum(row["met"] is True for row in written) == 1


def test_each_sync_of_the_disk_is_timed(tmp_path: Path) -> None:
    times_ms = sync_times_ms(tmp_path, 3)
    assert len(times_ms) == 3
    assert min(times_ms) > 0
