"""Nodes that are linked, in the weather: links come and go, and what spans them goes on whole or ends for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import Actor
from simulation import BETWEEN_NODES, IDLE, Scenario, Summary, World, attempt
from simulation.checkers.ownership import FormerOwnersAreFenced, RunAtOneNode

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = 8


def test_what_spans_two_nodes_is_told_of_every_break() -> None:
    summary = Summary()
    for seed in range(SEEDS):
        summary.add(attempt(seed, Scenario(cluster=True)))
    assert summary.violations == []
    assert set(BETWEEN_NODES) <= set(summary.coverage.faults)
    for branch in ("a link comes up again", "a node is linked in another life", "a link ends: SILENT"):
        assert summary.coverage.branches[branch], branch


def test_a_shard_that_two_nodes_run_is_objected_to(tmp_path: Path) -> None:
    world = World(1, Scenario(people=(IDLE, IDLE), cluster=True, nodes=3), [], tmp_path)
    for node in world.nodes:
        node.boot()
    world._pass(5.0)
    here, there = world.nodes[:2]
    shard = here.shards[0]
    assert [*here.shards, *there.shards, *world.nodes[2].shards].count(shard) == 1
    there.runtime.start(Actor(), name=("shard", shard))
    assert {error.invariant for error in world.witness.broken} == {RunAtOneNode.name}
    world.witness.broken.clear()
    (fenced,) = (it for it in world.witness.checkers if isinstance(it, FormerOwnersAreFenced))
    fenced.written(there, 1, shard, fenced=False)
    assert {error.invariant for error in world.witness.broken} == {FormerOwnersAreFenced.name}
    for device in world.devices:
        device.close()
