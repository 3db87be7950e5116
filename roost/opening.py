"""`connect`: open an account of this computer and keep it connected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from roost.client import Client
from roost.home import find_account
from roost.power import Power
from roost.store import Store

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from types import TracebackType

    from roost.sealing import Sealer

__all__ = ["Opening", "connect"]


class Opening:
    """What `connect` returns: ``async with`` it, or ``await`` it and close the client yourself."""

    def __init__(
        self,
        account: str | None,
        server: str | None,
        folder: Path | None,
        foreground: bool,
        power: Power,
        sealer: Sealer | None,
    ) -> None:
        self._account = account
        self._server = server
        self._folder = folder
        self._foreground = foreground
        self._power = power
        self._sealer = sealer
        self._client: Client | None = None

    def __await__(self) -> Generator[Any, None, Client]:
        return self._open().__await__()

    async def _open(self) -> Client:
        path = find_account(self._account, self._server, self._folder)
        store = await asyncio.to_thread(Store, path)
        try:
            return Client(store, foreground=self._foreground, power=self._power, sealer=self._sealer)
        except BaseException:
            store.close()
            raise

    async def __aenter__(self) -> Client:
        self._client = await self._open()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._client is not None, "entered before"
        await self._client.close()


def connect(
    account: str | None = None,
    *,
    server: str | None = None,
    folder: Path | None = None,
    foreground: bool = True,
    power: Power = Power.BATTERY,
    sealer: Sealer | None = None,
) -> Opening:
    """Open a registered account and keep it connected, with back-off, until it is closed.

    It does not wait for the server: what is sent meanwhile waits in the outbox. `Client.wait_online` waits.

    Args:
        account: the address; None if only one account is registered on this computer.
        server: the server, as ``HOST:PORT``; needed only when the same address is registered on several.
        folder: where the accounts lie; None for $ROOST_HOME or ~/.local/share/roost.
        foreground: whether a person is looking; False makes the device speak to the server less often.
        power: how the device is fed; a program on a server says `Power.MAINS`, and nothing is held back for it.
        sealer: makes each device its own payload in conversations of two; None for one payload for all.

    Raises:
        AccountMissingError: no such account is registered here, or several and none was named.
        AddressError: the account or the server is not written correctly.
        AccountInUseError: another process has this account open.
        StoreError: its database cannot be used; `StoreNewerError` if a newer version wrote it.
    """
    return Opening(account, server, folder, foreground, power, sealer)
