"""Register an account, and look after it: its settings and limits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

from protocol import Code
from roost.address import SERVER_DEFAULT
from roost.commands.opened import opened
from roost.errors import AccountMissingError, AddressError, RefusedError, RoostError
from roost.home import home_folder, registered
from roost.plain import one_line
from roost.registration import register as register_account

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from roost.registration import CodeRequest

__all__ = ["accounts", "key_of", "limits", "register", "settings", "typed"]

_LINE_SIZE_BYTES_MAX: Final = 1024


async def register(arguments: argparse.Namespace) -> None:
    """Register an address and keep its identity on this computer."""
    code: str | Callable[[CodeRequest], Awaitable[str]] = arguments.code or _asked
    while True:
        try:
            account = await register_account(
                arguments.address,
                server=arguments.server,
                code=code,
                display_name=arguments.name,
                device_name=arguments.device_name,
                server_key=key_of(arguments.server_key),
                recover=arguments.recover,
            )
            break
        except RefusedError as error:
            if error.code == Code.LINK_NEEDED:
                server = "" if arguments.server == SERVER_DEFAULT else f" --server {arguments.server}"
                hint = f"Link: roost link{server}. Lost: roost register {arguments.address}{server} --recover"
                raise RefusedError(f"{error.sentence} {hint}", error.code) from error
            # Somebody who types may mistype; the code that was sent holds on, until the server has had enough.
            if error.code != Code.CODE_WRONG or arguments.code or not sys.stdin.isatty():
                raise
            print(f"roost: {error.sentence}", file=sys.stderr)
            code = await _code()
    which = f" --account {account}" if len(registered()) > 1 else ""
    print(f"{account} is registered. Now: roost chat{which}")


async def _asked(request: CodeRequest) -> str:
    minutes = max(1, request.expires_s // 60)
    way = one_line(request.via)
    print(f"A code for {request.account} was sent: see {way}. It holds for {minutes} minutes.", file=sys.stderr)
    return await _code()


async def _code() -> str:
    line = await typed("Code: ")
    if not line.strip():
        raise RoostError("No code was given. Run the command again, with --code once you have it.")
    return line


async def typed(prompt: str) -> str:
    """A line from standard input; the prompt is for people only."""
    if sys.stdin.isatty():
        print(prompt, end="", file=sys.stderr, flush=True)
    loop = asyncio.get_running_loop()
    line: asyncio.Future[str] = loop.create_future()
    # Neither `asyncio.to_thread` nor `sys.stdin`: leaving on Ctrl-C would wait for both, and so for a line.
    threading.Thread(target=_read_line, args=(sys.stdin.fileno(), loop, line), daemon=True).start()
    return await line


def _read_line(descriptor: int, loop: asyncio.AbstractEventLoop, typed: asyncio.Future[str]) -> None:
    line = b""
    with contextlib.suppress(OSError):  # the terminal has gone: nothing more comes
        while not line.endswith(b"\n") and (more := os.read(descriptor, _LINE_SIZE_BYTES_MAX)):
            line = (line + more)[-_LINE_SIZE_BYTES_MAX:]
    with contextlib.suppress(RuntimeError):  # the loop has been left meanwhile
        loop.call_soon_threadsafe(_give, typed, line.decode(errors="replace"))


def _give(typed: asyncio.Future[str], line: str) -> None:
    if not typed.done():
        typed.set_result(line)


def key_of(text: str | None) -> bytes | None:
    """A server's key as it is typed.

    Raises:
        AddressError: It is none.
    """
    if text is None:
        return None
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise AddressError("A server key is 64 hexadecimal digits; ask the server's operator for it.") from error


async def accounts(arguments: argparse.Namespace) -> None:
    """Print the accounts registered on this computer."""
    del arguments
    found = registered()
    if not found:
        raise AccountMissingError(f"No account is registered in {home_folder()}. Register: roost register ADDRESS")
    for one in found:
        print(f"{one.account}  {one.server}")


async def settings(arguments: argparse.Namespace) -> None:
    """Print the settings after changing what was asked for."""
    async with opened(arguments) as client:
        receipts = None if arguments.read_receipts is None else arguments.read_receipts == "on"
        now = await client.change_settings(
            display_name=arguments.name,
            read_receipts=receipts,
            last_seen=arguments.last_seen,
            online=arguments.online,
        )
        print(f"name           {one_line(now.display_name)}")
        print(f"read receipts  {'on' if now.read_receipts else 'off'}")
        print(f"last seen      {now.last_seen}")
        print(f"online         {now.online}")


async def limits(arguments: argparse.Namespace) -> None:
    """Print what is left of the account's rate limits."""
    async with opened(arguments) as client:
        for limit in await client.limits():
            print(f"{limit.operation:<16} {limit.remaining:>8} left, full again in {limit.reset_s} s")
