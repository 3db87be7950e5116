"""The promises of the README, one test each, under its name.

Promises 1 to 5 are kept in the weather of `simulation` (nodes die in mid-commit, any actor is killed or crashes at any
step, disks fail, links break, clients die), and guarded: a server that breaks one is found out by its name. More
seeds run in `tests/simulation/test_weather.py` and `roostctl verify`, real processes in `tests/crash`. The server that
cannot read comes with end-to-end encryption.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from gateway import Door, DoorLimits
from runtime import Actor, InlineTasks, Pid, Runtime, SeededScheduler, VirtualClock
from simulation import InvariantError, run
from supervisors import ChildSpec, KeyedSupervisor, Supervisor, SupervisorFlags, TooManyChildrenError
from tests.simulation.planted.catalogue import PLANTED

SEEDS = range(2_001, 2_003)
GUARD_SEEDS_MAX = 30


@cache
def kept() -> bool:
    """Any broken promise raises under its name."""
    return all(run(seed).accepted > 0 for seed in SEEDS)


def guarded(bug: str, promise: str) -> bool:
    """A server with this bug breaks this promise, and is found out."""
    for seed in range(1, GUARD_SEEDS_MAX + 1):
        try:
            run(seed, PLANTED[bug].scenario)
        except InvariantError as error:
            if error.invariant.startswith(promise):
                return True
    return False


def test_1_persist_before_ack() -> None:
    assert kept()
    assert guarded("ack before commit", "promise 1")


def test_2_nothing_accepted_is_lost() -> None:
    assert kept()
    assert guarded("chain of the fan-out not checked", "promise 2")


def test_3_at_least_once_on_the_wire_once_on_the_screen() -> None:
    assert kept()
    assert guarded("resumed fan-out doubling an entry", "promise 3")


def test_4_order() -> None:
    assert kept()
    assert guarded("seq reset after restart", "promise 4")


def test_5_deleted_only_on_the_devices_own_ack() -> None:
    assert kept()
    assert guarded("cumulative ack off by one", "promise 5")


class Idle(Actor):
    """Waits; a cast of an exception makes it raise that."""

    __slots__ = ()

    def handle_cast(self, message: Any) -> None:
        if isinstance(message, Exception):
            raise message


def stage(seed: int) -> tuple[Runtime, SeededScheduler]:
    """A runtime on virtual time."""
    scheduler = SeededScheduler(seed)
    runtime = Runtime(clock=VirtualClock(), scheduler=scheduler, tasks=InlineTasks(), mailbox_limit=8)
    return runtime, scheduler


def test_6_bounded_everything(seed: int) -> None:
    runtime, scheduler = stage(seed)
    pid = runtime.start(Idle())
    assert [runtime.cast(pid, number) for number in range(10)] == [True] * 8 + [False] * 2
    scheduler.run_until_idle()
    assert [runtime.cast_sheddable(pid, number) for number in range(6)] == [True] * 4 + [False] * 2
    scheduler.run_until_idle()
    assert runtime.cast(pid, "again")

    keyed: KeyedSupervisor[int] = KeyedSupervisor(lambda _: Idle(), lambda key: ("idle", key), children_max=2)
    runtime.start(keyed)
    assert keyed.ensure(1) != keyed.ensure(2)
    with pytest.raises(TooManyChildrenError):
        keyed.ensure(3)

    door = Door(DoorLimits(connections_max=3, strangers_max=2, per_address_max=2, loopback_exempt=False))
    visits = [door.enter("192.0.2.1"), door.enter("192.0.2.2"), door.enter("192.0.2.3")]
    assert isinstance(visits[2], str), "the third stranger is told why not"


def test_7_a_crash_stays_where_it_happened(seed: int) -> None:
    runtime, scheduler = stage(seed)
    children = [ChildSpec(name, Idle, name=name) for name in ("struck", "spared")]
    runtime.start(Supervisor(SupervisorFlags("one_for_one"), children))
    struck, spared = pid_of(runtime, "struck"), pid_of(runtime, "spared")
    runtime.cast(struck, ValueError("lightning"))
    scheduler.run_for(1.0)
    assert not runtime.is_alive(struck)
    assert runtime.is_alive(pid_of(runtime, "struck"))
    assert pid_of(runtime, "spared") == spared
    assert runtime.is_alive(spared)


def pid_of(runtime: Runtime, name: str) -> Pid:
    """The living process of that name."""
    pid = runtime.whereis(name)
    assert pid is not None
    return pid
