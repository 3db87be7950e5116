"""Who lives where: the nodes of a world, the shards of those that are alone, the people, their devices and chats."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final

from actors.shard.api import PaceLimits
from protocol import AccountId, direct_conversation, shard_of
from simulation.agenda import chance_of
from simulation.clubs import clubs_of
from simulation.cluster_node import ClusterNode
from simulation.device import SimulatedDevice
from simulation.node import SimulatedNode, Sizes
from simulation.people import HABITS, STRANGER, Person

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from protocol import ConversationId
    from simulation.clubs import Club
    from simulation.people import Habit
    from simulation.world import World

__all__ = ["settle"]

NAMES: Final = ("ann", "bob", "cid", "dora", "eve", "finn")


def settle(world: World, folder: Path) -> None:
    """Fill a world that is empty yet.

    Args:
        world: Which one.
        folder: Where the devices' databases lie.
    """
    scenario, chance = world.scenario, chance_of(world.seed, "world")
    sizes = scenario.sizes or _sizes(world.seed)
    if world.is_cluster:
        _settle_cluster(world, scenario.nodes or chance.choice((3, 3, 3, 4, 5, 7)), sizes, folder)
    else:
        for index in range(scenario.nodes or chance.choice((1, 1, 1, 2))):
            _settle_node(world, index, sizes, folder)


def _settle_node(world: World, index: int, sizes: Sizes, folder: Path) -> None:
    """A node that is alone, and the people who live at it."""
    habits = _habits(world, chance_of(world.seed, f"node {index}"), (3, 4))
    accounts = [AccountId(_name(index, number)) for number in range(len(habits))]
    chats, clubs = _chats(accounts), clubs_of(world, accounts, max(habit.clubs_min for habit in habits))
    node = SimulatedNode(world, f"node{index}", _shards(accounts, chats, clubs), sizes, world.scenario.parts)
    world.nodes.append(node)
    world.busy_shards += node.shards
    _people(world, accounts, habits, chats, clubs, (node,), folder)


def _settle_cluster(world: World, count: int, sizes: Sizes, folder: Path) -> None:
    """Nodes that are one, and people who may connect to any of them."""
    chance = chance_of(world.seed, "cluster")
    habits = _habits(world, chance, (4, 5))
    accounts = [AccountId(_name(0, number)) for number in range(len(habits))]
    chats, clubs = _chats(accounts), clubs_of(world, accounts, max(habit.clubs_min for habit in habits))
    world.busy_shards = _shards(accounts, chats, clubs)
    nodes = [ClusterNode(world, f"node{index}", sizes, world.scenario.parts) for index in range(count)]
    for node in nodes[1:]:
        node.codes = nodes[0].codes
    world.nodes += nodes
    _people(world, accounts, habits, chats, clubs, tuple(nodes), folder)


def _habits(world: World, chance: random.Random, count: tuple[int, int]) -> tuple[Habit, ...]:
    return world.scenario.people or tuple(chance.choice(HABITS) for _ in range(chance.randint(*count)))


def _chats(accounts: list[AccountId]) -> list[ConversationId]:
    """Everybody with everybody, and everybody's notes to themselves."""
    pairs = [*combinations(accounts, 2), *((account, account) for account in accounts)]
    return [direct_conversation(one, other) for one, other in pairs]


def _shards(accounts: list[AccountId], chats: list[ConversationId], clubs: list[Club]) -> tuple[int, ...]:
    """The shards in which anything happens."""
    return tuple(sorted({shard_of(name) for name in [*accounts, *chats, *(club.id for club in clubs), STRANGER]}))


def _people(
    world: World,
    accounts: list[AccountId],
    habits: tuple[Habit, ...],
    chats: list[ConversationId],
    clubs: list[Club],
    nodes: tuple[SimulatedNode, ...],
    folder: Path,
) -> None:
    for account, habit in zip(accounts, habits, strict=True):
        devices = [
            SimulatedDevice(world, account, f"{account}{number}", nodes, folder)
            for number in range(1, habit.devices + 1)
        ]
        world.devices += devices
        world.doors[account] = nodes
        mine = tuple(chat for chat in chats if account in chat.split(":"))
        world.people.append(Person(world, account, habit, devices, mine, clubs))


def _name(node: int, number: int) -> str:
    letter = chr(ord("a") + number // len(NAMES)) if number >= len(NAMES) else ""
    return NAMES[number % len(NAMES)] + letter + (str(node) if node else "")


def _sizes(seed: int) -> Sizes:
    chance = chance_of(seed, "sizes")
    return Sizes(
        entries_max=chance.choice((10_000, 10_000, 10_000, 40)),
        window_bytes=chance.choice((64 * 1024, 2_000, 600)),
        attempts_max=chance.choice((100, 3)),
        resume_window_s=chance.choice((60.0, 60.0, 1.0)),
        hot_window_bytes=chance.choice((1 << 20, 16_384, 4_096)),
        hot_window_s=chance.choice((30.0, 3.0, 0.5)),
        move_operations=chance.choice((512, 32, 8)),
        background_delay_s=chance.choice((0.0, 2.0)),
        shared_bytes_min=chance.choice((1, 1, 1_024)),
        copy_page_bytes=chance.choice((512 << 10, 1_000, 200)),
        copy_pages_max=chance.choice((8, 1)),
        pace=chance.choice((PaceLimits(), PaceLimits(targets_min=3, shards_burst=2, step_shards=1, step_s=0.05))),
    )
