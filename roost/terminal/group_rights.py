"""What one member of a group may do to another, as the server decides it: what is not allowed is not offered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.group import Role

if TYPE_CHECKING:
    from protocol import AccountId
    from roost.group import GroupDetails, GroupMember

__all__ = ["may_remove", "roles_to_give"]


def roles_to_give(details: GroupDetails, account: AccountId, member: GroupMember) -> tuple[Role, ...]:
    """Return the roles that we may give a member, other than the one they have.

    An admin makes members admins, and may step down. An owner gives every role, but a group keeps at least one owner.

    Args:
        details: the group.
        account: who we are.
        member: one of its members.
    """
    group = details.group
    if not group.is_admin:
        return ()
    if group.role is Role.OWNER:
        owners = sum(one.role is Role.OWNER for one in details.members)
        stays = member.role is Role.OWNER and owners == 1
        return () if stays else tuple(role for role in Role if role is not member.role)
    if member.account == account:
        return (Role.MEMBER,)
    return (Role.ADMIN,) if member.role is Role.MEMBER else ()


def may_remove(details: GroupDetails, account: AccountId, member: GroupMember) -> bool:
    """Return whether we may remove a member; we ourselves leave instead.

    Args:
        details: the group.
        account: who we are.
        member: one of its members.
    """
    return details.group.is_admin and member.account != account and member.role < details.group.role
