"""Who should have a shard, and what a node makes of what the others say."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.placement.api import Gone, Holdings, Place
from actors.placement.logic import Atlas, decode_places, encode_places
from cluster import rendezvous
from protocol.ids import SHARDS as ALL
from storage import StoreCorruptError

SHARDS = range(64)
ABC = {"a": 1.0, "b": 1.0, "c": 1.0}


def says(node: str, shards: dict[int, int] | None = None, **more: object) -> Holdings:
    facts: dict[str, object] = {"leaving": {}, "gone": {}, "places": {}}
    return Holdings(node, shards or {}, **(facts | more))  # type: ignore[arg-type]


def test_free_shards_are_claimed_by_those_who_should_have_them_once_all_have_spoken() -> None:
    atlases = {node: Atlas(node, ABC, {}) for node in ABC}
    for node, atlas in atlases.items():
        others = sorted(ABC.keys() - {node})
        atlas.hear(says(others[0]))
        assert atlas.claims(SHARDS) == []
        atlas.hear(says(others[1]))
    claimed = [shard for atlas in atlases.values() for shard in atlas.claims(SHARDS)]
    assert sorted(claimed) == list(SHARDS)


def test_what_somebody_has_or_ever_had_is_claimed_by_nobody() -> None:
    atlas = Atlas("a", ABC, {})
    mine = [shard for shard in SHARDS if rendezvous(shard, ABC) == "a"]
    held, remembered = mine[0], mine[1]
    atlas.hear(says("b", {held: 3}, places={remembered: Place("a", 7)}))
    atlas.hear(says("c"))
    assert atlas.claims(SHARDS) == mine[2:]
    assert atlas.missing(says("a", dict.fromkeys(mine[2:], 1))) == [remembered]


def test_hearsay_is_news_too_and_older_hearsay_is_none() -> None:
    atlas = Atlas("a", ABC, {})
    assert atlas.hear(says("b", {1: 3}, places={2: Place("c", 5)})) == {1, 2}
    assert atlas.hear(says("c", {2: 5})) == set()
    assert atlas.places == {1: Place("b", 3), 2: Place("c", 5)}
    assert atlas.hear(says("c", places={1: Place("b", 2), 2: Place("b", 4)})) == set()


def test_a_node_that_was_away_has_to_speak_again_before_anybody_claims() -> None:
    atlas = Atlas("a", ABC, {})
    atlas.hear(says("b"))
    atlas.hear(says("c"))
    atlas.lose("c")
    assert atlas.claims(SHARDS) == []


def test_a_shard_that_is_leaving_or_gone_is_not_missed() -> None:
    atlas = Atlas("a", ABC, {1: Place("b", 1), 2: Place("b", 1), 3: Place("b", 1)})
    assert atlas.missing(says("b", {1: 2}, leaving={2: b"t"})) == [3]
    assert atlas.missing(says("b", {1: 2}, leaving={2: b"t"}, gone={3: Gone("c", b"t", 1)})) == []


def test_a_shard_on_its_way_is_its_nodes_for_those_who_have_never_heard_of_it() -> None:
    """Otherwise a new node, to which it speaks for the first time just then, would claim an empty one."""
    atlas = Atlas("a", ABC, {})
    places = {1: Place("b", 4), 2: Place("b", 5), 3: Place("b", 6)}
    assert atlas.hear(says("b", leaving={1: b"t"}, gone={2: Gone("c", b"t", 5)}, places=places)) == {1, 2}
    assert atlas.places == {1: Place("b", 4), 2: Place("b", 5)}


def test_hearsay_accuses_nobody_until_the_node_has_said_so_itself() -> None:
    """Found by the simulator (seed 49 of a cluster): what the third one told was newer than what the node had said."""
    atlas = Atlas("a", ABC, {})
    atlas.hear(says("b", places={8: Place("c", 1)}))
    assert atlas.missing(says("c")) == []
    atlas.hear(says("c", {8: 1}))
    assert atlas.missing(says("c")) == [8]


def test_shards_of_nodes_that_are_not_named_any_more_are_orphans() -> None:
    assert Atlas("a", ABC, {1: Place("z", 1), 2: Place("b", 1)}).orphans() == {1: "z"}


@given(st.lists(st.tuples(st.sampled_from("bc"), st.integers(0, 3), st.integers(1, 5)), max_size=20), st.randoms())
def test_the_highest_epoch_wins_in_whatever_order_it_is_heard(said: list[tuple[str, int, int]], chance: object) -> None:
    atlas, other = Atlas("a", ABC, {}), Atlas("a", ABC, {})
    shuffled = list(said)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    for target, order in ((atlas, said), (other, shuffled)):
        for node, shard, epoch in order:
            target.hear(says(node, {shard: epoch}))
    assert atlas.places == other.places
    for _, shard, epoch in said:
        assert atlas.places[shard].epoch >= epoch


def test_what_is_remembered_comes_back_and_a_shard_or_an_epoch_that_cannot_be_is_damage() -> None:
    places = {0: Place("a", 1), ALL - 1: Place("gone", 7)}
    assert decode_places(encode_places(places)) == places
    assert decode_places(None) == {}
    wrong_ones: list[object] = [{ALL: ("a", 1)}, {-1: ("a", 1)}, {1: ("a", -1)}, {1: ("a",)}, {1: (1, 1)}, []]
    for wrong in wrong_ones:
        with pytest.raises(StoreCorruptError):
            decode_places(msgspec.msgpack.encode(wrong))
