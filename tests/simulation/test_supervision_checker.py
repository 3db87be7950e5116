"""The checker of supervision, over real supervisors: it accepts right ones, and objects to each kind of wrong one."""

from __future__ import annotations

from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runtime import KILLED, Actor, Hooks, InlineTasks, Runtime, SeededScheduler, VirtualClock
from simulation.checkers.supervision import RESTART_S_MAX, Supervision
from supervisors import (
    ChildSpec,
    DynamicSupervisor,
    KeyedSupervisor,
    RestartChild,
    Supervisor,
    SupervisorFlags,
    TerminateChild,
)
from tests.simulation.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulation.node import SimulatedNode

SHARD = 7


class Permanent(Actor):
    """A journal or a shard that has nothing to do."""


class Tenant(Actor):
    """Somebody who lives in a shard."""


class Tree:
    """The permanent processes of a node with one shard, under a witness.

    Args:
        stage: Whose witness is told.
        strategy: How the shard's supervisor treats siblings; the right one is rest_for_one.
        restart: Whether the shard's own process is started again; the right one is permanent.
    """

    def __init__(self, stage: Stage, strategy: Any = "rest_for_one", restart: Any = "permanent") -> None:
        self.stage = stage
        self.witness = stage.witness
        rooms: dict[object, KeyedSupervisor[str]] = {
            room: KeyedSupervisor(lambda key: Tenant(), lambda key: ("tenant", key)) for room in ROOMS
        }
        self.rooms = rooms
        self.runtime = Runtime(
            clock=VirtualClock(),
            scheduler=SeededScheduler(1),
            tasks=InlineTasks(),
            hooks=Hooks(
                started=lambda pid, actor: self.witness.started(self.node, pid, actor),
                ended=lambda pid, actor, reason: self.witness.ended(self.node, pid, actor, reason),
            ),
        )
        self.node: SimulatedNode = SimpleNamespace(  # type: ignore[assignment]  # what the checker looks at
            name="hand-made",
            up=True,
            life=1,
            shards=(SHARD,),
            frozen_until_s=-60.0,
            world=stage.world,
            runtime=self.runtime,
            router=SimpleNamespace(_households={SHARD: SimpleNamespace(**{str(room): rooms[room] for room in ROOMS})}),
        )
        own = ChildSpec("shard", Permanent, restart=restart, name=("shard", SHARD))
        tenants = [ChildSpec(room, lambda room=room: rooms[room], kind="supervisor") for room in ROOMS]  # type: ignore[misc]
        flags = SupervisorFlags(strategy, intensity=5, period_s=10)
        shard = ChildSpec(("shard", SHARD), lambda: Supervisor(flags, [own, *tenants]), kind="supervisor")
        shards = SupervisorFlags("one_for_one", intensity=10, period_s=10)
        children = [
            ChildSpec("journal", Permanent, name="journal"),
            ChildSpec("shards", lambda: Supervisor(shards, [shard]), kind="supervisor", name="shards"),
            ChildSpec("connections", DynamicSupervisor, kind="supervisor"),
        ]
        self.runtime.start(Supervisor(SupervisorFlags("rest_for_one", intensity=3, period_s=30), children))
        stage.world.nodes = [self.node]

    def kills(self, name: object, told: bool = True) -> None:
        """Kill a process by its name, or the supervisor of a room."""
        pid = self.rooms[name].process.pid if name in self.rooms else self.runtime.whereis(name)
        assert pid is not None
        if told:
            self.witness.killed(self.node, pid)
        self.runtime.exit(pid, KILLED)
        self.runtime.scheduler.run_until_idle()  # type: ignore[attr-defined]  # it is a seeded one
        self.witness.sample()

    def rests(self) -> None:
        """Ask whether all is well."""
        for checker in self.witness.checkers:
            if isinstance(checker, Supervision):
                checker.calm(self.stage.world)


ROOMS = ("accounts", "conversations", "queues", "presences", "rendezvous")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with closing(Stage(tmp_path)) as stage:
        stage.witness.listen([])
        stage.witness._hear["sampled"] = [hear for hear in stage.witness._hear["sampled"] if _is_supervision(hear)]
        yield stage


def _is_supervision(hear: Any) -> bool:
    return isinstance(hear.__self__, Supervision)


def test_right_supervisors_are_not_objected_to(stage: Stage) -> None:
    tree = Tree(stage)
    tree.rooms["queues"].ensure("somebody")
    for name in (("shard", SHARD), "queues", "presences", "accounts", "journal"):
        tree.kills(name)
    tree.rests()
    assert stage.broken == set()


def test_a_supervisor_that_gives_up_in_its_time_is_restarted_and_counted(stage: Stage) -> None:
    tree = Tree(stage)
    for _ in range(8):
        tree.kills(("shard", SHARD))
    tree.rests()
    assert stage.broken == set()
    assert stage.world.coverage.branches["a supervisor gives up and its own one restarts it"] == 1


@pytest.mark.parametrize(
    ("strategy", "killed"),
    [("one_for_one", ("shard", SHARD)), ("one_for_all", "presences")],
    ids=["younger siblings go on", "elder siblings are stopped, too"],
)
def test_a_supervisor_that_stops_the_wrong_siblings_is_objected_to(stage: Stage, strategy: str, killed: object) -> None:
    tree = Tree(stage, strategy=strategy)
    tree.kills(killed)
    assert stage.broken == {Supervision.name}


def test_a_process_that_nobody_had_a_reason_to_kill_is_objected_to(stage: Stage) -> None:
    tree = Tree(stage)
    tree.kills("queues", told=False)
    assert stage.broken == {Supervision.name}


def test_a_shard_is_stopped_on_request_by_whoever_and_has_to_run_again(stage: Stage) -> None:
    """A placement that had a shard stopped may crash, and the next one start it again (cluster seed 14)."""
    tree = Tree(stage)
    shards = tree.runtime.whereis("shards")
    assert shards is not None
    for request in (TerminateChild(("shard", SHARD)), RestartChild(("shard", SHARD))):
        tree.runtime.ask_nowait(shards, request, lambda answer: None)
        tree.runtime.scheduler.run_until_idle()  # type: ignore[attr-defined]  # it is a seeded one
    tree.rests()
    assert stage.broken == set()


def test_a_process_that_is_not_started_again_is_objected_to(stage: Stage) -> None:
    tree = Tree(stage, restart="temporary")
    tree.kills(("shard", SHARD))
    assert stage.broken == set()
    stage.world.agenda.now_s += RESTART_S_MAX + 1.0
    stage.witness.sample()
    assert stage.broken == {Supervision.name}
