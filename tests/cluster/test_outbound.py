"""What waits for a node: bounded, in order, the least important shed first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster import LinkCode, LinkLimits, NodeDown
from cluster.outbound import Outbound
from protocol.frames import FrameReader
from runtime import NODEDOWN, Down
from tests.cluster.world import World
from tests.runtime.cast import Box

LIMIT = 1_000
STEPS = st.lists(st.tuples(st.sampled_from(["put", "put_sheddable", "put_owed", "take"]), st.integers(1, 400)))


@given(STEPS)
def test_what_was_taken_leaves_in_order_unless_it_may_be_shed_and_the_limit_holds(steps: list[tuple[str, int]]) -> None:
    outbound = Outbound(LIMIT)
    waiting: list[tuple[str, bytes]] = []
    for number, (verb, size) in enumerate(steps):
        if verb == "take":
            left = list(FrameReader().receive(outbound.take(), LIMIT))
            assert [frame for kind, frame in waiting if kind != "put_sheddable" or frame in left] == left
            waiting.clear()
            assert outbound.size_bytes == 0
            continue
        frame = number.to_bytes(2, "big") + bytes(size)
        if getattr(outbound, verb)(frame):
            waiting.append((verb, frame))
        assert outbound.size_bytes <= (2 * LIMIT if any(kind == "put_owed" for kind, _ in waiting) else LIMIT)


def test_at_the_limit_what_may_be_shed_makes_room_and_then_messages_are_refused() -> None:
    outbound = Outbound(LIMIT)
    assert outbound.put_sheddable(bytes(400))
    assert not outbound.put_sheddable(bytes(200))
    assert outbound.put(bytes(400))
    assert outbound.put(bytes(300))
    assert outbound.shed == 1
    assert not outbound.put(bytes(109))
    assert outbound.put_owed(bytes(1_000))
    assert not outbound.put_owed(bytes(200))


def stuck(seed: int) -> World:
    """Two linked nodes; nothing passes between them for now."""
    world = World(seed, limits=LinkLimits(outbound_size_bytes_max=100_000))
    world.wait(1.0)
    world.block("a", "b")
    return world


def test_a_sender_is_told_when_too_much_waits_and_goes_on_when_it_has_left(seed: int) -> None:
    world = stuck(seed)
    near, far = world.puppet("a"), world.puppet("b")
    pid = world.seen("a", far.pid)
    box = Box()
    accepted = 0
    for _ in range(40):
        world.play(near, box.of(lambda process: process.cast(pid, b"x" * 10_000)))
        accepted += box.value
    assert 0 < accepted < 40
    world.play(near, box.of(lambda process: process.cast_sheddable(pid, "typing")))
    assert box.value is False
    world.blocked.clear()
    world.settle()
    assert len(far.heard) == accepted
    world.play(near, box.of(lambda process: process.cast(pid, b"x")))
    assert box.value is True
    statistics = world.runtimes["a"].statistics()
    assert (statistics.refused, statistics.shed) == (40 - accepted, 1)


def test_what_is_owed_ends_the_link_when_it_outgrows_its_limit_and_everybody_hears(seed: int) -> None:
    world = stuck(seed)
    near, far = world.puppet("a"), world.puppet("b")
    pid = world.seen("a", far.pid)
    box = Box()
    world.play(near, lambda process: [process.cast(pid, b"x" * 20_000) for _ in range(20)])
    world.play(near, box.of(lambda process: [process.monitor(pid) for _ in range(30_000)]))
    assert near.heard == [Down(ref, pid, NODEDOWN) for ref in box.value]
    down = world.told["a"][-1]
    assert isinstance(down, NodeDown)
    assert down.code is LinkCode.OVERFLOW


def test_a_peer_that_ties_too_many_processes_loses_its_link(seed: int) -> None:
    world = World(seed, limits=LinkLimits(ties_max=50))
    world.wait(1.0)
    far = world.puppet("b")
    for _ in range(60):
        near = world.puppet("a")
        world.begin(near, lambda process: process.monitor(world.seen("a", far.pid)))
    world.settle()
    downs = [change for told in world.told.values() for change in told if isinstance(change, NodeDown)]
    assert {down.code for down in downs} == {LinkCode.FLOOD}
    assert far.process._watchers is None
