"""Groups: make one, let people in, look at it, and look after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from roost.commands.accounts import typed
from roost.commands.opened import opened, wait_online
from roost.conversations import account_address
from roost.errors import GroupError, NotConnectedError, RefusedError
from roost.group import Role, Standing
from roost.plain import date_and_time, one_line

if TYPE_CHECKING:
    import argparse

    from roost.client import Client
    from roost.group import Group, GroupDetails, GroupInvite

__all__ = [
    "announce", "create", "dissolve", "info", "invite", "join", "leave", "list_groups", "remove", "rename", "revoke",
    "role",
]  # fmt: skip

_LIST_WAIT_S: Final = 3.0
_ENDED: Final = {
    Standing.LEFT: "left",
    Standing.REMOVED: "removed from it",
    Standing.DISSOLVED: "dissolved",
}


async def list_groups(arguments: argparse.Namespace) -> None:
    """Print the groups of the account; without a connection, those that this device knows."""
    async with opened(arguments, online=False) as client:
        try:
            await wait_online(client, _LIST_WAIT_S)
            await client.groups.refresh()
        except NotConnectedError:
            pass
        groups = client.groups.list()
        for group in groups:
            members = len((await client.groups.details(group)).members)
            what = f"{group.role.name.lower()}, {members} members" if group.is_open else _ENDED[group.standing]
            print(f"{group.conversation}  {_title(group)}  ({what})")
        if not groups:
            print("No groups. Make one: roost group create NAME")


async def create(arguments: argparse.Namespace) -> None:
    """Make a group and print its id."""
    async with opened(arguments) as client:
        group = await client.groups.create(arguments.name, announcement=arguments.announcement)
        print(f"{_title(group)} is {group.conversation}. Let people in: roost group invite '{group.conversation}'")


async def info(arguments: argparse.Namespace) -> None:
    """Print what a group is, and who is in it; without a connection, as this device knows it."""
    async with opened(arguments, online=False) as client:
        try:
            await wait_online(client, _LIST_WAIT_S)
            details = await client.groups.describe(arguments.group)
        except (NotConnectedError, RefusedError):  # what is left of a group that one is no member of any more
            details = await client.groups.details(arguments.group)
        group = details.group
        print(f"{_title(group)}  {group.conversation}")
        if not group.is_open:
            print(f"You are no member any more: {_ENDED[group.standing]}.")
        if group.announcement:
            print("Only its admins write.")
        for member in details.members:
            print(f"{member.role.name.lower():<7} {member.account}")
        for one in details.invites:
            until = date_and_time(one.expires_ms)
            print(f"invite  {one.invite.hex()[:8]} of {one.account}: {one.uses_left} left, until {until}")


async def invite(arguments: argparse.Namespace) -> None:
    """Make an invite and print its link."""
    async with opened(arguments) as client:
        lifetime_s = arguments.hours * 3_600
        link = await client.groups.create_invite(arguments.group, lifetime_s=lifetime_s, uses=arguments.uses)
        print(link.text)


async def revoke(arguments: argparse.Namespace) -> None:
    """Let an invite be good for nothing any more."""
    async with opened(arguments) as client:
        details = await client.groups.describe(arguments.group)
        if not details.group.is_admin:
            raise GroupError("Only admins of a group see and revoke its invites; ask one of them.")
        typed_in = arguments.invite.strip()
        await client.groups.revoke_invite(details.group, typed_in if "/" in typed_in else _invite_of(details, typed_in))
        print("The invite lets nobody in any more.")


def _invite_of(details: GroupDetails, prefix: str) -> GroupInvite:
    """The one invite whose id begins so."""
    matching = [one for one in details.invites if prefix and one.invite.hex().startswith(prefix.lower())]
    if len(matching) != 1:
        count = "More than one invite" if matching else "No invite"
        raise GroupError(
            f"{count} of {_title(details.group)} begins with {prefix!r}. Give its link, or the beginning of its id as "
            f"in: roost group info '{details.group.conversation}'"
        )
    return matching[0]


async def join(arguments: argparse.Namespace) -> None:
    """Become a member by a link."""
    async with opened(arguments) as client:
        group = await client.groups.join(arguments.link)
        print(f"You are in {_title(group)} now. Write to it: roost send '{group.conversation}' TEXT")


async def leave(arguments: argparse.Namespace) -> None:
    """Leave a group."""
    async with opened(arguments) as client:
        group = await client.groups.leave(arguments.group)
        print(f"You have left {_title(group)}; its history stays here.")


async def remove(arguments: argparse.Namespace) -> None:
    """Remove a member."""
    async with opened(arguments) as client:
        who = account_address(arguments.who)
        details = await client.groups.describe(arguments.group)
        if not any(member.account == who for member in details.members):
            raise GroupError(
                f"{who} is no member of {_title(details.group)}, so nobody was removed. Who is one: "
                f"roost group info '{details.group.conversation}'"
            )
        await client.groups.remove(details.group, who)
        print(f"{who} is not in the group any more.")


async def role(arguments: argparse.Namespace) -> None:
    """Make somebody a member, an admin or an owner."""
    async with opened(arguments) as client:
        await client.groups.set_role(arguments.group, arguments.who, Role[arguments.role.upper()])
        print(f"{arguments.who} is {arguments.role} of the group.")


async def rename(arguments: argparse.Namespace) -> None:
    """Call a group something else."""
    async with opened(arguments) as client:
        group = await client.groups.rename(arguments.group, arguments.name)
        print(f"The group is called {_title(group)}.")


async def announce(arguments: argparse.Namespace) -> None:
    """Let only admins write, or everybody."""
    async with opened(arguments) as client:
        group = await client.groups.set_announcement(arguments.group, arguments.switch == "on")
        print(f"{'Only admins write' if group.announcement else 'All members write'} in {_title(group)}.")


async def dissolve(arguments: argparse.Namespace) -> None:
    """End a group for everybody, after a question."""
    async with opened(arguments) as client:
        conversation = client.groups.conversation_of(arguments.group)
        name = _named(client, conversation)
        if not arguments.yes:
            answer = await typed(f"End {name} for all its members? This cannot be undone. [y/N] ")
            if answer.strip().lower() not in ("y", "yes"):
                raise GroupError(f"{name} was not dissolved.")
        await client.groups.dissolve(conversation)
        print(f"{name} is no more.")


def _named(client: Client, conversation: str) -> str:
    group = client.groups.get(conversation)
    return _title(group) if group is not None else conversation


def _title(group: Group) -> str:
    return one_line(group.name) or group.conversation
