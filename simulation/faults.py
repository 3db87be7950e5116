"""What goes wrong, and when: a typed plan, drawn from the seed before anything runs.

A plan is a list of faults, each with its moment and its own luck, so that a shorter plan can be tried: what one fault
does never depends on whether another one was left out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from simulation.agenda import chance_of
from simulation.ambush import ACTORS, ACTORS_OF_CLUSTERS, CALL, CALLED_IN_CLUSTERS, RARELY_CALLED, Mine
from simulation.disk import COMMIT_FATES
from simulation.partitions import BETWEEN_NODES, shard_of_node, ways_of
from storage import ShardAwayError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime import Pid
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.world import World

__all__ = ["FAULTS", "Fault", "Faults", "strike"]

WAITS: Final = None
"""What lies in wait, and counts itself when it springs; it may be overtaken by a death, the calm or another before."""

RETRY_S: Final = 2.0
SHARD_DEATHS: Final = 12


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        time_s: When.
        kind: What; a name in `FAULTS`.
        luck: Decides the rest: whom it strikes, how hard, for how long.
    """

    time_s: float
    kind: str
    luck: int


@dataclass(frozen=True)
class Faults:
    """How bad the weather is.

    Attributes:
        storm_s: How long things go wrong, and people do things.
        mean: By kind: how many of them are to be expected in that time; each kind's count varies with the seed.
        between: The same of what goes wrong between the nodes of a cluster.
        deaths_min: So many deaths of a node there are at least.
        count_min: So many faults are planned at least; some will find nothing to strike, or lie in wait for nothing.
    """

    storm_s: float = 100.0
    mean: dict[str, float] = field(
        default_factory=lambda: {
            "node dies": 2.0,
            "node restarts in good order": 0.5,
            "commit fails": 1.5,
            "disk is slow": 1.0,
            "disk is full": 0.7,
            "read fails": 0.7,
            "actor is killed": 6.0,
            "fan out is lost on its way": 1.0,
            "actor crashes": 6.0,
            "a handler raises": 8.0,
            "supervisor is killed": 1.0,
            "shard is taken over": 1.0,
            "client crashes": 3.0,
            "client cannot bear a message": 0.7,
            "connection breaks": 5.0,
            "link is cut": 2.0,
            "network is partitioned": 0.7,
            "links are clogged and unclogged": 0.7,
            "network is bad": 1.0,
            "reader is slow": 2.0,
            "calendar jumps": 1.0,
            "shard dies again and again": 0.3,
            "client doubts its numbers": 0.5,
        }
    )
    between: dict[str, float] = field(
        default_factory=lambda: {
            "two nodes lose sight of each other": 3.0,
            "a node is heard no more": 3.0,
            "the cluster is partitioned": 1.0,
            "the cluster is partitioned in part": 1.0,
            "ways between nodes are slow": 1.5,
            "a link of nodes breaks": 2.0,
            "an actor of the cluster is killed": 1.0,
            "a node freezes": 1.0,
            "a shard is to move": 8.0,
            "a move is interrupted": 3.0,
        }
    )
    deaths_min: int = 2
    count_min: int = 32

    def plan(self, seed: int, cluster: bool = False) -> list[Fault]:
        """Draw the plan of a seed, in order of time.

        Args:
            seed: Which one.
            cluster: Whether nodes are linked, so that something can go wrong between them, too.
        """
        plan = self._at_any_node(seed)
        if cluster:
            chance = chance_of(seed, "faults between nodes")
            for kind, mean in self.between.items():
                plan += [self._draw(kind, chance) for _ in range(_poisson(chance, mean))]
        return sorted(plan, key=lambda fault: (fault.time_s, fault.kind, fault.luck))

    def _at_any_node(self, seed: int) -> list[Fault]:
        chance = chance_of(seed, "faults")
        roughness = chance.choice((0.5, 1.0, 1.0, 2.5))
        plan: list[Fault] = []
        for kind, mean in self.mean.items():
            count = _poisson(chance, mean * roughness)
            if kind == "node dies":
                count = max(count, self.deaths_min)
            plan += [self._draw(kind, chance) for _ in range(count)]
        while len(plan) < self.count_min:
            plan.append(self._draw(chance.choices(list(self.mean), list(self.mean.values()))[0], chance))
        return plan

    def _draw(self, kind: str, chance: random.Random) -> Fault:
        return Fault(round(chance.uniform(0.02, 1.0) * self.storm_s, 3), kind, chance.getrandbits(32))


