"""A fault that lies in wait is counted when it springs, once, and not at all if something comes before that."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from simulation.coverage import Coverage
from simulation.faults import Fault, strike
from simulation.trap import InjectedError, Trap
from storage import EngineError, Table
from tests.simulation.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 100


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with closing(Stage(tmp_path)) as stage:
        stage.waits(1.0)
        yield stage
        for device in stage.world.devices:
            device.close()


def fails(stage: Stage) -> bool:
    try:
        stage.node.disk.get(Table.META, b"")
    except EngineError:
        return True
    return False


def test_a_fault_in_wait_counts_once_and_its_branch_each_time() -> None:
    coverage = Coverage()
    springs = coverage.striking("read fails", "a read fails")
    assert not coverage.faults
    springs()
    springs()
    assert coverage.faults == {"read fails": 1}
    assert coverage.branches == {"a read fails": 2}


def test_a_read_that_is_to_fail_counts_when_it_does(stage: Stage) -> None:
    for luck in range(4):
        strike(stage.world, Fault(0.0, "read fails", luck))
    assert stage.world.coverage.missing(["a read fails"], ["read fails"]) == ["read fails", "a read fails"]
    assert fails(stage)
    assert stage.world.coverage.missing(["a read fails"], ["read fails"]) == []


def test_a_read_that_was_to_fail_and_never_came_does_not_count(stage: Stage) -> None:
    strike(stage.world, Fault(0.0, "read fails", 1))
    stage.node.calm_down()
    assert not fails(stage)
    assert not stage.world.coverage.faults


def test_a_commit_that_is_to_fail_counts_when_it_does(stage: Stage) -> None:
    strike(stage.world, Fault(0.0, "commit fails", 1))
    assert not stage.world.coverage.faults
    stage.node.store.directory.put(b"key", b"value", lambda _: None)
    stage.waits(1.0)
    assert stage.world.coverage.faults == {"commit fails": 1}


def use(trap: Trap) -> None:
    """An actor calls the port that may raise, again and again."""
    for _ in range(MANY):
        trap.before()
        trap.after()


def test_an_actor_that_is_to_crash_counts_when_it_does_and_its_trap_may_be_set_again(stage: Stage) -> None:
    trap, coverage = stage.node.trap, stage.world.coverage
    for luck in (1, 2):
        strike(stage.world, Fault(0.0, "actor crashes", luck))
    assert "actor crashes" not in coverage.faults
    with pytest.raises(InjectedError):
        use(trap)
    assert coverage.faults == {"actor crashes": 1}
    use(trap)
    assert coverage.faults == {"actor crashes": 1}


@pytest.mark.parametrize("luck", range(8))
def test_a_node_dies_once_and_in_the_middle_of_a_commit_if_there_is_one(stage: Stage, luck: int) -> None:
    strike(stage.world, Fault(0.0, "node dies", luck))
    at_once = not stage.node.up
    assert stage.world.coverage.faults["node dies"] == at_once
    if not at_once:
        stage.node.store.directory.put(b"key", b"value", lambda _: None)
        stage.waits(0.1)
        assert any(branch.startswith("a commit in flight") for branch in stage.world.coverage.branches)
    stage.waits(10.0)
    assert stage.node.up
    assert stage.world.coverage.faults["node dies"] == 1


def test_a_client_that_was_to_die_of_messages_that_never_came_does_not_count(stage: Stage) -> None:
    coverage = stage.world.coverage
    stage.bob.messages_too_many = [coverage.striking("client cannot bear a message", "a client dies of a message")]
    assert not coverage.faults
    stage.bob.calm_down()
    assert stage.bob.messages_too_many == []
    assert not coverage.faults


def test_a_shard_that_is_on_its_way_to_another_node_is_taken_over_by_nobody(stage: Stage) -> None:
    """The disk refuses that in any weather; here the storm itself broke (groups in flux, seed 601)."""
    refused: list[object] = []
    for shard in stage.node.store.holdings():
        stage.node.store.release(shard, "elsewhere", b"transfer", refused.append)
    strike(stage.world, Fault(0.0, "shard is taken over", 1))
    assert not stage.world.coverage.faults
    assert not refused
