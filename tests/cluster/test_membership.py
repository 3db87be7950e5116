"""Who is up, as whoever asked is told; and what the links do with those who are nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from cluster import (
    MEMBERSHIP,
    LinkCode,
    Links,
    ListNodes,
    MessageTable,
    NodeDown,
    NodeRefused,
    NodeUp,
    Subscribe,
    Unsubscribe,
)
from cluster import frames as f
from cluster.groups import GROUPS
from cluster.links import LINKS
from cluster.network import Accepted, DialFailed, Received
from cluster.sockets import SocketNetwork
from cluster.translation import Translation
from runtime import KILLED, Crash, StartError
from tests.cluster.messages import registered
from tests.cluster.test_session import identity
from tests.cluster.world import End, World

if TYPE_CHECKING:
    from runtime import Message
    from tests.runtime.cast import Puppet


def tell(world: World, node: str, message: Message, name: str = MEMBERSHIP) -> None:
    pid = world.runtimes[node].whereis(name)
    assert pid is not None
    assert world.runtimes[node].cast(pid, message)
    world.settle()


def changes(puppet: Puppet) -> list[str]:
    return [f"{type(change).__name__} {change.node}" for change in puppet.heard]


def test_a_subscriber_hears_of_who_is_up_and_of_every_change_until_it_ends(seed: int) -> None:
    world = World(seed, "abc")
    world.wait(1.0)
    puppet, other = world.puppet("a"), world.puppet("a")
    for _ in range(2):
        tell(world, "a", Subscribe(puppet.pid))
    tell(world, "a", Subscribe(other.pid))
    assert sorted(changes(puppet)) == ["NodeUp b", "NodeUp c"]
    tell(world, "a", Unsubscribe(other.pid))
    tell(world, "a", Unsubscribe(other.pid))
    world.kill("b")
    world.settle()
    assert changes(puppet)[2:] == ["NodeDown b"]
    assert len(other.heard) == 2
    world.play(puppet, lambda process: process.stop())
    world.bear("b")
    world.wait(2.0)
    assert len(puppet.heard) == 3


def test_the_nodes_can_be_listed(seed: int) -> None:
    world = World(seed, "abc")
    world.wait(1.0)
    world.kill("c")
    world.settle()
    puppet = world.puppet("a")
    pid = world.runtimes["a"].whereis(MEMBERSHIP)
    assert pid is not None
    world.play(puppet, lambda process: process.call(pid, ListNodes()))
    statuses = puppet.heard[0].value
    assert [(status.node, status.is_up, type(status.last)) for status in statuses] == [
        ("b", True, NodeUp),
        ("c", False, NodeDown),
    ]


def test_links_that_were_killed_are_down_for_subscribers_before_others_are_up(seed: int) -> None:
    """Found by the simulator (seed 223 of a cluster): a shard never asked again for what was lost with them."""
    world = World(seed, "ab")
    world.wait(1.0)
    puppet = world.puppet("a")
    tell(world, "a", Subscribe(puppet.pid))
    links = world.runtimes["a"].whereis(LINKS)
    assert links is not None
    world.runtimes["a"].exit(links, KILLED)
    world.wait(10.0)
    assert changes(puppet) == ["NodeUp b", "NodeDown b", "NodeUp b"]
    assert [type(change) for change in world.told["a"]] == [NodeUp, NodeDown, NodeUp]


def test_a_membership_that_was_killed_knows_who_is_up_when_it_is_back(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    pid = world.runtimes["a"].whereis(MEMBERSHIP)
    assert pid is not None
    world.runtimes["a"].exit(pid, KILLED)
    world.settle()
    puppet = world.puppet("a")
    tell(world, "a", Subscribe(puppet.pid))
    assert changes(puppet) == ["NodeUp b"]
    assert world.are_linked("a", "b")


@pytest.mark.parametrize("name", [MEMBERSHIP, GROUPS])
@pytest.mark.parametrize("verb", ["cast", "call"])
def test_what_nobody_understands_ends_the_actor_and_it_comes_back(seed: int, name: str, verb: str) -> None:
    world = World(seed)
    world.wait(1.0)
    puppet, pid = world.puppet("a"), world.runtimes["a"].whereis(name)
    assert pid is not None
    world.play(puppet, lambda process: getattr(process, verb)(pid, 1.5))
    world.wait(1.0)
    assert world.runtimes["a"].whereis(name) not in (None, pid)


@pytest.mark.parametrize("name", [MEMBERSHIP, GROUPS, "cluster.links"])
def test_an_info_that_nobody_understands_is_ignored_and_counted(seed: int, name: str) -> None:
    world = World(seed)
    world.wait(1.0)
    pid = world.runtimes["a"].whereis(name)
    assert pid is not None
    world.runtimes["a"].send(pid, "what?")
    world.settle()
    assert world.runtimes["a"].statistics().ignored == 1


def test_links_of_another_node_or_another_life_do_not_start(seed: int) -> None:
    world = World(seed, start=False)
    world.bear("b")
    links = Links(identity("a"), registered(MessageTable()), SocketNetwork(), lambda change: None)
    with pytest.raises(StartError) as caught:
        world.runtimes["b"].start(links)
    assert isinstance(caught.value.reason, Crash)
    assert "cannot be linked as a" in str(caught.value.reason.exception)


def test_of_too_many_who_are_being_heard_the_one_that_took_longest_goes(seed: int) -> None:
    world = World(seed, start=False)
    world.bear("a")
    world.settle()
    silent = []
    for _ in range(66):
        end, stranger = End(world, "a", world.wires["a"].tell or bool), End(world, "x", lambda event: True)
        end.other, stranger.other = stranger, end
        end.tell(Accepted(end))
        silent.append(end)
    world.settle()
    assert [end.is_open for end in silent] == [False] * 2 + [True] * 64
    world.bear("b")
    world.wait(1.0)
    assert world.are_linked("a", "b")
    world.wait(6.0)
    assert not any(end.is_open for end in silent)


def test_strangers_that_knock_all_the_time_are_reported_once_a_second(seed: int) -> None:
    world = World(seed, start=False)
    world.bear("a")
    for _ in range(100):
        end = End(world, "a", world.wires["a"].tell or bool)
        end.other = End(world, "x", lambda event: True)
        end.other.other = end
        end.tell(Accepted(end))
        end.tell(Received(end, b"GET / HTTP/1.1"))
        world.wait(0.02)
    assert 2 <= len(world.told["a"]) <= 3
    assert {change.code for change in world.told["a"] if isinstance(change, NodeRefused)} == {LinkCode.JUNK}


def test_an_answer_to_a_dial_that_was_given_up_is_closed(seed: int) -> None:
    world = World(seed)
    world.wait(1.0)
    links = world.actor("a", "cluster.links")
    links.handle_cast(DialFailed(999, "late"))
    world.block("a", "b")
    world.cut(world.lines()[0])
    world.wait(20.0)
    world.blocked.clear()
    world.wait(8.0)
    assert world.are_linked("a", "b")
    assert len(world.lines()) == 2


class Deep(msgspec.Struct, array_like=True):
    """A type that may hold itself."""

    inside: Deep | None = None


def test_a_message_nested_too_deep_is_dropped_and_harms_no_link(seed: int) -> None:
    world = World(seed)
    table = MessageTable()
    table.register(Deep, 40)
    translation = Translation(world.runtimes["a"], table)
    translation.receive_post(f.PostFrame(0, 1, 40, msgspec.Raw(b"\x91" * 50_000 + b"\xc0")))
    assert translation.unreadable == 1
