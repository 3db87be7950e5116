"""A simulated device is as patient as a real one, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from actors.directory_keys import device_key
from actors.shard.actor import ShardActor
from actors.tree import Parts
from roost.registration import ANSWER_WAIT_S
from simulation import IDLE, Scenario, World
from simulation.trap import InjectedError
from storage import Table

if TYPE_CHECKING:
    from pathlib import Path


def test_whose_registration_is_never_answered_comes_again(tmp_path: Path) -> None:
    world = World(1, Scenario(people=(IDLE, IDLE), nodes=1), [], tmp_path)
    (node,), (ann, _) = world.nodes, world.devices
    node.boot()
    ann.start()
    while device_key(ann.id) not in node.disk._tables[Table.DIRECTORY].values:
        world._next()
    for guest in node.guests.values():
        assert guest.pid is not None
        node.kill(guest.pid)  # it has what ann asked for; nobody is left who could answer, and the line stands
    world._pass(ANSWER_WAIT_S - 1.0)
    assert ann.session is None
    world._pass(3.0)
    assert ann.online
    for device in world.devices:
        device.store.close()


class WeakAtFirst(ShardActor):
    """Cannot bear its first start."""

    __slots__ = ()

    starts: ClassVar[list[int]] = []

    def init(self) -> None:
        self.starts.append(1)
        if len(self.starts) == 1:
            raise InjectedError
        super().init()


def test_a_node_whose_start_fails_behind_its_disk_starts_again(tmp_path: Path) -> None:
    scenario = Scenario(people=(IDLE, IDLE), nodes=1, parts=Parts(shard=WeakAtFirst))
    world = World(1, scenario, [], tmp_path)
    (node,) = world.nodes
    node.boot()
    assert not node.up
    life = node.life
    world._pass(30.0)
    assert node.up
    assert node.life > life
    for device in world.devices:
        device.store.close()


def test_a_killed_node_says_nothing_more(tmp_path: Path) -> None:
    world = World(1, Scenario(people=(IDLE, IDLE), nodes=1), [], tmp_path)
    (node,), (ann, _) = world.nodes, world.devices
    node.boot()
    ann.start()
    while not ann.online:
        world._next()
    (guest,) = node.guests
    sent_bytes = guest.down._sent
    node.die("lost", told=True)
    assert guest.down._sent == sent_bytes, "not even goodbye"
    while ann.online:
        world._next()
    for device in world.devices:
        device.store.close()
