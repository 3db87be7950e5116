"""What a dead supervisor has left: supervisors that still stop their children, before anybody takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime import KILLED, Crash, Pid
from supervisors import BRUTAL_KILL, ChildSpec, Supervisor, SupervisorFlags
from tests.supervisors.cast import Stage

if TYPE_CHECKING:
    from supervisors.spec import ShutdownDeadline

CRASH = Crash(ValueError())


def nest(stage: Stage, id: str = "branch") -> ChildSpec:
    """A supervisor, under it another one, and under that a leaf that takes a second to stop."""

    def twig() -> ChildSpec:
        leaf = stage.spec("leaf", "lingering")
        return ChildSpec("twig", lambda: Supervisor(SupervisorFlags(), [leaf]), kind="supervisor")

    return ChildSpec(id, lambda: Supervisor(SupervisorFlags(), [twig()]), kind="supervisor")


def kill(stage: Stage, supervisor: Pid, id: str) -> None:
    """Kill one of its children."""
    pid = stage.children(supervisor)[id].pid
    assert pid is not None
    stage.runtime.exit(pid, KILLED)
    stage.settle()


def test_who_takes_the_place_of_a_dead_supervisor_waits_until_what_that_had_started_has_stopped(seed: int) -> None:
    """Found by the simulator (seeds 1, 3 and 5): a shard ran again beside tenants that its former life had left."""
    stage = Stage(seed)
    top = stage.supervise(stage.spec("a"), nest(stage), stage.spec("b"), strategy="rest_for_one")
    kill(stage, top, "branch")
    assert stage.log == ["stop b"]
    stage.wait(2)
    assert stage.log == ["stop b", "stop leaf", "start leaf", "start b"]
    assert stage.children(top)["branch"].restarts == 1


def test_waiting_for_the_orphans_of_a_dead_supervisor_does_not_use_up_its_restarts(seed: int) -> None:
    """Found by the simulator (seeds 4, 6 and 11): the root gave up after one restart, and its node went down."""
    stage = Stage(seed)
    top = stage.supervise(nest(stage), intensity=1)
    kill(stage, top, "branch")
    stage.wait(2)
    assert stage.runtime.is_alive(top)
    assert stage.log == ["stop leaf", "start leaf"]


def test_who_did_not_start_leaves_orphans_for_whom_the_next_try_waits(seed: int) -> None:
    """Found by the simulator (seed 33): the supervisor of all shards was tried again beside shards that still ended."""
    stage = Stage(seed)
    leaf = ChildSpec(
        "twig", lambda: Supervisor(SupervisorFlags(), [stage.spec("leaf", "lingering")]), kind="supervisor"
    )
    flags = SupervisorFlags()
    branch = ChildSpec("branch", lambda: Supervisor(flags, [leaf, stage.spec("late")]), kind="supervisor")
    top = stage.supervise(branch, intensity=2)
    stage.failures["late"] = 1
    kill(stage, top, "branch")
    stage.wait(3)
    again = ["stop leaf", "start leaf", "fail late", "stop leaf", "start leaf", "start late"]
    assert [line for line in stage.log if line != "stop late"] == again
    assert stage.children(top)["branch"].restarts == 2, "a try, and the one that it waited for"


def test_an_elder_that_crashes_beside_a_supervisor_waits_for_its_orphans_too(seed: int) -> None:
    stage = Stage(seed)
    top = stage.supervise(stage.spec("a"), nest(stage), strategy="rest_for_one")
    pid = stage.children(top)["branch"].pid
    assert pid is not None
    stage.runtime.exit(pid, KILLED)
    stage.end("a", CRASH)
    stage.wait(3)
    assert stage.log.index("stop leaf") < stage.log.index("start leaf")
    assert stage.log.count("start leaf") == stage.log.count("stop leaf")
    assert stage.running() == ["a", "leaf"]


def test_a_supervisor_that_gives_up_leaves_no_orphans_of_a_dead_one_behind(seed: int) -> None:
    stage = Stage(seed)
    top = stage.supervise(nest(stage), intensity=0)
    kill(stage, top, "branch")
    assert stage.runtime.is_alive(top), "it stops what is left first"
    stage.wait(2)
    assert stage.runtime.statistics().processes == 0


def test_a_supervisor_that_crashes_while_it_is_stopped_leaves_orphans_who_are_waited_for(seed: int) -> None:
    """Found by the simulator (seed 6): a younger sibling died as it was stopped, and was started beside its heirs."""
    stage = Stage(seed)
    top = stage.supervise(stage.spec("a"), nest(stage), strategy="rest_for_one")
    branch = stage.children(top)["branch"].pid
    assert branch is not None
    stage.end("a", CRASH)
    stage.runtime.exit(branch, KILLED)
    stage.wait(2)
    assert stage.log.index("stop leaf") < stage.log.index("start leaf")
    assert stage.running() == ["a", "leaf"]


def test_orphans_that_crash_as_well_leave_theirs_who_are_waited_for(seed: int) -> None:
    stage = Stage(seed)
    limb = ChildSpec("limb", lambda: Supervisor(SupervisorFlags(), [nest(stage)]), kind="supervisor")
    top = stage.supervise(limb)
    limb_pid = stage.children(top)["limb"].pid
    assert limb_pid is not None
    branch = stage.children(limb_pid)["branch"].pid
    assert branch is not None
    kill(stage, top, "limb")
    stage.runtime.exit(branch, KILLED)
    stage.wait(2)
    assert stage.log == ["stop leaf", "start leaf"]


@pytest.mark.parametrize("shutdown_s", [BRUTAL_KILL, 1.0])
def test_orphans_have_no_longer_than_the_supervisor_they_are_of(seed: int, shutdown_s: ShutdownDeadline) -> None:
    stage = Stage(seed)
    twig = ChildSpec(
        "twig",
        lambda: Supervisor(SupervisorFlags(), [stage.spec("leaf", "stubborn", shutdown_s=60.0)]),
        kind="supervisor",
    )
    branch = ChildSpec(
        "branch", lambda: Supervisor(SupervisorFlags(), [twig]), kind="supervisor", shutdown_s=shutdown_s
    )
    top = stage.supervise(stage.spec("a"), branch, strategy="rest_for_one")
    stage.end("a", CRASH)
    stage.wait(2)
    assert stage.running() == ["a", "leaf"]
    assert stage.log.count("start leaf") == 1
    assert stage.children(top)["branch"].restarts == 1


def test_a_supervisor_that_adopts_is_started_beside_what_the_former_one_has_left(seed: int) -> None:
    stage = Stage(seed)
    leaf = stage.spec("leaf", "lingering")
    twig = ChildSpec("twig", lambda: Supervisor(SupervisorFlags(), [leaf]), kind="supervisor")
    adopted = iter([twig])
    branch = ChildSpec("branch", lambda: Supervisor(SupervisorFlags(), list(adopted)), kind="supervisor", adopts=True)
    top = stage.supervise(branch)
    kill(stage, top, "branch")
    assert stage.children(top)["branch"].state == "running"
    assert stage.log == [], "the leaf of the former one has not stopped yet"
