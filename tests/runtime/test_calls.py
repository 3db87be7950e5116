"""Calls: one answer or one NoReply, never both, and nothing afterwards."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import NOPROC, NORMAL, SHUTDOWN, TIMEOUT, Crash, From, NoReply, Pid, Process, ProcessEndedError, Ref, Reply
from tests.runtime.cast import Box, Puppet, Stage, boom


def test_a_call_is_answered_at_once_or_later_or_by_another(seed: int) -> None:
    stage = Stage(seed)
    asker, asked, deputy = stage.puppet(), stage.puppet(), stage.puppet()
    box = Box()
    stage.play(asker, box.of(lambda process: process.call(asked.pid, lambda asked_process: 42)))
    assert asker.heard == [Reply(box.value, 42)]
    asker.heard.clear()
    stage.play(asker, box.of(lambda process: process.call(asked.pid, "later")))
    assert asker.heard == []
    (caller,) = asked.callers
    assert caller.pid == asker.pid
    stage.play(deputy, lambda process: process.reply(caller, "here"))
    assert asker.heard == [Reply(box.value, "here")]


def test_a_call_that_timed_out_leaves_no_late_reply_behind(seed: int) -> None:
    stage = Stage(seed)
    asker, asked = stage.puppet(), stage.puppet()
    box = Box()
    stage.play(asker, box.of(lambda process: process.call(asked.pid, "later", timeout_s=2)))
    stage.wait(1.999)
    assert asker.heard == []
    stage.wait(0.001)
    assert asker.heard == [NoReply(box.value, TIMEOUT)]
    stage.play(asked, lambda process: process.reply(asked.callers[0], "late"))
    stage.wait(10)
    assert len(asker.heard) == 1
    assert stage.runtime.statistics().late_replies == 1


def test_a_second_reply_and_one_to_the_dead_are_late(seed: int) -> None:
    stage = Stage(seed)
    asker, asked = stage.puppet(), stage.puppet()
    for _ in range(2):
        stage.play(asker, lambda process: process.call(asked.pid, "later"))
    first, second = asked.callers
    for _ in range(2):
        stage.play(asked, lambda process: process.reply(first, 1))
    assert len(asker.heard) == 1
    stage.play(asker, lambda process: process.stop())
    stage.play(asked, lambda process: process.reply(second, 2))
    stage.play(asked, lambda process: process.reply(From(asked.pid, Ref()), 3))
    assert stage.runtime.statistics().late_replies == 3
    assert stage.runtime.statistics().timers == 0


def test_a_call_to_a_dead_process_is_not_answered(seed: int) -> None:
    stage = Stage(seed)
    asker, dead = stage.puppet(), stage.puppet()
    stage.play(dead, lambda process: process.stop())
    box = Box()
    stage.play(asker, box.of(lambda process: process.call(dead.pid, "hello")))
    assert asker.heard == [NoReply(box.value, NOPROC)]


@pytest.mark.parametrize("timeout_s", [None, 5.0])
def test_who_ends_instead_of_answering_leaves_nobody_waiting(seed: int, timeout_s: float | None) -> None:
    stage = Stage(seed)
    asker, asked = stage.puppet(), stage.puppet()
    box = Box()
    stage.play(asker, box.of(lambda process: process.call(asked.pid, "later", timeout_s)))
    stage.play(asked, boom)
    (answer,) = asker.heard
    assert isinstance(answer, NoReply)
    assert answer.ref is box.value
    assert isinstance(answer.reason, Crash)
    stage.wait(10)
    assert len(asker.heard) == 1
    assert stage.runtime.statistics().timers == 0


def test_a_call_without_a_limit_waits_for_hours(seed: int) -> None:
    stage = Stage(seed)
    asker, asked = stage.puppet(), stage.puppet()
    stage.play(asker, lambda process: process.call(asked.pid, "later", None))
    stage.wait(86_400)
    stage.play(asked, lambda process: process.reply(asked.callers[0], "at last"))
    assert [message.value for message in asker.heard] == ["at last"]


def test_calls_of_an_ended_process_are_forgotten(seed: int) -> None:
    stage = Stage(seed)
    asker, asked = stage.puppet(), stage.puppet()
    stage.play(asker, lambda process: process.call(asked.pid, "later"))
    stage.play(asker, lambda process: process.stop())
    assert stage.runtime.statistics().timers == 0
    stage.play(asked, lambda process: process.reply(asked.callers[0], "nobody there"))
    assert stage.runtime.statistics().late_replies == 1


@given(
    seed=st.integers(0, 2**32),
    plan=st.lists(st.tuples(st.sampled_from(["now", "later", "never", "crash"]), st.floats(0.001, 3)), max_size=12),
)
def test_each_call_gets_exactly_one_answer(seed: int, plan: list[tuple[str, float]]) -> None:
    stage = Stage(seed)
    asker = stage.puppet()
    refs = []
    requests = {"now": lambda process: "now", "crash": boom}

    def call(pid: Pid, deed: str, process: Process) -> None:
        refs.append(process.call(pid, requests.get(deed, deed), 1))

    def answer(asked: Puppet) -> None:
        asked.process.reply(asked.callers[0], "later")

    for deed, delay_s in plan:
        asked = stage.puppet()
        stage.play(asker, partial(call, asked.pid, deed))
        if deed == "later":
            stage.runtime.schedule(delay_s, partial(answer, asked))
    stage.wait(5)
    assert sorted(map(id, (message.ref for message in asker.heard))) == sorted(map(id, refs))


def test_code_outside_the_actors_can_ask_without_waiting(seed: int) -> None:
    stage = Stage(seed)
    asked = stage.puppet()
    answers: list[Reply | NoReply] = []
    stage.runtime.ask_nowait(asked.pid, lambda process: 7, answers.append)
    stage.runtime.ask_nowait(asked.pid, "never", answers.append, 1)
    assert answers == []
    stage.wait(1)
    assert [getattr(answer, "value", None) for answer in answers] == [7, None]
    assert stage.runtime.statistics().processes == 1


def test_an_ended_process_can_tie_itself_to_nobody(seed: int) -> None:
    stage = Stage(seed)
    ended, other = stage.puppet(), stage.puppet()
    stage.play(ended, lambda process: process.stop(SHUTDOWN))
    process: Process = ended.process
    for act in (
        lambda: process.link(other.pid),
        lambda: process.monitor(other.pid),
        lambda: process.call(other.pid, "hello"),
        lambda: process.register("ghost"),
        lambda: process.start(stage.puppet()),
        lambda: process.start_link(stage.puppet()),
    ):
        with pytest.raises(ProcessEndedError):
            act()
    process.stop(NORMAL)
    stage.settle()
    assert repr(process) == f"<Process {ended.pid} ended>"
    assert "Puppet" in repr(other.process)
