"""Devices that are linked by their account's primary, whatever breaks on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from roost.linking import CODE_LIFETIME_S
from simulation import IDLE, Habit, Scenario, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from simulation.device import SimulatedDevice

TWO = Habit("of two devices", devices=2, write_every_s=3_600.0, read_every_s=3_600.0, act_every_s=3_600.0)
LINKED = "a device is linked by its primary"
HEARD = "a device hears from the server that it was linked"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(1, Scenario(people=(TWO, IDLE), nodes=1, has_primaries=True), [], tmp_path)
    world.nodes[0].boot()
    yield world
    for device in world.devices:
        device.close()


def until(world: World, happens: Callable[[], bool], wait_s: float = 400.0) -> None:
    until_s = world.agenda.now_s + wait_s
    while not happens():
        assert world.agenda.now_s < until_s
        world._next()


def listed(device: SimulatedDevice) -> list[bytes]:
    assert device.session is not None
    roll = device.session.devices.roll
    return [] if roll is None else [entry.device for entry in roll.devices]


def test_the_first_device_registers_and_links_the_second(world: World) -> None:
    one, two, _ = world.devices
    world._register()
    assert one.registered
    assert two.registered
    assert world.coverage.branches[LINKED] == 1
    until(world, lambda: listed(one) == [one.id, two.id])
    assert listed(two) == [one.id, two.id]
    assert two.session is not None
    assert not two.session.devices.is_primary


def test_a_code_waits_for_a_primary_that_is_away(world: World) -> None:
    one, two, _ = world.devices
    one.start()
    until(world, lambda: one.online)
    one.set_radio(False)
    two.start()
    world._pass(2 * CODE_LIFETIME_S)
    assert not two.registered
    one.set_radio(True)
    until(world, lambda: two.registered)
    assert world.coverage.branches[LINKED] == 1


@pytest.mark.parametrize("count", range(1, 5))
@pytest.mark.parametrize("whose", ["the new device's", "the primary's"])
def test_a_link_that_breaks_anywhere_is_made_again(world: World, whose: str, count: int) -> None:
    """Whoever's connection ends after so many frames of the talk, at last both know of each other."""
    one, two, _ = world.devices
    one.start()
    until(world, lambda: one.online)
    two.start()
    victim = two if whose == "the new device's" else one
    told = 0

    def passed() -> bool:
        return told >= count

    tell = world.witness.told

    def count_told(device_id: bytes, frame: Any, login_epoch: bytes = b"") -> None:
        nonlocal told
        told += type(frame).__name__ == "LinkPassed"
        tell(device_id, frame, login_epoch)

    world.witness.told = count_told  # type: ignore[method-assign]  # an ear of our own
    until(world, passed)
    victim._hang_up(told=True)
    victim.lost()
    until(world, lambda: two.registered and one.online and two.online)
    until(world, lambda: listed(one) == listed(two) == [one.id, two.id])


def test_whose_yes_was_taken_and_who_never_heard_so_is_told_by_the_server(world: World) -> None:
    one, two, _ = world.devices
    one.start()
    until(world, lambda: one.online)
    two.start()
    until(world, lambda: listed(one) == [one.id, two.id])
    assert not two.registered
    two._hang_up(told=True)
    two.lost()
    until(world, lambda: two.registered)
    assert world.coverage.branches[HEARD] == 1
    assert world.coverage.branches[LINKED] == 0


def test_a_program_that_dies_while_it_is_linked_begins_anew(world: World) -> None:
    one, two, _ = world.devices
    one.start()
    until(world, lambda: one.online)
    two.start()
    until(world, lambda: one._sponsorship is not None)
    one.crash(told=True)
    one.start()
    two.crash(told=True)
    two.start()
    until(world, lambda: two.registered and one.online)
    until(world, lambda: listed(one) == [one.id, two.id])


def test_a_primary_throws_a_device_out_by_a_list_without_it(world: World) -> None:
    one, two, _ = world.devices
    world._register()
    until(world, lambda: listed(one) == [one.id, two.id])
    person = world.people[0]
    while not two.doomed:
        person.remove_device(two)
    until(world, lambda: two.session is not None and two.session.phase.name == "STOPPED")
    until(world, lambda: listed(one) == [one.id])
    assert not one.doomed
