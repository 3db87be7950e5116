"""The runtime against a plain model of Erlang's rules for links, monitors, exit signals and names."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime import (
    KILLED,
    NOPROC,
    NORMAL,
    SHUTDOWN,
    Crash,
    Down,
    Exit,
    NameTakenError,
    Pid,
    Process,
    Reason,
    Ref,
    Shutdown,
)
from tests.runtime.cast import Box, Puppet, Stage, boom

if TYPE_CHECKING:
    from collections.abc import Callable

REASONS = st.sampled_from([NORMAL, SHUTDOWN, KILLED, Shutdown("move"), Reason("odd")])
NAMES = st.sampled_from(["anna", "bert", ("room", 7)])
WHO = st.integers(0, 1000)
CRASH = "crash"


def said(message: Any) -> tuple[Any, ...]:
    """What a message says, in a form that model and runtime share."""
    if isinstance(message, Down):
        return ("down", message.ref, message.pid, of(message.reason))
    if isinstance(message, Exit):
        return ("exit", message.source, of(message.reason))
    return ("plain", message)


def of(reason: Reason) -> Reason | str:
    return CRASH if isinstance(reason, Crash) else reason


class Model:
    """What Erlang's reference manual says, without a runtime."""

    def __init__(self) -> None:
        self.alive: dict[Pid, bool] = {}
        self.links: set[frozenset[Pid]] = set()
        self.monitors: dict[Ref, tuple[Pid, Pid]] = {}
        self.names: dict[Any, Pid] = {}
        self.inbox: dict[Pid, list[tuple[Any, ...]]] = {}
        self.signals: deque[tuple[Pid, Pid, Reason | str, bool]] = deque()

    def start(self, pid: Pid, trap_exit: bool) -> None:
        self.alive[pid] = trap_exit
        self.inbox[pid] = []

    def tell(self, pid: Pid, *message: Any) -> None:
        if pid in self.alive:
            self.inbox[pid].append(message)

    def end(self, pid: Pid, reason: Reason | str) -> None:
        if pid not in self.alive:
            return
        del self.alive[pid]
        self.names = {name: holder for name, holder in self.names.items() if holder != pid}
        for ref, (watcher, target) in tuple(self.monitors.items()):
            if pid in (watcher, target):
                del self.monitors[ref]
            if target == pid:
                self.tell(watcher, "down", ref, pid, reason)
        for link in [link for link in self.links if pid in link]:
            self.links.remove(link)
            (other,) = link - {pid}
            self.signals.append((other, pid, reason, True))

    def settle(self) -> None:
        while self.signals:
            target, source, reason, is_link = self.signals.popleft()
            if target not in self.alive:
                continue
            if reason == KILLED and not is_link:
                self.end(target, KILLED)
            elif self.alive[target]:
                self.tell(target, "exit", source, reason)
            elif reason != NORMAL or source == target:
                self.end(target, reason)


