"""The checkers can fail: believable bugs, planted one at a time, are found in few seeds.

Each bug names the invariants that it breaks. A seed that fails otherwise (a crash, another invariant) does not count.
Print who finds what, and in which seed: `pytest tests/simulation/test_planted_bugs.py -s`.
"""

from __future__ import annotations

from typing import Final

import pytest

from simulation import InvariantError, run
from simulation.checkers import CHECKERS
from simulation.world import SETTLED
from tests.simulation.planted.catalogue import PLANTED

SEEDS_MAX: Final = 30
PLANTED_MIN: Final = 20


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_the_simulator_finds_a_planted_bug(name: str) -> None:
    bug = PLANTED[name]
    for seed in range(1, SEEDS_MAX + 1):
        try:
            run(seed, bug.scenario)
        except InvariantError as error:
            if error.invariant in bug.invariants:
                print(f"{name}: seed {seed}, {error}")
                return
            print(f"{name}: seed {seed} shows something else, {error}")
        except Exception as error:  # a crash that the bug has led to is no proof of a checker
            print(f"{name}: seed {seed} crashes, {type(error).__name__}: {error}")
    pytest.fail(f"{name}: not found in {SEEDS_MAX} seeds")


def test_there_are_enough_bugs_and_each_names_invariants_that_exist() -> None:
    assert len(PLANTED) >= PLANTED_MIN
    known = {checker.name for checker in CHECKERS} | {SETTLED}
    for name, bug in PLANTED.items():
        assert bug.invariants, name
        assert bug.invariants <= known, name
