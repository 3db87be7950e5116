"""Several runtimes and what lies between them: queues that a seed delivers from, and that a break loses."""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Any

from runtime import (
    Foreign,
    InlineTasks,
    Kind,
    Message,
    Named,
    Pid,
    Runtime,
    SeededRandomness,
    SeededScheduler,
    Signal,
    VirtualClock,
)
from tests.runtime.cast import Puppet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime import Process


class Wire:
    """One node's Distribution: it puts everything into the web's queues."""

    def __init__(self, web: Web, node: str) -> None:
        self.web = web
        self.node = node
        self.linked: dict[str, int] = {}
        self.has_room = True

    @property
    def incarnations(self) -> Mapping[str, int]:
        return self.linked

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        if not self.has_room:
            return False
        self.web.queues[self.node, pid.node].append((pid, kind, message))
        return True

    def carry(self, node: str, signal: Signal) -> bool:
        self.web.queues[self.node, node].append(signal)
        return self.has_room


class Web:
    """Nodes a, b, c ... in one thread; all of them linked at first."""

    def __init__(self, seed: int = 0, nodes: str = "ab", foreign: type[Foreign] = Foreign) -> None:
        self.foreign = foreign
        self.clock = VirtualClock()
        self.chance = random.Random(seed)
        self.seed = seed
        self.runtimes: dict[str, Runtime] = {}
        self.wires: dict[str, Wire] = {}
        self.lives = 0
        self.queues: dict[tuple[str, str], deque[Any]] = {
            (one, other): deque() for one in nodes for other in nodes if one != other
        }
        for node in nodes:
            self.bear(node)
        for one, other in self.queues:
            if one < other:
                self.join(one, other)

    def bear(self, node: str) -> None:
        """Start a node, linked with nobody."""
        self.lives += 1
        self.runtimes[node] = Runtime(
            node=node,
            incarnation=self.lives,
            clock=self.clock,
            randomness=SeededRandomness(self.seed),
            scheduler=SeededScheduler(self.seed + self.lives),
            tasks=InlineTasks(),
        )
        self.runtimes[node].foreign = self.foreign(self.runtimes[node])
        self.wires[node] = Wire(self, node)
        self.runtimes[node].foreign.attach(self.wires[node])

    def kill(self, node: str) -> None:
        """A node is gone at once, and nothing of it runs any more; the others hear of it."""
        for other in self.runtimes:
            if other != node:
                self.part(node, other)

    def join(self, one: str, other: str) -> None:
        """Link two nodes."""
        for here, there in ((one, other), (other, one)):
            self.queues[here, there].clear()
            self.wires[here].linked[there] = self.runtimes[there].incarnation

    def part(self, one: str, other: str) -> None:
        """Break their link: what is on its way is lost, and both are told."""
        for here, there in ((one, other), (other, one)):
            if self.wires[here].linked.pop(there, None) is not None:
                self.queues[here, there].clear()
                self.runtimes[here].foreign.node_down(there)

    def are_linked(self, one: str, other: str) -> bool:
        return other in self.wires[one].linked

    def deliver(self, one: str, other: str) -> None:
        """Let the next of a queue arrive: whole pids become the receiver's own."""
        item = self.queues[one, other].popleft()
        foreign = self.runtimes[other].foreign
        if isinstance(item, tuple):
            foreign.receive_post(*item)
        else:
            for name in ("caller", "watcher", "source", "target"):
                pid = getattr(item, name, None)
                if isinstance(pid, Pid) and not isinstance(pid, Named):
                    setattr(item, name, foreign.pid(pid.node, pid.incarnation, pid.serial))
            foreign.receive(one, item)

    def step(self) -> bool:
        """Let one node do a turn, or one item arrive."""
        schedulers = [runtime.scheduler for runtime in self.runtimes.values()]
        busy: list[Callable[[], object]] = [
            scheduler.step for scheduler in schedulers if isinstance(scheduler, SeededScheduler) and scheduler.busy
        ]
        busy += [lambda way=way: self.deliver(*way) for way, queue in self.queues.items() if queue]  # type: ignore[misc]
        if not busy:
            return False
        self.chance.choice(busy)()
        return True

    def settle(self) -> None:
        """Let everybody react and everything arrive; time stands still."""
        for runtime in self.runtimes.values():
            assert isinstance(runtime.scheduler, SeededScheduler)
            runtime.scheduler.fire_due()
        for _ in range(100_000):
            if not self.step():
                return
        raise AssertionError(f"the nodes chase each other for ever (seed {self.seed})")

    def wait(self, duration_s: float) -> None:
        """Let time pass."""
        self.settle()
        self.clock.advance(duration_s)
        self.settle()

    def puppet(self, node: str, *, trap_exit: bool = False, name: str | None = None) -> Puppet:
        """A started puppet on a node."""
        puppet = Puppet(trap_exit=trap_exit)
        self.runtimes[node].start(puppet, name=name)
        return puppet

    def seen(self, node: str, pid: Pid) -> Pid:
        """A pid as another node has it after it crossed."""
        return self.runtimes[node].foreign.pid(pid.node, pid.incarnation, pid.serial)

    def begin(self, puppet: Puppet, act: Callable[[Process], object]) -> None:
        """Let a puppet do something inside a callback, when its turn comes."""
        assert self.runtimes[puppet.pid.node].cast(puppet.pid, act)

    def play(self, puppet: Puppet, act: Callable[[Process], object]) -> None:
        """Let a puppet do something inside a callback, and everybody react."""
        self.begin(puppet, act)
        self.settle()

    def close(self) -> None:
        """End everything."""
        for runtime in self.runtimes.values():
            runtime.close()
