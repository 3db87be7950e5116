"""Away: a group's messages to members who are not there, stored, moved to the inbox, and taken home by all of them.

The CPU of storing is that of the workers, less what they cost at rest: to wait until all is in the inbox takes seconds.
A first message, to members for whom nothing waits, goes to several groups, one right behind the other. One for its own,
when for seconds there was nothing to do, costs up to twice as much, by the host: its caches have forgotten all of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import uvloop

from bench.client import connect, leave
from bench.direct_store import inbox_entries, page_bytes
from bench.groups import LARGE, SMALL, Member, gather
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register
from protocol import ClientId, shard_of
from protocol.messages import DescribeGroup, Group, Send
from storage.engine import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.live_node import Settings
    from bench.person import Person
    from protocol import ConversationId

PAYLOAD = bytes(1_024)
FIRSTS = 5
"""Groups of 1,024 to which a first message goes together, besides the one that goes on."""
ENTRIES = 50_000
WINDOW = 8
SETTINGS: Settings = {"journal": {"hot_window_s_max": 1}, "queue": {"resume_window_s": 0}}
STEP_TIMEOUT_S = 120.0
REST_S = 1.2
REST_SHARE_MAX = 0.05
IDLE_S = 10.0
TRACES_END_S = 130.0
"""Behind the last word of a device its queue's process ends; later its connection's last timer goes off.

1,024 such timers take 30 ms: twice what is measured."""


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

    def other(self, frame: Any) -> None:
        """The group is awake, or anything else."""
        if isinstance(frame, Group):
            self.ticked.set()
        else:
            super().other(frame)

    async def wake(self, group: ConversationId) -> None:
        """Have the group loaded, with the accounts of its members."""
        self.ticked.clear()
        self.wire.say(DescribeGroup(1, group))
        self.flush()
        await self.ticked.wait()

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


async def _idle_cpu(node: MeasuredNode, absences: Sequence[Absence]) -> float:
    """What its workers cost a second while nobody wants anything of groups that are awake, in seconds: some 3 ms."""
    async with asyncio.timeout(STEP_TIMEOUT_S):
        for absence in absences:
            await absence.writer.wake(absence.group)
    await asyncio.sleep(REST_S)
    cpu_s, started_s = _workers_s(node), time.monotonic()
    await asyncio.sleep(IDLE_S)
    return (_workers_s(node) - cpu_s) / (time.monotonic() - started_s)


def _workers_s(node: MeasuredNode) -> float:
    return sum(node.workers_cpu_s())


def _shards(everybody: Sequence[Person]) -> tuple[int, int]:
    """How many shards have several of these people, and how many one: its entry has the only body with it."""
    sizes = Counter(shard_of(person.account) for person in everybody).values()
    return sum(size > 1 for size in sizes), sum(size == 1 for size in sizes)


class Absence(NamedTuple):
    """A group whose members have left, but for one who writes."""

    group: ConversationId
    everybody: Sequence[Person]
    writer: Writer

    @property
    def others(self) -> int:
        """How many are away."""
        return len(self.everybody) - 1


class Cost(NamedTuple):
    """What messages have cost: of the workers' CPU, and of pages."""

    cpu_s: float
    inbox_bytes: int
    bodies_bytes: int


async def _absence(node: MeasuredNode, data: Path, everybody: Sequence[Person]) -> Absence:
    """A group of all of them, who then leave."""
    members = [Member(person) for person in everybody]
    await connect(node.address, members)
    group = await gather(members, ClientId(os.urandom(16)))
    await _settled(node, data, 0)  # all of them have heard of the last that joined
    leave(members)
    return Absence(group, everybody, Writer(everybody[0]))


async def _cost(node: MeasuredNode, data: Path, absences: Sequence[Absence], count: int, idle_cpu: float) -> Cost:
    """Write so many messages into each group, one behind the other, and wait until the inbox has them all."""
    tables = (Table.INBOX, Table.BODIES)
    before, entries = [page_bytes(data, table) for table in tables], inbox_entries(data)
    cpu_s, started_s = _workers_s(node), time.monotonic()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        for absence in absences:
            await absence.writer.write(absence.group, count)
    await _settled(node, data, entries + count * _others(absences))
    cpu_s = _workers_s(node) - cpu_s - idle_cpu * (time.monotonic() - started_s)
    grown = (page_bytes(data, table) - then for table, then in zip(tables, before, strict=True))
    return Cost(cpu_s, *grown)


