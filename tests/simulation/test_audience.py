"""For which devices a message is, and which it may pass by for now: only those of a list that a shard has forgotten."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from protocol import shard_of
from simulation.audience import COMMIT_S_MAX
from simulation.checkers.delivery import NothingIsLost
from simulation.device import SimulatedDevice
from tests.simulation.stage import CHAT, Stage
from tests.simulation.test_checkers import ANN, BOB, asked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANNS_SHARD: Final = shard_of(ANN)
MOMENT_S: Final = 0.01


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with closing(Stage(tmp_path)) as stage:
        stage.waits(1.0)
        yield stage


def link(stage: Stage) -> SimulatedDevice:
    """Ann has another device from now on."""
    device = SimulatedDevice(stage.world, ANN, "ann2", stage.ann.nodes, stage.ann.path.parent)
    stage.world.devices.append(device)
    device.registered = True
    stage.witness.audience.note(ANN, frozenset({stage.ann.id, device.id}))
    return device


def restart(stage: Stage) -> None:
    stage.witness.audience.shard_started(ANNS_SHARD)


def send(stage: Stage) -> None:
    """Bob's message is meant for Ann's first device alone."""
    stage.accepts(sender=BOB, producer=stage.bob.id, targets=[(ANN, [stage.ann.id])])


def test_a_chat_of_ann_and_bob_is_at_his_shard_so_it_need_not_know_what_hers_has_forgotten() -> None:
    assert shard_of(CHAT) == shard_of(BOB) != ANNS_SHARD


def test_a_device_whose_list_was_on_its_way_when_its_shard_started_anew_is_brought_what_it_missed(stage: Stage) -> None:
    restart(stage)
    stage.waits(MOMENT_S)
    device = link(stage)
    send(stage)
    assert NothingIsLost.name not in stage.broken
    assert f"{CHAT} 1 was not brought to {device}, who was passed by" in asked(stage, NothingIsLost)


def test_a_device_that_was_listed_before_its_shard_started_anew_is_not_passed_by(stage: Stage) -> None:
    link(stage)
    stage.waits(MOMENT_S)
    restart(stage)
    send(stage)
    assert NothingIsLost.name in stage.broken


def test_a_device_is_not_passed_by_when_its_shard_has_long_been_up(stage: Stage) -> None:
    restart(stage)
    link(stage)
    stage.waits(COMMIT_S_MAX)
    send(stage)
    assert NothingIsLost.name in stage.broken
