"""A hot group: 100 messages a second to 1,024 members who are away, and a chat elsewhere that should not notice."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import uvloop

from bench.bars import percentile
from bench.client import Client, Sender, connect, leave
from bench.groups import LARGE, Member, gather
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register
from protocol import ClientId

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.person import Person
    from protocol import ConversationId

GROUP_PER_S = 100
CHAT_PER_S = 100
ROUNDS = 3
"""The fifth slowest of 500 in one stretch of 5 s says more of the host than of the node."""
MEASURED_S = 5.0
WARM_UP_S = 1.5


class Reader(Client):
    """Notes how long each message was on its way."""

    def __init__(self, person: Person) -> None:
        super().__init__(person)
        self.due_s: deque[float] = deque()
        self.delays_s: list[float] = []

    def delivered(self, deliver: Any) -> None:
        """The oldest of those on their way."""
        self.delays_s.append(time.perf_counter() - self.due_s.popleft())


async def _chat(writer: Sender, reader: Reader, seconds: float) -> list[float]:
    """How long each message of a chat takes, in seconds."""
    reader.delays_s.clear()
    end_s = time.perf_counter() + seconds
    while time.perf_counter() < end_s:
        reader.due_s.append(time.perf_counter())
        writer.say_next()
        writer.flush()
        await asyncio.sleep(1 / CHAT_PER_S)
    await asyncio.sleep(1.0)
    return list(reader.delays_s)


async def _heat(member: Member, group: ConversationId) -> None:
    """Write into the group until cancelled."""
    while True:
        member.say(group)
        member.flush()
        await asyncio.sleep(1 / GROUP_PER_S)


async def _measure(node: MeasuredNode, everybody: Sequence[Person], pair: Sequence[Person]) -> dict[str, float]:
    members = [Member(person) for person in everybody]
    await connect(node.address, members)
    group = await gather(members, ClientId(os.urandom(16)))
    leave(members[1:])
    writer, reader = Sender(*pair), Reader(pair[1])
    await connect(node.address, [writer, reader])
    await _chat(writer, reader, WARM_UP_S)
    calm_s: list[float] = []
    hot_s: list[float] = []
    load = 0.0
    for _ in range(ROUNDS):
        calm_s += await _chat(writer, reader, MEASURED_S)  # all before the first heat, whose leavings the store moves
    for _ in range(ROUNDS):
        heat = asyncio.create_task(_heat(members[0], group))
        await _chat(writer, reader, WARM_UP_S)
        cpu_s, began_s = node.cpu_s(), time.perf_counter()
        hot_s += await _chat(writer, reader, MEASURED_S)
        load += (node.cpu_s() - cpu_s) / (time.perf_counter() - began_s) / ROUNDS
        if heat.done():
            heat.result()
            raise RuntimeError("nobody wrote into the group")
        heat.cancel()
        await _chat(writer, reader, WARM_UP_S)
    leave([members[0], writer, reader])
    hot_ms, calm_ms = percentile(hot_s, 99) * 1e3, percentile(calm_s, 99) * 1e3
    return {
        "hot: send to delivered in a chat elsewhere, p99": hot_ms,
        "hot: the same without it, p99": calm_ms,
        "hot: p99 of a chat elsewhere, times as long": hot_ms / calm_ms,
        "hot: processors busy": load,
    }


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    everybody, pair = people("gus", LARGE), people("pia", 2)
    register(folder, [*everybody, *pair])
    with MeasuredNode(folder, profile) as node:
        return uvloop.run(_measure(node, everybody, pair))
