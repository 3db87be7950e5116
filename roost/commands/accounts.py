"""Register an account, and look after it: its devices, settings and limits."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

from protocol import Code
from roost.commands.opened import opened
from roost.errors import AccountMissingError, AddressError, RefusedError, RoostError
from roost.home import home_folder, registered
from roost.plain import date_and_time, one_line
from roost.registration import register as register_account

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from roost.client import Client
    from roost.registration import CodeRequest

__all__ = ["accounts", "devices", "limits", "register", "settings"]

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
                server_key=_key(arguments.server_key),
            )
            break
        except RefusedError as error:
            # Somebody who types may mistype; the code that was sent holds on, until the server has had enough.
            if error.code != Code.CODE_WRONG or arguments.code or not sys.stdin.isatty():
                raise
            print(f"roost: {error.sentence}", file=sys.stderr)
            code = await _typed()
    which = f" --account {account}" if len(registered()) > 1 else ""
    print(f"{account} is registered. Now: roost chat{which}")


async def _asked(request: CodeRequest) -> str:
    minutes = max(1, request.expires_s // 60)
    way = one_line(request.via)
    print(f"A code for {request.account} was sent: see {way}. It holds for {minutes} minutes.", file=sys.stderr)
    return await _typed()


async def _typed() -> str:
    if sys.stdin.isatty():
        print("Code: ", end="", file=sys.stderr, flush=True)
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()
    # Neither `asyncio.to_thread` nor `sys.stdin`: leaving on Ctrl-C would wait for both, and so for a line.
    threading.Thread(target=_read_line, args=(sys.stdin.fileno(), loop, typed), daemon=True).start()
    line = await typed
    if not line.strip():
        raise RoostError("No code was given. Run the command again, with --code once you have it.")
    return line


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


def _key(text: str | None) -> bytes | None:
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


async def devices(arguments: argparse.Namespace) -> None:
    """Print the account's devices, or remove one."""
    async with opened(arguments) as client:
        if arguments.remove:
            await _remove(client, arguments.remove)
        for device in await client.devices():
            current = "  (this one)" if device.current else ""
            seen = date_and_time(device.last_login_ms)
            print(f"{device.device.hex()[:8]}  last login {seen}  {one_line(device.name)}{current}")


async def _remove(client: Client, prefix: str) -> None:
    matching = [one for one in await client.devices() if one.device.hex().startswith(prefix.lower())]
    if len(matching) != 1:
        count = "No device" if not matching else "More than one device"
        raise RoostError(f"{count} begins with {prefix}. The list says which there are: roost devices")
    await client.remove_device(matching[0].device)
    print(f"Removed {one_line(matching[0].name)}.")


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
