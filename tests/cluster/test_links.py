"""Links between nodes: coming up, carrying, breaking, coming back."""

from __future__ import annotations

import itertools

import pytest

from cluster import LinkCode, LinkError, NodeClock, NodeDown, NodeRefused, NodeUp, Peer
from cluster.network import Accepted, Received
from cluster.session import Session
from protocol import StaticKey
from runtime import KILLED, NODEDOWN, NOPROC, SHUTDOWN, Crash, Down, Exit, Named, NoReply, RemoteCrashError, Reply
from tests.cluster.messages import Count, Note, Pair
from tests.cluster.test_session import identity
from tests.cluster.world import End, World, key_of
from tests.runtime.cast import Box, boom


def linked(seed: int, nodes: str = "ab") -> World:
    world = World(seed, nodes)
    world.wait(1.0)
    return world


@pytest.mark.parametrize("number", range(20))
def test_two_nodes_that_dial_each_other_at_once_end_with_one_link(seed: int, number: int) -> None:
    world = World(seed + number, "abc")
    world.wait(2.0)
    for one in "abc":
        assert set(world.runtimes[one].foreign.linked) == set("abc") - {one}
        assert [type(change) for change in world.told[one]] == [NodeUp, NodeUp]
    assert len(world.lines()) == 2 * 3
    world.wait(30.0)
    assert all(len(told) == 2 for told in world.told.values())


