"""`python -m simulation`: runs what it is told to run, and says what is wrong with what it is not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from simulation.__main__ import main
from tests.architecture.house import ROOT

CALM = "until=5"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "one of the arguments --seed --seeds --until-stopped --idle-day is required"),
        (["--seed", "x"], "'x' is no seed: give a whole number from 0 on."),
        (["--seed", "-1"], "'-1' is no seed"),
        (["--seeds", "5"], "'5' is no range of seeds"),
        (["--seeds", "5:5"], "'5:5' is no range of seeds"),
        (["--seed", "1", "--jobs", "0"], "'0' is no number of runs at once"),
        (["--seeds", "1:2", "--plan", CALM], "name that with --seed."),
        (["--seed", "1", "--plan", "rain"], "'rain' in the plan names no time"),
        (["--seed", "1", "--seeds", "1:2"], "not allowed with argument --seed"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_seed_with_its_plan_runs_and_says_what_its_log_came_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "2", "--plan", CALM, "--log"]) == 0
    first = capsys.readouterr().out.splitlines()
    assert main(["--seed", "2", "--plan", CALM]) == 0
    assert capsys.readouterr().out.splitlines() == first[-2:]
    assert re.match(r"seeds 1, clusters 0, simulated hours \d\.\d, faults 0, ", first[-1])
    assert len(first) > 100


def test_people_who_come_and_go_in_groups_are_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    joins: list[int] = []
    for option in ([], ["--groups"]):
        assert main(["--seed", "2", "--plan", CALM, "--log", *option]) == 0
        joins.append(capsys.readouterr().out.count(": GroupDone "))
    assert joins[1] > 3 * joins[0]


@pytest.mark.slow
def test_a_storm_that_is_stopped_ends_with_its_last_line() -> None:
    storm = subprocess.Popen(
        [sys.executable, "-m", "simulation", "--until-stopped", "--jobs", "1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    with storm:
        assert storm.stdout is not None
        assert "until Ctrl-C" in storm.stdout.readline()
        os.killpg(storm.pid, signal.SIGINT)  # as a terminal does: to the whole group
        out, errors = storm.communicate(timeout=60)
    assert "Traceback" not in errors
    assert out.splitlines()[-1].startswith("seeds ")