def _poisson(chance: random.Random, mean: float) -> int:
    """How many of something that is to be expected `mean` times (Knuth, TAOCP 2, 3.4.1)."""
    count, left = 0, chance.expovariate(1.0)
    while left < mean:
        count += 1
        left += chance.expovariate(1.0)
    return count


def strike(world: World, fault: Fault) -> None:
    """Let a fault happen now; a death finds its node, if need be later."""
    struck = FAULTS[fault.kind](world, random.Random(fault.luck))
    if struck:
        world.coverage.struck(fault.kind)
    if struck or struck is WAITS:
        world.log(f"FAULT {fault.kind}")
    elif fault.kind == "node dies" and not world.is_calm:
        world.agenda.after(RETRY_S, lambda: strike(world, fault))


def _node(world: World, chance: random.Random) -> SimulatedNode | None:
    up = [node for node in world.nodes if node.up]
    return chance.choice(up) if up else None


def _device(world: World, chance: random.Random) -> SimulatedDevice | None:
    running = [device for device in world.devices if device.running]
    return chance.choice(running) if running else None


def _node_dies(world: World, chance: random.Random) -> bool | None:
    """At once, or in the middle of its next commit."""
    node = _node(world, chance)
    if node is None:
        return False
    fate, told, life = chance.choice(COMMIT_FATES), chance.random() < 0.7, node.life
    is_due = True

    def die(victim: SimulatedNode | None) -> None:
        nonlocal is_due
        if is_due and not world.is_calm and victim is not None:
            is_due = False
            victim.die(fate, told)
            victim.reboot_later()
            world.coverage.struck("node dies")

    def die_at_last() -> None:
        """There was no commit, or something else has ended that node before: now any will do."""
        die(_node(world, chance))
        if is_due and not world.is_calm:
            world.agenda.after(RETRY_S, die_at_last)

    if chance.random() < 0.5:
        die(node)
    else:
        node.committer.interrupts = lambda: die(node if node.life == life else None)
        world.agenda.after(RETRY_S, die_at_last)
    return WAITS


def _node_restarts(world: World, chance: random.Random) -> bool:
    node = _node(world, chance)
    if node is None:
        return False
    node.drain()
    life = node.life

    def end() -> None:
        if node.life == life:
            node.die("kept", told=True)
            node.reboot_later()

    world.agenda.after(1.0, end)
    return True


def _commit_fails(world: World, chance: random.Random) -> bool | None:
    node = _node(world, chance)
    if node is None or not node.store.statistics().commits:
        return False  # a node's first commit makes it the owner of its shards
    node.committer.commits_to_fail = chance.choice((1, 1, 1, 3))
    node.committer.commit_failed = world.coverage.striking("commit fails", "a commit fails")
    return WAITS


def _disk_is_slow(world: World, chance: random.Random) -> bool:
    node = _node(world, chance)
    if node is None:
        return False
    committer = node.committer
    committer.latency_s = (0.05, chance.choice((0.2, 1.0)))
    world.agenda.after(chance.uniform(1.0, 8.0), committer.calm_down)
    return True


def _disk_is_full(world: World, chance: random.Random) -> bool:
    node = _node(world, chance)
    if node is None or node.free_space_bytes < 1 << 30:
        return False
    usual = node.free_space_bytes

    def free(space_bytes: int) -> None:
        node.free_space_bytes = node.disk.free_space_bytes = space_bytes

    free(1 << 10)
    world.agenda.after(chance.uniform(2.0, 10.0), lambda: free(usual))
    return True


def _read_fails(world: World, chance: random.Random) -> bool | None:
    node = _node(world, chance)
    if node is None:
        return False
    node.disk.reads_to_fail = chance.choice((1, 2))
    node.disk.read_failed = world.coverage.striking("read fails", "a read fails")
    return WAITS


ROOMS: Final = ("conversation", "shard", "queue", "account", "presence", "journal")


def _actor_is_killed(world: World, chance: random.Random) -> bool | None:
    node = _node(world, chance)
    if node is None:
        return False
    if chance.random() < 0.2:
        pids = [guest.pid for guest in node.guests.values() if guest.pid is not None]
    else:
        room = chance.choice(ROOMS)
        pids = _named(node, lambda name: name == room or (isinstance(name, tuple) and name[0] == room))
    alive = [pid for pid in pids if node.runtime.is_alive(pid)]
    if alive and chance.random() < 0.4:
        node.ambush.lie_in_wait("actor is killed", chance.choice(alive))
        return WAITS
    return _kill(world, node, alive, chance)


