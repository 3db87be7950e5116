"""What a change of watermarks is to other rooms."""

from __future__ import annotations

import msgspec

from actors.receipts.logic import Ledger
from protocol import AccountId
from protocol.messages import Receipt
from runtime import Pid

__all__ = ["Advance", "Inquire", "Ledger", "Tell"]


class Advance(msgspec.Struct, array_like=True, frozen=True):
    """To a conversation: this account has received and read up to here; 0 says nothing about one of them."""

    account: AccountId
    delivered: int
    read: int


class Inquire(msgspec.Struct, array_like=True, frozen=True):
    """To a conversation: tell this connection of `account` the present watermarks of all members."""

    account: AccountId
    connection: Pid


class Tell(msgspec.Struct, array_like=True, frozen=True):
    """To a queue: show this receipt to your device, or keep the newest until a short drop is over."""

    receipt: Receipt
