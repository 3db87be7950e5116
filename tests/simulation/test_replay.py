"""A seed names a run exactly: in another process, under another hash order, with its plan spelt out."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from simulation import Faults, Scenario, World, run
from tests.architecture.house import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = (1, 2, 5)
TELL = """
import sys
from pathlib import Path
from simulation import Scenario, World

world = World(int(sys.argv[1]), Scenario(), None, Path(sys.argv[2]))
try:
    world.run()
except Exception as error:
    world.log(f"ended by {error!r}")
print("\\n".join(world.lines))
"""


def told(seed: int, folder: Path, hash_seed: str) -> list[str]:
    """What a process of its own logs of a run."""
    folder.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", TELL, str(seed), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        check=True,
        capture_output=True,
        text=True,
    )
    return ended.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_two_processes_with_different_hash_orders_tell_the_same_story(seed: int, tmp_path: Path) -> None:
    one, other = told(seed, tmp_path / "one", "0"), told(seed, tmp_path / "other", "4711")
    differences = [(number, *pair) for number, pair in enumerate(zip_longest(one, other), 1) if pair[0] != pair[1]]
    assert differences[:3] == []
    assert len(one) > 1_000


def test_a_plan_that_is_spelt_out_replays_what_the_seed_drew() -> None:
    scenario = Scenario(accepted_min=0, faults=Faults(storm_s=20.0))
    drawn = run(3, scenario)
    assert run(3, scenario, scenario.faults.plan(3)).digest == drawn.digest
    assert run(3, scenario, []).digest != drawn.digest


def test_the_digest_is_the_same_whether_lines_are_kept_or_not(tmp_path: Path) -> None:
    scenario = Scenario(accepted_min=0, faults=Faults(storm_s=5.0))
    for name in ("kept", "dropped"):
        (tmp_path / name).mkdir()
    kept = World(2, scenario, None, tmp_path / "kept")
    dropped = World(2, scenario, None, tmp_path / "dropped", keep_lines=False)
    assert kept.run().digest == dropped.run().digest
    assert kept.lines
    assert not dropped.lines
