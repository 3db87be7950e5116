"""What a change of watermarks is to other rooms."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from actors.receipts.logic import GroupLedger, Ledger
from actors.receipts.steps import RECENT_SEQS, Counts, Standing
from protocol import AccountId
from protocol.messages import GroupReceipt, Receipt
from runtime import Pid

__all__ = ["RECENT_SEQS", "Advance", "Counts", "GroupLedger", "Inquire", "Ledger", "Standing", "Tell", "Told"]


class Advance(msgspec.Struct, array_like=True, frozen=True):
    """To a conversation: this account has received and read up to here; 0 says nothing about one of them."""

    account: AccountId
    delivered: int
    read: int


class Inquire(msgspec.Struct, array_like=True, frozen=True):
    """To a conversation: tell this connection of `account` the present watermarks of all members."""

    account: AccountId
    connection: Pid


Told: TypeAlias = Receipt | GroupReceipt


class Tell(msgspec.Struct, array_like=True, frozen=True):
    """To a queue: show this receipt to your device, or keep the newest until a short drop is over."""

    receipt: Told

    @property
    def key(self) -> tuple[str, str]:
        """What it speaks of: a later one of the same says all that this one does."""
        receipt = self.receipt
        return receipt.conversation, receipt.account if isinstance(receipt, Receipt) else ""
