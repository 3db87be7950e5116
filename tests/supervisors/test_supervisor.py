"""Supervisors of a fixed list of children."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import KILLED, NOPROC, NORMAL, SHUTDOWN, Actor, Crash, Exit, Message, Pid, Reason, Shutdown, StartError
from supervisors import (
    BRUTAL_KILL,
    INFINITY,
    BusyError,
    ChildCounts,
    ChildExistsError,
    ChildInfo,
    ChildNotFoundError,
    ChildRunningError,
    ChildSpec,
    CountChildren,
    DeleteChild,
    FailedToStart,
    Restart,
    RestartChild,
    SpecError,
    StartChild,
    Strategy,
    Supervisor,
    SupervisorFlags,
    TerminateChild,
    UnknownRequestError,
    WhichChildren,
)
from tests.supervisors.cast import Stage, Worker

CRASH = Crash(ValueError())
REASONS = [NORMAL, SHUTDOWN, Shutdown("soon"), KILLED, CRASH]
AGAIN = {
    "one_for_one": ["stop b", "start b"],
    "rest_for_one": ["stop b", "stop c", "start b", "start c"],
    "one_for_all": ["stop b", "stop c", "stop a", "start a", "start b", "start c"],
}


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_each_strategy_restart_and_reason(seed: int, strategy: Strategy, restart: Restart, reason: Reason) -> None:
    stage = Stage(seed)
    specs = [stage.spec("a"), stage.spec("b", restart=restart), stage.spec("c")]
    supervisor = stage.supervise(*specs, strategy=strategy)
    stage.end("b", reason)
    comes_back = restart == "permanent" or (restart == "transient" and not reason.is_normal)
    expected = AGAIN[strategy] if comes_back else ["stop b"]
    assert stage.log == [line for line in expected if reason != KILLED or line != "stop b"]
    assert stage.running() == (["a", "b", "c"] if comes_back else ["a", "c"])
    states = {id: info.state for id, info in stage.children(supervisor).items()}
    assert states.get("b") == ("running" if comes_back else None if restart == "temporary" else "stopped")


def test_children_start_from_the_left_and_stop_from_the_right(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(*(stage.spec(id) for id in "abcd"))
    assert [info.id for info in stage.ask(supervisor, WhichChildren())] == list("abcd")
    stage.shut_down(supervisor)
    assert stage.log == ["stop d", "stop c", "stop b", "stop a"]
    assert stage.runtime.statistics().processes == 0


def test_a_temporary_sibling_stops_with_the_others_and_is_forgotten(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a", restart="temporary"), stage.spec("b"), strategy="one_for_all")
    stage.end("b", CRASH)
    assert stage.log == ["stop b", "stop a", "start b"]
    assert list(stage.children(supervisor)) == ["b"]


def test_a_stopped_transient_sibling_starts_with_the_others(seed: int) -> None:
    stage = Stage(seed)
    stage.supervise(stage.spec("a", restart="transient"), stage.spec("b"), strategy="one_for_all")
    stage.end("a", NORMAL)
    stage.end("b", CRASH)
    assert stage.log == ["stop a", "stop b", "start a", "start b"]


def test_too_many_restarts_end_the_supervisor_in_order(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), stage.spec("b"), intensity=2)
    for _ in range(2):
        stage.end("a", CRASH)
        assert stage.running() == ["a", "b"]
    stage.log.clear()
    stage.end("a", CRASH)
    assert stage.log == ["stop a", "stop b"]
    assert not stage.runtime.is_alive(supervisor)


def test_restarts_that_are_far_apart_go_on_for_ever(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), intensity=1, period_s=5)
    for _ in range(10):
        stage.end("a", CRASH)
        stage.wait(5.1)
    assert stage.children(supervisor)["a"].restarts == 10


def test_a_restart_that_fails_is_tried_again_and_counts(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), stage.spec("b"), intensity=3)
    stage.failures["a"] = 2
    stage.end("a", CRASH)
    assert stage.log == ["stop a", "fail a", "fail a", "start a"]
    assert stage.children(supervisor)["a"].restarts == 3
    stage.end("a", CRASH)
    assert not stage.runtime.is_alive(supervisor)


def test_a_restart_that_keeps_failing_escalates(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), stage.spec("b"), intensity=3)
    stage.failures["a"] = 99
    stage.end("a", CRASH)
    assert stage.log == ["stop a", "fail a", "fail a", "fail a", "stop b"]
    assert not stage.runtime.is_alive(supervisor)


def test_between_two_tries_the_mailbox_gets_a_turn_and_a_termination_ends_the_trying(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), stage.spec("b"), strategy="rest_for_one")
    stage.failures["a"] = 99
    pid = stage.runtime.whereis("a")
    assert pid is not None
    stage.runtime.exit(pid, KILLED)
    stage.scheduler.run_until_idle()
    states = {id: info.state for id, info in stage.children(supervisor).items()}
    assert states == {"a": "restarting", "b": "stopped"}
    assert isinstance(stage.ask(supervisor, RestartChild("a")), ChildRunningError)
    assert stage.ask(supervisor, TerminateChild("a")) is None
    stage.settle()
    assert stage.children(supervisor)["a"].state == "stopped"
    assert stage.log.count("fail a") == 1


@pytest.mark.parametrize("strategy", ["rest_for_one", "one_for_all"])
def test_a_failed_restart_among_many_goes_on_from_there(seed: int, strategy: Strategy) -> None:
    stage = Stage(seed)
    stage.supervise(*(stage.spec(id) for id in "abc"), strategy=strategy)
    stage.failures["b"] = 1
    stage.end("a", CRASH)
    assert stage.running() == ["a", "b", "c"]
    again = ["start b", "start c"] if strategy == "rest_for_one" else ["stop a", "start a", "start b", "start c"]
    assert stage.log == ["stop a", "stop c", "stop b", "start a", "fail b", *again]


def test_an_init_that_fails_stops_what_had_started_in_order(seed: int) -> None:
    stage = Stage(seed)
    stage.failures["c"] = 1
    specs = [stage.spec("a"), stage.spec("b", "lingering"), stage.spec("c"), stage.spec("d")]
    with pytest.raises(StartError) as caught:
        stage.runtime.start(Supervisor(SupervisorFlags(), specs), name="top")
    detail = getattr(caught.value.reason, "detail", None)
    assert isinstance(detail, FailedToStart)
    assert detail.id == "c"
    assert isinstance(detail.reason, Crash)
    assert str(detail) == "child 'c' did not start (crash: ValueError)"
    stage.settle()
    assert stage.log == ["start a", "start b", "fail c"]
    stage.wait(2)
    assert stage.log[3:] == ["stop b", "stop a"]
    assert stage.runtime.statistics().processes == 0


def test_an_init_whose_first_child_fails_leaves_nothing(seed: int) -> None:
    stage = Stage(seed)
    stage.failures["a"] = 1
    with pytest.raises(StartError):
        stage.runtime.start(Supervisor(SupervisorFlags(), [stage.spec("a")]))
    stage.settle()
    assert stage.runtime.statistics().processes == 0


def test_a_start_function_that_raises_or_makes_no_actor_has_not_started(seed: int) -> None:
    stage = Stage(seed)
    wrong: Any = list
    for start in (lambda: wrong()[0], wrong):
        with pytest.raises(StartError):
            stage.runtime.start(Supervisor(SupervisorFlags(), [ChildSpec("a", start)]))
    assert stage.runtime.statistics().processes == 0


def test_who_does_not_stop_in_time_is_killed(seed: int) -> None:
    stage = Stage(seed)
    specs = [stage.spec("a"), stage.spec("b", "stubborn", shutdown_s=3), stage.spec("c", "lingering")]
    supervisor = stage.supervise(*specs)
    stage.shut_down(supervisor)
    assert stage.running() == ["a", "b", "c"]
    stage.wait(1)
    assert stage.log == ["stop c"]
    stage.wait(2.9)
    assert stage.running() == ["a", "b"]
    stage.wait(0.2)
    assert stage.log == ["stop c", "stop a"]
    assert stage.runtime.statistics().processes == 0
    assert stage.runtime.statistics().timers == 0


def test_a_deadline_that_comes_too_late_harms_nobody(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a", "lingering"), stage.spec("b", "stubborn", shutdown_s=3))
    pid = stage.runtime.whereis("b")
    assert pid is not None
    stage.shut_down(supervisor)
    stage.runtime.exit(pid, KILLED)
    stage.runtime._settle()
    stage.clock.advance(3)
    stage.settle()
    assert stage.running() == ["a"]
    stage.wait(1)
    assert stage.log == ["stop a"]


def test_a_brutal_kill_asks_nobody_and_infinity_waits(seed: int) -> None:
    stage = Stage(seed)
    specs = [stage.spec("a", "stubborn", shutdown_s=INFINITY), stage.spec("b", "stubborn", shutdown_s=BRUTAL_KILL)]
    supervisor = stage.supervise(*specs)
    stage.shut_down(supervisor)
    assert stage.running() == ["a"]
    stage.wait(100_000)
    assert stage.running() == ["a"]
    stage.end("a", NORMAL)
    assert not stage.runtime.is_alive(supervisor)


def test_a_child_that_unlinked_is_still_waited_for(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), stage.spec("b", "lingering"))
    pid = stage.runtime.whereis("b")
    assert pid is not None
    stage.runtime.cast(pid, lambda worker: worker.process.unlink(supervisor))
    stage.settle()
    stage.shut_down(supervisor)
    assert stage.running() == ["a", "b"]
    stage.wait(2)
    assert stage.log == ["stop b", "stop a"]


def test_while_children_stop_the_list_is_shown_and_the_rest_waits(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), stage.spec("b", "lingering"))
    assert stage.ask(supervisor, TerminateChild("b")) == "waiting"
    assert stage.ask(supervisor, CountChildren()) == ChildCounts(2, 2, 0, 2)
    assert stage.ask(supervisor, StartChild(stage.spec("c"))) == "waiting"
    stage.end("a", CRASH)
    assert stage.running() == ["b"]
    stage.wait(2)
    assert stage.running() == ["a", "c"]
    assert stage.log == ["stop a", "stop b", "start c", "start a"]


def test_too_many_requests_while_children_stop_are_refused(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.runtime.start(Supervisor(SupervisorFlags(), [stage.spec("a", "lingering")]), mailbox_limit=2)
    assert stage.ask(supervisor, TerminateChild("a")) == "waiting"
    assert stage.ask(supervisor, RestartChild("a")) == "waiting"
    assert stage.ask(supervisor, DeleteChild("a")) == "waiting"
    assert isinstance(stage.ask(supervisor, DeleteChild("a")), BusyError)
    stage.wait(2)
    assert stage.running() == ["a"]


def test_a_shutdown_during_a_restart_starts_nobody_again(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"), stage.spec("b", "lingering"), stage.spec("c"), strategy="one_for_all")
    stage.end("c", CRASH)
    stage.shut_down(supervisor)
    stage.shut_down(supervisor)
    stage.wait(2)
    assert stage.log == ["stop c", "stop b", "stop a"]
    assert stage.runtime.statistics().processes == 0


def test_a_sibling_that_crashes_while_others_stop_is_restarted_afterwards(seed: int) -> None:
    stage = Stage(seed)
    stage.supervise(stage.spec("a"), stage.spec("b"), stage.spec("c", "lingering"), strategy="rest_for_one")
    stage.end("b", CRASH)
    stage.end("a", CRASH)
    stage.wait(3)
    assert stage.running() == ["a", "b", "c"]
    assert stage.log[:4] == ["stop b", "stop a", "stop c", "start b"]


def test_adding_stopping_restarting_and_deleting_a_child(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"))
    pid = stage.ask(supervisor, StartChild(stage.spec("b")))
    assert pid == stage.runtime.whereis("b")
    exists = stage.ask(supervisor, StartChild(stage.spec("b")))
    assert isinstance(exists, ChildExistsError)
    assert exists.pid == pid
    assert isinstance(stage.ask(supervisor, RestartChild("b")), ChildRunningError)
    assert isinstance(stage.ask(supervisor, DeleteChild("b")), ChildRunningError)
    assert stage.ask(supervisor, TerminateChild("b")) is None
    assert stage.ask(supervisor, TerminateChild("b")) is None
    assert stage.children(supervisor)["b"].state == "stopped"
    assert isinstance(stage.ask(supervisor, RestartChild("b")), Pid)
    stage.ask(supervisor, TerminateChild("b"))
    assert stage.ask(supervisor, DeleteChild("b")) is None
    assert list(stage.children(supervisor)) == ["a"]


def test_wrong_requests_are_answered_with_the_error(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"))
    wrong: Any = "spec"
    for request in (TerminateChild("x"), RestartChild("x"), DeleteChild("x")):
        assert isinstance(stage.ask(supervisor, request), ChildNotFoundError)
    assert isinstance(stage.ask(supervisor, StartChild(wrong)), SpecError)
    assert isinstance(stage.ask(supervisor, "hello"), UnknownRequestError)
    stage.failures["b"] = 1
    assert isinstance(stage.ask(supervisor, StartChild(stage.spec("b"))), StartError)
    assert list(stage.children(supervisor)) == ["a"]


def test_a_child_that_does_not_restart_by_hand_stays_stopped(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"))
    stage.ask(supervisor, TerminateChild("a"))
    stage.failures["a"] = 1
    assert isinstance(stage.ask(supervisor, RestartChild("a")), StartError)
    assert stage.children(supervisor)["a"].state == "stopped"


def test_a_terminated_temporary_child_is_forgotten(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a", restart="temporary"))
    assert stage.ask(supervisor, TerminateChild("a")) is None
    assert stage.children(supervisor) == {}


def test_strangers_can_neither_end_nor_confuse_a_supervisor(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a"))
    stranger = stage.runtime.start(worker := Worker(stage, "stranger"))
    worker.process.link(supervisor)
    worker.process.exit(supervisor, SHUTDOWN)
    stage.runtime.cast(supervisor, "cast")
    stage.runtime.send(supervisor, "info")
    stage.runtime.exit(stranger, SHUTDOWN)
    stage.settle()
    assert stage.running() == ["a"]
    assert stage.runtime.statistics().ignored == 2
    assert stage.runtime.is_alive(supervisor)


def test_a_tree_stops_leaf_by_leaf_and_a_broken_branch_grows_again(seed: int) -> None:
    stage = Stage(seed)

    def branch(name: str) -> Supervisor:
        return Supervisor(SupervisorFlags(intensity=0), [stage.spec(f"{name}1"), stage.spec(f"{name}2")])

    specs = [ChildSpec(name, lambda name=name: branch(name), kind="supervisor") for name in "ab"]  # type: ignore[misc]
    top = stage.supervise(*specs, strategy="rest_for_one")
    assert stage.ask(top, CountChildren()) == ChildCounts(2, 2, 2, 0)
    stage.end("a2", CRASH)
    assert stage.log == [
        "stop a2",
        "stop a1",
        "stop b2",
        "stop b1",
        *(f"start {id}" for id in ("a1", "a2", "b1", "b2")),
    ]
    stage.log.clear()
    stage.shut_down(top)
    assert stage.log == ["stop b2", "stop b1", "stop a2", "stop a1"]
    assert stage.runtime.statistics().processes == 0


def test_a_killed_supervisor_leaves_no_children_behind(seed: int) -> None:
    stage = Stage(seed)
    nested = ChildSpec("nested", lambda: Supervisor(SupervisorFlags(), [stage.spec("b")]), kind="supervisor")
    top = stage.supervise(stage.spec("a"), nested)
    stage.runtime.exit(top, KILLED)
    stage.settle()
    assert stage.runtime.statistics().processes == 0


def test_an_operator_sees_each_child(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a", restart="transient"))
    pid = stage.runtime.whereis("a")
    assert stage.ask(supervisor, WhichChildren()) == (
        ChildInfo("a", pid, "worker", "transient", "Worker", "running", 0),
    )


def test_a_supervisor_that_ended_answers_nobody(seed: int) -> None:
    stage = Stage(seed)
    supervisor = stage.supervise(stage.spec("a", "lingering"))
    stage.ask(supervisor, TerminateChild("a"))
    stage.shut_down(supervisor)
    stage.wait(5)
    assert stage.ask(supervisor, WhichChildren()) == NOPROC


class Parent(Actor):
    """Starts a supervisor and ends."""

    def __init__(self, child: Supervisor) -> None:
        self.child = child

    def init(self) -> None:
        self.process.start_link(self.child)

    def handle_info(self, message: Message) -> None:
        assert not isinstance(message, Exit)
        self.process.stop()


def test_a_supervisor_ends_with_its_parent_even_when_that_ends_normally(seed: int) -> None:
    stage = Stage(seed)
    parent = stage.runtime.start(Parent(Supervisor(SupervisorFlags(), [stage.spec("a")])))
    stage.runtime.send(parent, "end")
    stage.settle()
    assert stage.runtime.statistics().processes == 0
