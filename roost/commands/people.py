"""Contacts and blocked accounts."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

from roost.commands.opened import opened
from roost.conversations import account_address
from roost.plain import one_line

if TYPE_CHECKING:
    import argparse

__all__ = ["block", "contact", "contacts", "unblock"]

_SHARE_WAIT_S: Final = 3.0
_LATER: Final = "Your other devices hear of it once this one has a connection while it is used."


async def block(arguments: argparse.Namespace) -> None:
    """Refuse everything from an account."""
    async with opened(arguments) as client:
        await client.block(arguments.who)
        print(f"{arguments.who} is blocked.")


async def unblock(arguments: argparse.Namespace) -> None:
    """Refuse an account no longer."""
    async with opened(arguments) as client:
        await client.unblock(arguments.who)
        print(f"{arguments.who} is not blocked.")


async def contact(arguments: argparse.Namespace) -> None:
    """Make an account a contact, or only give it a name."""
    if arguments.name is not None:
        await _name(arguments)
        return
    async with opened(arguments) as client:
        await client.contact(arguments.who)
        print(f"{arguments.who} is a contact.")


async def _name(arguments: argparse.Namespace) -> None:
    """Call an account something, also without a connection."""
    async with opened(arguments, online=False) as client:
        sending = await client.state.name(arguments.who, arguments.name)
        who, called = account_address(arguments.who), one_line(arguments.name)
        print(f"{who} is called {called} on your devices." if called else f"{who} has no name of yours any more.")
        try:
            async with asyncio.timeout(_SHARE_WAIT_S):
                await sending.sent()
        except TimeoutError:
            print(_LATER, file=sys.stderr)


async def contacts(arguments: argparse.Namespace) -> None:
    """Print contacts and blocked accounts, and the names that were given to anybody."""
    async with opened(arguments) as client:
        related = await client.relations()
        names = await client.state.names()
        named = sorted(names.keys() - {*related.contacts, *related.blocked})
        lists = (("contact", related.contacts), ("blocked", related.blocked), ("named", named))
        for relation, accounts in lists:
            for account in accounts:
                print(f"{relation:<7}  {account}  {one_line(names.get(account, ''))}".rstrip())
        if not any(accounts for _, accounts in lists):
            print("No contacts, nobody blocked, and nobody named.")
