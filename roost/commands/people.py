"""Contacts and blocked accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.commands.opened import opened

if TYPE_CHECKING:
    import argparse

__all__ = ["block", "contact", "contacts", "unblock"]


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
    """Make an account a contact."""
    async with opened(arguments) as client:
        await client.contact(arguments.who)
        print(f"{arguments.who} is a contact.")


async def contacts(arguments: argparse.Namespace) -> None:
    """Print contacts and blocked accounts."""
    async with opened(arguments) as client:
        related = await client.relations()
        for account in related.contacts:
            print(f"contact  {account}")
        for account in related.blocked:
            print(f"blocked  {account}")
        if not related.contacts and not related.blocked:
            print("No contacts and nobody blocked.")
