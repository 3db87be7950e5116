"""The checkers can fail: believable bugs, planted one at a time, are found in few seeds.

Each bug names the invariants that it breaks. A seed that fails otherwise (a crash, another invariant) does not count.
With the real parts the same seed has to hold in the same weather, or it was not the bug that was found; that is tried
once for each kind of weather, since each such run takes longer than to find a bug.
Print who finds what, and in which seed: `pytest tests/simulation/test_planted_bugs.py -s`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from simulation import InvariantError, Scenario, run
from simulation.checkers import CHECKERS
from simulation.world import SETTLED
from tests.simulation.planted.catalogue import PLANTED

SEEDS_MAX: Final = 30
PLANTED_MIN: Final = 20


def weather(scenario: Scenario) -> tuple[bool, bool, bool]:
    """What distinguishes a bug's world from those of the usual seeds."""
    usual = Scenario()
    return bool(scenario.cluster), scenario.sizes is not None, scenario.faults != usual.faults


def sound(scenario: Scenario) -> Scenario:
    """The same world without its bug."""
    real = Scenario()
    return replace(
        scenario,
        parts=real.parts,
        runtime=real.runtime,
        store=real.store,
        session=real.session,
        database=real.database,
        foreign=real.foreign,
    )


CONTROLLED: Final = {weather(bug.scenario): name for name, bug in reversed(PLANTED.items())}
"""By kind of weather: the first bug that is planted in such."""


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
                if name in CONTROLLED.values():
                    run(seed, sound(bug.scenario))
                return
            print(f"{name}: seed {seed} shows something else, {error}")
        except Exception as error:  # a crash that the bug has led to is no proof of a checker
            print(f"{name}: seed {seed} crashes, {type(error).__name__}: {error}")
    pytest.fail(f"{name}: not found in {SEEDS_MAX} seeds")


def test_without_its_bug_a_world_is_one_of_real_parts_in_the_same_weather() -> None:
    assert len(CONTROLLED) >= 4
    for bug in PLANTED.values():
        control = sound(bug.scenario)
        assert control != bug.scenario
        assert weather(control) == weather(bug.scenario)
        assert replace(
            control, people=None, nodes=0, sizes=None, accepted_min=500, cluster=None, seals=None
        ) == Scenario(faults=bug.scenario.faults)


def test_there_are_enough_bugs_and_each_names_invariants_that_exist() -> None:
    assert len(PLANTED) >= PLANTED_MIN
    known = {checker.name for checker in CHECKERS} | {SETTLED}
    for name, bug in PLANTED.items():
        assert bug.invariants, name
        assert bug.invariants <= known, name
