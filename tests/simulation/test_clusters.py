"""Nodes that are linked, in the weather: links come and go, and what spans them goes on whole or ends for both."""

from __future__ import annotations

from simulation import BETWEEN_NODES, Scenario, Summary, attempt

SEEDS = 8


def test_what_spans_two_nodes_is_told_of_every_break() -> None:
    summary = Summary()
    for seed in range(SEEDS):
        summary.add(attempt(seed, Scenario(cluster=True)))
    assert summary.violations == []
    assert set(BETWEEN_NODES) <= set(summary.coverage.faults)
    for branch in ("a link comes up again", "a node is linked in another life", "a link ends: SILENT"):
        assert summary.coverage.branches[branch], branch
