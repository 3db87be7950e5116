"""An account opened for one command, and the wait until it is online."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from roost.errors import NotConnectedError
from roost.opening import connect
from roost.plain import device_sentence
from roost.power import Power

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from roost.client import Client

__all__ = ["ONLINE_WAIT_S", "opened", "wait_online"]

ONLINE_WAIT_S: Final = 15.0


@asynccontextmanager
async def opened(arguments: argparse.Namespace, *, online: bool = True) -> AsyncIterator[Client]:
    """Open the account that the arguments name, and wait for its server if `online`."""
    async with connect(arguments.account, server=arguments.server, foreground=False, power=Power.MAINS) as client:
        if online:
            await wait_online(client)
        yield client
        if sys.stderr.isatty():  # what nobody would read stays for the next program that a person looks at
            for change in client.device_news:
                print(f"roost: {device_sentence(change)}", file=sys.stderr)
                client.device_news_told(change)


async def wait_online(client: Client, wait_s: float = ONLINE_WAIT_S) -> None:
    """Wait until the client is connected.

    Raises:
        NotConnectedError: it is not within the time; the sentence says why.
    """
    try:
        async with asyncio.timeout(wait_s):
            await client.wait_online()
    except TimeoutError as error:
        raise NotConnectedError(client.connection.sentence or f"The server {client.server} does not answer.") from error
