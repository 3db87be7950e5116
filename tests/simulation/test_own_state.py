"""What the devices of an account share: told, asked for and answered, also over the death of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from roost.own_state import Gone, Record, RecordKind
from roost.records import WANTED
from simulation import IDLE, Habit, Scenario, World
from simulation.checkers.own_state import OwnStateConverges

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulation.device import SimulatedDevice

TWO = Habit("of two devices", devices=2, write_every_s=3_600.0, read_every_s=3_600.0, act_every_s=3_600.0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(1, Scenario(people=(TWO, IDLE), nodes=1), [], tmp_path)
    world._register()
    yield world
    for device in world.devices:
        device.close()


def differing(world: World) -> list[str]:
    (checker,) = (checker for checker in world.witness.checkers if isinstance(checker, OwnStateConverges))
    return checker.unrest(world)


def values(device: SimulatedDevice) -> dict[str, str]:
    return {entry.subject: entry.value for entry in device.store.shared() if isinstance(entry, Record)}


def test_a_change_reaches_the_other_device(world: World) -> None:
    one, two, _ = world.devices
    one.sharing.change(RecordKind.SETTING, "theme", "dark")
    world._pass(1.0)
    assert values(one) == values(two) == {"theme": "dark"}
    assert differing(world) == []


def test_of_two_changes_that_knew_nothing_of_each_other_one_stands_everywhere(world: World) -> None:
    one, two, _ = world.devices
    one.set_radio(False)
    for value in ("dark", "light"):
        one.sharing.change(RecordKind.SETTING, "theme", value)
    two.sharing.change(RecordKind.SETTING, "theme", "blue")
    world._pass(1.0)
    assert (values(one), values(two)) == ({"theme": "light"}, {"theme": "blue"})
    assert differing(world)
    one.set_radio(True)
    world._pass(60.0)
    assert values(one) == values(two) == {"theme": "light"}, "the later of two stamps"


def test_what_a_device_lost_it_gets_by_asking(world: World) -> None:
    one, two, _ = world.devices
    one.sharing.change(RecordKind.SETTING, "theme", "dark")
    world._pass(1.0)
    with two.store._transaction():
        two.store._database.execute("DELETE FROM records")
    assert differing(world)
    two.sharing.ask()
    world._pass(1.0)
    assert differing(world) == []
    assert world.coverage.branches["a device tells another what that has missed of their state"] == 1


def test_an_answer_is_owed_until_it_is_stored(world: World) -> None:
    one, two, _ = world.devices
    one.sharing.change(RecordKind.SETTING, "theme", "dark")
    world._pass(1.0)
    with two.store._transaction():
        two.store._database.execute("DELETE FROM records")
    two.sharing.ask()
    while not one.store.fact(WANTED, b""):
        world._next()
    one.crash(told=True)
    world._pass(5.0)
    assert differing(world) == [], "a program that does not run is not asked"
    assert values(two) == {}
    one.start()
    world._pass(5.0)
    assert values(two) == {"theme": "dark"}
    assert not one.store.fact(WANTED, b"")


def test_a_message_that_is_gone_is_gone_on_both(world: World) -> None:
    one, two, other = world.devices
    chat = world.people[0].chats[0]
    other.act(lambda session: session.send(chat, b"hello"))
    world._pass(1.0)
    ((conversation, seq),) = [key for key in one.received if key[0] == chat]
    world.people[0].forget(one)
    world._pass(1.0)
    assert [entry.target for entry in two.store.shared() if isinstance(entry, Gone)] == [
        one.received[conversation, seq]
    ]
