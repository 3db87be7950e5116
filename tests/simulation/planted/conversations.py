"""Bugs of a conversation: its ticks, its numbers and its receipts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.conversation.actor import ConversationActor
from actors.conversation.api import Sender
from actors.receipts.api import Advance, Ledger
from actors.receipts.logic import Marks
from actors.tree import Parts
from protocol import ConversationId, Epoch, MessageId
from protocol.messages import Sent
from simulation import Scenario
from storage import ConversationView
from tests.simulation.planted.bug import ACCEPTED, LOST, NUMBERS, ONCE, ORDER, RECEIPTS, RESTS, Bug

if TYPE_CHECKING:
    from actors.conversation.logic import Refusal
    from protocol import AccountId
    from protocol.messages import Send

__all__ = ["BUGS"]


class TickBeforeCommit(ConversationActor):
    """✓ at the append, not at the commit."""

    __slots__ = ()

    def _accept(self, view: ConversationView, sender: Sender, frame: Send) -> None:
        super()._accept(view, sender, frame)
        producer = view.producers.get((sender.device, sender.epoch))
        known = None if producer is None else producer.find(frame.number)
        if known is not None:
            sent = Sent(
                ConversationId(frame.conversation),
                frame.number,
                known.seq,
                MessageId(known.message_id),
                known.time_ms,
            )
            self.process.cast(sender.connection, sent)


class RetryAnsweredBeforeCommit(ConversationActor):
    """A retry is answered from memory though its commit is in flight."""

    __slots__ = ()

    def _answer(self, sender: Sender, frame: Send, outcome: Sent | Refusal) -> None:
        if isinstance(outcome, Sent):
            self.process.cast(sender.connection, outcome)
        else:
            super()._answer(sender, frame, outcome)


class DedupedByClientIdOnly(ConversationActor):
    """Whatever has a client id that the last sends had not is new, whatever its number."""

    __slots__ = ()

    def _consider(self, sender: Sender, frame: Send) -> None:
        view = self._view
        assert view is not None
        producer = view.producers.get((sender.device, sender.epoch))
        known = any(sent.client_id == frame.client_id for sent in producer.ring) if producer is not None else False
        if known or not frame.number or self._judge(sender, frame) is not None:
            super()._consider(sender, frame)
        elif (refusal := self._refused_by_lists(sender, frame)) is not None:
            self._answer(sender, frame, refusal)
        else:
            self._accept(view, sender, frame)


class EpochIgnored(ConversationActor):
    """A device's numbers are looked up under the first of its epochs."""

    __slots__ = ()

    def _consider(self, sender: Sender, frame: Send) -> None:
        view = self._view
        assert view is not None
        epochs = [Epoch(epoch) for device, epoch in view.producers if device == sender.device]
        if epochs and frame.number:
            sender = Sender(sender.connection, sender.account, sender.device, epochs[0])
        super()._consider(sender, frame)


class NumberUsedUpByRefusal(ConversationActor):
    """A send that is refused because the disk is full uses up its number."""

    __slots__ = ()

    def _accept(self, view: ConversationView, sender: Sender, frame: Send) -> None:
        producer = view.producers.get((sender.device, sender.epoch))
        if producer is not None and self._disk.store.accepting() is not None:
            producer.last = frame.number
        super()._accept(view, sender, frame)


class SeqFromOne(ConversationActor):
    """A conversation that starts anew remembers its producers, and counts from 1."""

    __slots__ = ()

    def receive_info(self, message: Any) -> None:
        if type(message) is ConversationView:
            message.next_seq = 1
        super().receive_info(message)


class PastForgotten(ConversationActor):
    """A conversation that starts anew does not look at its snapshot and journal."""

    __slots__ = ()

    def receive_info(self, message: Any) -> None:
        super().receive_info(ConversationView() if type(message) is ConversationView else message)


class MarksToldEarly(ConversationActor):
    """Watermarks are told when they are written, not when they are durable."""

    __slots__ = ()

    def handle_deferred(self) -> None:
        super().handle_deferred()
        for account in tuple(self._ledger._in_flight):
            if self._ledger.durable(account):
                for viewer in self._members.views.values():
                    self._tell(viewer, (account,))


class ReceiptOffByOne(ConversationActor):
    """Delivered is told one further than it is."""

    __slots__ = ()

    def _advance(self, advance: Advance) -> None:
        super()._advance(Advance(advance.account, advance.delivered + 1, advance.read))

    _routes = ConversationActor._routes | {Advance: _advance}  # type: ignore[misc]  # the parent's is final


class LastWins(Ledger):
    """Writes what it hears last, not what is highest."""

    __slots__ = ()

    def advance(self, account: AccountId, delivered: int, read: int, shows_reads: bool) -> bool:
        moved = super().advance(account, delivered, read, shows_reads)
        last = Marks(delivered, min(read, delivered), min(read, delivered))
        known = self._changed.get(account) or self._in_flight.get(account) or self.mark(account)
        if moved or last != (known.delivered, known.read, known.read_shown):
            self._changed[account] = last
            return True
        return False


class ReceiptsMoveBack(ConversationActor):
    """A mark that was overtaken on its way takes back the later one."""

    __slots__ = ()

    def receive_info(self, message: Any) -> None:
        super().receive_info(message)
        if type(message) is ConversationView and type(self._ledger) is Ledger:
            self._ledger.__class__ = LastWins


def _planted(conversation: type[ConversationActor]) -> Scenario:
    return Scenario(parts=Parts(conversation=conversation))


BUGS: Final = {
    "ack before commit": Bug(_planted(TickBeforeCommit), ACCEPTED),
    "retry answered before commit": Bug(_planted(RetryAnsweredBeforeCommit), ACCEPTED),
    "dedupe by client id only": Bug(_planted(DedupedByClientIdOnly), ORDER, ONCE, NUMBERS, ACCEPTED),
    "producer epoch ignored": Bug(_planted(EpochIgnored), NUMBERS, RESTS, ONCE, ORDER, ACCEPTED),
    "refused send that consumes a number": Bug(_planted(NumberUsedUpByRefusal), NUMBERS, ORDER, RESTS),
    "seq reset after restart": Bug(_planted(SeqFromOne), ORDER),
    "past forgotten after restart": Bug(_planted(PastForgotten), ORDER, ONCE, NUMBERS, LOST),
    "receipt told before it is durable": Bug(_planted(MarksToldEarly), RECEIPTS),
    "receipt off by one": Bug(_planted(ReceiptOffByOne), RECEIPTS),
    "receipt moving back": Bug(_planted(ReceiptsMoveBack), RECEIPTS),
}