def _fan_out_is_lost(world: World, chance: random.Random) -> bool | None:
    """A shard dies when it is about to take what another one has spread to it."""
    node = _node(world, chance)
    if node is None:
        return False
    node.ambush.lie_in_wait("fan out is lost on its way", None, "Spread")
    return WAITS


def _named(node: SimulatedNode, wanted: Callable[[Any], bool]) -> list[Pid]:
    pids = (node.runtime.whereis(name) for name in node.runtime.names() if wanted(name))
    return [pid for pid in pids if pid is not None]


def _kill(world: World, node: SimulatedNode, pids: list[Pid], chance: random.Random) -> bool:
    if not pids:
        return False
    pid = chance.choice(pids)
    node.kill(pid)
    return True


def _actor_crashes(world: World, chance: random.Random) -> bool | None:
    node = _node(world, chance)
    if node is None:
        return False
    node.trap.set(chance.choice((1, 1, 2, 5, 20)), after=chance.random() < 0.3)
    return WAITS


def _handler_raises(world: World, chance: random.Random) -> bool | None:
    """That of an actor of one class, if any is called."""
    node = _node(world, chance)
    if node is None:
        return False
    actors = ACTORS_OF_CLUSTERS if world.is_cluster and chance.random() < 0.5 else ACTORS + RARELY_CALLED
    actor, handler = chance.choice(actors), ""
    if world.is_cluster and chance.random() < 0.2:
        actor, handler = chance.choice(CALLED_IN_CLUSTERS), CALL
    node.ambush.lay(actor, Mine(chance.choice((1, 1, 2, 5, 20)), chance.random() < 0.5, handler))
    return WAITS


def _supervisor_is_killed(world: World, chance: random.Random) -> bool:
    """That of a room of a shard, of a shard, of all shards, or of the connections."""
    node = _node(world, chance)
    if node is None or not node.router._households:
        return False
    household = chance.choice(list(node.router._households.values()))
    rooms = (household.accounts, household.conversations, household.queues, household.presences, household.rendezvous)
    room = chance.choice(rooms).process
    above = {
        "connections": node.connections.process.pid,
        "shard": room.parent,
        "shards": node.runtime.whereis("shards"),
    }
    pid = above.get(chance.choice(("room",) * 4 + tuple(above)), room.pid)
    return _kill(world, node, [pid] if pid is not None and node.runtime.is_alive(pid) else [], chance)


def _shard_dies_again_and_again(world: World, chance: random.Random) -> bool:
    """More often than its supervisor bears: that gives up, and the next one starts it again."""
    node = _node(world, chance)
    if node is None or not node.shards:
        return False
    name, life = ("shard", chance.choice(node.shards)), node.life

    def kill() -> None:
        pid = node.runtime.whereis(name) if node.life == life else None
        if pid is not None:
            node.kill(pid)

    for number in range(SHARD_DEATHS):
        world.agenda.after(number * chance.uniform(0.1, 0.6), kill)
    return True


def _shard_is_taken_over(world: World, chance: random.Random) -> bool:
    """Another owner takes a shard: whoever writes to it under the old epoch is refused, and the node has to restart."""
    node = _node(world, chance)
    if node is None or not node.shards:
        return False
    try:
        node.store.take_ownership([shard_of_node(world, node, chance)])
    except ShardAwayError:  # it is just on its way to another node, so the disk gives it to nobody
        return False
    node.store.flush()
    life = node.life

    def restart() -> None:
        if node.life == life:
            node.die(chance.choice(COMMIT_FATES), told=True)
            node.reboot_later()

    world.agenda.after(chance.uniform(0.5, 6.0), restart)
    return True


def _client_crashes(world: World, chance: random.Random) -> bool | None:
    device = _device(world, chance)
    if device is None or not device.registered:
        return False
    if chance.random() < 0.4:
        device.dies_after_commit = world.coverage.striking("client crashes", "a client dies between commit and ack")
        return WAITS
    device.crash(told=chance.random() < 0.5)
    life = device.life
    world.agenda.after(
        chance.uniform(0.1, 10.0), lambda: device.start(chance.random() < 0.5) if device.life == life else None
    )
    return True


def _client_cannot_bear_a_message(world: World, chance: random.Random) -> bool | None:
    device = _device(world, chance)
    if device is None or not device.registered:
        return False
    dies = world.coverage.striking("client cannot bear a message", "a client dies of a message")
    device.messages_too_many = [dies] * chance.randint(2, 8)
    return WAITS


