"""Away: a group's messages to members who are not there, stored, moved to the inbox, and taken home by all of them.

The CPU of storing is that of the workers, less what they cost at rest: to wait until all is in the inbox takes seconds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import uvloop

from bench.client import connect, leave
from bench.direct_store import inbox_entries, page_bytes
from bench.groups import LARGE, SMALL, Member, gather
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register
from protocol import ClientId, shard_of
from protocol.messages import Send
from storage.engine import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.live_node import Settings
    from bench.person import Person
    from protocol import ConversationId

PAYLOAD = bytes(1_024)
ENTRIES = 50_000
WINDOW = 8
SETTINGS: Settings = {"journal": {"hot_window_s_max": 1}, "queue": {"resume_window_s": 0}}
STEP_TIMEOUT_S = 120.0
REST_S = 1.2
REST_SHARE_MAX = 0.05
PERIOD_S = 5.0
"""What recurs at rest does so within this: so whole periods are compared."""
QUEUES_END_S = 65.0
"""Behind the last word of a device its queue's process ends."""


class Writer(Member):
    """The only member who is there; a window of its messages without their tick."""

    def __init__(self, person: Person) -> None:
        super().__init__(person)
        self.ticks = 0
        self.ticked = asyncio.Event()

    def sent(self, sent: Any) -> None:
        """A tick."""
        self.ticks += 1
        self.ticked.set()

    async def write(self, group: ConversationId, count: int) -> None:
        """Write that many messages, and wait for their ticks."""
        first, said = self.ticks, 0
        while self.ticks - first < count:
            while said < count and said - (self.ticks - first) < WINDOW:
                self.number += 1
                said += 1
                client_id = ClientId(os.urandom(8) + self.number.to_bytes(8, "big"))
                self.wire.say(Send(group, self.number, client_id, PAYLOAD))
            self.flush()
            self.ticked.clear()
            await self.ticked.wait()


class Returner(Member):
    """Counts what waited; `done` once all of it is here and acknowledged."""

    def __init__(self, person: Person) -> None:
        super().__init__(person)
        self.count = 0
        self.done = asyncio.Event()

    def delivered(self, deliver: Any) -> None:
        """One more."""
        self.count += 1

    def drained(self) -> None:
        """That was all of it."""
        self.done.set()


async def _settled(node: MeasuredNode, data: Path, entries: int) -> None:
    """Wait until the inbox holds that many entries and the node has come to rest."""
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while True:
            cpu_s = node.cpu_s()
            await asyncio.sleep(REST_S)
            if node.cpu_s() - cpu_s < REST_S * REST_SHARE_MAX and inbox_entries(data) == entries:
                return


async def _idle_cpu(node: MeasuredNode) -> float:
    """What its workers cost a second while nobody wants anything of them, in seconds: 6 to 8 ms."""
    cpu_s, started_s = _workers_s(node), time.monotonic()
    await asyncio.sleep(2 * PERIOD_S)
    return (_workers_s(node) - cpu_s) / (time.monotonic() - started_s)


def _workers_s(node: MeasuredNode) -> float:
    return sum(node.workers_cpu_s())


def _shards(everybody: Sequence[Person]) -> tuple[int, int]:
    """How many shards have several of these people, and how many one: its entry has the only body with it."""
    sizes = Counter(shard_of(person.account) for person in everybody).values()
    return sum(size > 1 for size in sizes), sum(size == 1 for size in sizes)


async def _group(node: MeasuredNode, data: Path, everybody: Sequence[Person]) -> ConversationId:
    """A group of all of them, who then leave."""
    members = [Member(person) for person in everybody]
    await connect(node.address, members)
    group = await gather(members, ClientId(os.urandom(16)))
    await _settled(node, data, 0)  # all of them have heard of the last that joined
    leave(members)
    return group


async def _stored(
    node: MeasuredNode, data: Path, writer: Writer, group: ConversationId, everybody: Sequence[Person]
) -> dict[str, float]:
    """A first message to members for whom nothing waits, and then many more."""
    others, (shards, lone) = len(everybody) - 1, _shards(everybody[1:])
    count, idle_cpu = max(2, ENTRIES // len(everybody)), await _idle_cpu(node)
    figures: dict[str, float] = {}
    for name, messages, present in (("the first", 1, 0), ("the next", count, 1)):
        before = [page_bytes(data, table) for table in (Table.INBOX, Table.BODIES)]
        cpu_s, started_s = _workers_s(node), time.monotonic()
        async with asyncio.timeout(STEP_TIMEOUT_S):
            await writer.write(group, messages)
        await _settled(node, data, (messages + present) * others)
        await asyncio.sleep(PERIOD_S - (time.monotonic() - started_s) % PERIOD_S)
        cpu_s = _workers_s(node) - cpu_s - idle_cpu * (time.monotonic() - started_s)
        grown = [page_bytes(data, table) for table in (Table.INBOX, Table.BODIES)]
        entries_bytes, bodies_bytes = (now - then for now, then in zip(grown, before, strict=True))
        entries_bytes -= messages * lone * len(PAYLOAD)
        what = f"away: {len(everybody)}, {name}"
        figures[f"{what}, pages a member beyond the bodies"] = entries_bytes / (messages * others)
        figures[f"{what}, pages a body of 1 KiB"] = bodies_bytes / (messages * shards)
        figures[f"{what}, CPU a member"] = cpu_s / (messages * others) * 1e6
    return figures


async def _drained(node: MeasuredNode, data: Path, everybody: Sequence[Person], count: int) -> float:
    """All of them come for as many messages; what one costs the node, in microseconds."""
    readers = [Returner(person) for person in everybody]
    await connect(node.address, readers, login=False)
    cpu_s = node.cpu_s()
    for reader in readers:
        reader.login()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await asyncio.gather(*(reader.done.wait() for reader in readers))
    await _settled(node, data, 0)
    cpu_s = node.cpu_s() - cpu_s
    leave(readers)
    if {reader.count for reader in readers} != {count}:
        raise RuntimeError("not every message came to every member")
    return cpu_s / (count * len(readers)) * 1e6


async def _measure(node: MeasuredNode, data: Path, crowds: Sequence[Sequence[Person]]) -> dict[str, float]:
    figures: dict[str, float] = {}
    groups = [await _group(node, data, everybody) for everybody in crowds]
    await asyncio.sleep(QUEUES_END_S)
    for everybody, group in zip(crowds, groups, strict=True):
        size = len(everybody)
        writer = Writer(everybody[0])
        await connect(node.address, [writer])
        figures |= await _stored(node, data, writer, group, everybody)
        leave([writer])
        drained_us = await _drained(node, data, everybody[1:], 1 + max(2, ENTRIES // size))
        figures[f"away: {size}, drained, CPU a message"] = drained_us
    return figures


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    everybody = people("abe", LARGE + SMALL)
    register(folder, everybody)
    with MeasuredNode(folder, profile, SETTINGS) as node:
        return uvloop.run(_measure(node, folder / "data", (everybody[:LARGE], everybody[LARGE:])))
