"""Groups: what a delivery to each of many members costs, acknowledgements and counted receipts included, and a join."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import uvloop

from bench.bars import percentile
from bench.client import PAYLOAD, Client, connect, leave
from bench.measured_node import MeasuredNode
from bench.person import people
from bench.registration import register
from protocol import ClientId, ConversationId, InviteToken, group_conversation, is_group
from protocol.messages import CreateGroup, CreateInvite, GroupDone, JoinGroup, Send

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.person import Person
    from protocol.messages import ClientFrame

SMALL, LARGE = 200, 1_024
DELIVERIES = 100_000
JOINS_MEASURED = 24
COLD_STARTS = 3
TOKEN = InviteToken(b"bench bench benc")
STEP_TIMEOUT_S = 120.0
REST_S = 1.5


class Room:
    """Counts what comes to all members of a group, and says when a message has come to each.

    Args:
        others: How many a message goes to.
    """

    def __init__(self, others: int) -> None:
        self.others = others
        self.arrived: dict[int, int] = {}
        self.complete = 0
        self.changed = asyncio.Event()

    def delivered(self, seq: int) -> None:
        """One member has a message."""
        count = self.arrived.get(seq, 0) + 1
        if count == self.others:
            self.arrived.pop(seq)
            self.complete += 1
            self.changed.set()
        else:
            self.arrived[seq] = count


class Member(Client):
    """A member of the group; one of them writes.

    Args:
        person: Whose device it is.
    """

    def __init__(self, person: Person) -> None:
        super().__init__(person)
        self.room: Room | None = None
        self.number = 0
        self.answer: asyncio.Future[GroupDone] | None = None
        self.ticked = asyncio.Event()

    def delivered(self, deliver: Any) -> None:
        """A message of the group has come."""
        if self.room is not None:
            self.room.delivered(deliver.message.seq)

    def sent(self, sent: Any) -> None:
        """A tick."""
        self.ticked.set()

    def other(self, frame: Any) -> None:
        """The group has answered, or anything else."""
        if isinstance(frame, GroupDone) and self.answer is not None:
            self.answer.set_result(frame)
        else:
            super().other(frame)

    def fail(self, why: str) -> None:
        """No answer will come."""
        super().fail(why)
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(RuntimeError(why))

    async def ask(self, frame: ClientFrame) -> GroupDone:
        """Ask the group, and wait for its answer."""
        self.answer = asyncio.get_running_loop().create_future()
        self.wire.say(frame)
        self.flush()
        return await self.answer

    def say(self, group: ConversationId) -> None:
        """Send the next message."""
        self.number += 1
        client_id = ClientId(os.urandom(8) + self.number.to_bytes(8, "big"))
        self.wire.say(Send(group, self.number, client_id, PAYLOAD))


async def gather(members: Sequence[Member], client_id: ClientId) -> ConversationId:
    """The first makes a group, and the others join it, some at a time."""
    owner, *others = members
    done = await owner.ask(CreateGroup(1, client_id, "bench"))
    assert is_group(done.conversation)
    await owner.ask(CreateInvite(2, done.conversation, TOKEN, 3_600, LARGE))
    for first in range(0, len(others), 32):
        await asyncio.gather(*(it.ask(JoinGroup(1, done.conversation, TOKEN)) for it in others[first : first + 32]))
    return done.conversation


async def flow(
    node: MeasuredNode, members: Sequence[Member], group: ConversationId, in_flight: int, messages: int
) -> float:
    """Microseconds of CPU for each delivery while the first member writes, so many at once."""
    room = Room(len(members) - 1)
    for member in members:
        member.room = room
    writer = members[0]
    said = 0
    cpu_s = node.cpu_s()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        while room.complete < messages:
            while said < messages and said - room.complete < in_flight:
                writer.say(group)
                said += 1
            writer.flush()
            room.changed.clear()
            if room.complete < messages:
                await room.changed.wait()
    await asyncio.sleep(0.5)  # the last acknowledgements
    cpu_s = node.cpu_s() - cpu_s
    for member in members:
        member.room = None
    return cpu_s / (messages * room.others) * 1e6


def _client_id(size: int) -> ClientId:
    """By which the group of this size is made."""
    return ClientId(size.to_bytes(16, "big"))


async def _measure(node: MeasuredNode, everybody: Sequence[Person], size: int) -> dict[str, float]:
    members = [Member(person) for person in everybody[:size]]
    await connect(node.address, members)
    early, late = members[:-JOINS_MEASURED], members[-JOINS_MEASURED:]
    group = await gather(early, _client_id(size))
    leave(early)
    await asyncio.sleep(REST_S)
    cpu_s = node.cpu_s()
    for member in late:
        await member.ask(JoinGroup(1, group, TOKEN))
    figures = {f"groups: joining one of {size}, CPU": (node.cpu_s() - cpu_s) / JOINS_MEASURED * 1e3}
    members = [*(Member(person) for person in everybody[: len(early)]), *late]
    await connect(node.address, members[: len(early)])
    messages = max(24, DELIVERIES // size)
    await flow(node, members, group, 8, 24)
    for in_flight, count in ((8, messages), (1, max(8, messages // 4))):
        name = f"groups: {size}, {in_flight} in flight, CPU a delivery"
        figures[name] = await flow(node, members, group, in_flight, count)
    leave(members)
    return figures


async def _cold(node: MeasuredNode, owner: Person) -> float:
    """Milliseconds of CPU until the tick of the first message that a group gets of which nothing is in memory."""
    member = Member(owner)
    await connect(node.address, [member])
    await asyncio.sleep(REST_S)
    cpu_s = node.cpu_s()
    member.say(group_conversation(owner.account, _client_id(LARGE)))
    member.flush()
    async with asyncio.timeout(STEP_TIMEOUT_S):
        await member.ticked.wait()
    cpu_s = node.cpu_s() - cpu_s
    leave([member])
    return cpu_s * 1e3


def run(folder: Path, profile: Path | None = None) -> dict[str, float]:
    """Measure in a fresh folder."""
    everybody = people("gus", LARGE)
    register(folder, everybody)
    figures: dict[str, float] = {}
    with MeasuredNode(folder, None if profile is None else profile) as node:
        for size in (SMALL, LARGE):
            figures |= uvloop.run(_measure(node, everybody, size))
    cold_ms: list[float] = []
    for _ in range(COLD_STARTS):
        with MeasuredNode(folder) as node:
            cold_ms.append(uvloop.run(_cold(node, everybody[0])))
    figures[f"groups: first message to a cold one of {LARGE}, CPU"] = percentile(cold_ms, 50)
    return figures
