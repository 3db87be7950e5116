"""Watermarks: they only grow, are told when they are durable, and show no read that is hidden."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.receipts.logic import Ledger
from protocol import AccountId, ConversationId
from storage import ConversationView, Marked

CHAT = ConversationId("ann:bob")
ANN, BOB = AccountId("ann"), AccountId("bob")
BOTH = (ANN, BOB)
LAST_SEQ = 20


def view() -> ConversationView:
    conversation = ConversationView()
    conversation.next_seq = LAST_SEQ + 1
    return conversation


class Watermarks(RuleBasedStateMachine):
    """Against the plain maxima of what was said, split at what is on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(CHAT, view())
        self.said = {account: (0, 0, 0) for account in BOTH}
        self.on_disk = {account: (0, 0, 0) for account in BOTH}
        self.in_flight: list[Marked] = []

    @rule(
        account=st.sampled_from(BOTH),
        delivered=st.integers(0, LAST_SEQ + 5),
        read=st.integers(0, LAST_SEQ + 5),
        shows=st.booleans(),
    )
    def advances(self, account: AccountId, delivered: int, read: int, shows: bool) -> None:
        old = self.said[account]
        read = min(read, LAST_SEQ)
        delivered = min(max(delivered, read), LAST_SEQ)
        new = (max(old[0], delivered), max(old[1], read), max(old[2], read) if shows else old[2])
        assert self.ledger.advance(account, delivered, read, shows) == (new != old)
        self.said[account] = new

    @rule()
    def is_written(self) -> None:
        records = self.ledger.records()
        if self.in_flight:
            assert records == []
        else:
            self.in_flight = records
            assert {(each.account, (each.delivered, each.read, each.read_shown)) for each in records} == {
                (account, self.said[account]) for account in BOTH if self.said[account] != self.on_disk[account]
            }

    @precondition(lambda self: self.in_flight)
    @rule()
    def is_durable(self) -> None:
        record = self.in_flight.pop(0)
        assert self.ledger.durable(AccountId(record.account))
        assert not self.ledger.durable(AccountId(record.account)), "once"
        self.on_disk[AccountId(record.account)] = (record.delivered, record.read, record.read_shown)

    @invariant()
    def only_what_is_on_disk_is_told(self) -> None:
        for viewer in BOTH:
            for sees in (True, False):
                for receipt in self.ledger.receipts(viewer, BOTH, lambda _, sees=sees: sees):  # type: ignore[misc]
                    delivered, read, shown = self.on_disk[receipt.account]
                    visible = read if receipt.account == viewer else shown if sees else 0
                    assert (receipt.delivered, receipt.read) == (delivered, visible)

    @invariant()
    def idle_means_that_the_disk_has_all(self) -> None:
        assert self.ledger.idle == (self.said == self.on_disk)
        assert not (self.ledger.has_news and self.in_flight)


TestWatermarks = Watermarks.TestCase
TestWatermarks.settings = settings(max_examples=80, stateful_step_count=30)
