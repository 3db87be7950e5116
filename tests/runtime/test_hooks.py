"""Hooks see what happens and cannot disturb it."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import Actor, Crash, Hooks, InlineTasks, Pid, Reason, StartError, print_crash
from tests.runtime.cast import Stage, Starter, boom


def test_hooks_hear_of_starts_crashes_and_ends_in_order(seed: int) -> None:
    seen: list[tuple[str, Any]] = []

    def started(pid: Pid, actor: Actor) -> None:
        seen.append(("started", pid))

    def ended(pid: Pid, actor: Actor, reason: Reason) -> None:
        seen.append(("ended", type(reason)))

    def crashed(pid: Pid, actor: Actor, exception: BaseException) -> None:
        seen.append(("crashed", type(exception)))

    stage = Stage(seed, hooks=Hooks(started=started, ended=ended, crashed=crashed))
    puppet = stage.puppet()
    stage.play(puppet, boom)
    assert seen == [("started", puppet.pid), ("crashed", ValueError), ("ended", Crash)]
    with pytest.raises(StartError):
        stage.runtime.start(Starter(boom))
    assert seen[3:] == [("crashed", ValueError)]


def test_a_hook_that_raises_is_counted_and_disturbs_nothing(seed: int) -> None:
    def clumsy(*args: object) -> None:
        raise KeyError

    stage = Stage(seed, hooks=Hooks(clumsy, clumsy, clumsy, clumsy, clumsy, clumsy), mailbox_limit=1)
    puppet = stage.puppet()
    stage.runtime.cast(puppet.pid, boom)
    stage.runtime.cast(puppet.pid, "refused")
    stage.settle()
    stage.runtime.cast(puppet.pid, "dropped")
    assert stage.runtime.statistics().hook_failures == 6
    assert not stage.is_alive(puppet)


def test_a_crash_can_be_printed(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(seed, hooks=Hooks(crashed=print_crash))
    stage.play(stage.puppet(), boom)
    printed = capsys.readouterr().err
    assert "Puppet crashed" in printed
    assert "ValueError: boom" in printed


def test_statistics_are_a_snapshot(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet(name="anna")
    before = stage.runtime.statistics()
    stage.runtime.cast(puppet.pid, boom)
    assert stage.runtime.statistics().runnable == 1
    stage.settle()
    after = stage.runtime.statistics()
    assert (before.processes, before.names, before.started, before.messages) == (1, 1, 1, 0)
    assert (after.processes, after.names, after.crashed, after.ended, after.messages) == (0, 0, 1, 1, 1)
    InlineTasks().close()
