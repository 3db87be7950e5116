"""Several nodes against the same plain model of Erlang's rules that one node is held to, with links that break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime import (
    NODEDOWN,
    NOPROC,
    Down,
    Exit,
    FarRef,
    Foreign,
    NoReply,
    Pid,
    Process,
    Reason,
    Ref,
    Reply,
)
from runtime.signals import Unlink
from runtime.ties import remove_link
from tests.runtime.cast import Box, Puppet, boom
from tests.runtime.test_model import CRASH, REASONS, WHO, Model, said
from tests.runtime.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable

NODES = "abc"


class Agreement(RuleBasedStateMachine):
    """After everything has arrived, the same live as in the model, and have heard the same."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.web = Web(seed, NODES)
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
        self.web.play(puppet, box.of(act))
        self.model.settle()
        return box.value

    def unreachable(self, one: Puppet, other: Puppet) -> Reason | None:
        """Why the one cannot say anything to the other."""
        node = other.pid.node
        if node == one.pid.node:
            return None if other.pid in self.model.alive else NOPROC
        if not self.web.are_linked(one.pid.node, node):
            return NODEDOWN
        return None if other.pid in self.model.alive else NOPROC

    def seen(self, one: Puppet, other: Puppet) -> Pid:
        return self.web.seen(one.pid.node, other.pid)

    @rule(node=st.sampled_from(NODES), trap_exit=st.booleans())
    def start(self, node: str, trap_exit: bool) -> None:
        puppet = self.web.puppet(node, trap_exit=trap_exit)
        self.puppets.append(puppet)
        self.model.start(puppet.pid, trap_exit)

    @precondition(has_living)
    @rule(who=WHO, whom=WHO)
    def link(self, who: int, whom: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        reason = self.unreachable(one, other)
        if reason is None:
            if one is not other:
                self.model.links.add(frozenset({one.pid, other.pid}))
        elif self.model.alive[one.pid]:
            self.model.tell(one.pid, "exit", other.pid, reason)
        else:
            self.model.end(one.pid, reason)
        self.play(one, lambda process: process.link(self.seen(one, other)))

    @precondition(has_living)
    @rule(who=WHO, whom=WHO)
    def unlink(self, who: int, whom: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        self.model.links.discard(frozenset({one.pid, other.pid}))
        self.play(one, lambda process: process.unlink(self.seen(one, other)))

    @precondition(has_living)
    @rule(who=WHO, whom=WHO)
    def monitor(self, who: int, whom: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        reason = self.unreachable(one, other)
        ref = self.play(one, lambda process: process.monitor(self.seen(one, other)))
        self.refs.append((one.pid, ref))
        if reason is None:
            self.model.monitors[ref] = (one.pid, other.pid)
        else:
            self.model.tell(one.pid, "down", ref, other.pid, reason)

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
        if self.unreachable(one, other) is None:
            self.model.signals.append((other.pid, one.pid, reason, False))
        self.play(one, lambda process: process.exit(self.seen(one, other), reason))

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
    @rule(who=WHO, whom=WHO, number=st.integers())
    def send(self, who: int, whom: int, number: int) -> None:
        one, other = self.living(who), self.anyone(whom)
        reason = self.unreachable(one, other)
        self.play(one, lambda process: process.send(self.seen(one, other), number))
        if reason is None:
            self.model.tell(other.pid, "plain", number)

    @rule(ends=st.sampled_from(["ab", "ac", "bc"]))
    def part(self, ends: str) -> None:
        one, other = ends[0], ends[1]
        self.lose(one, other)
        self.web.part(one, other)
        self.web.settle()
        self.model.settle()

    @rule(ends=st.sampled_from(["ab", "ac", "bc"]))
    def join(self, ends: str) -> None:
        if not self.web.are_linked(*ends):
            self.web.join(*ends)

    @rule(node=st.sampled_from(NODES))
    def die_and_be_born_again(self, node: str) -> None:
        for other in NODES:
            self.lose(node, other)
        for pid in [pid for pid in self.model.alive if pid.node == node]:
            del self.model.alive[pid]
        self.web.kill(node)
        self.web.bear(node)
        self.web.settle()
        self.model.settle()
        for other in NODES:
            if other != node:
                self.web.join(node, other)

    def lose(self, one: str, other: str) -> None:
        """What spans the two nodes ends, in the model."""
        both = {one, other}
        for ref, (watcher, target) in tuple(self.model.monitors.items()):
            if {watcher.node, target.node} == both and len(both) == 2:
                del self.model.monitors[ref]
                self.model.tell(watcher, "down", ref, target, NODEDOWN)
        for link in [link for link in self.model.links if {pid.node for pid in link} == both and len(both) == 2]:
            self.model.links.remove(link)
            for pid in link:
                (peer,) = link - {pid}
                self.model.signals.append((pid, peer, NODEDOWN, True))

    @invariant()
    def same_alive(self) -> None:
        alive = {
            pid.process.pid for runtime in self.web.runtimes.values() for pid in self.actors_of(runtime._processes)
        }
        assert alive == set(self.model.alive)

    @staticmethod
    def actors_of(processes: dict[int, Process]) -> list[Any]:
        return [process._actor for process in processes.values()]

    @invariant()
    def same_heard(self) -> None:
        for puppet in self.puppets:
            heard = sorted((said(message) for message in puppet.heard), key=repr)
            expected = sorted(self.model.inbox[puppet.pid], key=repr)
            if puppet.pid in self.model.alive:
                assert heard == expected
            puppet.heard.clear()
            self.model.inbox[puppet.pid].clear()

    @invariant()
    def nothing_is_kept_that_ties_nobody(self) -> None:
        spanning = {frozenset(pid.node for pid in link) for link in self.model.links}
        spanning |= {frozenset(pid.node for pid in pair) for pair in self.model.monitors.values()}
        for node, runtime in self.web.runtimes.items():
            for other in NODES:
                if other != node and frozenset({node, other}) not in spanning:
                    assert runtime.foreign.tied(other) == 0

    def teardown(self) -> None:
        if hasattr(self, "web"):
            self.web.close()


TestSeveralNodesAgreeWithErlangsRules = Agreement.TestCase
TestSeveralNodesAgreeWithErlangsRules.settings = settings(max_examples=60, stateful_step_count=40)


class Story:
    """Random acts while everything is still on its way; every watcher is to hear what it must and nothing else."""

    def __init__(self, seed: int, cast: str = "aabb", foreign: type[Foreign] = Foreign) -> None:
        self.web = Web(seed, foreign=foreign)
        self.chance = self.web.chance
        self.puppets = [self.web.puppet(node, trap_exit=True) for node in cast]
        self.monitors: dict[Ref, tuple[Puppet, Puppet]] = {}
        self.calls: dict[Ref, Puppet] = {}
        self.parted = False
        self.ended: set[int] = set()

    def play(self, steps: int) -> None:
        """Any acts, and now and then a break."""
        acts = [self.monitor] * 5 + [self.call] * 5 + [self.link, self.unlink] * 3 + [self.stop, self.send, self.send]
        self.play_acts(acts, steps, breaks=1)

    def play_acts(self, acts: list[Callable[[], None]], steps: int, breaks: int) -> None:
        for _ in range(steps):
            chosen = self.chance.randrange(40)
            if chosen < breaks:
                self.parted = True
                self.web.part("a", "b")
                self.web.join("a", "b")
            elif chosen < 15:
                self.chance.choice(acts)()
            else:
                self.web.step()
        self.web.settle()

    def pair(self) -> tuple[Puppet, Puppet] | None:
        living = [puppet for puppet in self.puppets if id(puppet) not in self.ended]
        if not living:
            return None
        return self.chance.choice(living), self.chance.choice(self.puppets)

    def act(self, verb: Callable[[Process, Pid, Puppet, Puppet], object]) -> None:
        pair = self.pair()
        if pair is not None:
            one, other = pair
            pid = self.web.seen(one.pid.node, other.pid)
            self.web.begin(one, lambda process: verb(process, pid, one, other))

    def monitor(self) -> None:
        def verb(process: Process, pid: Pid, one: Puppet, other: Puppet) -> None:
            self.monitors[process.monitor(pid)] = (one, other)

        self.act(verb)

    def call(self) -> None:
        def verb(process: Process, pid: Pid, one: Puppet, other: Puppet) -> None:
            self.calls[process.call(pid, lambda target: 1, None)] = one

        self.act(verb)

    def link(self) -> None:
        self.act(lambda process, pid, one, other: process.link(pid))

    def unlink(self) -> None:
        self.act(lambda process, pid, one, other: process.unlink(pid))

    def send(self) -> None:
        self.act(lambda process, pid, one, other: process.send(pid, (one.pid, next(self.numbers))))

    numbers = iter(range(1_000_000))

    def stop(self) -> None:
        pair = self.pair()
        if pair is not None and len(self.ended) < 3:
            self.ended.add(id(pair[0]))
            self.web.begin(pair[0], lambda process: process.stop())

    def heard(self, puppet: Puppet, kind: type) -> list[Any]:
        return [message for message in puppet.heard if isinstance(message, kind)]


def check(story: Story) -> None:
    """Nobody who watched missed an end, nobody heard of an end that was none, and order held."""
    for ref, (one, other) in story.monitors.items():
        downs = [down for down in story.heard(one, Down) if down.ref is ref]
        assert len(downs) <= 1
        if id(one) not in story.ended:
            assert downs or id(other) not in story.ended, "an end was missed"
        if downs and not story.parted:
            assert id(other) in story.ended, "an end that was none"
    for ref, one in story.calls.items():
        answers = [a for a in [*story.heard(one, Reply), *story.heard(one, NoReply)] if a.ref is ref]
        assert len(answers) == 1 or (id(one) in story.ended and not answers)
    for puppet in story.puppets:
        told = story.heard(puppet, tuple)
        for sender in {pid for pid, _ in told}:
            numbers = [number for pid, number in told if pid == sender]
            assert numbers == sorted(numbers)
        for message in story.heard(puppet, Exit):
            source = next(other for other in story.puppets if other.pid == message.source)
            assert story.parted or id(source) in story.ended
    links = {
        node: {
            frozenset({process.pid, other.pid})
            for process in runtime._processes.values()
            for other in process._links or ()
        }
        for node, runtime in story.web.runtimes.items()
    }
    spanning = {
        node: {link for link in links[node] if len({pid.node for pid in link}) == 2} for node in story.web.runtimes
    }
    assert spanning["a"] == spanning["b"], "a link that only one end knows of"


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150)
def test_whoever_watches_across_nodes_hears_of_every_end_once_and_of_no_other(seed: int) -> None:
    story = Story(seed)
    story.play(250)
    check(story)
    story.web.close()


class ForgetsMonitors(Foreign):
    """A link that breaks is forgotten together with all that spanned it, and nobody is told."""

    __slots__ = ()

    def node_down(self, node: str) -> None:
        self._standins.pop(node, None)


class UnlinksAndForgets(Foreign):
    """What the other side said before it knew of an unlink is believed."""

    __slots__ = ()

    def unlink(self, process: Process, pid: Pid) -> None:
        standin = self._standins.get(pid.node, {}).get(pid)
        if standin is not None and remove_link(process, standin):
            self.carry(pid, Unlink(process.pid, pid))
            self.retire(standin)


def plays(foreign: type[Foreign], seed: int) -> None:
    """A story of everything."""
    story = Story(seed, foreign=foreign)
    story.play(250)
    check(story)
    story.web.close()


def plays_links(foreign: type[Foreign], seed: int) -> None:
    """A story of links that are made and unmade from both sides at once."""
    story = Story(seed, "ab", foreign)
    story.play_acts([story.link, story.unlink], 60, breaks=0)
    check(story)
    story.web.close()


@pytest.mark.parametrize(("bug", "play"), [(ForgetsMonitors, plays), (UnlinksAndForgets, plays_links)])
def test_a_planted_bug_is_found(bug: type[Foreign], play: Callable[[type[Foreign], int], None]) -> None:
    found = 0
    for seed in range(100):
        play(Foreign, seed)
        try:
            play(bug, seed)
        except AssertionError:
            found += 1
    assert found


def test_a_far_reference_is_equal_by_value_and_a_near_one_only_to_itself() -> None:
    assert FarRef("a", 1, 2) == FarRef("a", 1, 2) != FarRef("a", 2, 2)
    assert Ref() != Ref()
