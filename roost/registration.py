"""`register`: make this computer the primary device of an account."""

from __future__ import annotations

import asyncio
import inspect
import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from protocol import Code, IdentifierError, normalized_name
from protocol.device_list import ListedDevice, label_digest, sealed_label, sign_devices
from protocol.messages import Closing, CodeSent, Error, Hello, Registered, RegisterPrimary, RequestCode, Welcome
from roost.address import SERVER_DEFAULT, ServerAddress
from roost.changes import Pinned, VersionSigned
from roost.connection import Connection
from roost.conversations import account_address
from roost.device_trust import first_pin
from roost.errors import AddressError, ConnectionClosedError, RefusedError, ServerKeyChangedError
from roost.home import account_path
from roost.session import SOFTWARE, VERSIONS
from roost.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from protocol import AccountId
    from protocol.device_list import IdentityKey
    from protocol.messages import Frame, SignedDevices
    from roost.changes import Change

__all__ = [
    "ANSWER_WAIT_S", "CodeRequest", "checked_key", "checked_name", "expect", "first_list", "register",
    "registered_changes", "way_out",
]  # fmt: skip

ANSWER_WAIT_S: Final = 15.0
"""Whoever registers has each answer within that time, or comes again."""
_KEY_SIZE_BYTES: Final = 32

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class CodeRequest:
    """A verification code is on its way: to which address, by which means, and for how long it holds."""

    account: AccountId
    via: str
    expires_s: int


async def register(
    address: str,
    *,
    server: str = SERVER_DEFAULT,
    code: str | Callable[[CodeRequest], str | Awaitable[str]],
    display_name: str | None = None,
    device_name: str | None = None,
    server_key: bytes | None = None,
    folder: Path | None = None,
    recover: bool = False,
) -> AccountId:
    """Register an address with this computer as its primary device, and keep the identity in the local database.

    Further devices are linked (`roost.link`) and confirmed here.

    Args:
        address: the account's address.
        server: the server, as ``HOST:PORT``.
        code: the verification code, if this device asked for one before; else what is asked for it once one is sent.
        display_name: the name that others see; None for the address itself.
        device_name: the name of this device in the list of devices; None for the computer's name.
        server_key: the server's public key, as its operator tells it; None to trust the server at first sight.
        folder: where the accounts lie; None for $ROOST_HOME or ~/.local/share/roost.
        recover: whether to take an account over whose primary device is lost: all its devices are removed, and everyone
            who knew the account is told that its identity has changed.

    Returns:
        The account's address in its one spelling.

    Raises:
        AddressError: the address, server, name or key is not written correctly.
        ServerUnreachableError: no Roost server answers there.
        ServerKeyChangedError: the server does not hold the key it should.
        RefusedError: the server said no, for instance because the code is wrong; the sentence says why.
        AccountInUseError: another process has this account open.
    """
    account = account_address(address)
    where = ServerAddress.parse(server)
    name, device = checked_name(display_name or account), checked_name(device_name or platform.node() or "computer")
    checked_key(server_key)
    store = await asyncio.to_thread(Store, account_path(account, where, folder))
    try:
        static_key = await asyncio.to_thread(store.static_key)
        pinned = store.server_key
        if pinned and server_key and pinned != server_key:
            reason = "This device already trusts another key of that server than the one you gave."
            raise ServerKeyChangedError(f"{reason} {way_out(store)}")
        try:
            connection = await Connection.open(where, static_key, pinned or server_key)
        except ServerKeyChangedError as error:
            if not pinned:
                raise
            raise ServerKeyChangedError(f"{error.sentence} {way_out(store)}", error.code) from error
        try:
            await _greeted(connection)
            had_identity = bool(store.fact("identity_seed", b""))
            label = sealed_label(device, platform.system().lower())
            identity = await asyncio.to_thread(store.identity_key)  # on disk before it is told
            first = first_list(identity, account, static_key.public, label, time.time_ns() // 1_000_000)
            try:
                answer = await _registered(connection, account, code, name, first, recover=recover)
            except RefusedError as error:
                if error.code == Code.LINK_NEEDED and not had_identity:
                    await asyncio.to_thread(store.forget_identity)  # a linked device would take itself for the primary
                raise
        finally:
            await connection.close()
        await asyncio.to_thread(store.apply, registered_changes(account, identity))
        await asyncio.to_thread(
            store.set_facts,
            account=answer.account.encode(),
            server=str(where).encode(),
            server_key=connection.server_key,
        )
        return answer.account
    finally:
        store.close()


def way_out(store: Store) -> str:
    """What to do about a server that holds another key than the one it had."""
    return (
        "If it was set up anew on purpose, as after its data folder was deleted, "
        f"remove {store.path} first; this device's history goes with it."
    )


def first_list(
    identity: IdentityKey, account: AccountId, static_key: bytes, label: bytes, now_ms: int
) -> tuple[SignedDevices, bytes]:
    """The account's first list of devices, and the label of the only one on it.

    Args:
        identity: the account's key, stored.
        account: whose list.
        static_key: the device's public key.
        label: the device's sealed label.
        now_ms: milliseconds since 1970.
    """
    return sign_devices(identity, account, 1, [ListedDevice(static_key, now_ms, label_digest(label))]), label


def registered_changes(account: AccountId, identity: IdentityKey) -> list[Change]:
    """What a primary stores when it is registered.

    Which list the server has it will tell: if the answer to an earlier attempt was lost, it is that one's.
    """
    return [Pinned(account, first_pin(identity.public)), VersionSigned(1)]


def checked_key(server_key: bytes | None) -> bytes | None:
    """A server's key as somebody gave it.

    Raises:
        AddressError: it is none.
    """
    if server_key is not None and len(server_key) != _KEY_SIZE_BYTES:
        raise AddressError("A server key is 64 hexadecimal digits; ask the server's operator for it.")
    return server_key


def checked_name(text: str) -> str:
    """A name in its one spelling.

    Raises:
        AddressError: nobody could show it.
    """
    try:
        return normalized_name(text)
    except IdentifierError as error:
        raise AddressError(error.sentence, error.code) from error


async def _greeted(connection: Connection) -> None:
    connection.send([Hello(VERSIONS, SOFTWARE)])
    await expect(connection, Welcome)


async def _registered(
    connection: Connection,
    account: AccountId,
    code: str | Callable[[CodeRequest], str | Awaitable[str]],
    display_name: str,
    first: tuple[SignedDevices, bytes],
    *,
    recover: bool,
) -> Registered:
    if isinstance(code, str):
        text = code
    else:
        connection.send([RequestCode(1, account)])
        sent = await expect(connection, CodeSent)
        answer = code(CodeRequest(account, sent.via, sent.expires_s))
        text = await answer if inspect.isawaitable(answer) else answer
    connection.send([RegisterPrimary(2, account, text.strip(), display_name, *first, recover)])
    return await expect(connection, Registered)


async def expect(connection: Connection, expected: type[Answer]) -> Answer:
    """The next frame of a kind.

    Raises:
        RefusedError: the server said no.
        ConnectionClosedError: it did not answer in time, or the connection ended.
    """
    try:
        async with asyncio.timeout(ANSWER_WAIT_S):
            while True:
                for frame in await connection.receive():
                    if isinstance(frame, expected):
                        return frame
                    _raise_if_refused(frame)
    except TimeoutError as error:
        raise ConnectionClosedError("The server did not answer in time. Try again.") from error


def _raise_if_refused(frame: Frame) -> None:
    if isinstance(frame, Error | Closing):
        raise RefusedError(frame.sentence, frame.code, frame.retry_after_ms)
