"""People become known to a node before a scenario, each over the wire with a verification code, as anybody does."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import uvloop

from bench.client import Client, each
from bench.measured_node import MeasuredNode
from protocol.messages import CodeSent, Register, Registered, RequestCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bench.live_node import Settings
    from bench.person import Person

__all__ = ["enter", "register"]

# Searched anywhere in a line: codes travel in threads of the node, and two may meet on one line.
CODE = re.compile(r"verification code for (\S+): (\d+)")
LOOK_S = 0.001
AT_A_TIME = 5_000


class Codes:
    """The verification codes that nodes print.

    Args:
        lines: What each node that may send them has printed; grows.
    """

    def __init__(self, *lines: list[str]) -> None:
        self._lines = lines
        self._read = [0] * len(lines)
        self._codes: dict[str, str] = {}

    async def wait_code(self, account: str) -> str:
        """The code of an account that was told that it is on its way."""
        while account not in self._codes:
            fresh = [lines[read:] for lines, read in zip(self._lines, self._read, strict=True)]
            self._read = [read + len(lines) for lines, read in zip(fresh, self._read, strict=True)]
            self._codes.update(code for lines in fresh for line in lines for code in CODE.findall(line))
            if not any(fresh):
                await asyncio.sleep(LOOK_S)
        return self._codes.pop(account)


class Newcomer(Client):
    """Registers."""

    def __init__(self, person: Person) -> None:
        super().__init__(person)
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def other(self, frame: Any) -> None:
        """Code and registration are answers; the rest is as ever."""
        if isinstance(frame, CodeSent | Registered):
            self.answer.set_result(frame)
        else:
            super().other(frame)

    def fail(self, why: str) -> None:
        """No answer will come."""
        super().fail(why)
        if not self.answer.done():
            self.answer.set_exception(RuntimeError(why))

    async def ask(self, frame: RequestCode | Register) -> None:
        """Ask, and wait for the answer."""
        self.answer = asyncio.get_running_loop().create_future()
        self.wire.send(frame)
        self.flush()
        await self.answer

    async def register(self, codes: Codes) -> None:
        """Ask for a code, show it, and go."""
        account = self.person.account
        await self.welcomed
        await self.ask(RequestCode(1, account))
        await self.ask(Register(2, account, await codes.wait_code(account), account, "bench"))
        self.close()


def register(folder: Path, people: Sequence[Person], settings: Settings | None = None) -> None:
    """Start a node on a folder, register everybody and stop it again.

    Args:
        folder: Of the scenario.
        people: Everybody.
        settings: What differs from those of every scenario.

    Raises:
        RuntimeError: One of them was refused.
        NodeError: The node did not start or an actor of it crashed.
    """
    with MeasuredNode(folder, settings=settings) as node:
        uvloop.run(enter([node], people))


async def enter(nodes: Sequence[MeasuredNode], people: Sequence[Person]) -> None:
    """Register everybody at nodes that run.

    Args:
        nodes: All of the cluster; people come to the door of the first, and any of them may send their codes.
        people: Everybody.

    Raises:
        RuntimeError: One of them was refused.
    """
    codes = Codes(*(node.lines for node in nodes))
    for start in range(0, len(people), AT_A_TIME):
        newcomers = [Newcomer(person) for person in people[start : start + AT_A_TIME]]
        await each(nodes[0].address, newcomers, lambda newcomer: newcomer.register(codes))
