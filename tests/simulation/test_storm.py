"""Many seeds over processes: each is counted once, what fails is kept, and leaving ends the processes."""

from __future__ import annotations

import multiprocessing
from itertools import count

import pytest

from simulation import (
    CHECKERS,
    SOMETIMES,
    SOMETIMES_BETWEEN_NODES,
    Coverage,
    Faults,
    Outcome,
    Report,
    Scenario,
    Summary,
    Violation,
    attempt,
    storm,
)
from simulation.storm import CLUSTERS_ENOUGH, COUNTED, SEEDS_ENOUGH, VIOLATIONS_KEPT_MAX
from tests.simulation.hasty import HASTY, PROMISE

SHORT = Scenario(accepted_min=0, faults=Faults(storm_s=5.0))


def ending(outcome: Outcome) -> tuple[str | None, Violation | None]:
    return outcome.report.digest if outcome.report is not None else None, outcome.violation


def broken(seed: int, invariant: str) -> Outcome:
    return Outcome(seed, None, Violation(seed, invariant, "a story", 3_600.0))


@pytest.mark.slow
def test_every_seed_is_run_once_and_gives_what_it_gives_alone() -> None:
    outcomes = {outcome.seed: outcome for outcome in storm(range(10, 16), SHORT, jobs=2)}
    assert sorted(outcomes) == list(range(10, 16))
    assert ending(outcomes[12]) == ending(attempt(12, SHORT))


@pytest.mark.slow
def test_a_violation_keeps_its_seed_and_story_and_the_others_go_on() -> None:
    outcomes = list(storm(range(3), HASTY, jobs=2))
    violations = [outcome.violation for outcome in outcomes]
    assert sorted(it.seed for it in violations if it is not None) == [0, 1, 2]
    assert all(it is not None and it.invariant == PROMISE and "was told that number" in it.story for it in violations)


@pytest.mark.slow
def test_who_leaves_an_endless_storm_leaves_no_process_behind() -> None:
    for _ in storm(count(), SHORT, jobs=2):
        break
    assert multiprocessing.active_children() == []


def test_the_last_line_counts() -> None:
    summary = Summary()
    coverage = Coverage()
    coverage.struck("node dies")
    summary.add(
        Outcome(1, Report(1, accepted=500, delivered=900, simulated_s=5_400.0, faults=20, coverage=coverage), None)
    )
    assert summary.all_is_well
    assert str(summary) == (
        "seeds 1, clusters 0, simulated hours 1.5, faults 20, accepted 500, delivered 900, "
        "lost 0, shown twice 0, out of order 0"
    )
    for seed, invariant in enumerate(("promise 2: x", "promise 1: x", "promise 3: x", "promise 4: x", "receipts"), 2):
        summary.add(broken(seed, invariant))
    assert not summary.all_is_well
    assert str(summary).endswith("lost 2, shown twice 1, out of order 1, broken otherwise 1")
    assert summary.coverage.faults["node dies"] == 1


def everything_but(*left_out: str) -> Coverage:
    coverage = Coverage()
    coverage.branches.update(set(SOMETIMES) - set(left_out))
    coverage.faults.update(set(Faults().mean) - set(left_out))
    return coverage


@pytest.mark.parametrize("left_out", ["a read fails", "read fails"])
def test_what_enough_seeds_never_reached_makes_them_prove_too_little(left_out: str) -> None:
    summary, coverage = Summary(), everything_but(left_out)
    for seed in range(SEEDS_ENOUGH):
        assert not summary.proves_too_little(Scenario())
        summary.add(Outcome(seed, Report(seed, accepted=500, faults=20, deaths=2, coverage=coverage), None))
    assert summary.proves_too_little(Scenario())
    assert summary.all_is_well
    assert summary.gaps(Scenario()) == [left_out]
    assert summary.doubts(Scenario())[0] == f"  never: {left_out}"
    assert summary.doubts(Scenario())[1].startswith(f"this proves too little: {SEEDS_ENOUGH} seeds")
    summary.coverage.add(everything_but())
    assert not summary.proves_too_little(Scenario())
    assert summary.doubts(Scenario()) == []


def test_clusters_enough_have_to_reach_what_is_between_nodes() -> None:
    summary = Summary()
    for seed in range(CLUSTERS_ENOUGH):
        assert not summary.proves_too_little(Scenario())
        report = Report(seed, accepted=500, faults=20, deaths=2, nodes=3, coverage=everything_but())
        summary.add(Outcome(seed, report, None))
    assert summary.proves_too_little(Scenario())
    assert set(summary.gaps(Scenario())) == {*SOMETIMES_BETWEEN_NODES, *Faults().between}


def test_no_branch_is_asked_for_twice() -> None:
    names = (*SOMETIMES, *SOMETIMES_BETWEEN_NODES)
    assert len(set(names)) == len(names)


def test_seeds_that_prove_less_than_a_seed_should_are_named() -> None:
    summary = Summary()
    for seed, (accepted, faults, deaths) in enumerate(((499, 20, 2), (500, 19, 2), (500, 20, 1), (500, 20, 2))):
        report = Report(seed, accepted=accepted, faults=faults, deaths=deaths, restarts=3)
        summary.add(Outcome(seed, report, None))
    assert summary.doubts(Scenario())[-1] == (
        "meagre seeds, with fewer than 500 messages, 20 faults or 2 deaths of a node: 3 (seed 0, 1, 2)"
    )


def test_what_is_kept_of_violations_is_bounded() -> None:
    summary = Summary()
    for seed in range(10 * VIOLATIONS_KEPT_MAX):
        summary.add(broken(seed, "promise 2: x"))
    assert len(summary.violations) == VIOLATIONS_KEPT_MAX
    assert summary.seeds == summary.broken["lost"] == 10 * VIOLATIONS_KEPT_MAX


def test_every_promise_that_the_last_line_counts_has_a_checker() -> None:
    promises = {checker.name.partition(":")[0] for checker in CHECKERS}
    assert set(COUNTED) <= promises
    assert {name for name in promises if name.startswith("promise")} == set(COUNTED)


def test_an_exception_from_within_is_a_violation_that_says_where() -> None:
    try:
        [][1]
    except IndexError as error:
        violation = Violation.of(7, error)
    assert violation.seed == 7
    assert violation.invariant == "nothing raises IndexError by itself"
    assert "test_storm.py" in violation.story
