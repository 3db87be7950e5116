"""The real code in the weather: every invariant holds under every seed, and the weather was bad enough to say so.

`ROOST_SEED` moves the block of seeds elsewhere; `make storm` runs seeds until stopped. What breaks is told with the
shortest plan, a timeline and the command that shows it again.
"""

from __future__ import annotations

import pytest

from simulation import BETWEEN_NODES, SOMETIMES, SOMETIMES_BETWEEN_NODES, Faults, Scenario, Summary, inquest, storm

SEEDS = 60
CLUSTERS = 15

JOBS = 4
"""Seeds at once: more than the two processors of which the other half of the suite wants its share."""

DENSE = Faults(storm_s=70.0)
"""As many faults as ever in less time: a seed is some 620 accepted messages instead of 690, of which 500 are asked."""


def run(seeds: range, scenario: Scenario) -> Summary:
    """What many seeds come to; the first that breaks an invariant is told in full."""
    summary = Summary()
    for outcome in storm(seeds, scenario, jobs=JOBS):
        summary.add(outcome)
    print(summary)
    if summary.violations:
        pytest.fail("\n".join(inquest(summary.violations[0], scenario)), pytrace=False)
    assert summary.meagre == [], "a seed is at least 500 accepted messages, 20 faults and two deaths of a node"
    return summary


@pytest.mark.slow
def test_every_invariant_holds_under_every_seed_and_every_rare_branch_was_reached(seed: int) -> None:
    scenario = Scenario(cluster=False, faults=DENSE)
    summary = run(range(seed, seed + SEEDS), scenario)
    assert summary.coverage.missing(SOMETIMES, scenario.faults.mean) == [], "no run reached these"


@pytest.mark.slow
def test_every_invariant_holds_in_clusters_and_every_rare_branch_between_nodes_was_reached(seed: int) -> None:
    summary = run(range(seed, seed + CLUSTERS), Scenario(cluster=True, faults=DENSE))
    assert summary.clusters == CLUSTERS
    assert summary.coverage.missing(SOMETIMES_BETWEEN_NODES, BETWEEN_NODES) == [], "no run reached these"
