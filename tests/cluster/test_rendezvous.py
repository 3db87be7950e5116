"""The draw: the same everywhere and for ever, fair by weight, and moving no more than it must."""

from __future__ import annotations

from collections import Counter

from cluster import rendezvous

KEYS = range(3_000)


def test_who_has_what_never_changes_with_the_code() -> None:
    nodes = dict.fromkeys("abc", 1.0)
    assert "".join(rendezvous(shard, nodes) for shard in range(32)) == "abaaccbbbcabbcaaccbaabbaaccccaba"
    assert rendezvous("5", nodes) == rendezvous(5, nodes)


def test_each_node_gets_its_share_by_weight() -> None:
    shares = Counter(rendezvous(key, {"a": 1.0, "b": 1.0, "c": 2.0}) for key in KEYS)
    assert 0.22 < shares["a"] / len(KEYS) < 0.28
    assert 0.46 < shares["c"] / len(KEYS) < 0.54


def test_a_new_node_takes_its_share_and_nothing_else_moves() -> None:
    before, after = dict.fromkeys("abc", 1.0), dict.fromkeys("abcd", 1.0)
    moved = [key for key in KEYS if rendezvous(key, before) != rendezvous(key, after)]
    assert {rendezvous(key, after) for key in moved} == {"d"}
    assert 0.22 < len(moved) / len(KEYS) < 0.28
