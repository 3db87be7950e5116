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
    from protocol import AccountId

__all__ = ["account_address", "conversation_with", "other_account"]


def account_address(text: str) -> AccountId:
    """Return an account's address in its one spelling.

    Raises:
        AddressError: it is not an address; the sentence says why.
    """
    try:
        return normalized_address(text)
    except IdentifierError as error:
        raise AddressError(error.sentence, error.code) from error


def conversation_with(account: AccountId, name: str) -> ConversationId:
    """Return the conversation that is meant by an address, or by its own id ("alice:bob", "#01ARZ..." of a group).

    Args:
        account: who we are.
        name: what the person or program wrote.

    Raises:
        AddressError: it is neither, or a conversation of others.
    """
    if name.startswith("#"):
        if not is_group(name.upper()):
            raise AddressError(f"{name!r} is no group. The list says which there are: roost group")
        return ConversationId(name.upper())
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
