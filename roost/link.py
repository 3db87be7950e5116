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
from roost.device_trust import pin_of
from roost.errors import AccountInUseError, LinkError, RefusedError, RoostError, ServerKeyChangedError
from roost.home import account_path
from roost.link_code import LinkCode
from roost.linking import CODE_LIFETIME_S, Introduction, Newcomer
from roost.reconnection import NO_DEVICE_ANY_MORE
from roost.registration import checked_key, checked_name, expect, way_out
from roost.session import SOFTWARE, VERSIONS
from roost.store import EPOCH_SIZE_BYTES, Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from protocol.messages import SignedDevices

__all__ = ["link"]

_CONFIRM_WAIT_S: Final = 130.0
_NO_EPOCH: Final = Epoch(bytes(EPOCH_SIZE_BYTES))
_KNOWN_HERE: Final = "This computer is a device of that account already. Nothing was linked."
_OPEN_HERE: Final = (
    "This computer has that account already, and a program has it open; nothing was linked. If it is no device of the "
    "account any more, close that program and try again: the history stays."
)


async def link(
    show: Callable[[LinkCode, float], Awaitable[None] | None],
    *,
    server: str = SERVER_DEFAULT,
    device_name: str | None = None,
    server_key: bytes | None = None,
    folder: Path | None = None,
) -> AccountId:
    """Show a code, wait until the primary device of an account has confirmed this one, and keep its identity here.

    If an earlier device of the account has left its database here, having been removed since, the new one takes over
    its history; `roost.successor` says what stays and what goes.

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
        AccountInUseError: this computer is a device of the account already, or another process has its database open.
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
        path = account_path(account, self._where, self._folder)
        was_there = path.exists()
        try:
            store = await asyncio.to_thread(_opened, path)
        except RoostError as error:
            self._decline(error)
            raise
        try:
            await self._prepare(store, account, offer.identity)
            signed = await self._accepted(account)
            await asyncio.to_thread(self._keep, store, account, signed)
        except BaseException:
            store.close()
            if not was_there:
                path.unlink(missing_ok=True)
            raise
        store.close()
        return account

    async def _prepare(self, store: Store, account: AccountId, identity: bytes) -> None:
        """Give the database the new device's key before anybody adds it; what it holds of an earlier device stays."""
        try:
            if await asyncio.to_thread(store.fact, "static_key", b""):
                await self._check_gone(store, account)
            epoch = StaticKey.generate().private_bytes()[:EPOCH_SIZE_BYTES]
            await asyncio.to_thread(store.become_device, self._static_key, epoch, account, identity)
        except RoostError as error:
            self._decline(error)
            raise

    async def _check_gone(self, store: Store, account: AccountId) -> None:
        """See that the device to which the database belongs is none of the account any more.

        Raises:
            AccountInUseError: it is one.
            ServerKeyChangedError: the server is not the one that it knew.
        """
        try:
            is_device = await self._is_device(account, store.static_key(), store.server_key)
        except ServerKeyChangedError as error:
            raise ServerKeyChangedError(f"{error.sentence} {way_out(store)}", error.code) from error
        if is_device:
            raise AccountInUseError(_KNOWN_HERE)

    async def _accepted(self, account: AccountId) -> SignedDevices | None:
        """Say yes, and wait for the list; if it does not come, the server tells whether we were added."""
        self._pass(self._newcomer.accepted())
        try:
            payload = await self._next(_CONFIRM_WAIT_S)
        except RoostError:
            if await self._is_device(account, self._static_key, self._connection.server_key):
                return None
            raise
        return self._newcomer.linked(payload)

    async def _is_device(self, account: AccountId, static_key: StaticKey, server_key: bytes | None) -> bool:
        """Whether the server takes this key for a device of the account."""
        connection = await Connection.open(self._where, static_key, server_key)
        try:
            connection.send([Hello(VERSIONS, SOFTWARE)])
            await expect(connection, Welcome)
            connection.send([Login(account, _NO_EPOCH)])
            await expect(connection, Ready)
        except RefusedError as error:
            if error.code in NO_DEVICE_ANY_MORE:
                return False
            raise
        finally:
            await connection.close()
        return True

    def _keep(self, store: Store, account: AccountId, signed: SignedDevices | None) -> None:
        if signed is not None:
            store.apply([Pinned(account, pin_of(signed, self._newcomer.check(signed).version))])
        store.set_facts(
            account=account.encode(), server=str(self._where).encode(), server_key=self._connection.server_key
        )

    def _decline(self, error: RoostError) -> None:
        self._pass(self._newcomer.declined(error.sentence))

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


def _opened(path: Path) -> Store:
    try:
        return Store(path)
    except AccountInUseError as error:
        raise AccountInUseError(_OPEN_HERE) from error
