"""What the simulator's last line says, as the bench reads it."""

from __future__ import annotations

import pytest

from bench.weather import SEEDS, broken
from simulation import Summary

WELL = "accepted 5, delivered 9, lost 0, shown twice 0, out of order 0"


def test_runs_in_which_anything_broke_are_counted() -> None:
    summary = Summary(seeds=SEEDS)
    assert broken(str(summary)) == 0
    summary.broken.update({"lost": 2, "twice": 1, "order": 1, "else": 3})
    assert broken(str(summary)) == 7


@pytest.mark.parametrize("line", ["", f"seeds 999, clusters 0, {WELL}", f"seeds {SEEDS}, clusters 0", "Traceback"])
def test_a_run_that_came_to_no_end_has_no_figure(line: str) -> None:
    with pytest.raises(ValueError, match="did not come to its end"):
        broken(line)