def _connection_breaks(world: World, chance: random.Random) -> bool:
    sockets = [socket for socket in world.network.open if not socket.dead]
    if not sockets:
        return False
    chance.choice(sockets).give_up()
    return True


def _link_is_cut(world: World, chance: random.Random) -> bool:
    device = _device(world, chance)
    if device is None or not device.radio:
        return False
    device.set_radio(False)
    world.agenda.after(chance.uniform(0.5, 30.0), lambda: device.set_radio(True))
    return True


def _partition(world: World, chance: random.Random) -> bool:
    """Some of the devices and their node lose sight of each other, all at once."""
    able = [device for device in world.devices if device.running and device.radio]
    if not able:
        return False
    duration_s = chance.choice((2.0, 15.0, 60.0))
    for device in chance.sample(able, chance.randint(1, len(able))):
        device.set_radio(False)
        world.agenda.after(duration_s, lambda device=device: device.set_radio(True))  # type: ignore[misc]
    return True


def _links_are_clogged(world: World, chance: random.Random) -> bool:
    """Swizzle-clogging, as FoundationDB does: clog some one by one, then unclog them in another order."""
    links = [*(device.link for device in world.devices), *ways_of(world)]
    chosen = chance.sample(links, chance.randint(1, len(links)))
    step_s = chance.uniform(0.05, 1.5)
    for index, link in enumerate(chosen):
        world.agenda.after(index * step_s, lambda link=link: world.network.clog(link))  # type: ignore[misc]
    begin_s = len(chosen) * step_s + chance.uniform(0.0, 5.0)
    for index, link in enumerate(chance.sample(chosen, len(chosen))):
        world.agenda.after(begin_s + index * step_s, lambda link=link: world.network.unclog(link))  # type: ignore[misc]
    return True


def _network_is_bad(world: World, chance: random.Random) -> bool:
    conditions = world.network.conditions
    conditions.loss = chance.choice((0.0, 0.05, 0.2))
    conditions.duplication = chance.choice((0.0, 0.1, 0.3))
    conditions.latency_s = (0.01, chance.choice((0.1, 0.5, 2.0)))
    world.agenda.after(chance.uniform(3.0, 15.0), world.network.calm_down)
    return True


def _reader_is_slow(world: World, chance: random.Random) -> bool:
    sockets = [socket for socket in world.network.open if not socket.dead]
    if not sockets:
        return False
    socket = chance.choice(sockets)
    socket.down.paused = True
    world.agenda.after(chance.uniform(1.0, 25.0), socket.down.resume)
    return True


def _calendar_jumps(world: World, chance: random.Random) -> bool:
    clock = chance.choice([*(node.clock for node in world.nodes), *(device.clock for device in world.devices)])
    clock.offset_ms += chance.choice((-3_600_000, -5_000, 5_000, 600_000))
    world.coverage.reached("a calendar jumps")
    return True


def _client_doubts(world: World, chance: random.Random) -> bool:
    """A client takes its database for a copy that was restored, as after an answer that only another life explains."""
    able = [device for device in world.devices if device.online and not device.doomed]
    if not able:
        return False
    chance.choice(able).doubt_numbers()
    return True


FAULTS: Final[dict[str, Callable[[World, random.Random], bool | None]]] = {
    "node dies": _node_dies,
    "node restarts in good order": _node_restarts,
    "commit fails": _commit_fails,
    "disk is slow": _disk_is_slow,
    "disk is full": _disk_is_full,
    "read fails": _read_fails,
    "actor is killed": _actor_is_killed,
    "fan out is lost on its way": _fan_out_is_lost,
    "actor crashes": _actor_crashes,
    "a handler raises": _handler_raises,
    "supervisor is killed": _supervisor_is_killed,
    "shard dies again and again": _shard_dies_again_and_again,
    "shard is taken over": _shard_is_taken_over,
    "client crashes": _client_crashes,
    "client cannot bear a message": _client_cannot_bear_a_message,
    "connection breaks": _connection_breaks,
    "link is cut": _link_is_cut,
    "network is partitioned": _partition,
    "links are clogged and unclogged": _links_are_clogged,
    "network is bad": _network_is_bad,
    "reader is slow": _reader_is_slow,
    "calendar jumps": _calendar_jumps,
    "client doubts its numbers": _client_doubts,
} | BETWEEN_NODES
"""Each kind of fault: strikes the world, or `WAITS` to; False: there was nothing to strike."""
