"""Away: a group's messages to members who are not there, stored, moved to the inbox, and taken home by all of them."""

from __future__ import annotations

import asyncio
import os
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
SETTINGS: Settings = {"journal": {"hot_window_s_max": 1}}
STEP_TIMEOUT_S = 120.0
REST_S = 1.2
REST_SHARE_MAX = 0.05


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


def _shards(everybody: Sequence[Person]) -> tuple[int, int]:
    """How many shards have several of these people, and how many one: its entry has the only body with it."""
    sizes = Counter(shard_of(person.account) for person in everybody).values()
    return sum(size > 1 for size in sizes), sum(size == 1 for size in sizes)


async def _measure(node: MeasuredNode, data: Path, everybody: Sequence[Person]) -> dict[str, float]:
    size = len(everybody)
    members = [Member(person) for person in everybody]
    await connect(node.address, members)
    group = await gather(members, ClientId(os.urandom(16)))
    await _settled(node, data, 0)  # all of them have heard of the last that joined
    leave(members)
    await _settled(node, data, 0)
    writer = Writer(everybody[0])
    await connect(node.address, [writer])
    others, count = size - 1, max(2, ENTRIES // size)
    shards, lone = _shards(everybody[1:])
    figures: dict[str, float] = {}

    async def stored(name: str, messages: int, present: int) -> None:
        before, cpu_s = [page_bytes(data, table) for table in (Table.INBOX, Table.BODIES)], node.cpu_s()
        async with asyncio.timeout(STEP_TIMEOUT_S):
            await writer.write(group, messages)
        await _settled(node, data, (messages + present) * others)
        cpu_s = node.cpu_s() - cpu_s
        grown = [page_bytes(data, table) for table in (Table.INBOX, Table.BODIES)]
        entries_bytes, bodies_bytes = (now - then for now, then in zip(grown, before, strict=True))
        entries_bytes -= messages * lone * len(PAYLOAD)
        figures[f"away: {size}, {name}, pages a member beyond the bodies"] = entries_bytes / (messages * others)
        figures[f"away: {size}, {name}, pages a body of 1 KiB"] = bodies_bytes / (messages * shards)
        figures[f"away: {size}, {name}, CPU a member"] = cpu_s / (messages * others) * 1e6

    await stored("the first", 1, 0)
    await stored("the next", count, 1)
    leave([writer])
    readers = [Returner(person) for person in everybody[1:]]
    await connect(node.address, readers, login=False)
    cpu_s = node.cpu_s()
    for reader in readers:
        reader.login()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await asyncio.gather(*(reader.done.wait() for reader in readers))
    await _settled(node, data, 0)
    figures[f"away: {size}, drained, CPU a message"] = (node.cpu_s() - cpu_s) / ((count + 1) * others) * 1e6
    leave(readers)
    if {reader.count for reader in readers} != {count + 1}:
        raise RuntimeError("not every message came to every member")
    return figures


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    data = folder / "data"
    everybody = people("abe", LARGE + SMALL)
    register(folder, everybody)
    figures: dict[str, float] = {}
    with MeasuredNode(folder, profile, SETTINGS) as node:
        figures |= uvloop.run(_measure(node, data, everybody[LARGE:]))
        figures |= uvloop.run(_measure(node, data, everybody[:LARGE]))
    return figures
