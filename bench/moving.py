"""A shard in which 100,000 messages wait is handed to another node while people go on writing to it and through it.

What waits is for 100 people whose accounts are in that shard. Twelve others write to them all the time, with the real
client, and note how long each ✓ takes: half of them in chats that are in the shard themselves, so that every step of
theirs waits for the move. At the end the 100 come to the other node and take everything home.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any, Final

import uvloop

import roost
from bench.absence import Returner, Writer
from bench.bars import percentile
from bench.client import connect, leave
from bench.measured_cluster import measured_cluster
from bench.person import people, person
from bench.registration import Codes, enter
from protocol import direct_conversation, shard_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.live_cluster import LiveCluster
    from bench.measured_node import MeasuredNode
    from bench.person import Person

__all__ = ["Book", "run", "writers_through"]

SHARD: Final = 17
READERS: Final = 100
EACH: Final = 1_000
TALKERS: Final = 12
TALK_EVERY_S: Final = 0.05
BEFORE_S: Final = 2.0
AFTER_S: Final = 3.0
STEP_S_MAX: Final = 120.0


class Book:
    """What came of each chat, and whether that is what was written."""

    def __init__(self) -> None:
        self.expected: dict[str, int] = {}
        self.shown: dict[str, list[int]] = {}

    def expect(self, conversation: str, count: int = 1) -> None:
        """So many more messages of a chat had their tick."""
        self.expected[conversation] = self.expected.get(conversation, 0) + count

    def show(self, conversation: str, seq: int) -> None:
        """One has come."""
        self.shown.setdefault(conversation, []).append(seq)

    def broken(self) -> int:
        """How many are lost, came twice, or came before an earlier one."""
        faults = 0
        for conversation in self.expected.keys() | self.shown.keys():
            seqs = self.shown.get(conversation, [])
            distinct = set(seqs)
            faults += len(set(range(1, self.expected.get(conversation, 0) + 1)) ^ distinct)
            faults += len(seqs) - len(distinct)
            faults += sum(later < earlier for earlier, later in itertools.pairwise(seqs))
        return faults


class Reader(Returner):
    """Comes back for what waits."""

    def __init__(self, owner: Person, book: Book) -> None:
        super().__init__(owner)
        self._book = book

    def delivered(self, deliver: Any) -> None:
        """Note it."""
        super().delivered(deliver)
        self._book.show(deliver.message.conversation, deliver.message.seq)


def people_in(shard: int) -> Iterator[Person]:
    """People whose accounts are in a shard."""
    return (person(f"bob{number}") for number in itertools.count() if shard_of(f"bob{number}") == shard)


def writers_through(shard: int, reader: Person) -> Iterator[str]:
    """Addresses of people whose chats with a reader are in a shard, and whose accounts are not in the moving one."""
    for number in itertools.count():
        address = f"eve{number}"
        inside = shard_of(direct_conversation(person(address).account, reader.account)) == shard
        if inside and shard_of(address) != SHARD:
            yield address


async def _fill(node: MeasuredNode, readers: list[Person], book: Book) -> None:
    fillers = [Writer(*pair, EACH) for pair in zip(people("ann", READERS), readers, strict=True)]
    await connect(node.address, fillers)
    for filler in fillers:
        filler.begin()
    async with asyncio.timeout(STEP_S_MAX):
        await asyncio.gather(*(filler.done.wait() for filler in fillers))
    leave(fillers)
    for filler in fillers:
        book.expect(filler.conversation, filler.ticks)


class Talk:
    """Somebody writes to a reader until told to stop, and notes how long each tick takes.

    Attributes:
        waits_s: When each message was written, and how long its tick took.
    """

    def __init__(self, client: roost.Client, reader: Person, book: Book) -> None:
        self.waits_s: list[tuple[float, float]] = []
        self.stopped = False
        self._client = client
        self._reader = reader
        self._book = book

    async def go_on(self) -> None:
        """Until stopped, and until the last tick."""
        while not self.stopped:
            began_s = time.perf_counter()
            await (await self._client.send(self._reader.account, "Still there?")).sent()
            self.waits_s.append((began_s, time.perf_counter() - began_s))
            self._book.expect(direct_conversation(self._client.account, self._reader.account))
            await asyncio.sleep(TALK_EVERY_S)


async def _talkers(cluster: LiveCluster[MeasuredNode], readers: list[Person], folder: Path) -> list[roost.Client]:
    """Half of them in chats of the shard, all of them at the first node."""
    nodes = list(cluster.nodes.values())
    codes = Codes(*(node.lines for node in nodes))
    clients = []
    taken: set[str] = set()
    for number, reader in enumerate(readers[:TALKERS]):
        through = writers_through(SHARD if number % 2 else (SHARD + 1), reader)
        address = next(it for it in through if it not in taken)
        taken.add(address)
        await roost.register(
            address,
            server=nodes[0].address,
            server_key=nodes[0].server_key,
            code=lambda request: codes.wait_code(request.account),
            folder=folder / f"home{number}",
        )
        clients.append(await roost.connect(address, folder=folder / f"home{number}"))
    for client in clients:
        await client.wait_online()
    return clients


def _cpu_s(cluster: LiveCluster[MeasuredNode]) -> float:
    return sum(node.cpu_s() for node in cluster.nodes.values())


async def _move_under_load(
    cluster: LiveCluster[MeasuredNode], readers: list[Person], book: Book, folder: Path
) -> tuple[dict[str, Any], list[float], list[float]]:
    """Returns what the move says of itself, and how long ticks took before it and from its beginning on."""
    source = (await cluster.shards("a"))[SHARD]["node"]
    clients = await _talkers(cluster, readers, folder)
    talks = [Talk(*pair, book) for pair in zip(clients, readers, strict=False)]
    talking = [asyncio.create_task(talk.go_on()) for talk in talks]
    cpu_s, began_s = _cpu_s(cluster), time.perf_counter()
    await asyncio.sleep(BEFORE_S)
    talk_share = (_cpu_s(cluster) - cpu_s) / (time.perf_counter() - began_s)
    cpu_s, began_s = _cpu_s(cluster), time.perf_counter()
    moved = await cluster.move("a", SHARD, "b" if source == "a" else "a")
    moved["took_s"] = time.perf_counter() - began_s
    await asyncio.sleep(AFTER_S)
    moved["cpu_s"] = _cpu_s(cluster) - cpu_s - talk_share * (time.perf_counter() - began_s)
    for talk in talks:
        talk.stopped = True
    async with asyncio.timeout(STEP_S_MAX):
        await asyncio.gather(*talking)
    for client in clients:
        await client.close()
    waits_s = [wait for talk in talks for wait in talk.waits_s]
    before = [wait_s for at_s, wait_s in waits_s if at_s + wait_s < began_s]
    return moved, before, [wait_s for at_s, wait_s in waits_s if at_s + wait_s >= began_s]


async def _measure(cluster: LiveCluster[MeasuredNode], folder: Path) -> dict[str, float]:
    nodes = list(cluster.nodes.values())
    readers, book = list(itertools.islice(people_in(SHARD), READERS)), Book()
    await cluster.wait_whole()
    await enter(nodes, [*people("ann", READERS), *readers])
    await _fill(nodes[0], readers, book)
    moved, before_s, during_s = await _move_under_load(cluster, readers, book, folder)
    returners = [Reader(reader, book) for reader in readers]
    await connect(cluster.nodes[moved["to"]].address, returners)
    async with asyncio.timeout(STEP_S_MAX):
        await asyncio.gather(*(returner.done.wait() for returner in returners))
    leave(returners)
    return {
        "move: longest wait for a tick": max(during_s),
        "move: messages lost, doubled or turned round": book.broken(),
        "move: longest wait for a tick before it, s": max(before_s),
        "move: median wait for a tick before it, ms": percentile(before_s, 50) * 1e3,
        "move: the shard stood still, s": moved["still_s"],
        "move: it took, s": moved["took_s"],
        "move: CPU of both nodes for it, purge included, s": moved["cpu_s"],
        "move: rows": moved["rows"],
        "move: MB": moved["size_bytes"] / 1e6,
    }


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder; a profile is of the first node."""
    with measured_cluster(folder, "ab", profile) as cluster:
        return uvloop.run(_measure(cluster, folder))
