"""The process of a conversation."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.accounts.api import AccountView, Subscribe
from actors.conversation.api import ConversationLimits, Sender, Submit
from actors.conversation.logic import FullQueues, Refusal, authorise, recall, refused, targets_of, within_limits
from actors.queue.api import Full, Pass, Probe
from actors.receipts.api import Advance, Inquire, Ledger, Tell
from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, LoadingActor, MarksDurable, Ticket, answers
from protocol import AccountId, Code, ConversationId, DeviceId, Ulid, encode_message, members_of
from protocol.messages import EPHEMERAL, Message, Receipt, Send, Sent
from runtime import Down, Named, Ref
from storage.conversation_view import ConversationView
from storage.records import Accepted, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ConversationActor"]

IDLE_S: Final = 120.0
RETRY_MS: Final = 1_000


class Retire:
    """The timer that ends a conversation in which nothing happens."""


class Resubscribe(NamedTuple):
    """The timer that asks for the view of an account that is still missing."""

    account: AccountId


class ConversationActor(LoadingActor):
    """Accepts what is said in one conversation.

    Args:
        conversation: Which one.
        disk: The conversation's shard of the store.
        router: Where accounts and queues are found.
        ulid: The node's generator of message ids.
        limits: What one message may be.
    """

    __slots__ = (
        "_accounts",
        "_active",
        "_conversation",
        "_disk",
        "_full",
        "_ledger",
        "_limits",
        "_members",
        "_monitors",
        "_router",
        "_targets",
        "_tickets",
        "_ulid",
        "_view",
    )

    def __init__(
        self, conversation: ConversationId, disk: Disk, router: Router, ulid: Ulid, limits: ConversationLimits
    ) -> None:
        super().__init__()
        self._conversation = conversation
        self._disk = disk
        self._router = router
        self._ulid = ulid
        self._limits = limits
        self._accounts = tuple(dict.fromkeys(members_of(conversation)))
        self._members: dict[AccountId, AccountView] = {}
        self._monitors: dict[Ref, AccountId] = {}
        self._targets: dict[DeviceId, list[Target]] = {}
        self._tickets: deque[Ticket] = deque()
        self._full = FullQueues()
        self._view: ConversationView | None = None
        self._active = True

    def init(self) -> None:
        """Ask for the past of the conversation and for its members."""
        disk = self._disk
        disk.store.load_conversation(disk.shard, self._conversation, *answers(self.process, _same))
        for account in self._accounts:
            self._subscribe(account)
        self.process.send_after(IDLE_S, Retire())

    def _subscribe(self, account: AccountId) -> None:
        process = self.process
        try:
            pid = self._router.account(account)
        except UnreachableError:
            process.send_after(1.0, Resubscribe(account))
            return
        monitor = process.monitor(pid)
        tell = process.insist if type(pid) is Named else process.cast  # of one elsewhere nobody says that it was full
        if tell(pid, Subscribe(process.pid)):
            self._monitors[monitor] = account
        else:
            process.demonitor(monitor)
            process.send_after(1.0, Resubscribe(account))

    def receive_info(self, message: Any) -> None:
        """What comes from the disk, from timers and from monitors."""
        kind = type(message)
        if kind is ConversationView:
            self._view = message
            self._ledger = Ledger(self._conversation, message)
            self._start_when_complete()
        elif kind is Down:
            account = self._monitors.pop(message.ref, None)
            if account is not None:
                self.process.send_after(0.05, Resubscribe(account))
        elif kind is Resubscribe:
            self._subscribe(message.account)
        elif kind is Retire:
            self._retire()

    def _retire(self) -> None:
        busy = self._active or self.process.waiting or any(not ticket.done for ticket in self._tickets)
        if busy or not self.is_loaded or not self._ledger.idle:
            self._active = False
            self.process.send_after(IDLE_S, Retire())
        else:
            self.process.stop()

    def _start_when_complete(self) -> None:
        if not self.is_loaded and self._view is not None and len(self._members) == len(self._accounts):
            self.loaded()

    def handle_cast(self, message: Any) -> None:
        """Account views are taken at once, everything else once the conversation is complete."""
        if type(message) is AccountView:
            self._members[message.account] = message
            self._targets.clear()
            self._full.forget_all()
            self._start_when_complete()
        else:
            super().handle_cast(message)

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._active = True
        self._routes[type(message)](self, message)

    def _submit(self, submit: Submit) -> None:
        sender, frame = submit.sender, submit.frame
        refusal = self._judge(sender, frame)
        if refusal is not None:
            self.process.insist(sender.connection, refused(frame, refusal))
        elif frame.flags & EPHEMERAL:
            self._pass_on(sender, frame)
        else:
            assert self._view is not None
            outcome = recall(self._view, sender, frame)
            if outcome is None and self._full:
                outcome = self._refused_by_full(sender)
            if outcome is None:
                self._accept(self._view, sender, frame)
            else:
                self._answer(sender, frame, outcome)

    def _judge(self, sender: Sender, frame: Send) -> Refusal | None:
        """Whether this sender may say this here; who may is known until a member changes (saves 1.6 µs a message)."""
        if sender.device not in self._targets:
            refusal = authorise(sender, self._members)
            if refusal is not None:
                return refusal
            self._targets[sender.device] = targets_of(self._members.values(), sender)
        return within_limits(frame, self._limits)

    def _refused_by_full(self, sender: Sender) -> Refusal | None:
        process = self.process
        refusal, doubted = self._full.judge(sender.account, self._targets[sender.device], process.runtime.clock.now_s())
        for account, devices in doubted:
            for device in map(DeviceId, devices):
                try:
                    process.cast_sheddable(self._router.queue(device, AccountId(account)), Probe(process.pid))
                except UnreachableError:
                    self._full.heard(device, full=False, now_s=0.0)  # whoever is away has turned nothing away lately
        return refusal

    def _hear_of_full(self, full: Full) -> None:
        self._full.heard(full.device, full.full, self.process.runtime.clock.now_s())

    def _accept(self, view: ConversationView, sender: Sender, frame: Send) -> None:
        """The one place where a message becomes part of the conversation."""
        process, conversation = self.process, self._conversation
        full = self._disk.store.accepting()
        if full is not None:
            refusal = Refusal(Code.STORAGE_FULL, 0, 60_000) if full.full else Refusal(Code.BUSY, 0, RETRY_MS)
            self.process.insist(sender.connection, refused(frame, refusal))
            return
        now_ms = process.runtime.clock.wall_ms()
        message_id = self._ulid.next(now_ms)
        seq = view.next_seq
        body = encode_message(
            Message(conversation, seq, sender.account, sender.device, message_id, now_ms, frame.flags, frame.payload)
        )
        record = Accepted(
            conversation,
            sender.device,
            sender.epoch,
            frame.number,
            frame.client_id,
            seq,
            message_id,
            sender.account,
            self._targets[sender.device],
            now_ms + (frame.ttl_s or self._limits.ttl_s_default) * 1000,
            frame.flags,
            now_ms,
            body,
        )
        view.apply(record)
        ticket = Ticket(
            process.pid, Sent(conversation, frame.number, seq, message_id, now_ms), frame.client_id, sender.connection
        )
        tickets = self._tickets
        while tickets and tickets[0].done:
            tickets.popleft()
        tickets.append(ticket)
        self._disk.append(record, ticket)

    def _answer(self, sender: Sender, frame: Send, outcome: Sent | Refusal) -> None:
        """A send that was here before: its commit answers it, or has answered it already."""
        if isinstance(outcome, Refusal):
            self.process.insist(sender.connection, refused(frame, outcome))
            return
        for ticket in self._tickets:
            if ticket.sent.seq == outcome.seq and not ticket.done:
                ticket.waiters.append(sender.connection)
                return
        self.process.insist(sender.connection, outcome)

    def _pass_on(self, sender: Sender, frame: Send) -> None:
        """An ephemeral message: to whoever is connected now, without number, seq, disk or promise."""
        process, conversation = self.process, self._conversation
        now_ms = process.runtime.clock.wall_ms()
        message_id = self._ulid.next(now_ms)
        body = encode_message(
            Message(conversation, 0, sender.account, sender.device, message_id, now_ms, frame.flags, frame.payload)
        )
        for account, devices in self._targets[sender.device]:
            for device in devices:
                queue = self._router.live_queue(DeviceId(device), AccountId(account))
                if queue is not None:
                    process.cast_sheddable(queue, Pass(body))
        self.process.insist(sender.connection, Sent(conversation, 0, 0, message_id, now_ms))

    def _advance(self, advance: Advance) -> None:
        view = self._members.get(advance.account)
        if view is not None and view.exists:
            ledger = self._ledger
            if ledger.advance(advance.account, advance.delivered, advance.read, view.read_receipts):
                self.process.defer()
            else:
                self._tell_own(advance.account)

    def handle_deferred(self) -> None:
        """Write the marks that moved during this round, one record a member."""
        for record in self._ledger.records():
            self._disk.append(record, self.process.pid)

    def _marks_durable(self, durable: MarksDurable) -> None:
        if self._ledger.durable(durable.account):
            for viewer in self._members.values():
                self._tell(viewer, (durable.account,))
        if self._ledger.has_news:
            self.process.defer()

    def _tell_own(self, account: AccountId) -> None:
        """A mark that brought nothing new: its sender still wants to know that the server has it."""
        if self._ledger.idle:
            self._tell(self._members[account], (account,))

    def _tell(self, viewer: AccountView, accounts: tuple[AccountId, ...]) -> None:
        """Receipts to the connected devices of one member; the others ask when they come back."""
        process = self.process
        for receipt in self._receipts(viewer, accounts):
            for device in viewer.devices:
                queue = self._router.live_queue(device, viewer.account)
                if queue is not None:
                    process.cast_sheddable(queue, Tell(receipt))

    def _receipts(self, viewer: AccountView, accounts: tuple[AccountId, ...]) -> Iterator[Receipt]:
        """The marks of others as one member may see them.

        Reads are mutual: who hides them sees none. Of those who have blocked the viewer it sees no mark at all, for
        even a delivery tells when they were here.
        """
        members = self._members
        shown = tuple(account for account in accounts if viewer.account not in members[account].blocked)
        return self._ledger.receipts(
            viewer.account, shown, lambda account: viewer.read_receipts and members[account].read_receipts
        )

    def _inquire(self, inquire: Inquire) -> None:
        viewer = self._members.get(inquire.account)
        if viewer is not None:
            for receipt in self._receipts(viewer, self._accounts):
                self.process.cast_sheddable(inquire.connection, receipt)

    _routes: Final[dict[type, Any]] = {
        Submit: _submit,
        Advance: _advance,
        Inquire: _inquire,
        MarksDurable: _marks_durable,
        Full: _hear_of_full,
    }


def _same(value: object) -> object:
    return value