async def _firsts(node: MeasuredNode, data: Path, absences: Sequence[Absence]) -> dict[str, float]:
    """A first message to each group, to members for whom nothing waits; and nothing waits in the end."""
    idle_cpu = await _idle_cpu(node, absences)
    cost = await _cost(node, data, absences, 1, idle_cpu)
    for absence in absences:
        await _drained(node, data, absence, 1)
    await asyncio.sleep(TRACES_END_S)
    what = f"away: {len(absences[0].everybody)}, the first"
    return {f"{what}, CPU a member": cost.cpu_s / _others(absences) * 1e6}


async def _stored(node: MeasuredNode, data: Path, absence: Absence) -> dict[str, float]:
    """A first message to members for whom nothing waits, out of a rest, and then many more."""
    (shards, lone), idle_cpu = _shards(absence.everybody[1:]), await _idle_cpu(node, [absence])
    figures: dict[str, float] = {}
    for name, messages in (("the first after a rest", 1), ("the next", _count(absence))):
        cost = await _cost(node, data, [absence], messages, idle_cpu)
        entries_bytes = cost.inbox_bytes - messages * lone * len(PAYLOAD)
        what = f"away: {len(absence.everybody)}, {name}"
        figures[f"{what}, pages a member beyond the bodies"] = entries_bytes / (messages * absence.others)
        figures[f"{what}, pages a body of 1 KiB"] = cost.bodies_bytes / (messages * shards)
        figures[f"{what}, CPU a member"] = cost.cpu_s / (messages * absence.others) * 1e6
    return figures


def _others(absences: Sequence[Absence]) -> int:
    return sum(absence.others for absence in absences)


def _count(absence: Absence) -> int:
    """How many messages follow the first."""
    return max(2, ENTRIES // len(absence.everybody))


async def _drained(node: MeasuredNode, data: Path, absence: Absence, count: int) -> float:
    """All who were away come for as many messages; what one costs the node, in microseconds."""
    readers = [Returner(person) for person in absence.everybody[1:]]
    left = inbox_entries(data) - count * len(readers)
    await connect(node.address, readers, login=False)
    cpu_s = node.cpu_s()
    for reader in readers:
        reader.login()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await asyncio.gather(*(reader.done.wait() for reader in readers))
    await _settled(node, data, left)
    cpu_s = node.cpu_s() - cpu_s
    leave(readers)
    if {reader.count for reader in readers} != {count}:
        raise RuntimeError("not every message came to every member")
    return cpu_s / (count * len(readers)) * 1e6


async def _measure(node: MeasuredNode, data: Path, crowds: Sequence[Sequence[Sequence[Person]]]) -> dict[str, float]:
    figures: dict[str, float] = {}
    groups = [[await _absence(node, data, everybody) for everybody in crowd] for crowd in crowds]
    await asyncio.sleep(TRACES_END_S)
    for absence, *others in groups:
        writers = [absence.writer, *(other.writer for other in others)]
        await connect(node.address, writers)
        if others:
            figures |= await _firsts(node, data, others)
        figures |= await _stored(node, data, absence)
        leave(writers)
        drained_us = await _drained(node, data, absence, 1 + _count(absence))
        figures[f"away: {len(absence.everybody)}, drained, CPU a message"] = drained_us
    return figures


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    everybody = people("abe", (1 + FIRSTS) * LARGE + SMALL)
    register(folder, everybody)
    bounds = (0, LARGE, LARGE + SMALL, *range(2 * LARGE + SMALL, len(everybody) + 1, LARGE))
    large, small, *others = (everybody[first:last] for first, last in pairwise(bounds))
    with MeasuredNode(folder, profile, SETTINGS) as node:
        return uvloop.run(_measure(node, folder / "data", ([large, *others], [small])))
