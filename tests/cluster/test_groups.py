"""Process groups: everywhere the same once word has arrived, after anything."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import GroupNameError, Groups, GroupsFullError, LinkLimits, NotAMemberError
from cluster import groups as groups_module
from cluster.groups import GROUPS
from runtime import KILLED
from tests.cluster.world import World


def test_members_of_all_nodes_are_seen_on_all_nodes(seed: int) -> None:
    world = World(seed, "abc")
    world.wait(2.0)
    puppets = {node: world.puppet(node) for node in "abc"}
    for node, puppet in puppets.items():
        world.groups(node).join("office", puppet.pid)
    world.groups("a").join("office", puppets["a"].pid)
    world.settle()
    for node in "abc":
        assert sorted(pid.node for pid in world.groups(node).members("office")) == ["a", "a", "b", "c"]
        assert world.groups(node).which_groups() == ["office"]
    assert world.groups("b").local_members("office") == [puppets["b"].pid]
    world.groups("a").leave("office", puppets["a"].pid)
    world.settle()
    assert sorted(pid.node for pid in world.groups("c").members("office")) == ["a", "b", "c"]


def test_a_dead_member_leaves_all_its_groups_everywhere(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    puppet = world.puppet("a")
    for group in ("one", "two"):
        world.groups("a").join(group, puppet.pid)
    world.settle()
    assert world.groups("b").which_groups() == ["one", "two"]
    world.play(puppet, lambda process: process.stop())
    assert world.groups("a").which_groups() == world.groups("b").which_groups() == []


def test_a_member_that_left_every_group_is_watched_no_more(seed: int) -> None:
    world = World(seed)
    puppet = world.puppet("a")
    world.groups("a").join("one", puppet.pid)
    world.groups("a").leave("one", puppet.pid)
    assert puppet.process._watchers is None


def test_groups_are_apart_in_a_partition_and_one_again_after_it(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    old, new = world.puppet("a"), world.puppet("a")
    world.groups("a").join("office", old.pid)
    world.settle()
    world.block("a", "b")
    world.wait(5.0)
    assert world.groups("b").members("office") == []
    assert world.groups("a").members("office") == [old.pid]
    world.play(old, lambda process: process.stop())
    world.groups("a").join("office", new.pid)
    world.blocked.clear()
    world.wait(8.0)
    assert world.groups("b").members("office") == [new.pid]


def test_the_members_of_a_killed_node_are_gone_and_those_of_its_next_life_come(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    world.groups("b").join("office", world.puppet("b").pid)
    world.settle()
    world.kill("b")
    world.settle()
    assert world.groups("a").members("office") == []
    world.bear("b")
    again = world.puppet("b")
    world.groups("b").join("office", again.pid)
    world.wait(3.0)
    assert world.groups("a").members("office") == [again.pid]


@pytest.mark.parametrize("actor", [GROUPS, "cluster.membership"])
def test_an_actor_that_is_killed_finds_the_others_again(seed: int, actor: str) -> None:
    world = World(seed)
    world.wait(1.0)
    member = world.puppet("b")
    world.groups("b").join("office", member.pid)
    world.settle()
    pid = world.runtimes["a"].whereis(actor)
    assert pid is not None
    world.runtimes["a"].exit(pid, KILLED)
    world.wait(2.0)
    assert world.groups("a").members("office") == [member.pid]
    other = world.puppet("a")
    world.groups("a").join("office", other.pid)
    world.settle()
    assert world.groups("b").members("office") == [member.pid, other.pid]
    world.kill("b")
    world.bear("b")
    world.wait(3.0)
    assert world.groups("b").members("office") == [other.pid]


def test_many_members_are_introduced_in_parts(seed: int) -> None:
    world = World(seed, start=False)
    world.bear("a")
    puppet = world.puppet("a")
    for number in range(2_500):
        world.groups("a").join(f"group {number % 50}", puppet.pid)
    world.bear("b")
    world.wait(4.0)
    assert sum(len(world.groups("b").members(f"group {number}")) for number in range(50)) == 2_500


def test_a_peer_whose_link_was_full_is_told_everything_anew(seed: int) -> None:
    world = World(seed, limits=LinkLimits(outbound_size_bytes_max=10_000))
    world.wait(1.0)
    sender, far = world.puppet("a"), world.puppet("b")
    pid = world.seen("a", far.pid)
    world.block("a", "b")
    for _ in range(60):
        world.play(sender, lambda process: [process.cast(pid, bytes(10)) for _ in range(1000)])
    world.groups("a").join("office", sender.pid)
    world.settle()
    world.blocked.clear()
    world.settle()
    assert world.groups("b").members("office") == []
    world.wait(1.0)
    assert world.groups("b").members("office") == [sender.pid]


def test_what_cannot_be_is_refused_with_a_sentence(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(seed)
    world.wait(1.0)
    groups: Groups = world.groups("a")
    here, there = world.puppet("a"), world.puppet("b")
    with pytest.raises(GroupNameError):
        groups.join("", here.pid)
    with pytest.raises(GroupNameError):
        groups.join("x" * 256, here.pid)
    with pytest.raises(ValueError, match="it joins there"):
        groups.join("office", there.pid)
    with pytest.raises(NotAMemberError):
        groups.leave("office", here.pid)
    monkeypatch.setattr(groups_module, "MEMBERSHIPS_MAX", 1)
    groups.join("office", here.pid)
    with pytest.raises(GroupsFullError):
        groups.join("office", here.pid)
    world.play(here, lambda process: process.stop())
    groups.join("office", here.pid)
    assert groups.members("office") == []


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_after_any_weather_all_nodes_see_the_living_members(seed: int) -> None:
    world = World(seed, "abc")
    chance = world.chance
    living = {node: [world.puppet(node) for _ in range(2)] for node in "abc"}
    for _ in range(40):
        node = chance.choice("abc")
        act = chance.randrange(10)
        puppet = chance.choice(living[node])
        if act < 4:
            world.groups(node).join("office", puppet.pid)
        elif act < 6 and puppet.pid in world.groups(node).local_members("office"):
            world.groups(node).leave("office", puppet.pid)
        elif act == 6:
            world.begin(puppet, lambda process: process.stop())
            living[node].remove(puppet)
            living[node].append(world.puppet(node))
        elif act == 7 and world.lines():
            world.cut(chance.choice(world.lines()))
        elif act == 8:
            other = chance.choice([name for name in "abc" if name != node])
            world.block(node, other, both=chance.random() < 0.5)
        else:
            world.blocked.clear()
        for _ in range(chance.randrange(30)):
            world.step()
        if chance.random() < 0.3:
            world.wait(chance.random() * 3)
    world.blocked.clear()
    world.wait(12.0)
    real = sorted(repr(pid) for node in "abc" for pid in world.groups(node).local_members("office"))
    for node in "abc":
        assert sorted(map(repr, world.groups(node).members("office"))) == real
    world.close()
