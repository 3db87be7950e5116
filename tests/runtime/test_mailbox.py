"""Bounded mailboxes, what passes a full one, and what becomes of messages for the dead."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from runtime import MAILBOX_FULL, Actor, Down, Exit, Hooks, NoReply, Process, TaskDone, UnhandledError
from tests.runtime.cast import Box, Puppet, Stage, boom


@given(limit=st.integers(1, 20), casts=st.integers(0, 40), sends=st.integers(0, 40))
def test_a_mailbox_holds_its_limit_and_refuses_and_counts_the_rest(limit: int, casts: int, sends: int) -> None:
    stage = Stage(mailbox_limit=limit)
    puppet = stage.puppet()
    accepted = [stage.runtime.cast(puppet.pid, number) for number in range(casts)]
    accepted += [stage.runtime.send(puppet.pid, number) for number in range(sends)]
    assert sum(accepted) == min(limit, casts + sends) == puppet.process.waiting
    assert stage.runtime.statistics().refused == max(0, casts + sends - limit)
    stage.settle()
    assert len(puppet.heard) == sum(accepted)
    assert puppet.process.waiting == 0


def test_an_actor_that_casts_to_a_full_mailbox_is_told(seed: int) -> None:
    refused = []
    stage = Stage(seed, mailbox_limit=2, hooks=Hooks(refused=lambda pid, message: refused.append((pid, message))))
    slow, busy = stage.puppet(), stage.puppet()
    box = Box()
    stage.play(busy, box.of(lambda process: [process.cast(slow.pid, number) for number in range(3)]))
    assert box.value == [True, True, False]
    assert refused == [(slow.pid, 2)]
    stage.play(busy, box.of(lambda process: [process.send(slow.pid, number) for number in range(3)]))
    assert box.value == [True, True, False]
    assert refused[1:] == [(slow.pid, 2)]


def test_sheddable_casts_are_refused_above_half_the_limit(seed: int) -> None:
    stage = Stage(seed, mailbox_limit=10)
    puppet, sender = stage.puppet(), stage.puppet()
    box = Box()
    stage.play(sender, box.of(lambda process: [process.cast_sheddable(puppet.pid, number) for number in range(8)]))
    assert box.value == [True] * 5 + [False] * 3
    assert stage.runtime.statistics().shed == 3
    assert stage.runtime.statistics().refused == 0
    assert puppet.heard == list(range(5))


def test_a_limit_of_its_own_beats_the_runtimes(seed: int) -> None:
    stage = Stage(seed, mailbox_limit=10)
    puppet = Puppet()
    stage.runtime.start(puppet, mailbox_limit=1)
    assert [stage.runtime.cast(puppet.pid, number) for number in range(3)] == [True, False, False]


def test_what_the_system_says_passes_a_full_mailbox(seed: int) -> None:
    stage = Stage(seed, mailbox_limit=1)
    puppet, other = stage.puppet(trap_exit=True), stage.puppet()

    def tie(process: Process) -> None:
        process.link(other.pid)
        process.monitor(other.pid)
        process.task(len, "four")
        process.send_after(1, "timer")

    stage.play(puppet, tie)
    puppet.heard.clear()
    stage.runtime.cast(other.pid, boom)
    while stage.is_alive(other):
        stage.scheduler.step()
    assert stage.runtime.cast(puppet.pid, "refused") is False
    stage.clock.advance(1)
    stage.settle()
    assert {type(message) for message in puppet.heard} == {Down, Exit, str}


def test_a_call_to_a_full_mailbox_is_refused_with_a_reason(seed: int) -> None:
    stage = Stage(seed, mailbox_limit=1)
    full, asker = stage.puppet(), stage.puppet()
    box = Box()

    def ask(process: Process) -> object:
        process.cast(full.pid, "fills it")
        return process.call(full.pid, "too much")

    stage.play(asker, box.of(ask))
    assert asker.heard == [NoReply(box.value, MAILBOX_FULL)]
    assert full.callers == []


def test_messages_for_the_dead_are_dropped_and_counted(seed: int) -> None:
    dropped = []
    stage = Stage(seed, hooks=Hooks(dropped=lambda pid, message: dropped.append(message)))
    puppet, sender = stage.puppet(), stage.puppet()
    stage.play(puppet, lambda process: process.stop())
    verbs = ("cast", "send", "cast_sheddable")
    box = Box()
    for verb in verbs:
        assert getattr(stage.runtime, verb)(puppet.pid, verb) is False
        stage.play(sender, box.of(partial(lambda verb, process: getattr(process, verb)(puppet.pid, verb), verb)))
        assert box.value is False
    assert stage.runtime.statistics().dropped == 6
    assert dropped == [verb for verb in verbs for _ in range(2)]


def test_what_lay_in_the_mailbox_of_the_dead_is_dropped_and_counted(seed: int) -> None:
    dropped = []
    stage = Stage(seed, hooks=Hooks(dropped=lambda pid, message: dropped.append(message)))
    puppet, asker = stage.puppet(), stage.puppet()

    def fill(process: Process) -> None:
        process.cast(puppet.pid, boom)
        process.cast(puppet.pid, "cast")
        process.send(puppet.pid, "info")
        process.call(puppet.pid, "request")

    stage.play(asker, fill)
    assert dropped == ["cast", "info", "request"]
    assert stage.runtime.statistics().dropped == 3


def test_an_idle_process_has_no_mailbox(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()
    stage.runtime.cast(puppet.pid, "hello")
    assert puppet.process._mailbox is not None
    stage.settle()
    assert puppet.process._mailbox is None


def test_an_actor_without_a_handler_ends_by_casts_and_calls_and_ignores_infos(seed: int) -> None:
    errors: list[BaseException] = []
    stage = Stage(seed, hooks=Hooks(crashed=lambda pid, actor, error: errors.append(error)))
    asker = stage.puppet()
    stage.runtime.cast(stage.runtime.start(Actor()), "cast")
    stage.settle()
    bare = stage.runtime.start(Actor())
    stage.play(asker, lambda process: process.call(bare, "request"))
    ignoring = stage.runtime.start(Actor())
    stage.runtime.send(ignoring, "info")
    stage.settle()
    assert [(type(error), getattr(error, "callback", "")) for error in errors] == [
        (UnhandledError, "handle_cast"),
        (UnhandledError, "handle_call"),
    ]
    assert "str" in str(errors[0])
    assert "request" not in str(errors[1])
    assert stage.runtime.is_alive(ignoring)
    assert stage.runtime.statistics().ignored == 1
    assert not any(isinstance(message, TaskDone) for message in asker.heard)
