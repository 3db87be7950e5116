"""What is said to a group, and what it is to other rooms."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from actors.groups.logic import NOBODY, GroupState, Member, Verdict, decode_group, encode_group, judge
from protocol import AccountId, ConversationId, DeviceId
from protocol.messages import (
    ChangeGroup,
    CreateGroup,
    CreateInvite,
    DescribeGroup,
    FetchAudience,
    FetchGroupMarks,
    JoinGroup,
)
from runtime import Pid

__all__ = [
    "NOBODY",
    "Belongs",
    "GroupAsk",
    "GroupState",
    "Knows",
    "Member",
    "Unwatch",
    "Verdict",
    "Watch",
    "WatchType",
    "decode_group",
    "encode_group",
    "judge",
]

GroupFrame: TypeAlias = (
    CreateGroup | ChangeGroup | CreateInvite | JoinGroup | DescribeGroup | FetchGroupMarks | FetchAudience
)


class GroupAsk(msgspec.Struct, array_like=True, frozen=True):
    """A request about a group, or about whom a message would go to, answered with frames straight to `connection`.

    Who asks is what the login of the connection has proved.
    """

    connection: Pid
    account: AccountId
    device: DeviceId
    frame: GroupFrame


class Belongs(msgspec.Struct, array_like=True, frozen=True):
    """From a group to an account: you are a member now, or no more; said again until it is answered with `Knows`."""

    conversation: ConversationId
    member: bool
    group: Pid


class Knows(msgspec.Struct, array_like=True, frozen=True):
    """From an account to a group: whether it is a member is on its disk."""

    account: AccountId
    member: bool


class Watch(msgspec.Struct, array_like=True, frozen=True):
    """To a group: this connection of `account` has it open and wants to know who types."""

    connection: Pid
    account: AccountId


class Unwatch(msgspec.Struct, array_like=True, frozen=True):
    """To a group: that connection closed it."""

    connection: Pid


class WatchType(msgspec.Struct, array_like=True, frozen=True):
    """To a group: whoever has it open on that connection types, or stops."""

    connection: Pid
    active: bool
