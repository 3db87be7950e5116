"""Sealed payloads: opened by the device for which they are, and by no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from protocol import AccountId, DeviceId, direct_conversation
from simulation import IDLE, Scenario, World
from simulation.envelopes import RIGHT_PAYLOAD, Envelopes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHAT = direct_conversation(AccountId("ann"), AccountId("bob"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(1, Scenario(people=(IDLE, IDLE, IDLE), nodes=1, seals=True), [], tmp_path)
    yield world
    for device in world.devices:
        device.store.close()


def test_what_is_sealed_for_a_device_opens_there(world: World) -> None:
    ann, bob, _ = world.devices
    sealed = Envelopes(ann).seal(CHAT, b"hello", bob.id)
    assert sealed.startswith(b"\xc1")
    with pytest.raises(msgspec.DecodeError):
        msgspec.msgpack.decode(sealed)
    assert Envelopes(bob).open(CHAT, sealed, ann.id) == b"hello"
    assert world.witness.broken == []


@pytest.mark.parametrize("wrong", ["for another", "by another", "not at all"])
def test_what_is_sealed_wrongly_is_objected_to(world: World, wrong: str) -> None:
    ann, bob, cid = world.devices
    sealed = {
        "for another": Envelopes(ann).seal(CHAT, b"hello", cid.id),
        "by another": Envelopes(cid).seal(CHAT, b"hello", bob.id),
        "not at all": b"hello",
    }[wrong]
    assert Envelopes(bob).open(CHAT, sealed, DeviceId(ann.id)) == b"hello"
    (error,) = world.witness.broken
    assert error.invariant == RIGHT_PAYLOAD
