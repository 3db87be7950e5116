"""The promises of the README, one test each, under its name.

Promises 1 to 5 are kept in the weather of `tests/actors` (any actor killed or crashed at any step, failed commits, lost
connections, a process death with a commit in flight), and guarded: a server that breaks the promise is found out. The
same over many more seeds is `tests/actors/test_crash_model.py`, with real processes `tests/crash`. The server that
cannot read comes with end-to-end encryption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway import Door, DoorLimits
from runtime import Actor, InlineTasks, Pid, Runtime, SeededScheduler, VirtualClock
from supervisors import ChildSpec, KeyedSupervisor, Supervisor, SupervisorFlags, TooManyChildrenError
from tests.actors.planted import PLANTED
from tests.actors.weather import run
from tests.actors.witness import PromiseError

if TYPE_CHECKING:
    from actors.tree import Parts

SEEDS = range(2_001, 2_007)
GUARD_SEEDS_MAX = 60


def kept() -> None:
    """Any broken promise raises under its name."""
    assert all(run(seed).accepted > 0 for seed in SEEDS)


def guarded(bug: str) -> None:
    """A server with this bug is found out."""
    parts, promises = PLANTED[bug]
    assert broken_by(parts) in promises


def broken_by(parts: Parts) -> str | None:
    """The first promise that is seen broken; None if none is."""
    for seed in range(1, GUARD_SEEDS_MAX + 1):
        try:
            run(seed, parts)
        except PromiseError as error:
            return error.promise
    return None


def test_1_persist_before_ack() -> None:
    kept()
    guarded("tick before commit")


def test_2_nothing_accepted_is_lost() -> None:
    kept()
    guarded("dropped at a full window")


def test_3_at_least_once_on_the_wire_once_on_the_screen() -> None:
    kept()
    guarded("number not deduped")


def test_4_order() -> None:
    kept()
    guarded("past forgotten")


def test_5_deleted_only_on_the_devices_own_ack() -> None:
    kept()
    guarded("ack off by one")


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
