"""A client killed while it is sending: what it had in its outbox is sent by the next one, once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

import roost
from tests.roost.stories import next_event, people
from tests.roost.tcp_server import TcpServer

WRITER = """
import asyncio, sys
from pathlib import Path
import roost

async def main():
    async with roost.connect("alice", folder=Path(sys.argv[1])) as client:
        number = int(sys.argv[2])
        while True:
            await asyncio.gather(*(client.send("bob", str(number + offset)) for offset in range(8)))
            number += 8
            print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.crash
@pytest.mark.slow
def test_every_message_in_the_outbox_of_a_killed_client_is_sent_once(tmp_path: Path) -> None:
    async def crash() -> None:
        async with TcpServer() as server:
            async with people(server, tmp_path, "alice", "bob"):
                pass
            number = 0
            for round_number in range(4):
                number = await killed_after(tmp_path, number, 3 + 2 * round_number)
            async with roost.connect("alice", folder=tmp_path) as alice:
                events = alice.events()
                while alice.unsent:
                    await next_event(events, roost.MessageSent)
                typed = [message.content for message in await alice.history("bob", limit=10_000)]
            (conversation,) = server.model.conversations.values()
            assert len(conversation.log) == len(typed) == len(set(conversation.client_ids))
            assert len(set(typed)) == len(typed)

    async def killed_after(folder: Path, number: int, batches: int) -> int:
        """Let a writer put some batches into its outbox, kill it, and return the first number it did not confirm."""
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(folder), str(number),
            stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert writer.stdout is not None
        for _ in range(batches):
            number = int(await writer.stdout.readline())
        writer.kill()
        rest = (await writer.stdout.read()).split()
        await writer.wait()
        return int(rest[-1]) + 8 if rest else number + 8

    async def limited() -> None:
        async with asyncio.timeout(60):
            await crash()

    asyncio.run(limited())
