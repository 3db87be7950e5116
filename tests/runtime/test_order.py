"""Order, turns and re-entrance."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import Actor, Down, Message, Pid, Process, ReentryError, StartError
from tests.runtime.cast import Puppet, Stage, boom

SEEDS = st.integers(0, 2**32)


class Source(Actor):
    """Sends numbered messages by cast and send in turn, some at each prompt."""

    def __init__(self, number: int, targets: list[Pid]) -> None:
        self.number = number
        self.targets = targets
        self.sent = 0

    def handle_cast(self, message: Message) -> None:
        for target in self.targets:
            verb = self.process.cast if self.sent % 2 else self.process.send
            verb(target, (self.number, self.sent))
        self.sent += 1


@given(seed=SEEDS, sources=st.integers(1, 4), targets=st.integers(1, 3), messages=st.integers(1, 20))
def test_messages_between_any_two_actors_keep_their_order(seed: int, sources: int, targets: int, messages: int) -> None:
    stage = Stage(seed)
    puppets = [stage.puppet() for _ in range(targets)]
    pids = [stage.runtime.start(Source(number, [puppet.pid for puppet in puppets])) for number in range(sources)]
    for _ in range(messages):
        for pid in pids:
            stage.runtime.cast(pid, "more")
    stage.settle()
    for puppet in puppets:
        assert len(puppet.heard) == sources * messages
        for number in range(sources):
            assert [sent for source, sent in puppet.heard if source == number] == list(range(messages))


@given(seed=SEEDS, messages=st.integers(0, 10))
def test_a_down_comes_once_and_after_everything_its_process_sent(seed: int, messages: int) -> None:
    stage = Stage(seed)
    watcher, dying = stage.puppet(), stage.puppet()
    stage.play(watcher, lambda process: process.monitor(dying.pid))
    for number in range(messages):
        stage.runtime.cast(dying.pid, lambda process, number=number: process.send(watcher.pid, number))
    stage.runtime.cast(dying.pid, boom)
    stage.settle()
    *sent, down = watcher.heard
    assert sent == list(range(messages))
    assert isinstance(down, Down)
    assert down.pid == dying.pid


@given(seed=SEEDS)
def test_one_down_for_each_monitor_whatever_else_happens_meanwhile(seed: int) -> None:
    stage = Stage(seed)
    watchers = [stage.puppet(trap_exit=True) for _ in range(3)]
    targets = [stage.puppet() for _ in range(3)]
    refs = set()
    for watcher in watchers:
        for target in targets:
            stage.runtime.cast(watcher.pid, lambda process, target=target: refs.add(process.monitor(target.pid)))
    for one, other in itertools.pairwise(targets):
        stage.runtime.cast(one.pid, lambda process, other=other: process.link(other.pid))
    stage.runtime.cast(targets[1].pid, boom)
    stage.settle()
    for target in targets:
        stage.runtime.cast(target.pid, boom)
    stage.settle()
    downs = [message.ref for watcher in watchers for message in watcher.heard if isinstance(message, Down)]
    assert len(downs) == 9
    assert set(downs) == refs


class Nested(Actor):
    """Counts how many of its callbacks are on the stack."""

    def __init__(self) -> None:
        self.depth = 0
        self.deepest = 0

    def handle_cast(self, message: Message) -> None:
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        if message:
            self.process.cast(self.process.pid, message - 1)
            self.process.send(self.process.pid, message - 1)
            self.process.defer()
        self.depth -= 1

    handle_info = handle_cast

    def handle_deferred(self) -> None:
        self.handle_cast(0)


def test_no_callback_runs_inside_another_of_the_same_actor(seed: int) -> None:
    stage = Stage(seed)
    actor = Nested()
    stage.runtime.cast(stage.runtime.start(actor), 6)
    stage.settle()
    assert actor.deepest == 1


def test_a_callback_that_runs_the_scheduler_crashes_and_nothing_else(seed: int) -> None:
    stage = Stage(seed)
    rash, bystander = stage.puppet(), stage.puppet()
    stage.play(rash, lambda process: stage.scheduler.step())
    (reason,) = rash.terminated
    assert isinstance(getattr(reason, "exception", None), ReentryError)
    assert stage.is_alive(bystander)


def test_an_init_may_start_others_and_talk_to_itself(seed: int) -> None:
    class Parent(Puppet):
        def init(self) -> None:
            super().init()
            self.child = Puppet()
            self.process.start_link(self.child)
            self.process.cast(self.process.pid, "later")
            self.process.cast(self.child.pid, "hello")

    stage = Stage(seed)
    parent = Parent()
    stage.runtime.start(parent)
    assert parent.heard == []
    stage.settle()
    assert parent.heard == ["later"]
    assert parent.child.heard == ["hello"]


@given(seed=SEEDS)
def test_the_same_seed_gives_the_same_run(seed: int) -> None:
    def run() -> list[str]:
        stage = Stage(seed)
        order: list[str] = []
        puppets = [stage.puppet() for _ in range(5)]
        for index, puppet in enumerate(puppets):
            for turn in range(3):
                label = f"{index}.{turn}"
                stage.runtime.cast(puppet.pid, lambda process, label=label: order.append(label))
        stage.settle()
        return order

    assert run() == run()


def test_different_seeds_give_different_runs() -> None:
    orders = set()
    for seed in range(20):
        stage = Stage(seed)
        order: list[int] = []
        for index in range(5):
            stage.runtime.cast(stage.puppet().pid, lambda process, index=index, order=order: order.append(index))
        stage.settle()
        orders.add(tuple(order))
    assert len(orders) > 5


def test_deferred_work_is_done_once_however_often_it_was_asked_for(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()

    def defer_thrice(process: Process) -> None:
        for _ in range(3):
            process.defer()

    stage.play(puppet, defer_thrice)
    assert puppet.deferred == 1
    stage.play(puppet, defer_thrice)
    assert puppet.deferred == 2


def test_deferred_work_of_an_ended_process_is_not_done(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()

    def defer_and_stop(process: Process) -> None:
        process.defer()
        process.stop()

    stage.play(puppet, defer_and_stop)
    assert puppet.deferred == 0


def test_deferred_work_may_crash_or_stop_its_process(seed: int) -> None:
    class Failing(Puppet):
        def handle_deferred(self) -> None:
            boom(self.process)

    class Stopping(Puppet):
        def handle_deferred(self) -> None:
            self.process.stop()

    stage = Stage(seed)
    for actor in (Failing(), Stopping()):
        stage.runtime.start(actor)
        stage.play(actor, lambda process: process.defer())
        assert not stage.is_alive(actor)
    assert stage.runtime.statistics().crashed == 1


def test_actors_that_chase_each_other_for_ever_are_found_out(seed: int) -> None:
    class Restless(Actor):
        def handle_cast(self, message: Message) -> None:
            self.process.cast(self.process.pid, message)

    stage = Stage(seed)
    stage.runtime.cast(stage.runtime.start(Restless()), "go")
    with pytest.raises(RuntimeError, match=str(seed)):
        stage.scheduler.run_until_idle(steps_max=100)


def test_an_actor_object_runs_once_at_a_time_and_may_run_again(seed: int) -> None:
    stage = Stage(seed)
    puppet = stage.puppet()
    with pytest.raises(ValueError, match="runs already"):
        stage.runtime.start(puppet)
    stage.play(puppet, lambda process: process.stop())
    former = puppet.pid
    stage.runtime.start(puppet)
    assert puppet.pid != former


def test_a_process_cannot_start_under_a_name_that_lives(seed: int) -> None:
    stage = Stage(seed)
    stage.puppet(name="anna")
    with pytest.raises(StartError, match="name_taken"):
        stage.puppet(name="anna")
    assert stage.runtime.statistics().processes == 1