def test_actors_of_two_nodes_send_call_link_monitor_and_exit_as_in_one(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a", trap_exit=True), world.puppet("b", name="office")
    pid = world.seen("a", far.pid)
    box = Box()
    world.play(near, lambda process: (process.cast(pid, Note("hi", near.pid)), process.send(pid, Pair(1, 2))))
    assert far.heard == [Note("hi", near.pid), Pair(1, 2)]
    world.play(far, lambda process: process.cast(far.heard[0].sender, Count(7, (far.pid,))))
    assert near.heard.pop() == Count(7, (far.pid,))
    world.play(near, lambda process: process.link(pid))
    world.play(near, box.of(lambda process: (process.monitor(pid), process.call(Named("b", "office"), "wait", None))))
    world.play(far, lambda process: process.reply(far.callers[0], far.pid))
    assert near.heard == [Reply(box.value[1], pid)]
    world.play(far, boom)
    exits = [message for message in near.heard if isinstance(message, Exit)]
    downs = [message for message in near.heard if isinstance(message, Down)]
    assert [message.source for message in exits] == [pid]
    assert [message.ref for message in downs] == [box.value[0]]
    assert isinstance(exits[0].reason, Crash)
    assert isinstance(exits[0].reason.exception, RemoteCrashError)
    assert exits[0].reason.exception.kind == "ValueError"


def test_a_remote_exit_kills_and_a_name_is_found_on_the_other_node(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b", name="office", trap_exit=True)
    box = Box()
    world.play(near, box.of(lambda process: process.ask_whereis("b", "office")))
    assert near.heard == [Reply(box.value, far.pid)]
    world.play(near, lambda process: process.exit(near.heard[0].value, SHUTDOWN))
    assert far.heard == [Exit(near.pid, SHUTDOWN)]
    world.play(near, lambda process: process.exit(near.heard[0].value, KILLED))
    assert not world.runtimes["b"].is_alive(far.pid)


def test_a_reference_crosses_and_comes_back_as_itself(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b")
    box = Box()
    world.play(near, box.of(lambda process: process.send_after(1000.0, "never")))
    world.play(near, lambda process: process.cast(world.seen("a", far.pid), Note("about", near.pid, box.value)))
    note = far.heard[0]
    world.play(far, lambda process: process.cast(note.sender, note))
    assert near.heard[0].about is box.value


def test_order_between_two_actors_holds_over_thousands_of_messages(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b")
    pid = world.seen("a", far.pid)
    numbers = iter(range(3000))
    for _ in range(30):
        world.begin(near, lambda process: [process.cast(pid, number) for number in itertools.islice(numbers, 100)])
    world.settle()
    assert far.heard == list(range(3000))


@pytest.mark.parametrize("at", [1, 2, 3, 10, 34, 35, 36, 100, 130, 134, 135, 200, 260, 300, 301, 350, 400, 500, 900])
@pytest.mark.parametrize("way", [0, 1])
def test_a_line_that_is_cut_at_any_byte_is_made_again_and_nothing_hangs(seed: int, at: int, way: int) -> None:
    world = World(seed + at)
    world.clock.advance(0.01)
    world.fire_due()
    while len(world.lines()) < 2:
        assert world.step()
    world.lines()[way].cut_at = at
    near, far = world.puppet("a"), world.puppet("b")
    for _ in range(40):
        world.wait(0.25)
        world.begin(near, lambda process: process.cast(world.seen("a", far.pid), Note("x" * 20)))
    world.settle()
    assert world.are_linked("a", "b")
    assert world.are_linked("b", "a")
    assert len(world.lines()) == 2
    assert far.heard
    for told in world.told.values():
        assert [type(change) for change in told[:3:2]] == [NodeUp] * len(told[:3:2])
        assert all(type(one) is not type(other) for one, other in itertools.pairwise(told))


def test_a_cut_is_told_to_both_ends_and_links_and_monitors_across_fire(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a", trap_exit=True), world.puppet("b", trap_exit=True)
    pid = world.seen("a", far.pid)
    box = Box()
    world.play(near, lambda process: process.link(pid))
    world.play(near, box.of(lambda process: (process.monitor(pid), process.call(pid, "wait", None))))
    world.cut(world.lines()[0])
    world.settle()
    assert sorted(near.heard, key=repr) == [
        Down(box.value[0], pid, NODEDOWN),
        Exit(pid, NODEDOWN),
        NoReply(box.value[1], NODEDOWN),
    ]
    assert far.heard == [Exit(near.pid, NODEDOWN)]
    assert [change.code for change in (world.told["a"][-1], world.told["b"][-1]) if isinstance(change, NodeDown)] == [
        LinkCode.LOST,
        LinkCode.LOST,
    ]
    world.wait(2.0)
    assert world.are_linked("a", "b")
    world.play(far, lambda process: process.reply(far.callers[0], "late"))
    assert len(near.heard) == 3
    assert world.runtimes["a"].statistics().late_replies == 1


def test_a_reborn_node_is_up_with_another_life_and_its_old_processes_are_dead(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b")
    pid = world.seen("a", far.pid)
    box = Box()
    world.play(near, box.of(lambda process: process.monitor(pid)))
    world.kill("b")
    world.bear("b")
    world.wait(2.0)
    successor = world.puppet("b")
    assert successor.pid.serial == far.pid.serial
    assert near.heard == [Down(box.value, pid, NODEDOWN)]
    world.play(near, box.of(lambda process: (process.cast(pid, "old"), process.monitor(pid))))
    assert box.value[0] is False
    assert near.heard[1:] == [Down(box.value[1], pid, NOPROC)]
    assert successor.heard == []
    assert world.runtimes["a"].statistics().stale >= 1
    ups = [change.incarnation for change in world.told["a"] if isinstance(change, NodeUp)]
    assert len(set(ups)) == 2


@pytest.mark.parametrize("silently", [False, True])
def test_a_dead_node_is_told_in_time(seed: int, silently: bool) -> None:
    world = linked(seed)
    world.wait(seed % 1000 / 1000)
    began_s = world.clock.now_s()
    world.kill("b", silently=silently)
    world.wait(6.0)
    down = world.told["a"][-1]
    assert isinstance(down, NodeDown)
    assert down.code is (LinkCode.SILENT if silently else LinkCode.LOST)
    assert world.told_at["a"][-1] - began_s <= (4.0 if silently else 0.0)


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("number", range(5))
def test_a_partition_even_one_way_is_agreed_on_within_four_seconds_and_heals(
    seed: int, both: bool, number: int
) -> None:
    world = World(seed + number)
    world.wait(2.0 + number / 7)
    began_s = world.clock.now_s()
    world.block("a", "b", both=both)
    world.wait(5.0)
    for node in "ab":
        assert not world.are_linked(node, "b" if node == "a" else "a")
        assert isinstance(world.told[node][-1], NodeDown)
        assert world.told_at[node][-1] - began_s <= (4.0 if both or node == "b" else 4.5)
    world.wait(20.0)
    assert not world.are_linked("a", "b")
    world.blocked.clear()
    world.wait(8.0)
    assert world.are_linked("a", "b")
    assert world.are_linked("b", "a")


def test_a_frozen_node_is_down_and_is_told_so_when_it_thaws(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b", trap_exit=True)
    world.play(far, lambda process: process.link(world.seen("b", near.pid)))
    world.frozen.add("b")
    world.wait(5.0)
    assert not world.are_linked("a", "b")
    world.frozen.clear()
    world.wait(5.0)
    assert far.heard == [Exit(near.pid, NODEDOWN)]
    assert world.are_linked("b", "a")


def test_a_node_that_stops_in_order_delivers_what_it_said_and_says_why(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b")
    world.begin(far, lambda process: process.cast(world.seen("b", near.pid), "last words"))
    while not far.process.waiting:
        world.step()
    while far.process.waiting:
        world.step()
    world.runtimes["b"].exit(world.trees["b"], SHUTDOWN)
    world.settle()
    assert near.heard == ["last words"]
    down = world.told["a"][-1]
    assert isinstance(down, NodeDown)
    assert down.code is LinkCode.CLOSING
    assert "b stops" in down.sentence


def test_a_crash_of_the_links_ends_them_and_they_come_back(seed: int) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b")
    box = Box()
    world.play(near, box.of(lambda process: process.monitor(world.seen("a", far.pid))))
    links = world.runtimes["b"].whereis("cluster.links")
    assert links is not None
    world.runtimes["b"].cast(links, "what is no event")
    world.settle()
    assert near.heard == [Down(box.value, far.pid, NODEDOWN)]
    world.wait(3.0)
    world.play(near, lambda process: process.cast(world.seen("a", far.pid), "again"))
    assert far.heard == ["again"]


@pytest.mark.parametrize("reason", [KILLED, SHUTDOWN])
def test_a_link_whose_actor_is_gone_is_down_for_its_own_side(seed: int, reason: object) -> None:
    world = linked(seed)
    near, far = world.puppet("a"), world.puppet("b")
    box = Box()
    world.play(far, box.of(lambda process: process.monitor(world.seen("b", near.pid))))
    links = world.runtimes["b"].whereis("cluster.links")
    assert links is not None
    world.runtimes["b"].exit(links, KILLED)
    world.wait(6.0)
    assert far.heard == [Down(box.value, near.pid, NODEDOWN)]
    assert world.are_linked("a", "b")


def test_a_wrong_key_is_refused_with_a_sentence_that_names_the_peer(seed: int) -> None:
    impostor = StaticKey(bytes(range(32)))
    world = World(seed, keys={"b": impostor})
    world.wait(3.0)
    assert not world.are_linked("a", "b")
    refused = {change.code: change for change in world.told["a"] if isinstance(change, NodeRefused)}
    assert "check the key of b" in refused[LinkCode.KEY_WRONG].sentence
    assert impostor.public.hex() in refused[LinkCode.KEY_UNKNOWN].sentence
    theirs = [change for change in world.told["b"] if isinstance(change, NodeRefused)]
    assert "a" in {change.node for change in theirs} <= {"a", ""}
    assert {change.code for change in theirs} <= {LinkCode.KEY_WRONG, LinkCode.KEY_UNKNOWN}


def test_settings_that_differ_are_told_at_connect_with_their_keys(seed: int) -> None:
    world = World(seed, shared={"a": {"shards": "64", "same": "1"}, "b": {"shards": "32", "same": "1"}})
    world.wait(3.0)
    for node in "ab":
        refused = [change for change in world.told[node] if isinstance(change, NodeRefused)]
        assert refused
        assert all(change.code is LinkCode.SETTINGS_DIFFER for change in refused)
        assert all("differ in shards;" in change.sentence and "32" not in change.sentence for change in refused)
    assert len(world.told["a"]) <= 4


def test_a_peer_that_is_not_there_yet_is_dialled_again_and_again(seed: int) -> None:
    world = World(seed, start=False)
    world.bear("a")
    world.wait(60.0)
    world.bear("b")
    world.wait(4.0)
    assert world.are_linked("a", "b")


def test_a_peer_that_says_hello_and_then_junk_is_no_link(seed: int) -> None:
    world = World(seed, start=False)
    world.bear("a")
    world.settle()
    session = Session(identity("b"), Peer("a", key_of("a").public))
    end, stranger = End(world, "a", world.wires["a"].tell or bool), End(world, "b", lambda event: True)
    end.other, stranger.other = stranger, end
    end.tell(Accepted(end))
    end.tell(Received(end, session.data_to_send()))
    world.settle()
    session.receive(b"".join(end.way))
    end.way.clear()
    end.tell(Received(end, session.data_to_send() + b"junk"))
    world.settle()
    assert not world.runtimes["a"].foreign.linked
    refused = world.told["a"][-1]
    assert isinstance(refused, NodeRefused)
    assert (refused.node, refused.code) == ("b", LinkCode.JUNK)


def test_an_error_of_a_link_says_its_code_and_its_sentence() -> None:
    assert str(LinkError(LinkCode.SILENT, "b is silent.")) == "SILENT (9): b is silent."


def test_the_nodes_of_two_hosts_link_each_with_each_although_hosts_share_a_key(seed: int) -> None:
    world = World(seed, "abcd", hosts={"b": "a", "d": "c"})
    world.wait(3.0)
    for one in "abcd":
        assert set(world.runtimes[one].foreign.linked) == set("abcd") - {one}
    assert len(world.lines()) == 2 * 6


def test_a_clock_that_is_ten_minutes_off_is_told_once_with_the_node_and_how_far(seed: int) -> None:
    world = World(seed, "abc")
    world.ahead_ms["b"] = -600_000
    world.wait(200.0)
    assert told_of(world, "a") == told_of(world, "c") == [("b", -600)]
    assert sorted(told_of(world, "b")) == [("a", 600), ("c", 600)]


def test_a_clock_that_was_set_right_is_told_too_and_a_small_difference_is_not(seed: int) -> None:
    world = World(seed)
    world.ahead_ms["b"] = 9_000
    world.wait(70.0)
    assert told_of(world, "a") == []
    world.ahead_ms["b"] = 30_000
    world.wait(70.0)
    assert told_of(world, "a") == [("b", 30)]
    world.ahead_ms["b"] = 0
    world.wait(70.0)
    assert told_of(world, "a") == [("b", 30), ("b", 0)]


def told_of(world: World, node: str) -> list[tuple[str, int]]:
    """The clocks that a node was told of, by how many seconds they are ahead."""
    return [(change.node, round(change.ahead_s)) for change in world.told[node] if isinstance(change, NodeClock)]
