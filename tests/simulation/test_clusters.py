"""Worlds whose nodes are one cluster: which seeds have them, and what no checker would let pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime import Actor
from simulation import IDLE, Scenario, World
from simulation.checkers.ownership import FormerOwnersAreFenced, RunAtOneNode

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_part_of_the_seeds_are_clusters_and_a_scenario_may_insist() -> None:
    drawn = [seed for seed in range(400) if Scenario().is_cluster(seed)]
    assert 30 <= len(drawn) <= 75
    assert not any(Scenario(nodes=2).is_cluster(seed) for seed in drawn)
    assert all(Scenario(cluster=True).is_cluster(seed) for seed in range(40))
    assert not any(Scenario(cluster=False).is_cluster(seed) for seed in drawn)