class Agreement(RuleBasedStateMachine):
    """Puppets and model do the same things; afterwards the same live, and have heard the same."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.stage = Stage(seed)
        self.model = Model()
        self.puppets: list[Puppet] = []
        self.refs: list[tuple[Pid, Ref]] = []

    def living(self, who: int) -> Puppet:
        living = [puppet for puppet in self.puppets if puppet.pid in self.model.alive]
        return living[who % len(living)]

    def anyone(self, who: int) -> Puppet:
        return self.puppets[who % len(self.puppets)]

    def has_living(self) -> bool:
        return bool(self.model.alive)

    def play(self, puppet: Puppet, act: Callable[[Process], object]) -> Any:
        box = Box()
        self.stage.play(puppet, box.of(act))
        self.model.settle()
        return box.value

    @rule(trap_exit=st.booleans())
    def start(self, trap_exit: bool) -> None:
        puppet = self.stage.puppet(trap_exit=trap_exit)
        self.puppets.append(puppet)
        self.model.start(puppet.pid, trap_exit)

    @precondition(has_living)
    @rule(who=WHO, trap_exit=st.booleans(), verb=st.sampled_from(["start", "start_link", "start_monitor"]))
    def start_child(self, who: int, trap_exit: bool, verb: str) -> None:
        parent, child = self.living(who), Puppet(trap_exit=trap_exit)
        result = self.play(parent, lambda process: getattr(process, verb)(child))
        self.puppets.append(child)
        self.model.start(child.pid, trap_exit)
        if verb == "start_link":
            self.model.links.add(frozenset({parent.pid, child.pid}))
        if verb == "start_monitor":
            self.model.monitors[result[1]] = (parent.pid, child.pid)
            self.refs.append((parent.pid, result[1]))

    @precondition(has_living)
    @rule(who=WHO, whom=WHO)
    def link(self, who: int, whom: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        if other.pid not in self.model.alive:
            if self.model.alive[one.pid]:
                self.model.tell(one.pid, "exit", other.pid, NOPROC)
            else:
                self.model.end(one.pid, NOPROC)
        elif one is not other:
            self.model.links.add(frozenset({one.pid, other.pid}))
        self.play(one, lambda process: process.link(other.pid))

    @precondition(has_living)
    @rule(who=WHO, whom=WHO)
    def unlink(self, who: int, whom: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        self.model.links.discard(frozenset({one.pid, other.pid}))
        self.play(one, lambda process: process.unlink(other.pid))

    @precondition(has_living)
    @rule(who=WHO, whom=WHO)
    def monitor(self, who: int, whom: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        ref = self.play(one, lambda process: process.monitor(other.pid))
        self.refs.append((one.pid, ref))
        if other.pid in self.model.alive:
            self.model.monitors[ref] = (one.pid, other.pid)
        else:
            self.model.tell(one.pid, "down", ref, other.pid, NOPROC)

    @precondition(lambda self: any(pid in self.model.alive for pid, _ in self.refs))
    @rule(which=WHO)
    def demonitor(self, which: int) -> None:
        living = [(pid, ref) for pid, ref in self.refs if pid in self.model.alive]
        pid, ref = living[which % len(living)]
        self.model.monitors.pop(ref, None)
        puppet = next(puppet for puppet in self.puppets if puppet.pid == pid)
        self.play(puppet, lambda process: process.demonitor(ref))

    @precondition(has_living)
    @rule(who=WHO, whom=WHO, reason=REASONS)
    def exit(self, who: int, whom: int, reason: Reason) -> None:
        one, other = self.living(who), self.anyone(whom)
        self.model.signals.append((other.pid, one.pid, reason, False))
        self.play(one, lambda process: process.exit(other.pid, reason))

    @precondition(has_living)
    @rule(who=WHO, reason=REASONS)
    def stop(self, who: int, reason: Reason) -> None:
        one = self.living(who)
        self.model.end(one.pid, reason)
        self.play(one, lambda process: process.stop(reason))

    @precondition(has_living)
    @rule(who=WHO)
    def crash(self, who: int) -> None:
        one = self.living(who)
        self.model.end(one.pid, CRASH)
        self.play(one, boom)

    @precondition(has_living)
    @rule(who=WHO, trap_exit=st.booleans())
    def set_trap_exit(self, who: int, trap_exit: bool) -> None:
        one = self.living(who)
        self.model.alive[one.pid] = trap_exit
        self.play(one, lambda process: setattr(process, "trap_exit", trap_exit))

    @precondition(has_living)
    @rule(who=WHO, whom=WHO, number=st.integers())
    def send(self, who: int, whom: int, number: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        accepted = self.play(one, lambda process: process.send(other.pid, number))
        assert accepted == (other.pid in self.model.alive)
        self.model.tell(other.pid, "plain", number)

    @precondition(has_living)
    @rule(who=WHO, name=NAMES)
    def register(self, who: int, name: Any) -> None:
        one = self.living(who)

        def register(process: Process) -> bool:
            try:
                process.register(name)
            except NameTakenError as error:
                return error.pid == self.model.names[name]
            return name not in self.model.names

        assert self.play(one, register)
        self.model.names.setdefault(name, one.pid)

    @precondition(has_living)
    @rule(who=WHO, name=NAMES)
    def unregister(self, who: int, name: Any) -> None:
        one = self.living(who)
        self.play(one, lambda process: process.unregister(name))
        if self.model.names.get(name) == one.pid:
            del self.model.names[name]

    @invariant()
    def same_alive(self) -> None:
        assert {puppet.pid for puppet in self.puppets if self.stage.is_alive(puppet)} == set(self.model.alive)
        assert self.stage.runtime.statistics().processes == len(self.model.alive)

    @invariant()
    def same_names(self) -> None:
        names = self.stage.runtime.names()
        assert {name: self.stage.runtime.whereis(name) for name in names} == self.model.names

    @invariant()
    def same_heard(self) -> None:
        for puppet in self.puppets:
            heard = sorted((said(message) for message in puppet.heard), key=repr)
            expected = sorted(self.model.inbox[puppet.pid], key=repr)
            if puppet.pid in self.model.alive:
                assert heard == expected
            puppet.heard.clear()
            self.model.inbox[puppet.pid].clear()

    def teardown(self) -> None:
        if hasattr(self, "stage"):
            self.stage.runtime.close()
            assert self.stage.runtime.statistics().processes == 0


TestTheRuntimeAgreesWithErlangsRules = Agreement.TestCase
TestTheRuntimeAgreesWithErlangsRules.settings = settings(max_examples=60, stateful_step_count=40)
