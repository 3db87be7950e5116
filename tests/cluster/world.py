"""Nodes in one thread under one seed and one virtual clock, and a network between them that can be cut anywhere."""

from __future__ import annotations

import hashlib
import random
from collections import deque
from typing import TYPE_CHECKING, Any

from cluster import (
    Groups,
    Identity,
    LinkLimits,
    MessageTable,
    NodeChange,
    Peer,
    cluster_supervisor,
)
from cluster.groups import GROUPS
from cluster.network import Accepted, DialFailed, Dialled, Lost, Received, Writable
from protocol import StaticKey
from runtime import Foreign, InlineTasks, Runtime, SeededRandomness, SeededScheduler, VirtualClock
from tests.cluster.messages import registered
from tests.runtime.cast import Puppet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runtime import Pid, Process

FULL_SIZE_BYTES = 1 << 16


def key_of(node: str) -> StaticKey:
    return StaticKey(hashlib.sha256(node.encode()).digest())


class NodeClockwork(VirtualClock):
    """The world's clock as one node sees it, with a calendar of its own."""

    def __init__(self, clock: VirtualClock, ahead_ms: Mapping[str, int], node: str) -> None:
        super().__init__()
        self._clock = clock
        self._ahead_ms = ahead_ms
        self._node = node

    def now_s(self) -> float:
        return self._clock.now_s()

    def wall_ms(self) -> int:
        return self._clock.wall_ms() + self._ahead_ms.get(self._node, 0)


class End:
    """One end of a line; the links' Connection."""

    def __init__(self, world: World, node: str, tell: Callable[[object], bool]) -> None:
        self.world = world
        self.node = node
        self.tell = tell
        self.way: deque[bytes] = deque()
        self.waiting_bytes = 0
        self.is_open = True
        self.closes = False
        self.was_full = False
        self.written_bytes = 0
        self.cut_at: int | None = None
        self.other: End

    @property
    def is_full(self) -> bool:
        if self.waiting_bytes > FULL_SIZE_BYTES:
            self.was_full = True
        return self.waiting_bytes > FULL_SIZE_BYTES

    def write(self, data: bytes) -> None:
        if self.closes:
            return
        self.way.append(data)
        self.waiting_bytes += len(data)

    def taken(self, size_bytes: int) -> None:
        pass

    def close(self) -> None:
        self.is_open = False
        self.closes = True

    def lose(self, problem: str) -> None:
        """Break this end."""
        self.closes = True
        if self.is_open:
            self.is_open = False
            self.tell(Lost(self, problem))

    @property
    def can_move(self) -> bool:
        if self.world.is_blocked(self.node, self.other.node):
            return False
        return bool(self.way) or (self.closes and self.other.is_open)

    def move(self) -> None:
        """Let some of the bytes arrive, cut anywhere, or the close after the last of them."""
        if not self.way:
            self.other.lose("the other side closed it")
            return
        data = self.way.popleft()
        cut = self.world.chance.randint(1, len(data)) if self.world.chance.random() < 0.3 else len(data)
        if self.cut_at is not None and self.written_bytes + cut >= self.cut_at:
            cut = max(self.cut_at - self.written_bytes, 0)
        if cut < len(data):
            self.way.appendleft(data[cut:])
        self.waiting_bytes -= cut
        self.written_bytes += cut
        if cut and self.other.is_open:
            self.other.tell(Received(self.other, data[:cut]))
        if self.cut_at is not None and self.written_bytes >= self.cut_at:
            self.world.cut(self)
        elif self.was_full and self.waiting_bytes <= FULL_SIZE_BYTES // 2:
            self.was_full = False
            if self.is_open:
                self.tell(Writable(self))


class Wires:
    """One node's Network."""

    def __init__(self, world: World, node: str) -> None:
        self.world = world
        self.node = node
        self.tell: Callable[[object], bool] | None = None

    def open(self, tell: Callable[[object], bool]) -> None:
        self.tell = tell

    def dial(self, number: int, address: str) -> None:
        self.world.dials.append((self, number, address))

    def close(self) -> None:
        self.tell = None


