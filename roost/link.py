"""`link`: make this computer a further device of an account, with a code that its primary device confirms."""

from __future__ import annotations

import asyncio
import inspect
import platform
import time
from typing import TYPE_CHECKING, Final

from protocol import AccountId, Epoch, StaticKey
from protocol.messages import Error, Hello, LinkEnded, LinkOpened, LinkPassed, Login, OpenLink, PassLink, Ready, Welcome
from roost.address import SERVER_DEFAULT, ServerAddress
from roost.changes import Pinned
from roost.connection import Connection
from roost.device_trust import Pin, pin_of
from roost.errors import AccountInUseError, LinkError, RefusedError, RoostError
from roost.home import account_path
from roost.link_code import LinkCode
from roost.linking import CODE_LIFETIME_S, Introduction, Newcomer
from roost.registration import checked_key, checked_name, expect
from roost.session import SOFTWARE, VERSIONS
from roost.store import EPOCH_SIZE_BYTES, Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from protocol.messages import SignedDevices
    from roost.linking import Offer

__all__ = ["link"]

_CONFIRM_WAIT_S: Final = 130.0
_NO_EPOCH: Final = Epoch(bytes(EPOCH_SIZE_BYTES))
_KNOWN_HERE: Final = "This computer is a device of that account already. Nothing was linked."


async def link(
    show: Callable[[LinkCode, float], Awaitable[None] | None],
    *,
    server: str = SERVER_DEFAULT,
    device_name: str | None = None,
    server_key: bytes | None = None,
    folder: Path | None = None,
) -> AccountId:
    """Show a code, wait until the primary device of an account has confirmed this one, and keep its identity here.

    Args:
        show: is given the code to show, and for how many seconds it can be used.
        server: the server of the account, as ``HOST:PORT``.
        device_name: the name of this device in the list of devices; None for the computer's name.
        server_key: the server's public key; None to trust it at first sight. The primary's person is told if it is
            another one than the primary knows.
        folder: where the accounts lie; None for $ROOST_HOME or ~/.local/share/roost.

    Returns:
        The account that this computer is a device of now.

    Raises:
        AddressError: the server, name or key is not written correctly.
        ServerUnreachableError: no Roost server answers there.
        ServerKeyChangedError: the server does not hold the key it should.
        LinkError: nobody used the code in time, the primary declined, or somebody else answered.
        RefusedError: the server said no.
    """
    where = ServerAddress.parse(server)
    name = checked_name(device_name or platform.node() or "computer")
    static_key = StaticKey.generate()
    connection = await Connection.open(where, static_key, checked_key(server_key))
    try:
        connection.send([Hello(VERSIONS, SOFTWARE)])
        await expect(connection, Welcome)
        code = LinkCode.generate()
        connection.send([OpenLink(1, code.rendezvous)])
        opened = await expect(connection, LinkOpened)
        lifetime_s = min(float(opened.expires_s), CODE_LIFETIME_S)
        introduction = Introduction(static_key.public, name, platform.system().lower(), connection.server_key)
        newcomer = Newcomer(code, introduction, time.monotonic())
        shown = show(code, lifetime_s)
        if inspect.isawaitable(shown):
            await shown
        return await _Linking(connection, newcomer, static_key, where, folder).run(lifetime_s)
    finally:
        await connection.close()


class _Linking:
    """One attempt, from the moment the code is shown."""

    def __init__(
        self,
        connection: Connection,
        newcomer: Newcomer,
        static_key: StaticKey,
        where: ServerAddress,
        folder: Path | None,
    ) -> None:
        self._connection = connection
        self._newcomer = newcomer
        self._static_key = static_key
        self._where = where
        self._folder = folder
        self._waiting: list[bytes] = []

    async def run(self, lifetime_s: float) -> AccountId:
        first = await self._next(lifetime_s + 1.0)
        self._pass(self._newcomer.meet(first, time.monotonic()))
        offer = self._newcomer.offered(await self._next(_CONFIRM_WAIT_S))
        account = AccountId(offer.account)
        try:
            store = await asyncio.to_thread(self._prepared, account)
        except RoostError as error:
            self._pass(self._newcomer.declined(error.sentence))
            raise
        try:
            signed = await self._accepted(account)
            await asyncio.to_thread(self._keep, store, offer, signed)
        except BaseException:
            store.close()
            store.path.unlink(missing_ok=True)
            raise
        store.close()
        return account

    def _prepared(self, account: AccountId) -> Store:
        """The database, with the device's key in it, and no account yet."""
        path = account_path(account, self._where, self._folder)
        if path.exists():
            raise AccountInUseError(f"{_KNOWN_HERE} If it is none any more, remove {path} first, and its history.")
        store = Store(path)
        epoch = StaticKey.generate().private_bytes()[:EPOCH_SIZE_BYTES]
        store.set_facts(static_key=self._static_key.private_bytes(), epoch=epoch)
        return store

    async def _accepted(self, account: AccountId) -> SignedDevices | None:
        """Say yes, and wait for the list; if it does not come, the server tells whether we were added."""
        self._pass(self._newcomer.accepted())
        try:
            payload = await self._next(_CONFIRM_WAIT_S)
        except RoostError:
            if await self._can_log_in(account):
                return None
            raise
        return self._newcomer.linked(payload)

    async def _can_log_in(self, account: AccountId) -> bool:
        connection = await Connection.open(self._where, self._static_key, self._connection.server_key)
        try:
            connection.send([Hello(VERSIONS, SOFTWARE)])
            await expect(connection, Welcome)
            connection.send([Login(account, _NO_EPOCH)])
            await expect(connection, Ready)
        except RefusedError:
            return False
        finally:
            await connection.close()
        return True

    def _keep(self, store: Store, offer: Offer, signed: SignedDevices | None) -> None:
        version = 0 if signed is None else self._newcomer.check(signed).version
        pin = Pin(offer.identity, 0, bytes(32)) if signed is None else pin_of(signed, version)
        store.apply([Pinned(AccountId(offer.account), pin)])
        store.set_facts(
            account=offer.account.encode(), server=str(self._where).encode(), server_key=self._connection.server_key
        )

    def _pass(self, payload: bytes) -> None:
        self._connection.send([PassLink(payload)])

    async def _next(self, wait_s: float) -> bytes:
        try:
            async with asyncio.timeout(wait_s):
                while not self._waiting:
                    for frame in await self._connection.receive():
                        if isinstance(frame, LinkPassed):
                            self._waiting.append(frame.payload)
                        elif isinstance(frame, LinkEnded | Error):
                            raise LinkError(frame.sentence, frame.code)
        except TimeoutError as error:
            raise LinkError("The code was not used in time. Show a new one: roost link") from error
        return self._waiting.pop(0)
