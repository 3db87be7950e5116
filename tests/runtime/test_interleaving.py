"""Everybody does everything at once: what must hold under every schedule, without a model of which one came."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import KILLED, SHUTDOWN, Down, Hooks, NoReply, Process, Ref, Reply
from tests.runtime.cast import Puppet, Stage, boom

VERBS = [
    "monitor",
    "demonitor",
    "link",
    "unlink",
    "call",
    "send",
    "send_after",
    "cancel",
    "monitor",
    "demonitor",
    "defer",
    "trap",
    "kill",
    "stop",
    "crash",
]
ACTORS = 3
# Who does what to whom, and how many turns are taken before the next one is told.
DEEDS = st.lists(
    st.tuples(
        st.integers(0, ACTORS - 1), st.sampled_from(VERBS), st.integers(0, ACTORS - 1), st.sampled_from([0, 0, 0, 1, 2])
    ),
    min_size=20,
    max_size=60,
)


class Busybody(Puppet):
    """Does one deed a cast and notes which references it made and gave up."""

    def __init__(self) -> None:
        super().__init__()
        self.monitors: list[Ref] = []
        self.given_up: set[Ref] = set()
        self.calls: list[Ref] = []
        self.timers: list[Ref] = []

    def handle_info(self, message: Any) -> None:
        super().handle_info(message)
        assert not (isinstance(message, Down) and message.ref in self.given_up)

    def do(self, verb: str, other: Puppet, process: Process) -> None:
        match verb:
            case "monitor":
                self.monitors.append(process.monitor(other.pid))
            case "demonitor" if self.monitors:
                self.given_up.add(self.monitors[-1])
                process.demonitor(self.monitors[-1])
            case "call":
                self.calls.append(process.call(other.pid, lambda asked: 1))
            case "send_after":
                self.timers.append(process.send_after(0.5, "tick"))
            case "cancel" if self.timers:
                process.cancel(self.timers[-1])
            case "trap":
                process.trap_exit = not process.trap_exit
            case "kill":
                process.exit(other.pid, KILLED)
            case "stop":
                process.stop(SHUTDOWN)
            case "crash":
                boom(process)
            case "link" | "unlink":
                getattr(process, verb)(other.pid)
            case "send":
                process.send(other.pid, "hello")
            case "defer":
                process.defer()


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32), deeds=DEEDS)
def test_whatever_happens_at_once_the_promises_hold(seed: int, deeds: list[tuple[int, str, int, int]]) -> None:
    errors: list[BaseException] = []
    stage = Stage(seed, hooks=Hooks(crashed=lambda pid, actor, error: errors.append(error)))
    actors = [Busybody() for _ in range(ACTORS)]
    for actor in actors:
        stage.runtime.start(actor)
    for who, verb, whom, turns in deeds:
        if not stage.is_alive(actors[who]):
            actors[who] = Busybody()
            stage.runtime.start(actors[who])
        stage.runtime.cast(actors[who].pid, partial(actors[who].do, verb, actors[whom]))
        for _ in range(turns):
            stage.scheduler.step()
    stage.wait(10)
    assert {str(error) for error in errors} <= {"boom"}
    for actor in actors:
        if stage.is_alive(actor):
            check_answers(stage, actors, actor)
    stage.runtime.close()
    assert all(not process._links and not process._watchers for process in (actor.process for actor in actors))


def check_answers(stage: Stage, actors: list[Busybody], actor: Busybody) -> None:
    """A living actor got one answer a call, and one Down a monitor if its target has ended."""
    answered = Counter(message.ref for message in actor.heard if isinstance(message, Reply | NoReply))
    assert answered == Counter(actor.calls)
    downs = Counter(message.ref for message in actor.heard if isinstance(message, Down))
    assert max(downs.values(), default=0) <= 1
    waiting = set(actor.process._monitors or ())
    assert waiting.isdisjoint(downs)
    assert waiting.isdisjoint(actor.given_up)
    assert waiting | set(downs) | actor.given_up == set(actor.monitors)
    living = {other.process for other in actors if stage.is_alive(other)}
    assert set((actor.process._monitors or {}).values()) <= living
    assert set(actor.process._links or ()) <= living
