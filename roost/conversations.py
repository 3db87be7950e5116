"""Which conversation a person means, and with whom a conversation is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import (
    ConversationId,
    IdentifierError,
    checked_conversation,
    direct_conversation,
    is_group,
    members_of,
    normalized_address,
)
from roost.errors import AddressError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol import AccountId
    from roost.group import Group

__all__ = ["account_address", "conversation_with", "group_named", "other_account"]


def account_address(text: str) -> AccountId:
    """Return an account's address in its one spelling.

    Raises:
        AddressError: it is not an address; the sentence says why.
    """
    try:
        return normalized_address(text)
    except IdentifierError as error:
        raise AddressError(error.sentence, error.code) from error


def group_named(groups: Iterable[Group], text: str) -> ConversationId:
    """Return the group that is meant by its id ("#01ARZ...") or its name, with or without "#" before it.

    Args:
        groups: those that are known; an id is taken as it is.
        text: what the person or program wrote.

    Raises:
        AddressError: none is meant, or more than one.
    """
    wanted = text.removeprefix("#")
    if is_group(f"#{wanted.upper()}"):
        return ConversationId(f"#{wanted.upper()}")
    found = [group for group in groups if group.name.casefold() == wanted.casefold()]
    found = [group for group in found if group.is_open] or found
    if not found:
        raise AddressError(f"There is no group called {wanted!r} here. The list says which there are: roost group")
    if len(found) > 1:
        ids = " or ".join(group.conversation for group in found)
        raise AddressError(f"More than one group is called {wanted!r}. Name it by its id: {ids}")
    return found[0].conversation


def conversation_with(account: AccountId, name: str, groups: Iterable[Group] = ()) -> ConversationId:
    """Return the conversation that is meant by an address, by "#" and a group's name, or by its own id ("alice:bob").

    Args:
        account: who we are.
        name: what the person or program wrote.
        groups: those that are known.

    Raises:
        AddressError: it is none of these, or a conversation of others.
    """
    if name.startswith("#"):
        return group_named(groups, name)
    if ":" not in name:
        return direct_conversation(account, account_address(name))
    try:
        conversation = checked_conversation(name)
    except IdentifierError as error:
        raise AddressError(error.sentence, error.code) from error
    if account not in members_of(conversation):
        raise AddressError(f"{name} is a conversation of others.")
    return conversation


def other_account(conversation: str, account: AccountId) -> AccountId | None:
    """Return with whom a direct conversation is, seen from `account`; None of a group."""
    try:
        first, second = members_of(conversation)
    except IdentifierError:
        return None
    return second if first == account else first
