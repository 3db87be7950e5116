"""Believable bugs, each an actor with one rule of the messenger broken; the crash model has to find every one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.conversation.actor import ConversationActor
from actors.conversation.api import Submit
from actors.queue.actor import QueueActor
from actors.queue.api import Acknowledge
from actors.queue.logic import QueueState
from actors.queue.removals import Removals
from actors.receipts.api import Advance
from actors.shard.actor import ShardActor, Spread
from actors.shard.api import Enqueue
from actors.shard.logic import Inbound
from actors.tree import Parts
from protocol import ConversationId, MessageId
from protocol.messages import Sent
from storage import ConversationView, QueueView
from storage.records import Acked
from tests.actors.witness import DELETED_ON_ACK, LIVENESS, NOTHING_LOST, ONCE, ORDER, PERSIST_BEFORE_ACK, RECEIPTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.accounts.api import AccountView
    from actors.conversation.api import Sender
    from actors.conversation.logic import Refusal
    from actors.shard.logic import Job
    from protocol.messages import Send
    from storage import Entry, ShardView

__all__ = ["PLANTED"]


class TickBeforeCommit(ConversationActor):
    """✓ at the append, not at the commit."""

    __slots__ = ()

    def _accept(self, view: ConversationView, sender: Sender, frame: Send) -> None:
        super()._accept(view, sender, frame)
        known = view.producers[sender.device, sender.epoch].find(frame.number)
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


class NumberNotDeduped(ConversationActor):
    """Every send is new, whatever its number."""

    __slots__ = ()

    def _submit(self, submit: Submit) -> None:
        assert self._view is not None
        if self._judge(submit.sender, submit.frame) is None:
            self._accept(self._view, submit.sender, submit.frame)

    _routes = ConversationActor._routes | {Submit: _submit}  # type: ignore[misc]  # the parent's is final


class PastForgotten(ConversationActor):
    """A conversation that starts anew does not look at its snapshot and journal."""

    __slots__ = ()

    def handle_info(self, message: Any) -> None:
        super().handle_info(ConversationView() if type(message) is ConversationView else message)


class MarksToldEarly(ConversationActor):
    """Watermarks are told when they are written, not when they are durable."""

    __slots__ = ()

    def handle_deferred(self) -> None:
        super().handle_deferred()
        for account in tuple(self._ledger._in_flight):
            if self._ledger.durable(account):
                for viewer in self._members.values():
                    self._tell(viewer, (account,))


class CursorIgnored(ShardActor):
    """A target shard that starts anew takes everything again."""

    __slots__ = ()

    def _restore(self, view: ShardView) -> None:
        view.cursors.clear()
        super()._restore(view)


class Unchained(Inbound):
    """Takes whatever is newer, and does not see a gap before it."""

    __slots__ = ()

    def take(self, previous: int, jobs: Sequence[Job]) -> Sequence[Job] | None:
        return super().take(min(previous, self.appended), jobs)


class ChainNotChecked(ShardActor):
    """A target shard does not look at what a batch is chained to."""

    __slots__ = ()

    def _spread(self, spread: Spread) -> None:
        known = self._inbound.get(spread.source)
        if type(known) is not Unchained:
            self._inbound[spread.source] = Unchained(0 if known is None else known.appended)
        super()._spread(spread)

    _routes = ShardActor._routes | {Spread: _spread}  # type: ignore[misc]  # the parent's is final


class OutboxForgotten(ShardActor):
    """A source shard that starts anew does not spread what waits in its outbox."""

    __slots__ = ()

    def _restore(self, view: ShardView) -> None:
        view.outbox.clear()
        super()._restore(view)


class AckBeyondAcked(QueueActor):
    """An ack lets go of all that was sent, not of what it names."""

    __slots__ = ()

    def _write_ack(self) -> None:
        self._disk.append(Acked(self._device, self._state.sent_up_to, self._account), self.process.pid)


class AckOffByOne(QueueActor):
    """An ack lets go of one position more than it names."""

    __slots__ = ()

    def _acknowledge(self, ack: Acknowledge) -> None:
        super()._acknowledge(Acknowledge(ack.connection, min(ack.up_to + 1, self._state.sent_up_to)))

    _routes = QueueActor._routes | {Acknowledge: _acknowledge}  # type: ignore[misc]  # the parent's is final


class DroppedAtFullWindow(QueueActor):
    """An entry that comes while the window is full counts as sent."""

    __slots__ = ()

    def _enqueue(self, enqueue: Enqueue) -> None:
        super()._enqueue(enqueue)
        if self._connection is not None and not self._state.window_open and not self._reading:
            self._state.all_read()

    _routes = QueueActor._routes | {Enqueue: _enqueue}  # type: ignore[misc]  # the parent's is final


class GoesOn(QueueState):
    """A queue that takes what was sent for what has arrived."""

    __slots__ = ()

    def begin(self) -> None:
        read_up_to = self.read_up_to
        super().begin()
        self.read_up_to = read_up_to


class ReconnectGoesOn(QueueActor):
    """A new session goes on where the last one ended."""

    __slots__ = ()

    def handle_info(self, message: Any) -> None:
        super().handle_info(message)
        if type(message) is QueueView:
            self._state.__class__ = GoesOn


class Wordless(Removals):
    """Tells nobody."""

    __slots__ = ()

    def _write(self, entry: Entry, reason: int, sender: AccountView | None) -> None:
        super()._write(entry, reason, None)


class RemovedWithoutNotice(QueueActor):
    """Whatever expires or is too much goes without a word."""

    __slots__ = ()

    def _some_removals(self) -> Removals:
        removals = super()._some_removals()
        removals.__class__ = Wordless
        return removals


class ReceiptOffByOne(ConversationActor):
    """Delivered is told one further than it is."""

    __slots__ = ()

    def _advance(self, advance: Advance) -> None:
        super()._advance(Advance(advance.account, advance.delivered + 1, advance.read))

    _routes = ConversationActor._routes | {Advance: _advance}  # type: ignore[misc]  # the parent's is final


PLANTED: Final[dict[str, tuple[Parts, frozenset[str]]]] = {
    "tick before commit": (Parts(conversation=TickBeforeCommit), frozenset({PERSIST_BEFORE_ACK})),
    "retry answered before commit": (Parts(conversation=RetryAnsweredBeforeCommit), frozenset({PERSIST_BEFORE_ACK})),
    "number not deduped": (Parts(conversation=NumberNotDeduped), frozenset({ONCE, ORDER})),
    "past forgotten": (Parts(conversation=PastForgotten), frozenset({ORDER, ONCE, NOTHING_LOST, LIVENESS})),
    "marks told early": (Parts(conversation=MarksToldEarly), frozenset({RECEIPTS})),
    "receipt off by one": (Parts(conversation=ReceiptOffByOne), frozenset({RECEIPTS})),
    "cursor ignored": (Parts(shard=CursorIgnored), frozenset({ONCE})),
    "chain not checked": (Parts(shard=ChainNotChecked), frozenset({NOTHING_LOST, ORDER, LIVENESS})),
    "outbox forgotten": (Parts(shard=OutboxForgotten), frozenset({NOTHING_LOST, ORDER, LIVENESS})),
    "ack of all that was sent": (Parts(queue=AckBeyondAcked), frozenset({DELETED_ON_ACK})),
    "ack off by one": (Parts(queue=AckOffByOne), frozenset({DELETED_ON_ACK})),
    "dropped at a full window": (Parts(queue=DroppedAtFullWindow), frozenset({NOTHING_LOST, ORDER, DELETED_ON_ACK})),
    "reconnect goes on": (Parts(queue=ReconnectGoesOn), frozenset({NOTHING_LOST, ORDER, LIVENESS, DELETED_ON_ACK})),
    "removed without notice": (Parts(queue=RemovedWithoutNotice), frozenset({DELETED_ON_ACK, NOTHING_LOST})),
}
