"""How processes begin and end: acknowledged starts, exit reasons, exit signals, terminate, names."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    Pid,
    Process,
    Reason,
    Shutdown,
    StartError,
)
from tests.runtime.cast import Box, Puppet, Stage, Starter, boom


def test_a_start_returns_after_init_and_nothing_is_left_of_one_that_failed(seed: int) -> None:
    stage = Stage(seed)
    other = stage.puppet()

    def begin_and_fail(process: Process) -> None:
        process.register("half")
        process.link(other.pid)
        process.monitor(other.pid)
        process.start_link(Puppet())
        process.cast(process.pid, "never handled")
        boom(process)

    with pytest.raises(StartError) as caught:
        stage.runtime.start(Starter(begin_and_fail), name="whole")
    assert isinstance(caught.value.reason, Crash)
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.actor == "Starter"
    assert stage.runtime.names() == ()
    stage.settle()
    assert stage.runtime.statistics().processes == 0
    assert other.terminated == [caught.value.reason]


def test_the_children_of_a_process_are_found_when_it_has_ended_too(seed: int) -> None:
    stage = Stage(seed)
    parent, stranger = stage.puppet(), stage.puppet()
    children = [Puppet(), Puppet(), Puppet()]
    for child in children:
        stage.play(parent, lambda process, child=child: process.start(child))  # type: ignore[misc]
    stage.play(stranger, lambda process: process.start(Puppet()))
    stage.play(parent, lambda process: process.stop())
    stage.play(children[1], lambda process: process.stop())
    assert not stage.is_alive(parent)
    assert stage.runtime.children_of({parent.pid}) == (children[0].pid, children[2].pid)
    assert stage.runtime.children_of(()) == ()


def test_only_actors_can_be_started(seed: int) -> None:
    stage = Stage(seed)
    wrong: Any = [1, 2]
    with pytest.raises(TypeError, match="a list is none"):
        stage.runtime.start(wrong)
    assert stage.runtime.statistics().processes == 0


def test_an_init_may_stop_and_then_the_start_has_failed(seed: int) -> None:
    stage = Stage(seed)
    with pytest.raises(StartError) as caught:
        stage.runtime.start(Starter(lambda process: process.stop(SHUTDOWN)))
    assert caught.value.reason == SHUTDOWN
    assert stage.runtime.statistics().crashed == 0
    assert stage.runtime.statistics().processes == 0


def test_a_parent_gets_the_start_error_and_no_exit_signal(seed: int) -> None:
    stage = Stage(seed)
    parent = stage.puppet(trap_exit=True)

    def start(process: Process) -> Reason:
        with pytest.raises(StartError) as caught:
            process.start_link(Starter(boom))
        return caught.value.reason

    box = Box()
    stage.play(parent, box.of(start))
    assert isinstance(box.value, Crash)
    assert parent.heard == []
    assert stage.is_alive(parent)


def test_a_parent_that_does_not_catch_the_start_error_crashes(seed: int) -> None:
    stage = Stage(seed)
    parent = stage.puppet()
    stage.play(parent, lambda process: process.start(Starter(boom)))
    (reason,) = parent.terminated
    assert isinstance(reason, Crash)
    assert isinstance(reason.exception, StartError)


@pytest.mark.parametrize("reason", [NORMAL, SHUTDOWN, Shutdown("soon"), Reason("odd")])
def test_terminate_hears_why_and_runs_once(seed: int, reason: Reason) -> None:
    stage = Stage(seed)
    stopped, signalled, trapping = stage.puppet(), stage.puppet(), stage.puppet(trap_exit=True)
    stage.play(stopped, lambda process: process.stop(reason))
    assert stopped.terminated == [reason]
    stage.runtime.exit(signalled.pid, reason)
    stage.runtime.exit(trapping.pid, reason)
    stage.settle()
    assert signalled.terminated == ([] if reason == NORMAL else [reason])
    assert trapping.heard == [Exit(stage.runtime.outside, reason)]


def test_a_kill_cannot_be_trapped_and_runs_no_terminate(seed: int) -> None:
    stage = Stage(seed)
    victim, partner = stage.puppet(trap_exit=True), stage.puppet(trap_exit=True)
    stage.play(partner, lambda process: process.link(victim.pid))
    stage.runtime.exit(victim.pid, KILLED)
    stage.settle()
    assert victim.terminated == []
    assert not stage.is_alive(victim)
    assert partner.heard == [Exit(victim.pid, KILLED)]


def test_a_process_that_kills_itself_ends_however_it_traps(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet(trap_exit=True)

    def stop_and_kill(process: Process) -> None:
        process.stop(SHUTDOWN)
        process.stop(NORMAL)
        process.exit(process.pid, KILLED)

    stage.play(puppet, stop_and_kill)
    assert not stage.is_alive(puppet)
    assert puppet.terminated == []


def test_an_exit_to_oneself_is_trapped_like_any_other(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet(trap_exit=True)
    stage.play(puppet, lambda process: process.exit(process.pid, NORMAL))
    assert puppet.heard == [Exit(puppet.pid, NORMAL)]
    assert stage.is_alive(puppet)


def test_terminate_that_raises_changes_the_reason(seed: int) -> None:
    class Clumsy(Puppet):
        def terminate(self, reason: Reason) -> None:
            boom(self.process)

    stage = Stage(seed)
    watcher, clumsy = stage.puppet(), Clumsy()
    stage.runtime.start(clumsy)
    stage.play(watcher, lambda process: process.monitor(clumsy.pid))
    stage.play(clumsy, lambda process: process.stop())
    (down,) = watcher.heard
    assert isinstance(down, Down)
    assert isinstance(down.reason, Crash)


def test_terminate_may_still_send_and_its_process_still_has_its_name(seed: int) -> None:
    class Polite(Puppet):
        def terminate(self, reason: Reason) -> None:
            self.process.cast(heir.pid, self.process.runtime.whereis("polite"))

    stage = Stage(seed)
    heir, polite = stage.puppet(), Polite()
    stage.runtime.start(polite, name="polite")
    stage.play(polite, lambda process: process.stop())
    assert heir.heard == [polite.pid]
    assert stage.runtime.whereis("polite") is None


def test_a_stop_from_outside_a_callback_takes_effect_soon_and_ends_the_mailbox(seed: int) -> None:
    stage = Stage(seed)
    idle, busy = stage.puppet(), stage.puppet()
    stage.runtime.cast(busy.pid, "unheard")
    idle.process.stop(SHUTDOWN)
    busy.process.stop(SHUTDOWN)
    assert stage.is_alive(idle)
    stage.settle()
    assert idle.terminated == busy.terminated == [SHUTDOWN]
    assert busy.heard == []
    assert stage.runtime.statistics().dropped == 1


def test_an_exit_signal_overtakes_what_waits_in_the_mailbox(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()
    stage.runtime.cast(puppet.pid, "unheard")
    stage.runtime.exit(puppet.pid, SHUTDOWN)
    stage.settle()
    assert puppet.heard == []
    assert puppet.terminated == [SHUTDOWN]


def test_a_chain_of_links_as_long_as_you_like_falls_without_recursion(seed: int) -> None:
    stage = Stage(seed)
    chain = [stage.puppet() for _ in range(20_000)]
    for one, other in zip(chain, chain[1:], strict=False):  # noqa: RUF007
        one.process.link(other.pid)
    stage.play(chain[0], boom)
    assert stage.runtime.statistics().processes == 0
    assert chain[-1].terminated == chain[0].terminated


def test_an_unlink_stops_an_exit_signal_that_is_on_its_way(seed: int) -> None:
    stage = Stage(seed)
    puppet, other = stage.puppet(), stage.puppet()
    puppet.process.link(other.pid)

    def start_dying_and_unlink(process: Process) -> None:
        def link_and_crash(child_process: Process) -> None:
            child_process.link(process.pid)
            boom(child_process)

        child = Starter(link_and_crash)
        with pytest.raises(StartError):
            process.runtime.start(child)
        process.unlink(child.process.pid)
        process.unlink(Pid("elsewhere", 1))
        process.unlink(Pid("local", 99))

    stage.play(puppet, start_dying_and_unlink)
    assert stage.is_alive(puppet)


def test_a_demonitor_takes_back_a_down_that_lies_in_the_mailbox(seed: int) -> None:
    stage = Stage(seed)
    puppet, dead = stage.puppet(), stage.puppet()
    stage.play(dead, lambda process: process.stop())

    def monitor_and_regret(process: Process) -> None:
        process.send(process.pid, "first")
        process.monitor(dead.pid)
        process.demonitor(process.monitor(dead.pid))

    stage.play(puppet, monitor_and_regret)
    assert [type(message) for message in puppet.heard] == [str, Down]
    assert puppet.heard[1].reason == NOPROC
    puppet.process.demonitor(puppet.heard[1].ref)


@pytest.mark.parametrize("schedule", range(20))
def test_a_demonitor_in_the_turn_that_would_have_handled_the_down_hurts_nobody(schedule: int) -> None:
    stage = Stage(schedule)
    puppet, dying = stage.puppet(), stage.puppet()
    refs: list[Any] = []
    stage.play(puppet, lambda process: refs.append(process.monitor(dying.pid)))
    stage.runtime.cast(dying.pid, lambda process: process.stop())
    stage.runtime.cast(puppet.pid, lambda process: process.demonitor(refs[0]))
    stage.settle()
    assert stage.is_alive(puppet)
    assert len([message for message in puppet.heard if type(message) is Down]) <= 1


def test_several_monitors_and_links_end_with_the_watcher(seed: int) -> None:
    stage = Stage(seed)
    watcher, target = stage.puppet(), stage.puppet()

    def watch(process: Process) -> None:
        for _ in range(3):
            process.monitor(target.pid)
        process.monitor(process.pid)
        process.link(process.pid)
        process.stop()

    stage.play(watcher, watch)
    assert target.process._watchers is None
    assert not stage.is_alive(watcher)
    stage.play(target, boom)
    assert watcher.heard == []


def test_a_killed_parent_takes_its_linked_children_along(seed: int) -> None:
    stage = Stage(seed)
    parent, linked, free = stage.puppet(), Puppet(), Puppet()

    def start(process: Process) -> None:
        process.start_link(linked)
        process.start(free)

    stage.play(parent, start)
    assert linked.process.parent == free.process.parent == parent.pid
    stage.runtime.exit(parent.pid, KILLED)
    stage.settle()
    assert linked.terminated == [KILLED] or not stage.is_alive(linked)
    assert stage.is_alive(free)


def test_an_exit_to_nobody_is_nothing(seed: int) -> None:
    stage = Stage(seed)
    stage.runtime.exit(Pid("local", 99), KILLED)
    assert not stage.runtime.is_alive(Pid("local", 99))


def test_pids_are_values(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()
    copy = Pid("local", puppet.pid.serial)
    assert copy == puppet.pid
    assert hash(copy) == hash(puppet.pid)
    assert copy != Pid("remote", puppet.pid.serial)
    assert copy != "local"
    assert repr(copy) == f"<local.{puppet.pid.serial}>"


def test_closing_ends_everything_the_youngest_first(seed: int) -> None:
    stage = Stage(seed)
    order: list[int] = []

    class Last(Puppet):
        def terminate(self, reason: Reason) -> None:
            order.append(self.pid.serial)

    puppets = [Last() for _ in range(3)]
    for puppet in puppets:
        stage.runtime.start(puppet)
    puppets[2].process.link(puppets[1].pid)
    stage.runtime.schedule(1, lambda: order.append(-1))
    stage.runtime.close()
    assert order == [3, 2, 1]
    assert not stage.scheduler.step()
    assert stage.runtime.statistics().timers == 0


@pytest.mark.parametrize(
    ("reason", "text", "is_normal"),
    [
        (NORMAL, "normal", True),
        (SHUTDOWN, "shutdown", True),
        (Shutdown("soon"), "shutdown: soon", True),
        (KILLED, "killed", False),
        (Crash(ValueError("private words")), "crash: ValueError", False),
    ],
)
def test_reasons_say_what_they_are_and_no_content(reason: Reason, text: str, is_normal: bool) -> None:
    assert str(reason) == text
    assert reason.is_normal is is_normal
