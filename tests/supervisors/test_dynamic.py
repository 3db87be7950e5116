"""Supervisors of children that come and go, and of children on demand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from runtime import KILLED, NOPROC, NORMAL, Actor, Crash, Message, Pid, Process, ReentryError, StartError
from supervisors import (
    ChildCounts,
    ChildInfo,
    ChildNotFoundError,
    CountChildren,
    DynamicSupervisor,
    KeyedSupervisor,
    StartActor,
    StopActor,
    TooManyChildrenError,
    UnknownRequestError,
    WhichChildren,
)
from tests.supervisors.cast import Behaviour, Stage, Worker

if TYPE_CHECKING:
    from collections.abc import Hashable

CRASH = Crash(ValueError())


def request(stage: Stage, id: Hashable, behaviour: Behaviour = "plain") -> StartActor:
    return StartActor(partial(Worker, stage, id, behaviour), name=id)


def keyed(stage: Stage, children_max: int = 100, behaviour: Behaviour = "plain") -> KeyedSupervisor[str]:
    supervisor = KeyedSupervisor[str](
        lambda key: Worker(stage, key, behaviour), lambda key: ("worker", key), children_max
    )
    stage.runtime.start(supervisor, name="keyed")
    return supervisor


def test_children_come_and_go(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor())
    pids = [stage.ask(supervisor, request(stage, id)) for id in "abc"]
    assert pids == [stage.runtime.whereis(id) for id in "abc"]
    stage.end("a", CRASH)
    stage.end("b", NORMAL)
    assert stage.ask(supervisor, CountChildren()) == ChildCounts(1, 1, 0, 1)
    assert stage.ask(supervisor, WhichChildren()) == (
        ChildInfo("c", pids[2], "worker", "temporary", "Worker", "running", 0),
    )


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_each_is_restarted_alone_as_its_restart_type_says(seed: int, restart: Any) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor(restart=restart))
    for id in "ab":
        stage.ask(supervisor, request(stage, id))
    stage.end("a", CRASH)
    assert ("a" in stage.running()) == (restart != "temporary")
    stage.end("b", NORMAL)
    assert ("b" in stage.running()) == (restart == "permanent")


def test_a_failed_restart_is_tried_again_and_shown_meanwhile(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor(restart="permanent", intensity=3, children_max=1))
    stage.ask(supervisor, request(stage, "a"))
    stage.failures["a"] = 2
    pid = stage.runtime.whereis("a")
    assert pid is not None
    stage.runtime.exit(pid, KILLED)
    stage.scheduler.run_until_idle()
    (info,) = stage.ask(supervisor, WhichChildren())
    assert (info.state, info.pid) == ("restarting", None)
    assert isinstance(stage.ask(supervisor, request(stage, "b")), TooManyChildrenError)
    stage.settle()
    assert stage.running() == ["a"]
    assert stage.children(supervisor)["a"].restarts == 3


def test_too_many_restarts_end_the_dynamic_supervisor(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor(restart="permanent", intensity=1))
    for id in "ab":
        stage.ask(supervisor, request(stage, id))
    stage.failures["a"] = 99
    stage.end("a", CRASH)
    assert stage.running() == []
    assert not stage.runtime.is_alive(supervisor)


def test_a_supervisor_that_ends_tries_no_restart_again(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor(restart="permanent", intensity=9))
    behaviours: dict[str, Behaviour] = {"a": "plain", "b": "lingering"}
    for id, behaviour in behaviours.items():
        stage.ask(supervisor, request(stage, id, behaviour))
    stage.failures["a"] = 1
    pid = stage.runtime.whereis("a")
    assert pid is not None
    stage.runtime.exit(pid, KILLED)
    stage.scheduler.run_until_idle()
    stage.shut_down(supervisor)
    stage.wait(2)
    assert stage.log == ["start a", "start b", "fail a", "stop b"]


def test_all_children_stop_at_the_same_time_and_the_stubborn_are_killed(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor(shutdown_s=2))
    behaviours: list[Behaviour] = ["plain", "lingering", "stubborn"]
    for number in range(20):
        stage.ask(supervisor, request(stage, number, behaviours[number % 3]))
    stage.shut_down(supervisor)
    stage.shut_down(supervisor)
    assert len(stage.running()) == 13
    stage.wait(1)
    assert len(stage.running()) == 6
    assert stage.runtime.is_alive(supervisor)
    stage.wait(1)
    assert stage.runtime.statistics().processes == 0


def test_a_child_can_be_stopped_for_good(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor(restart="permanent"))
    pid = stage.ask(supervisor, request(stage, "a", "lingering"))
    assert stage.ask(supervisor, StopActor(pid)) == "waiting"
    stage.wait(2)
    assert stage.running() == []
    assert stage.ask(supervisor, WhichChildren()) == ()
    assert isinstance(stage.ask(supervisor, StopActor(pid)), ChildNotFoundError)


def test_limits_failures_and_strange_requests_are_answered_with_the_error(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(DynamicSupervisor(children_max=1))
    stage.failures["a"] = 1
    assert isinstance(stage.ask(supervisor, request(stage, "a")), StartError)
    assert isinstance(stage.ask(supervisor, request(stage, "a")), Pid)
    full = stage.ask(supervisor, request(stage, "b"))
    assert isinstance(full, TooManyChildrenError)
    assert full.children_max == 1
    assert isinstance(stage.ask(supervisor, "hello"), UnknownRequestError)
    stage.runtime.cast(supervisor, "cast")
    stage.runtime.send(supervisor, "info")
    stage.settle()
    assert stage.runtime.statistics().ignored == 2


def test_a_key_has_one_living_child_started_when_needed(seed: int) -> None:
    stage = Stage(seed)
    supervisor = keyed(stage)
    anna, bert = supervisor.ensure("anna"), supervisor.ensure("bert")
    assert anna != bert
    assert supervisor.ensure("anna") == anna == stage.runtime.whereis(("worker", "anna"))
    stage.end(("worker", "anna"), CRASH)
    assert supervisor.ensure("anna") != anna
    assert supervisor.ensure("bert") == bert
    assert {info.id for info in supervisor.which_children()} == {"anna", "bert"}
    assert supervisor.process.runtime.is_alive(supervisor.process.pid)


def test_a_child_that_crashes_again_and_again_harms_nobody_else(seed: int) -> None:
    stage = Stage(seed)
    supervisor = keyed(stage)
    bert = supervisor.ensure("bert")
    for _ in range(100):
        supervisor.ensure("anna")
        stage.end(("worker", "anna"), CRASH)
    assert supervisor.ensure("bert") == bert


def test_a_key_whose_child_does_not_start_is_an_error_for_who_asked(seed: int) -> None:
    stage = Stage(seed)
    supervisor = keyed(stage, children_max=2)
    stage.failures["anna"] = 1
    with pytest.raises(StartError):
        supervisor.ensure("anna")
    supervisor.ensure("anna")
    supervisor.ensure("bert")
    with pytest.raises(TooManyChildrenError):
        supervisor.ensure("carl")
    stage.end(("worker", "bert"), NORMAL)
    supervisor.ensure("carl")


def test_an_ended_keyed_supervisor_starts_nobody_and_can_be_started_again(seed: int) -> None:
    stage = Stage(seed)
    supervisor = KeyedSupervisor[str](lambda key: Worker(stage, key, "lingering"), lambda key: key)
    with pytest.raises(StartError, match="noproc"):
        supervisor.ensure("early")
    pid = stage.runtime.start(supervisor)
    supervisor.ensure("anna")
    stage.shut_down(pid)
    with pytest.raises(StartError, match="shutdown"):
        supervisor.ensure("bert")
    stage.wait(2)
    assert stage.runtime.statistics().processes == 0
    with pytest.raises(StartError) as caught:
        supervisor.ensure("late")
    assert caught.value.reason == NOPROC
    stage.runtime.start(supervisor)
    assert supervisor.which_children() == ()
    assert isinstance(supervisor.ensure("anna"), Pid)


def test_a_start_inside_a_start_of_the_same_supervisor_is_refused(seed: int) -> None:
    stage = Stage(seed)

    class Greedy(Actor):
        def init(self) -> None:
            supervisor.ensure("another")

    supervisor = KeyedSupervisor[str](lambda key: Greedy(), lambda key: key)
    stage.runtime.start(supervisor)
    with pytest.raises(StartError) as caught:
        supervisor.ensure("first")
    assert isinstance(caught.value.reason, Crash)
    assert isinstance(caught.value.reason.exception, ReentryError)
    assert supervisor.which_children() == ()


def test_other_actors_ensure_children_from_their_callbacks(seed: int) -> None:
    stage = Stage(seed)
    supervisor = keyed(stage)

    class Router(Actor):
        def handle_cast(self, message: Message) -> None:
            self.process.cast(supervisor.ensure(message), note)

    heard: list[Hashable] = []

    def note(worker: Worker) -> None:
        heard.append(worker.id)

    routers = [stage.runtime.start(Router()) for _ in range(3)]
    for number in range(30):
        stage.runtime.cast(routers[number % 3], f"key {number % 7}")
    stage.settle()
    assert len(heard) == 30
    assert stage.runtime.statistics().processes == 3 + 1 + 7


def test_a_keyed_supervisor_takes_no_anonymous_children(seed: int) -> None:
    stage = Stage(seed)
    supervisor = keyed(stage)
    assert isinstance(stage.ask(supervisor.process.pid, request(stage, "a")), UnknownRequestError)
    assert stage.ask(supervisor.process.pid, CountChildren()) == ChildCounts(0, 0, 0, 0)


def test_a_keyed_supervisor_stops_all_its_children_in_bounded_time(seed: int) -> None:
    stage = Stage(seed)
    supervisor = keyed(stage, 1000, "stubborn")
    for number in range(500):
        supervisor.ensure(str(number))
    stage.shut_down(supervisor.process.pid)
    stage.wait(5.1)
    assert stage.runtime.statistics().processes == 0


def test_a_killed_dynamic_supervisor_takes_its_children_along(seed: int) -> None:
    stage = Stage(seed)
    supervisor = keyed(stage)
    supervisor.ensure("anna")
    process: Process = supervisor.process
    stage.runtime.exit(process.pid, KILLED)
    stage.settle()
    assert stage.runtime.statistics().processes == 0
