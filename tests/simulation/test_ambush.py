"""Ambushes: a handler raises before it did anything or behind all it does, once, in an actor of the chosen class."""

from __future__ import annotations

import importlib
import pkgutil
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import actors
import cluster
import supervisors
from runtime import KILLED, Actor, Crash, Hooks, InlineTasks, Pid, Reason, Runtime, VirtualClock
from simulation.ambush import (
    ACTORS,
    ACTORS_OF_CLUSTERS,
    CALL,
    HANDLERS,
    MOMENTS,
    Ambush,
    Mine,
    crash_at,
    crash_in,
    crash_of,
)
from simulation.coverage import SOMETIMES, SOMETIMES_BETWEEN_NODES, Coverage
from simulation.node_scheduler import NodeScheduler
from simulation.trap import InjectedError

if TYPE_CHECKING:
    from runtime import From, Message, Process
    from simulation.node import SimulatedNode


class QueueActor(Actor):
    """Notes which of its handlers were called."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def init(self) -> None:
        self.stage.called.append("init")

    def handle_cast(self, message: Message) -> None:
        self.stage.called.append("handle_cast")
        if message == "stop":
            self.process.stop()
        if message == "defer":
            self.process.defer()

    def handle_call(self, request: Message, caller: From) -> None:
        self.stage.called.append("handle_call")
        self.process.reply(caller, None)

    def handle_info(self, message: Message) -> None:
        self.stage.called.append("handle_info")

    def handle_deferred(self) -> None:
        self.stage.called.append("handle_deferred")


class BadQueueActor(QueueActor):
    """One with a planted bug."""


class Stage:
    """The scheduler of a node that does not exist, and actors who do nothing."""

    def __init__(self, seed: int) -> None:
        self.coverage = Coverage()
        self.ambush = Ambush(self.coverage)
        self.called: list[str] = []
        self.turned: list[Pid] = []
        self.killed: list[Pid] = []
        self.ended: list[Reason] = []
        self.node: SimulatedNode = SimpleNamespace(  # type: ignore[assignment]  # what the scheduler looks at
            life=1,
            ambush=self.ambush,
            kill=self.kill,
            witness=SimpleNamespace(turned=self.note),
            work_soon=lambda: None,
            alarm_at=lambda due_s: None,
        )
        self.scheduler = NodeScheduler(seed, self.node)
        hooks = Hooks(ended=lambda pid, actor, reason: self.ended.append(reason))
        self.runtime = Runtime(clock=VirtualClock(), scheduler=self.scheduler, tasks=InlineTasks(), hooks=hooks)

    def note(self, node: object, process: Process) -> None:
        self.turned.append(process.pid)

    def kill(self, pid: Pid) -> None:
        self.killed.append(pid)
        self.runtime.exit(pid, KILLED)

    def plays(self, handler: str, actor: QueueActor) -> None:
        """Start an actor, and let this handler be called twice."""
        pid = self.runtime.start(actor)
        for _ in range(2):
            if handler == "handle_call":
                self.runtime.ask_nowait(pid, "ask", lambda answer: None)
            elif handler == "handle_info":
                self.runtime.send(pid, "tell")
            elif handler == "handle_cast":
                self.runtime.cast(pid, "tell")
            elif handler == "handle_deferred":
                actor.process.defer()
                self.scheduler.run_until_idle()
        self.scheduler.run_until_idle()

    def crashes(self) -> list[Reason]:
        return [reason for reason in self.ended if isinstance(reason, Crash)]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("handler", [CALL, *HANDLERS])
@pytest.mark.parametrize("kind", [QueueActor, BadQueueActor])
def test_a_handler_raises_before_it_does_anything_or_behind_all_it_does(
    seed: int, kind: type[QueueActor], handler: str, after: bool
) -> None:
    stage = Stage(seed)
    stage.ambush.lay("QueueActor", Mine(1, after))
    stage.plays(handler, kind(stage))
    assert stage.called == ["init", handler] if after else ["init"]
    (reason,) = stage.crashes()
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, InjectedError)
    assert stage.coverage.faults["a handler raises"] == stage.coverage.branches[crash_of("QueueActor")] == 1
    assert stage.coverage.branches[crash_in(handler)] == stage.coverage.branches[crash_at(MOMENTS[after])] == 1


def test_what_lies_there_for_others_or_for_later_hurts_nobody(seed: int) -> None:
    stage = Stage(seed)
    stage.ambush.lay("ShardActor", Mine(1, after=False))
    stage.ambush.lay("QueueActor", Mine(20, after=False))
    stage.plays("handle_cast", QueueActor(stage))
    stage.ambush.lay("QueueActor", Mine(1, after=False, handler=CALL))
    stage.plays("handle_info", QueueActor(stage))
    assert stage.called == ["init", "handle_cast", "handle_cast", "init", "handle_info", "handle_info"]
    assert stage.crashes() == []
    stage.ambush.disarm()
    assert not stage.ambush.is_laid


def test_who_ends_in_its_handler_cannot_raise_behind_it_and_the_next_one_does(seed: int) -> None:
    stage = Stage(seed)
    stage.ambush.lay("QueueActor", Mine(1, after=True))
    stage.runtime.cast(stage.runtime.start(QueueActor(stage)), "stop")
    stage.scheduler.run_until_idle()
    assert stage.crashes() == []
    stage.plays("handle_cast", QueueActor(stage))
    assert len(stage.crashes()) == 1


def test_who_is_killed_has_its_mail_and_nothing_of_it_was_handled(seed: int) -> None:
    stage = Stage(seed)
    pid = stage.runtime.start(QueueActor(stage))
    stage.ambush.lie_in_wait("actor is killed", pid)
    stage.plays("handle_cast", QueueActor(stage))
    assert stage.killed == []
    assert not stage.coverage.faults, "it counts when it strikes"
    stage.runtime.cast(pid, "tell")
    stage.scheduler.run_until_idle()
    assert stage.killed == [pid]
    assert stage.called.count("handle_cast") == 2
    assert stage.coverage.branches["an actor dies with its mail"] == stage.coverage.faults["actor is killed"] == 1
    assert not stage.ambush.is_laid


def test_a_deferred_turn_is_a_turn_for_the_witness_too(seed: int) -> None:
    stage = Stage(seed)
    pid = stage.runtime.start(QueueActor(stage))
    stage.runtime.cast(pid, "defer")
    stage.scheduler.run_until_idle()
    assert stage.called == ["init", "handle_cast", "handle_deferred"]
    assert stage.turned == [pid, pid]


ABSTRACT = {"LoadActor", "LoadingActor", "Owner"}
NOT_IN_THE_WEATHER = {
    "Reaper",  # lives for a moment, and the tree is not made for the death of two at once
    "Singletons",  # of a cluster's services, of which the messenger has none yet
}


def test_a_suite_has_to_let_an_actor_of_each_class_crash() -> None:
    found: set[str] = set()
    for package in (actors, cluster, supervisors):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for thing in vars(importlib.import_module(module.name)).values():
                if isinstance(thing, type) and issubclass(thing, Actor) and thing.__module__ == module.name:
                    found.add(thing.__name__)
    assert found - ABSTRACT - NOT_IN_THE_WEATHER == {*ACTORS, *ACTORS_OF_CLUSTERS}
    assert found > NOT_IN_THE_WEATHER
    assert set(SOMETIMES) > set(map(crash_of, ACTORS))
    assert set(SOMETIMES_BETWEEN_NODES) > set(map(crash_of, ACTORS_OF_CLUSTERS))
