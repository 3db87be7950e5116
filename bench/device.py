"""A device of a scripted person: a real client that writes and reads, and tells the books of both."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

import roost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

    from bench.ledger import Ledger
    from bench.live_node import LiveNode

__all__ = ["Device", "until"]

UNSENT_MAX: Final = 80
POKE_S: Final = 0.02


async def until(holds: Callable[[], bool], deadline_s: float, check: Callable[[], None] | None = None) -> None:
    """Wait until something holds, but not beyond the deadline; `check` may raise meanwhile."""
    while not holds() and time.monotonic() < deadline_s:
        if check is not None:
            check()
        await asyncio.sleep(POKE_S)


class Device:
    """One device, whose owner writes and reads without pause.

    Args:
        name: As "person/device".
        partners: The addresses to which it writes.
        folder: Where it keeps its database.
        ledger: The books; a stream is named "person/device>partner".
        seed: Decides how much it writes to whom.
        pause_s: From one batch to the next: a moment that is this on average.
    """

    def __init__(
        self, name: str, partners: Iterable[str], folder: Path, ledger: Ledger, seed: str, pause_s: float = 0.0
    ) -> None:
        self.name = name
        self.person = name.partition("/")[0]
        self.asleep_rounds = 0
        self.client: roost.Client | None = None
        self._folder = folder / name.replace("/", "-")
        self._ledger = ledger
        self._random = random.Random(seed)
        self._typed = dict.fromkeys(partners, 0)
        self._pause_s = pause_s
        self._keys: dict[str, tuple[str, int]] = {}
        self._room = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def register(self, node: LiveNode, code_for: Callable[[str], str | Awaitable[str]]) -> None:
        """Become the primary device of its owner.

        Args:
            node: To whose door it will always come.
            code_for: Where its owner reads the verification code.
        """
        await roost.register(
            self.person,
            server=node.address,
            server_key=node.server_key,
            code=lambda request: code_for(request.account),
            folder=self._folder,
        )

    async def link(self, node: LiveNode, primary: Device) -> None:
        """Become a further device of its owner, by a code that the primary device confirms.

        Args:
            node: To whose door it will always come.
            primary: The device that registered.
        """
        shown: asyncio.Future[roost.LinkCode] = asyncio.get_running_loop().create_future()
        linking = asyncio.create_task(
            roost.link(
                lambda code, _: shown.set_result(code),
                server=node.address,
                server_key=node.server_key,
                folder=self._folder,
            )
        )
        async with roost.connect(self.person, folder=primary._folder) as client:
            await client.wait_online()
            await (await client.devices.link((await shown).text)).confirm()
            await linking

    async def wake(self) -> None:
        """Open the client; read, and write from now on."""
        self.client = await roost.connect(self.person, folder=self._folder)
        self._tasks = [asyncio.create_task(self._read(self.client)), asyncio.create_task(self._write(self.client))]

    async def sleep(self) -> None:
        """Close the client. What it has in its outbox stays there."""
        if self.client is not None:
            await self._stop_writing()
            await self.client.close()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.check()
            self.client = None

    async def _stop_writing(self) -> None:
        while len(self._tasks) > 1:
            task = self._tasks.pop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def finish(self, deadline_s: float) -> None:
        """Write no more than a last word to everybody, and wait until that has its ✓ and so everything before it.

        Raises:
            AssertionError: It has none at the deadline.
        """
        await self._stop_writing()
        client = self.client
        assert client is not None, "everyone is awake at the end"
        last = {f"{self.name}>{other}": number + 1 for other, number in self._typed.items()}
        for stream, number in last.items():
            await client.send(stream.partition(">")[2], f"{stream} {number}")

        def all_ticked() -> bool:
            return all(self._ledger.latest(stream) == number for stream, number in last.items())

        await until(all_ticked, deadline_s, self.check)
        if not all_ticked():
            raise AssertionError(f"{self.name} has {client.unsent} messages without a ✓ at the end")

    async def come_online(self) -> None:
        """Connect at once, however long the last wait for the node was."""
        while self.client is not None and self.client.connection.state is not roost.ConnectionState.ONLINE:
            self.check()
            self.client.retry_now()
            await asyncio.sleep(POKE_S)

    def check(self) -> None:
        """Raise what went wrong while reading or writing."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def _write(self, client: roost.Client) -> None:
        while True:
            if client.unsent >= UNSENT_MAX:
                self._room.clear()
                await self._room.wait()
            other = self._random.choice(list(self._typed))
            batch = range(self._typed[other] + 1, self._typed[other] + 1 + self._random.randint(1, 24))
            self._typed[other] = batch[-1]
            stream = f"{self.name}>{other}"
            # A task a message, started in order: a cancelled wait does not take back what is in the outbox.
            await asyncio.gather(*(client.send(other, f"{stream} {number}") for number in batch))
            if self._pause_s:
                await asyncio.sleep(self._random.uniform(0, 2 * self._pause_s))

    async def _read(self, client: roost.Client) -> None:
        async for event in client.events():
            match event:
                case roost.MessageQueued(key=key, content=roost.Text(text)):
                    stream, number = _name(text)
                    self._keys[key] = (stream, number)
                case roost.MessageSent(key=key, seq=seq) if key in self._keys:  # else what its devices share
                    self._ledger.accept(*self._keys.pop(key), seq)
                    self._room.set()
                case roost.MessageReceived(conversation=conversation, seq=seq, content=roost.Text(text)):
                    self._ledger.show(self.name, conversation, *_name(text), seq)
                case roost.MessageFailed(sentence=sentence) | roost.NotDelivered(sentence=sentence):
                    raise AssertionError(f"{self.name}: {sentence}")
                case roost.ConnectionChanged(state=roost.ConnectionState.STOPPED, sentence=sentence):
                    raise AssertionError(f"{self.name}: {sentence}")
                case roost.EventsLost():
                    raise AssertionError(f"{self.name} reads too slowly for this run")
                case _:
                    pass


def _name(text: str) -> tuple[str, int]:
    stream, _, number = text.partition(" ")
    return stream, int(number)
