"""What stories share: a loop of their own with a deadline, people, and waiting for an event."""

from __future__ import annotations

import asyncio
import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import roost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from roost.streams import EventStream
    from tests.roost.tcp_server import TcpServer

Kind = TypeVar("Kind", bound=roost.Event)
WAIT_S = 30


def story(function: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    """Run an async test on its own loop, and never for longer than a test may take."""

    def test(tmp_path: Path) -> None:
        async def limited() -> None:
            async with asyncio.timeout(WAIT_S):
                await function(tmp_path)

        asyncio.run(limited())

    functools.update_wrapper(test, function)
    del test.__wrapped__  # type: ignore[attr-defined]  # pytest would look for the fixtures of the wrapped one
    return test


async def next_event(stream: EventStream, kind: type[Kind]) -> Kind:
    async for event in stream:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__} came")


async def wait_offline(client: roost.Client) -> None:
    async for event in client.events():
        if isinstance(event, roost.ConnectionChanged) and event.state is roost.ConnectionState.OFFLINE:
            return


@asynccontextmanager
async def people(server: TcpServer, folder: Path, *names: str) -> AsyncIterator[list[roost.Client]]:
    """Register and connect each of them."""
    clients = []
    for name in names:
        await roost.register(name, server=server.address, code="123456", folder=folder)
        clients.append(await roost.connect(name, folder=folder))
    try:
        for client in clients:
            await client.wait_online()
        yield clients
    finally:
        for client in clients:
            await client.close()


async def link_in(folder: Path, server: TcpServer, name: str) -> tuple[roost.LinkCode, asyncio.Task[str]]:
    """A new device that shows a code; the task ends when it is linked."""
    shown: asyncio.Future[roost.LinkCode] = asyncio.get_running_loop().create_future()
    linking = asyncio.create_task(
        roost.link(lambda code, _: shown.set_result(code), server=server.address, device_name=name, folder=folder)
    )
    return await shown, linking