class World:
    """Nodes a, b, c ... that know each other; `hosts` says who shares a key, `ahead_ms` whose calendar is wrong."""

    def __init__(
        self,
        seed: int = 0,
        nodes: str = "ab",
        *,
        limits: LinkLimits | None = None,
        shared: dict[str, dict[str, str]] | None = None,
        keys: dict[str, StaticKey] | None = None,
        hosts: dict[str, str] | None = None,
        foreign: type[Foreign] = Foreign,
        start: bool = True,
    ) -> None:
        self.foreign = foreign
        self.seed = seed
        self.chance = random.Random(seed)
        self.clock = VirtualClock()
        self.names = nodes
        self.limits = limits
        self.shared = shared or {}
        self.keys = keys or {}
        self.hosts = hosts or {}
        self.ahead_ms: dict[str, int] = {}
        self.lives = 0
        self.ends: list[End] = []
        self.dials: deque[tuple[Wires, int, str]] = deque()
        self.blocked: set[tuple[str, str]] = set()
        self.frozen: set[str] = set()
        self.runtimes: dict[str, Runtime] = {}
        self.wires: dict[str, Wires] = {}
        self.trees: dict[str, Pid] = {}
        self.told: dict[str, list[NodeChange]] = {node: [] for node in nodes}
        self.told_at: dict[str, list[float]] = {node: [] for node in nodes}
        for node in nodes if start else "":
            self.bear(node)

    def bear(self, node: str) -> None:
        """Start a node."""
        self.lives += 1
        runtime = Runtime(
            node=node,
            incarnation=self.lives,
            clock=NodeClockwork(self.clock, self.ahead_ms, node),
            randomness=SeededRandomness(self.seed + self.lives),
            scheduler=SeededScheduler(self.seed + self.lives),
            tasks=InlineTasks(),
        )
        runtime.foreign = self.foreign(runtime)
        peers = {
            other: Peer(other, key_of(self.hosts.get(other, other)).public, other)
            for other in self.names
            if other != node
        }
        key = self.keys.get(node, key_of(self.hosts.get(node, node)))
        me = Identity(node, self.lives, key, peers, self.shared.get(node, {}))
        self.runtimes[node] = runtime
        self.wires[node] = Wires(self, node)

        def observer(change: NodeChange) -> None:
            self.told[node].append(change)
            self.told_at[node].append(self.clock.now_s())

        table = registered(MessageTable())
        self.trees[node] = runtime.start(
            cluster_supervisor(runtime, me, table, self.wires[node], observer=observer, limits=self.limits)
        )

    def kill(self, node: str, *, silently: bool = False) -> None:
        """Nothing of a node runs any more; unless the whole host is gone, the others' connections break at once."""
        del self.runtimes[node]
        self.wires.pop(node).tell = None
        for end in self.ends:
            if end.node == node:
                end.is_open = False
                end.way.clear()
                end.closes = not silently

    def is_blocked(self, source: str, target: str) -> bool:
        return (source, target) in self.blocked

    def block(self, source: str, target: str, *, both: bool = True) -> None:
        """Let no byte pass one way, or both."""
        self.blocked.add((source, target))
        if both:
            self.blocked.add((target, source))

    def cut(self, end: End) -> None:
        """Break a line: what is on its way is lost."""
        for one in (end, end.other):
            one.way.clear()
            one.lose("it was cut")

    def lines(self) -> list[End]:
        """The open ends."""
        return [end for end in self.ends if end.is_open and end.other.is_open]

    def are_linked(self, one: str, other: str) -> bool:
        return other in self.runtimes[one].foreign.linked

    def _answer_dial(self) -> None:
        wires, number, address = self.dials.popleft()
        target = self.wires.get(address)
        if wires.tell is None:
            return
        if self.is_blocked(wires.node, address) or self.is_blocked(address, wires.node):
            return  # the answer never comes
        if target is None or target.tell is None:
            wires.tell(DialFailed(number, "refused"))
            return
        near, far = End(self, wires.node, wires.tell), End(self, address, target.tell)
        near.other, far.other = far, near
        self.ends = [*(end for end in self.ends if end.way or end.is_open or end.other.is_open), near, far]
        far.tell(Accepted(far))
        near.tell(Dialled(number, near))

    def step(self) -> bool:
        """Let one node do a turn, some bytes arrive, or a dial be answered."""
        busy: list[Callable[[], object]] = []
        for node, runtime in self.runtimes.items():
            assert isinstance(runtime.scheduler, SeededScheduler)
            if node not in self.frozen and runtime.scheduler.busy:
                busy.append(runtime.scheduler.step)
        busy += [end.move for end in self.ends if end.can_move]
        if self.dials:
            busy.append(self._answer_dial)
        if not busy:
            return False
        self.chance.choice(busy)()
        return True

    def fire_due(self) -> None:
        """Fire the timers that are due."""
        for node, runtime in self.runtimes.items():
            if node not in self.frozen:
                assert isinstance(runtime.scheduler, SeededScheduler)
                runtime.scheduler.fire_due()

    def settle(self) -> None:
        """Let everybody react and everything arrive; time stands still."""
        self.fire_due()
        for _ in range(1_000_000):
            if not self.step():
                return
        raise AssertionError(f"the nodes chase each other for ever (seed {self.seed})")

    def wait(self, duration_s: float) -> None:
        """Let time pass, from timer to timer."""
        until_s = self.clock.now_s() + duration_s
        self.settle()
        while True:
            due = [
                due_s
                for node, runtime in self.runtimes.items()
                if node not in self.frozen and (due_s := runtime.scheduler.next_due_s()) is not None  # type: ignore[attr-defined]
            ]
            if not due or min(due) > until_s:
                break
            self.clock.advance_to(max(min(due), self.clock.now_s()))
            self.settle()
        self.clock.advance_to(until_s)
        self.settle()

    def puppet(self, node: str, *, trap_exit: bool = False, name: str | None = None) -> Puppet:
        """A started puppet on a node."""
        puppet = Puppet(trap_exit=trap_exit)
        self.runtimes[node].start(puppet, name=name)
        return puppet

    def seen(self, node: str, pid: Pid) -> Pid:
        """A pid as another node has it."""
        return self.runtimes[node].foreign.pid(pid.node, pid.incarnation, pid.serial)

    def begin(self, puppet: Puppet, act: Callable[[Process], object]) -> None:
        """Let a puppet do something inside a callback, when its turn comes."""
        assert self.runtimes[puppet.pid.node].cast(puppet.pid, act)

    def play(self, puppet: Puppet, act: Callable[[Process], object]) -> None:
        """Let a puppet do something inside a callback, and everybody react."""
        self.begin(puppet, act)
        self.settle()

    def groups(self, node: str) -> Groups:
        """A node's groups."""
        actor = self.actor(node, GROUPS)
        assert isinstance(actor, Groups)
        return actor

    def actor(self, node: str, name: str) -> Any:
        """The actor behind a name."""
        pid = self.runtimes[node].whereis(name)
        assert pid is not None
        assert pid._process is not None
        return pid._process._actor

    def close(self) -> None:
        """End everything."""
        for runtime in self.runtimes.values():
            runtime.close()
