"""`roostctl verify`: proves what it says it proves, fails when it has to, and says what is wrong with its arguments."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ctl.command import main
from ctl.disk import MEMORY, file_system
from simulation import IDLE, Faults, Scenario
from simulation.storm import SEEDS_ENOUGH
from tests.architecture.house import ROOT
from tests.simulation.hasty import HASTY, PROMISE

SHORT = Scenario(accepted_min=0, faults=Faults(storm_s=5.0))
FINE = Scenario(
    people=(IDLE,),
    nodes=1,
    accepted_min=0,
    has_night=False,
    faults=Faults(storm_s=0.1, mean={}, deaths_min=0, count_min=0),
)
LAST_LINE = re.compile(
    r"seeds (\d+), clusters \d+, simulated hours \d+\.\d, faults \d+, accepted \d+, delivered \d+, "
    r"lost (\d+), shown twice 0, out of order 0"
)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["verify", "--seeds", "none"], "'none' is no such number: give a whole one from 1 to"),
        (["verify", "--seeds", "0"], "'0' is no such number"),
        (["verify", "--from", "-3"], "'-3' is no seed: give a whole number from 0 on, or \"random\"."),
        (["verify", "--jobs", "4000"], "'4000' is no number of runs at once: give one from 1 to 1024."),
        (["verify", "--rounds", "3"], "--rounds belongs to a real node: add --real, or leave out --rounds."),
        (["verify", "--seed", "3"], "--seed belongs to a real node: add --real, or leave out --seed."),
        (["verify", "--real", "--seed", "x"], "'x' is no seed"),
        (["verify", "--real", "--seeds", "3"], "--seeds belongs to a simulation: leave --real out"),
        (["prove"], "invalid choice: 'prove'"),
    ],
)
def test_wrong_arguments_are_told_in_a_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_no_words_at_all_are_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "verify" in capsys.readouterr().err


@pytest.mark.slow
def test_when_every_invariant_holds_the_last_line_counts_and_the_status_is_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["verify", "--seeds", "4", "--from", "20", "--jobs", "2"], SHORT) == 0
    lines = capsys.readouterr().out.splitlines()
    found = LAST_LINE.fullmatch(lines[-1])
    assert found is not None, lines[-1]
    assert found.groups() == ("4", "0")


@pytest.mark.slow
def test_seeds_enough_that_met_no_weather_prove_too_little_and_the_status_is_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["verify", "--jobs", "2", "--seeds"]
    assert main([*arguments, "2"], FINE) == 0
    assert "  never: a node leaves without a word" in capsys.readouterr().out.splitlines()
    assert main([*arguments, str(SEEDS_ENOUGH)], FINE) == 1
    assert f"this proves too little: {SEEDS_ENOUGH} seeds" in capsys.readouterr().out


@pytest.mark.slow
def test_a_server_that_breaks_a_promise_is_told_with_its_replay_and_the_status_is_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["verify", "--seeds", "2", "--from", "2", "--jobs", "1"], HASTY) == 1
    lines = capsys.readouterr().out.splitlines()
    assert f"seed 2 broke: {PROMISE}" in lines
    assert any(line.startswith("timeline") for line in lines)
    assert "seen = replay(2, scenario, plan)" in lines
    found = LAST_LINE.fullmatch(lines[-1])
    assert found is not None, lines[-1]
    assert int(found[2]) >= 1


@pytest.mark.slow
def test_it_runs_without_what_only_tests_need() -> None:
    bare = (
        "import sys\n"
        "for name in ('psutil', 'pykka', 'pytest', 'hypothesis', 'msgpack'):\n"
        "    sys.modules[name] = None\n"
        "from ctl.command import main\n"
        "sys.exit(main(['verify', '--seeds', '1', '--jobs', '1']) if __name__ == '__main__' else 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", bare], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert LAST_LINE.fullmatch(ended.stdout.splitlines()[-1])


@pytest.mark.crash
@pytest.mark.slow
def test_a_real_node_survives_its_kills_and_the_last_line_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--real", "--rounds", "3"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    seed = re.fullmatch(r"3 kills of a real node under load: --rounds 3 --seed (\d+)", first)
    assert seed is not None, first
    found = re.fullmatch(
        r"kills 3, real hours \d\.\d\d, accepted (\d+), delivered (\d+), lost 0, shown twice 0, out of order 0", last
    )
    assert found is not None, last
    assert int(found[1]) == int(found[2]) > 0


@pytest.mark.crash
@pytest.mark.slow
def test_the_seed_of_a_real_run_is_taken_and_a_folder_in_memory_is_no_disk() -> None:
    if file_system(Path("/dev/shm")) not in MEMORY:
        pytest.skip("there is no folder in memory here")
    ended = subprocess.run(
        [sys.executable, "-m", "ctl", "verify", "--real", "--rounds", "1", "--seed", "4711"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": "/dev/shm"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.startswith("1 kills of a real node under load: --rounds 1 --seed 4711\n")
    assert "/dev/shm is a tmpfs, which lives in memory: this proves nothing of a disk. Point TMPDIR" in ended.stderr
