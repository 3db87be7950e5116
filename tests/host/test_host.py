"""A host of processes: whoever is killed, hangs or fails, the right ones are replaced and none is left behind."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from itertools import combinations
from typing import TYPE_CHECKING

import psutil
import pytest

from bench.live_node import ADMIN, SUPERVISOR, WORKER
from tests.host.troupe import Troupe, left_after_a_while

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.crash]

LAUNCHER = "launcher"


def everyone(troupe: Troupe) -> dict[str, psutil.Process]:
    """The processes of a troupe of one, by name."""
    return {LAUNCHER: psutil.Process(troupe.process.pid)} | {name: each[0] for name, each in troupe.below().items()}


def test_eight_workers_killed_at_once_are_each_replaced_once() -> None:
    with Troupe(*["steady"] * 8) as troupe:
        before = troupe.begun(8)
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        after = troupe.begun(8)
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())
        troupe.process.terminate()
        rest = troupe.rest()
        assert troupe.process.returncode == 0
        assert sorted(line for line in rest if line.endswith("stops")) == sorted(f"{name} stops" for name in after)
        assert sum("worker_replaced" in line for line in troupe.lines) == 8


def test_a_worker_that_dies_before_it_is_known_is_replaced() -> None:
    with Troupe("dies") as troupe:
        first = troupe.begun(1)
        assert troupe.begun(1) != first


@pytest.mark.parametrize(
    "killed",
    [
        *combinations([LAUNCHER, ADMIN, SUPERVISOR], 1),
        *combinations([LAUNCHER, ADMIN, SUPERVISOR, WORKER], 2),
        (WORKER, SUPERVISOR, ADMIN, LAUNCHER),
    ],
    ids="+".join,
)
def test_a_host_that_loses_more_than_workers_is_gone_within_two_seconds(killed: tuple[str, ...]) -> None:
    with Troupe("steady") as troupe:
        troupe.begun(1)
        processes = everyone(troupe)
        assert processes.keys() == {LAUNCHER, ADMIN, SUPERVISOR, WORKER}
        for name in killed:
            with suppress(psutil.NoSuchProcess):  # the first was faster to take it along
                processes[name].kill()
        below = [process for name, process in processes.items() if name != LAUNCHER]
        assert left_after_a_while(below) == []
        rest = troupe.rest()
        if LAUNCHER not in killed:
            assert troupe.process.returncode == 1
            assert "host_failed" in rest[-1]


@pytest.mark.parametrize(
    ("appears", "killed"),
    [
        (ADMIN, LAUNCHER),
        (ADMIN, ADMIN),
        *((SUPERVISOR, killed) for killed in (LAUNCHER, ADMIN, SUPERVISOR)),
        *((WORKER, killed) for killed in (LAUNCHER, ADMIN, SUPERVISOR)),
    ],
)
def test_a_host_that_is_killed_as_soon_as_one_of_its_processes_appears_is_gone(appears: str, killed: str) -> None:
    with Troupe("steady") as troupe:
        processes: dict[str, list[psutil.Process]] = {}
        while appears not in processes:
            processes = troupe.below()
        (troupe.process if killed == LAUNCHER else processes[killed][0]).kill()
        assert left_after_a_while([each for group in processes.values() for each in group]) == []
        troupe.rest()
        assert troupe.process.returncode == (-signal.SIGKILL if killed == LAUNCHER else 1)


def test_a_worker_that_is_stopped_is_killed_and_replaced() -> None:
    with Troupe("steady") as troupe:
        [stopped] = troupe.begun(1).values()
        os.kill(stopped, signal.SIGSTOP)
        [other] = troupe.begun(1).values()
        assert other != stopped
        assert not psutil.pid_exists(stopped)
        assert any("worker_hangs" in line for line in troupe.lines)


def test_a_worker_whose_loop_stands_still_is_killed_and_replaced() -> None:
    with Troupe("hangs", "steady") as troupe:
        before = troupe.begun(2)
        after = troupe.begun(1)
        assert after.keys() == {"hangs-0"}
        assert not psutil.pid_exists(before["hangs-0"])
        assert psutil.pid_exists(before["steady-1"])


def test_a_supervisor_that_is_stopped_ends_the_host() -> None:
    with Troupe("steady") as troupe:
        troupe.begun(1)
        processes = everyone(troupe)
        processes[SUPERVISOR].suspend()
        rest = troupe.rest()
        assert troupe.process.returncode == 1
        assert "the supervisor is silent" in rest[-1]
        assert left_after_a_while(processes.values()) == []


def test_a_worker_that_keeps_failing_ends_the_host_after_ten_replacements() -> None:
    with Troupe("fails", "steady") as troupe:
        rest = troupe.rest()
        assert troupe.process.returncode == 1
        assert sum("worker_replaced" in line for line in rest) == 10
        assert sum("host_gave_up" in line for line in rest) == 1
        assert rest.count("RuntimeError: a worker's fault") == 11


def test_a_worker_that_refuses_to_start_ends_the_host_and_is_heard_once() -> None:
    with Troupe("refuses") as troupe:
        rest = troupe.rest()
        assert troupe.process.returncode == 1
        assert [line.partition(" ")[2] for line in rest if "cannot" in line] == ["cannot start"]
        assert not any("host_failed" in line or "worker_replaced" in line for line in rest)


def to_the_launcher(number: signal.Signals) -> Callable[[Troupe], None]:
    return lambda troupe: troupe.process.send_signal(number)


def to_everyone(troupe: Troupe) -> None:
    """As a process manager that signals the whole control group."""
    for process in everyone(troupe).values():
        with suppress(psutil.NoSuchProcess):
            process.terminate()


@pytest.mark.parametrize(
    "ask",
    [to_the_launcher(signal.SIGTERM), to_the_launcher(signal.SIGINT), to_everyone],
    ids=["SIGTERM", "SIGINT", "everyone"],
)
def test_a_host_that_is_asked_to_stop_lets_its_workers_finish(ask: Callable[[Troupe], None]) -> None:
    with Troupe("steady") as troupe:
        troupe.begun(1)
        processes = everyone(troupe)
        ask(troupe)
        rest = troupe.rest()
        assert troupe.process.returncode == 0
        assert rest == ["steady-0 stops"]
        assert left_after_a_while(processes.values()) == []


@pytest.mark.parametrize("name", [LAUNCHER, ADMIN, SUPERVISOR, WORKER])
def test_a_host_that_is_killed_while_it_drains_is_gone(name: str) -> None:
    with Troupe("lingers") as troupe:
        troupe.begun(1)
        processes = everyone(troupe)
        troupe.process.terminate()
        troupe.line("lingers-0 stops")
        processes[name].kill()
        assert left_after_a_while([each for each in processes.values() if each.pid != troupe.process.pid]) == []
        troupe.rest()
        assert troupe.process.returncode == (-signal.SIGKILL if name == LAUNCHER else 1)
        assert not any("worker_replaced" in line for line in troupe.lines)


def test_a_worker_is_deaf_to_all_signals_but_the_last() -> None:
    with Troupe("steady") as troupe:
        [pid] = troupe.begun(1).values()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
        os.kill(pid, signal.SIGKILL)
        assert troupe.begun(1).keys() == {"steady-0"}
        assert '"ended": "SIGKILL"' in "".join(troupe.lines)
