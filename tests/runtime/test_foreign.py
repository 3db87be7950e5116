"""Processes of other nodes: what is said to them, what comes back, and what a break or a new life does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime import (
    KILLED,
    MAILBOX_FULL,
    NODEDOWN,
    NOPROC,
    TIMEOUT,
    Answer,
    Crash,
    Down,
    Ended,
    Exit,
    FarRef,
    Foreign,
    From,
    Kind,
    Named,
    NoReply,
    Pid,
    Ref,
    Reply,
)
from tests.runtime.cast import Box, Stage, boom
from tests.runtime.web import Web

if TYPE_CHECKING:
    from runtime import Process
    from tests.runtime.cast import Puppet


@pytest.fixture
def web(seed: int) -> Web:
    return Web(seed)


def pair(web: Web, *, trap_exit: bool = False) -> tuple[Puppet, Puppet, Pid]:
    """A puppet on each node, and the pid of the far one as the near one has it."""
    near, far = web.puppet("a", trap_exit=trap_exit), web.puppet("b")
    return near, far, web.seen("a", far.pid)


def late(web: Web, node: str) -> int:
    return web.runtimes[node].statistics().late_replies


def test_without_a_distribution_a_foreign_pid_is_answered_as_a_dead_one(seed: int) -> None:
    stage = Stage(seed)
    puppet, trapper = stage.puppet(), stage.puppet(trap_exit=True)
    stranger = Pid("elsewhere", 1, 5)
    box = Box()
    stage.play(puppet, box.of(lambda process: (process.cast(stranger, 1), process.send(stranger, 1))))
    assert box.value == (False, False)
    stage.play(puppet, box.of(lambda process: (process.monitor(stranger), process.call(stranger, 1))))
    assert puppet.heard == [Down(box.value[0], stranger, NODEDOWN), NoReply(box.value[1], NODEDOWN)]
    stage.play(trapper, lambda process: process.link(stranger))
    assert trapper.heard == [Exit(stranger, NODEDOWN)]
    stage.play(puppet, lambda process: process.exit(stranger, KILLED))
    stage.play(puppet, lambda process: process.link(stranger))
    assert puppet.terminated == [NODEDOWN]
    assert stage.runtime.statistics().dropped == 2
    assert not stage.runtime.is_alive(stranger)


def test_messages_of_each_kind_reach_their_callback_on_the_other_node(web: Web) -> None:
    near, far, pid = pair(web)
    box = Box()
    web.play(near, box.of(lambda process: [process.cast(pid, 1), process.send(pid, 2), process.cast_sheddable(pid, 3)]))
    assert box.value == [True, True, True]
    assert far.heard == [1, 2, 3]


def test_a_full_link_is_told_to_whoever_casts_and_calls(web: Web) -> None:
    near, _, pid = pair(web)
    web.wires["a"].has_room = False
    box = Box()
    web.play(near, box.of(lambda process: [process.cast(pid, 1), process.cast_sheddable(pid, 2), process.call(pid, 3)]))
    assert box.value[:2] == [False, False]
    assert near.heard == [NoReply(box.value[2], MAILBOX_FULL)]
    statistics = web.runtimes["a"].statistics()
    assert (statistics.refused, statistics.shed) == (1, 1)
    assert web.runtimes["a"].foreign.tied("b") == 0


def test_a_call_is_answered_across_nodes_and_nothing_of_it_is_kept(web: Web) -> None:
    near, _, pid = pair(web)
    box = Box()
    web.play(near, box.of(lambda process: process.call(pid, lambda target: target.pid.node)))
    assert near.heard == [Reply(box.value, "b")]
    assert [runtime.foreign.tied(other) for other, runtime in zip("ba", web.runtimes.values(), strict=True)] == [0, 0]
    assert web.runtimes["a"].statistics().timers == 0


def test_a_call_that_timed_out_never_leaves_its_late_answer_in_the_mailbox(web: Web) -> None:
    near, far, pid = pair(web)
    box = Box()
    web.play(near, box.of(lambda process: process.call(pid, "later", 1.0)))
    web.wait(1.5)
    assert near.heard == [NoReply(box.value, TIMEOUT)]
    web.play(far, lambda process: process.reply(far.callers[0], "too late"))
    assert near.heard == [NoReply(box.value, TIMEOUT)]
    assert late(web, "a") == 1


def test_a_call_to_nobody_or_to_one_that_ends_is_answered_with_the_reason(web: Web) -> None:
    near, far, pid = pair(web)
    box = Box()
    web.play(near, box.of(lambda process: process.call(pid, "forever", None)))
    web.play(far, boom)
    (answer,) = near.heard
    assert answer.ref is box.value
    assert isinstance(answer.reason, Crash)
    web.play(near, box.of(lambda process: process.call(pid, "anyone")))
    assert near.heard[1:] == [NoReply(box.value, NOPROC)]


def test_a_full_mailbox_on_the_other_node_refuses_a_call_with_that_reason(web: Web) -> None:
    near, far, pid = pair(web)
    far.process.mailbox_limit = 1
    web.begin(near, lambda process: process.call(pid, "anything"))
    while not web.queues["a", "b"]:
        web.step()
    web.begin(far, lambda process: None)
    web.deliver("a", "b")
    web.settle()
    assert [message.reason for message in near.heard] == [MAILBOX_FULL]


def test_a_call_may_be_answered_from_a_third_node(seed: int) -> None:
    web = Web(seed, "abc")
    near, far, pid = pair(web)
    third = web.puppet("c")
    box = Box()
    web.play(near, box.of(lambda process: process.call(pid, "pass it on", None)))
    caller = far.callers[0]
    web.play(third, lambda process: process.reply(From(web.seen("c", near.pid), caller.ref), "from c"))
    assert near.heard == [Reply(box.value, "from c")]
    web.settle()
    assert web.runtimes["b"].foreign.tied("a") == 0
    web.play(far, lambda process: process.reply(caller, "again"))
    assert near.heard == [Reply(box.value, "from c")]
    assert late(web, "a") == 1


def test_a_name_on_another_node_is_sent_to_called_and_monitored(web: Web) -> None:
    near, far = web.puppet("a"), web.puppet("b", name="office")
    office, nobody = Named("b", "office"), Named("b", "nobody")
    box = Box()
    web.play(near, lambda process: process.cast(office, "hello"))
    assert far.heard == ["hello"]
    web.play(near, box.of(lambda process: [process.call(office, lambda target: 7), process.monitor(nobody)]))
    assert sorted(near.heard, key=repr) == [Down(box.value[1], nobody, NOPROC), Reply(box.value[0], 7)]
    web.play(near, box.of(lambda process: process.monitor(office)))
    web.play(far, lambda process: process.stop())
    assert near.heard[2].ref is box.value
    assert near.heard[2].pid == office


def test_a_name_of_ones_own_node_works_the_same(web: Web) -> None:
    near, office = web.puppet("a"), web.puppet("a", name="office")
    here, nobody = Named("a", "office"), Named("a", "nobody")
    box = Box()
    web.play(near, box.of(lambda process: (process.cast(here, 1), process.send(nobody, 2))))
    assert box.value == (True, False)
    assert office.heard == [1]
    web.play(near, lambda process: (process.call(here, lambda target: 7), process.call(nobody, 1)))
    assert [type(message) for message in near.heard] == [NoReply, Reply]
    web.play(near, lambda process: (process.monitor(here), process.monitor(nobody), process.ask_whereis("a", "office")))
    assert near.heard[-1].value == office.pid


def test_whereis_on_another_node_answers_with_a_pid_or_none(web: Web) -> None:
    near, far = web.puppet("a"), web.puppet("b", name="office")
    box = Box()
    web.play(near, box.of(lambda process: [process.ask_whereis("b", name) for name in ("office", "nobody")]))
    assert near.heard == [Reply(box.value[0], far.pid), Reply(box.value[1], None)]


@pytest.mark.parametrize("restart", [False, True])
def test_a_broken_link_tells_everybody_whose_ties_spanned_it(web: Web, restart: bool) -> None:
    near, far, pid = pair(web, trap_exit=True)
    far.process.trap_exit = True
    box = Box()
    web.play(near, lambda process: process.link(pid))
    web.play(near, box.of(lambda process: (process.monitor(pid), process.call(pid, "wait", None))))
    web.part("a", "b")
    if restart:
        web.join("a", "b")
    web.settle()
    assert set(map(repr, near.heard)) == set(
        map(repr, [Exit(pid, NODEDOWN), Down(box.value[0], pid, NODEDOWN), NoReply(box.value[1], NODEDOWN)])
    )
    assert far.heard == [Exit(near.pid, NODEDOWN)]
    assert web.runtimes["a"].foreign.tied("b") == web.runtimes["b"].foreign.tied("a") == 0


def test_an_answer_for_the_time_before_a_break_is_dropped(web: Web) -> None:
    near, far, pid = pair(web)
    web.play(near, lambda process: process.call(pid, "wait", None))
    web.part("a", "b")
    web.join("a", "b")
    web.play(far, lambda process: process.reply(far.callers[0], "late"))
    assert [type(message) for message in near.heard] == [NoReply]
    assert late(web, "a") == 1


def reborn(web: Web) -> tuple[Puppet, Puppet, Puppet]:
    """A far puppet that holds the call of one whose node was born again; the one with its serial now; the caller."""
    near, far, pid = pair(web)
    web.play(near, lambda process: process.call(pid, "wait", None))
    web.kill("a")
    web.bear("a")
    web.join("a", "b")
    successor = web.puppet("a")
    assert successor.pid.serial == near.pid.serial
    web.play(successor, lambda process: process.call(web.seen("a", far.pid), "wait", None))
    return near, far, successor


def test_the_old_life_of_a_node_is_never_mistaken_for_the_new_one(web: Web) -> None:
    near, far, successor = reborn(web)
    old = web.seen("b", near.pid)
    box = Box()
    web.play(far, lambda process: process.reply(far.callers[0], "for the old one"))
    web.play(far, box.of(lambda process: (process.cast(old, "hello"), process.monitor(old))))
    web.play(far, lambda process: process.exit(old, KILLED))
    assert box.value[0] is False
    assert far.heard == [Down(box.value[1], old, NOPROC)]
    assert successor.heard == []
    assert web.runtimes["b"].statistics().stale == 2
    assert web.runtimes["b"].is_alive(web.seen("b", successor.pid))
    assert not web.runtimes["b"].is_alive(old)


def test_a_signal_for_an_old_life_that_comes_all_the_same_is_dropped_and_counted(web: Web) -> None:
    near, far, successor = reborn(web)
    old = Pid("a", near.pid.serial, near.pid.incarnation)
    web.runtimes["a"].foreign.receive("b", Answer(old, 1, "planted"))
    web.runtimes["a"].foreign.receive_post(old, Kind.CAST, "planted")
    web.settle()
    assert successor.heard == []
    assert web.runtimes["a"].statistics().stale == 2
    assert len(far.callers) == 2


class AcceptsTheOldLife(Foreign):
    """Serials are looked up without asking of which life they are."""

    __slots__ = ()

    def _here(self, pid: Pid) -> Process | None:
        return self._runtime._processes.get(pid.serial)


def test_a_planted_bug_that_accepts_answers_for_an_old_life_is_found(seed: int) -> None:
    web = Web(seed, foreign=AcceptsTheOldLife)
    near, _, successor = reborn(web)
    web.runtimes["a"].foreign.receive("b", Answer(near.pid, 1, "planted"))
    web.settle()
    assert [message.value for message in successor.heard] == ["planted"]


def test_a_reference_that_comes_home_is_itself_again(web: Web) -> None:
    foreign = web.runtimes["a"].foreign
    box = Box()
    near = web.puppet("a")
    web.play(near, box.of(lambda process: process.send_after(60.0, "never")))
    number = foreign.number_of(box.value)
    assert foreign.number_of(box.value) == number
    incarnation = web.runtimes["a"].incarnation
    assert foreign.ref("a", incarnation, number) is box.value
    assert foreign.ref("a", incarnation, number + 1) is not box.value
    assert web.runtimes["b"].foreign.ref("a", incarnation, number) == web.runtimes["b"].foreign.ref(
        "a", incarnation, number
    )


def test_an_answer_to_a_local_call_that_went_abroad_still_arrives(web: Web) -> None:
    near, asked = web.puppet("a"), web.puppet("a")
    box = Box()
    web.play(near, box.of(lambda process: process.call(asked.pid, "somebody abroad knows", None)))
    number = web.runtimes["a"].foreign.number_of(box.value)
    web.runtimes["a"].foreign.receive("b", Answer(near.pid, number, 42))
    web.settle()
    assert near.heard == [Reply(box.value, 42)]


def test_demonitor_and_the_end_of_a_watcher_are_told_to_the_other_node(web: Web) -> None:
    near, far, pid = pair(web)
    box = Box()
    web.play(near, box.of(lambda process: (process.monitor(pid), process.monitor(pid))))
    web.play(near, lambda process: process.demonitor(box.value[0]))
    assert len(far.process._watchers or ()) == 1
    web.play(near, lambda process: process.stop())
    assert far.process._watchers is None
    assert web.runtimes["a"].foreign.tied("b") == web.runtimes["b"].foreign.tied("a") == 0


def test_an_answer_under_a_reference_that_nobody_elsewhere_made_is_late(web: Web) -> None:
    near, far, _ = pair(web)
    web.play(far, lambda process: process.reply(From(web.seen("b", near.pid), Ref()), 1))
    assert near.heard == []
    assert late(web, "b") == 1


def test_an_end_that_another_node_tells_of_is_not_believed(seed: int) -> None:
    web = Web(seed, "abc")
    near, _, pid = pair(web)
    box = Box()
    web.play(near, box.of(lambda process: process.monitor(pid)))
    foreign = web.runtimes["a"].foreign
    foreign.receive("c", Ended(near.pid, foreign.number_of(box.value), NOPROC))
    web.settle()
    assert near.heard == []


def test_addresses_and_references_show_what_they_are() -> None:
    assert [repr(value) for value in (Pid("a", 1, 2), Named("b", "office"), FarRef("c", 1, 9))] == [
        "<a.1>",
        "<b.'office'>",
        "<FarRef c.9>",
    ]
    assert Named("a", "x") != Pid("a", -1)
    assert Pid("a", -1) != Named("a", "x")
    assert FarRef("a", 1, 2) != "a"


def test_no_process_is_linked_to_a_name(web: Web) -> None:
    near, _ = web.puppet("a", trap_exit=True), web.puppet("b", name="office")
    web.play(near, lambda process: process.link(Named("b", "office")))
    web.play(near, lambda process: process.exit(Named("b", "office"), KILLED))
    assert near.heard == [Exit(Named("b", "office"), NOPROC)]


def test_an_unlink_twice_at_once_is_confirmed_twice(web: Web) -> None:
    near, far, pid = pair(web, trap_exit=True)

    def back_and_forth(process: Process) -> None:
        for _ in range(2):
            process.link(pid)
            process.unlink(pid)

    web.play(near, back_and_forth)
    assert web.runtimes["a"].foreign.tied("b") == web.runtimes["b"].foreign.tied("a") == 0
    assert far.process._links is None


def test_two_who_unlink_the_same_process_at_once_are_each_confirmed(web: Web) -> None:
    near, _, pid = pair(web)
    other = web.puppet("a")
    for puppet in (near, other):
        web.begin(puppet, lambda process: (process.link(pid), process.unlink(pid)))  # type: ignore[func-returns-value]
    web.settle()
    assert web.runtimes["a"].foreign.tied("b") == web.runtimes["b"].foreign.tied("a") == 0


@pytest.mark.parametrize("insistent", [False, True])
def test_who_insists_ends_a_process_elsewhere_that_has_no_room(web: Web, insistent: bool) -> None:
    near, far, pid = pair(web)
    far.process.mailbox_limit = 1
    box = Box()
    web.play(near, box.of(lambda process: process.monitor(pid)))
    web.begin(near, lambda process: process.insist(pid, "this") if insistent else process.cast(pid, "this"))
    while not web.queues["a", "b"]:
        web.step()
    web.begin(far, lambda process: None)
    web.deliver("a", "b")
    web.settle()
    assert near.heard == ([Down(box.value, pid, MAILBOX_FULL)] if insistent else [])


def test_a_name_that_nobody_holds_is_resolved_when_something_comes_for_it(web: Web) -> None:
    near = web.puppet("a")
    asked: list[object] = []

    def resolve(name: object) -> Pid | None:
        asked.append(name)
        return web.puppet("b", name="sleeper").pid if name == ("at", "sleeper") else None

    web.runtimes["b"].foreign.resolver = resolve
    sleeper, nobody = Named("b", ("at", "sleeper")), Named("b", "nobody")
    box = Box()
    web.play(near, box.of(lambda process: [process.monitor(sleeper), process.monitor(nobody)]))
    assert near.heard == [Down(box.value[1], nobody, NOPROC)]
    pid = web.runtimes["b"].whereis("sleeper")
    assert pid is not None
    web.runtimes["b"].exit(pid, KILLED)
    web.settle()
    assert near.heard[1:] == [Down(box.value[0], sleeper, KILLED)]
    assert asked == [("at", "sleeper"), "nobody"]
