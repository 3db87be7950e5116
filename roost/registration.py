"""`register`: make this computer a device of an account."""

from __future__ import annotations

import asyncio
import inspect
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from protocol import IdentifierError, normalized_name
from protocol.messages import Closing, CodeSent, Error, Hello, Register, Registered, RequestCode, Welcome
from roost.address import SERVER_DEFAULT, ServerAddress
from roost.connection import Connection
from roost.conversations import account_address
from roost.errors import AddressError, ConnectionClosedError, RefusedError, ServerKeyChangedError
from roost.home import account_path
from roost.session import SOFTWARE, VERSIONS
from roost.store import Store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from protocol import AccountId
    from protocol.messages import Frame

__all__ = ["CodeRequest", "register"]

_ANSWER_WAIT_S: Final = 15.0
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
) -> AccountId:
    """Register an address, or this computer as a further device of it, and keep the identity in the local database.

    Args:
        address: the account's address.
        server: the server, as ``HOST:PORT``.
        code: the verification code, if this device asked for one before; else what is asked for it once one is sent.
        display_name: the name that others see; None for the address itself.
        device_name: the name of this device in the list of devices; None for the computer's name.
        server_key: the server's public key, as its operator tells it; None to trust the server at first sight.
        folder: where the accounts lie; None for $ROOST_HOME or ~/.local/share/roost.

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
    name, device = _name(display_name or account), _name(device_name or platform.node() or "computer")
    if server_key is not None and len(server_key) != _KEY_SIZE_BYTES:
        raise AddressError("A server key is 64 hexadecimal digits; ask the server's operator for it.")
    store = await asyncio.to_thread(Store, account_path(account, where, folder))
    try:
        static_key = await asyncio.to_thread(store.static_key)
        pinned = store.server_key
        if pinned and server_key and pinned != server_key:
            reason = "This device already trusts another key of that server than the one you gave."
            raise ServerKeyChangedError(f"{reason} {_way_out(store)}")
        try:
            connection = await Connection.open(where, static_key, pinned or server_key)
        except ServerKeyChangedError as error:
            if not pinned:
                raise
            raise ServerKeyChangedError(f"{error.sentence} {_way_out(store)}", error.code) from error
        try:
            await _greeted(connection)
            answer = await _registered(connection, account, code, name, device)
        finally:
            await connection.close()
        await asyncio.to_thread(
            store.set_facts,
            account=answer.account.encode(),
            server=str(where).encode(),
            server_key=connection.server_key,
        )
        return answer.account
    finally:
        store.close()


def _way_out(store: Store) -> str:
    return (
        "If it was set up anew on purpose, as after its data folder was deleted, "
        f"remove {store.path} first; this device's history goes with it."
    )


def _name(text: str) -> str:
    try:
        return normalized_name(text)
    except IdentifierError as error:
        raise AddressError(error.sentence, error.code) from error


async def _greeted(connection: Connection) -> None:
    connection.send([Hello(VERSIONS, SOFTWARE)])
    await _expect(connection, Welcome)


async def _registered(
    connection: Connection,
    account: AccountId,
    code: str | Callable[[CodeRequest], str | Awaitable[str]],
    display_name: str,
    device_name: str,
) -> Registered:
    if isinstance(code, str):
        text = code
    else:
        connection.send([RequestCode(1, account)])
        sent = await _expect(connection, CodeSent)
        answer = code(CodeRequest(account, sent.via, sent.expires_s))
        text = await answer if inspect.isawaitable(answer) else answer
    connection.send([Register(2, account, text.strip(), display_name, device_name)])
    return await _expect(connection, Registered)


async def _expect(connection: Connection, expected: type[Answer]) -> Answer:
    try:
        async with asyncio.timeout(_ANSWER_WAIT_S):
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
