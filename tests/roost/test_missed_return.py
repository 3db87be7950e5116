"""A device that missed its account's return to a group, because its queue was full, finds out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from protocol import messages as m
from roost.arrivals import WAITING_MUCH
from roost.group import Standing
from tests.roost.test_groups import ALICE, BOB, CLUB, World, write_elsewhere

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def left_and_came_back_unheard(world: World) -> None:
    """Alice leaves by another device and comes back, of which a full queue let her phone hear the first only."""
    world.groups.change(CLUB, BOB, m.JOINED)
    world.settle()
    world.groups.change(CLUB, ALICE, m.LEFT)
    world.settle()
    assert world.known().standing is Standing.LEFT
    world.groups.change(CLUB, ALICE, m.JOINED)
    world.server.queues[world.alice.device].clear()
    assert world.alice.link is not None
    world.alice.link.out.clear()


@pytest.mark.parametrize("evidence", ["a message", "its own tick", "counts", "nothing but a long queue at the login"])
def test_a_device_that_missed_its_return_to_a_group_finds_out(world: World, evidence: str) -> None:
    left_and_came_back_unheard(world)
    world.settle()
    assert world.known().standing is Standing.LEFT, "it cannot know yet"
    seq = len(world.server.conversations[CLUB].log) + 1
    if evidence == "a message":
        world.server.enqueue(world.alice.device, write_elsewhere(world))
    elif evidence == "its own tick":
        world.alice.session.send(CLUB, b"written before it heard that it had left")
    elif evidence == "counts":
        world.alice.session.receive(m.GroupReceipt(CLUB, 0, [m.Step(seq, 1, 1, 0)]))
    else:
        world.alice.cut()
        for number in range(WAITING_MUCH):
            entry = m.Notice(0, CLUB, 1, BOB, world.alice.device, m.NOTICE_EXPIRED, [])
            world.server.queues[world.alice.device][world.server.position + number + 1] = entry
        world.clock.s += 60.0
    world.settle()
    assert world.known().standing is Standing.MEMBER
