"""The draw: the same everywhere and for ever, fair by weight, and moving no more than it must."""

from __future__ import annotations

from collections import Counter

from cluster import rendezvous

MANY = range(20_000)
ABC = {"a": 1.0, "b": 1.0, "c": 1.0}


def test_each_node_gets_its_weight_of_the_shards() -> None:
    counts = Counter(rendezvous(shard, {"a": 1.0, "b": 2.0, "c": 0.5}) for shard in MANY)
    for node, weight in (("a", 1.0), ("b", 2.0), ("c", 0.5)):
        assert abs(counts[node] / len(MANY) - weight / 3.5) < 0.02


def test_a_node_that_is_added_takes_its_share_and_nothing_else_moves() -> None:
    before = {shard: rendezvous(shard, ABC) for shard in MANY}
    after = {shard: rendezvous(shard, {**ABC, "d": 1.0}) for shard in MANY}
    moved = [shard for shard in MANY if before[shard] != after[shard]]
    assert {after[shard] for shard in moved} == {"d"}
    assert abs(len(moved) / len(MANY) - 1 / 4) < 0.02


def test_the_draw_is_the_same_for_ever() -> None:
    assert "".join(rendezvous(shard, ABC) for shard in range(16)) == "abaaccbbbcabbcaa"
    assert rendezvous("5", ABC) == rendezvous(5, ABC)
    assert "".join(rendezvous(name, ABC) for name in ("sweeper", "archivist", "auditor")) == "bca"
