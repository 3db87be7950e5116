"""What goes wrong between the nodes of a cluster: ways are cut, one way or both, and slow; links break, nodes hang."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Final

from simulation.disk import COMMIT_FATES
from simulation.lines import way_between
from simulation.mover import Mover
from simulation.network import Conditions

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from simulation.node import SimulatedNode
    from simulation.world import World

__all__ = ["BETWEEN_NODES", "shard_of_node", "ways_of"]

CUT_S: Final = (0.5, 2.0, 5.0, 20.0)
"""Some cuts are shorter than the silence after which a link is down, some longer."""

ACTORS_OF_LINKS: Final = ("cluster.links", "cluster.links", "cluster.membership", "cluster.groups", "placement")


def ways_of(world: World) -> list[str]:
    """All ways between the nodes of a cluster; none between nodes that know nothing of each other."""
    if not world.is_cluster:
        return []
    return [way_between(one.name, other.name) for one, other in permutations(world.nodes, 2)]


def shard_of_node(world: World, node: SimulatedNode, chance: random.Random) -> int:
    """A shard that a node has; mostly one in which something happens."""
    busy = [shard for shard in node.shards if shard in world.busy_shards]
    return chance.choice(busy if busy and chance.random() < 0.9 else node.shards)


def _cut(world: World, ways: Iterable[str], duration_s: float) -> bool:
    """Cut ways for a while; those that are cut already stay with whoever did it."""
    cut = [way for way in ways if way not in world.network.cut]
    world.network.cut.update(cut)
    world.agenda.after(duration_s, lambda: world.network.cut.difference_update(cut))
    for way in cut:
        world.log(f"LIFE nothing passes {way} for {duration_s} s")
    return bool(cut)


def _two_lose_sight(world: World, chance: random.Random) -> bool:
    one, other = chance.sample([node.name for node in world.nodes], 2)
    return _cut(world, (way_between(one, other), way_between(other, one)), chance.choice(CUT_S))


def _one_way_is_cut(world: World, chance: random.Random) -> bool:
    """One node is heard no more by another, or by anybody; it hears them all."""
    deaf = [node.name for node in world.nodes]
    mute = chance.choice(deaf)
    deaf.remove(mute)
    if chance.random() < 0.6:
        deaf = [chance.choice(deaf)]
    return _cut(world, [way_between(mute, other) for other in deaf], chance.choice(CUT_S))


def _partition(world: World, chance: random.Random) -> bool:
    """Two camps: nobody in one sees anybody in the other."""
    names = [node.name for node in world.nodes]
    camp = set(chance.sample(names, chance.randint(1, len(names) - 1)))
    ways = [way_between(*pair) for pair in permutations(names, 2) if (pair[0] in camp) != (pair[1] in camp)]
    return _cut(world, ways, chance.choice(CUT_S))


def _partial_partition(world: World, chance: random.Random) -> bool:
    """Two camps that lose sight of each other, and a node that sees both."""
    names = [node.name for node in world.nodes]
    bridge = chance.choice(names)
    names.remove(bridge)
    camp = set(chance.sample(names, chance.randint(1, len(names) - 1)))
    ways = [way_between(*pair) for pair in permutations(names, 2) if (pair[0] in camp) != (pair[1] in camp)]
    return _cut(world, ways, chance.choice(CUT_S))


def _way_is_slow(world: World, chance: random.Random) -> bool:
    ways, slow = ways_of(world), world.network.slow
    longest_s = chance.choice((0.3, 1.0, 3.0))
    conditions = Conditions((0.05, longest_s), chance.choice((0.0, 0.1)), chance.choice((0.0, 0.2)))
    chosen = chance.sample(ways, chance.randint(1, len(ways) // 2))
    slow.update(dict.fromkeys(chosen, conditions))

    def calm_down() -> None:
        for way in chosen:
            if slow.get(way) is conditions:
                del slow[way]

    world.agenda.after(chance.uniform(2.0, 15.0), calm_down)
    return True


def _link_breaks(world: World, chance: random.Random) -> bool:
    lines = list(world.exchange.lines)
    if not lines:
        return False
    chance.choice(lines).give_up()
    return True


def _links_are_killed(world: World, chance: random.Random) -> bool:
    up = [node for node in world.nodes if node.up]
    node = chance.choice(up) if up else None
    pid = None if node is None else node.runtime.whereis(chance.choice(ACTORS_OF_LINKS))
    if node is None or pid is None:
        return False
    node.kill(pid)
    return True


def _node_freezes(world: World, chance: random.Random) -> bool:
    """A node is stopped for a while, as by SIGSTOP or a laptop's lid, and then believes that no time has passed."""
    up = [node for node in world.nodes if node.up and not node.is_frozen]
    if not up:
        return False
    chance.choice(up).freeze(chance.choice((1.0, 3.0, 6.0, 12.0)))
    return True


def _shard_moves(world: World, chance: random.Random) -> bool:
    """One or a few shards of a node move to others, most of them such in which something happens."""
    up = [node for node in world.nodes if node.up and node.shards]
    if not up:
        return False
    node = chance.choice(up)
    others = [other.name for other in world.nodes if other is not node]
    for _ in range(chance.choice((1, 1, 3))):
        node.runtime.start(Mover(node, shard_of_node(world, node, chance), chance.choice(others)))
    return True


def _move_is_interrupted(world: World, chance: random.Random) -> bool:
    """A shard begins to move, and a moment later one of the two nodes dies, or they lose sight of each other."""
    up = [node for node in world.nodes if node.up and node.shards]
    others = [node for node in world.nodes if node.up]
    if not up or len(others) < 2:
        return False
    source = chance.choice(up)
    target = chance.choice([node for node in others if node is not source])
    source.runtime.start(Mover(source, shard_of_node(world, source, chance), target.name))
    victim, lives = chance.choice((source, target, None)), (source.life, target.life)
    fate, told = chance.choice(COMMIT_FATES), chance.random() < 0.7

    def interrupt() -> None:
        if (source.life, target.life) != lives:
            return
        if victim is None:
            _cut(world, (way_between(source.name, target.name), way_between(target.name, source.name)), 5.0)
        else:
            victim.die(fate, told)
            victim.reboot_later()

    world.agenda.after(chance.uniform(0.0, 0.25), interrupt)
    return True


BETWEEN_NODES: Final[dict[str, Callable[[World, random.Random], bool | None]]] = {
    "two nodes lose sight of each other": _two_lose_sight,
    "a node is heard no more": _one_way_is_cut,
    "the cluster is partitioned": _partition,
    "the cluster is partitioned in part": _partial_partition,
    "ways between nodes are slow": _way_is_slow,
    "a link of nodes breaks": _link_breaks,
    "an actor of the cluster is killed": _links_are_killed,
    "a node freezes": _node_freezes,
    "a shard is to move": _shard_moves,
    "a move is interrupted": _move_is_interrupted,
}
"""Each kind of fault: strikes the world, and says whether there was anything to strike."""
