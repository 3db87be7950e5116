"""The process of a conversation."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from actors.accounts.api import AccountView
from actors.conversation.api import ConversationLimits, Sender, Submit
from actors.conversation.group import GROUP_TIMERS, GroupSide
from actors.conversation.lists import page_of, refused_by_form, stale
from actors.conversation.logic import FullQueues, Refusal, recall, refused, within_limits
from actors.conversation.membership import BEHIND_RETRY_MS, Direct, Members, Membership, Resubscribe
from actors.groups.api import GroupAsk, Knows, Unwatch, Watch, WatchType
from actors.queue.api import Full, Pass, Probe
from actors.receipts.api import Advance, Inquire, Ledger, Tell
from actors.router.api import Router, UnreachableError
from actors.shard.api import ChangeDurable, Disk, LoadingActor, MarksDurable, Ticket, answers
from protocol import (
    AccountId,
    Code,
    ConversationId,
    DeviceId,
    Epoch,
    Ulid,
    encode_message,
    encode_message_head,
    encode_payload,
    is_group,
    members_of,
)
from protocol.messages import (
    CHANGE,
    EPHEMERAL,
    Audience,
    Error,
    FetchAudience,
    Message,
    Receipt,
    Send,
    Sent,
)
from runtime import Down
from storage.conversation_view import ConversationView
from storage.records import Accepted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ConversationActor"]

IDLE_S: Final = 120.0
MEMBERS_WAIT_S: Final = 2.0
"""How long a group waits for word of its members before it goes on without those whose hosts are away."""
UNKNOWN_IDLE_S: Final = 5.0
"""A group that does not exist, but whose id somebody has said."""
RETRY_MS: Final = 1_000
NOBODY_PARTS: Final[list[str]] = []
REFUSED_MAX: Final = 256
"""Sends that a group has refused for good, and refuses again: a late copy may come when their sender is back in it."""


class Retire:
    """The timer that ends a conversation in which nothing happens."""


class StartWithout:
    """The timer at which a group goes on without members that nothing has been heard of."""


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
        "_active",
        "_conversation",
        "_disk",
        "_full",
        "_group",
        "_ledger",
        "_limits",
        "_members",
        "_refused",
        "_router",
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
        self._group: GroupSide | None = None
        self._tickets: deque[Ticket] = deque()
        self._full = FullQueues()
        self._refused: dict[tuple[DeviceId, bytes], Refusal] = {}
        self._view: ConversationView | None = None
        self._active = True

    def init(self) -> None:
        """Ask for the past of the conversation, and for whoever its id names."""
        disk, process, conversation = self._disk, self.process, self._conversation
        disk.store.load_conversation(disk.shard, conversation, *answers(process, _same))
        if is_group(conversation):
            self._members: Membership = Members(process, self._router, disk.shard)
        else:
            self._members = Direct(process, self._router, members_of(conversation))
        process.send_after(self._idle_s, Retire())

    def receive_info(self, message: Any) -> None:
        """What comes from the disk, from timers and from monitors."""
        kind = type(message)
        if kind is ConversationView:
            self._take_past(message)
        elif kind is Down:
            if self._group is None or not self._group.onlookers.lost(message):
                self._members.lost(message)
        elif kind is Resubscribe:
            self._members.subscribe_again(message.account)
        elif kind is Retire:
            self._retire()
        elif kind is StartWithout and isinstance(self._members, Members):
            self._members.wait_no_longer()
            self._start_when_complete()
        elif kind in GROUP_TIMERS and self._group is not None:
            self._group.timer(message)

    def _take_past(self, view: ConversationView) -> None:
        self._view = view
        members = self._members
        if isinstance(members, Members):
            self._group = GroupSide(
                self.process, self._conversation, self._disk, self._router, self._ulid, self._limits, members, view
            )
            self._ledger: Ledger = self._group.ledger
        else:
            self._ledger = Ledger(self._conversation, view)
        self._start_when_complete()
        if self._group is not None and not self.is_loaded:
            self.process.send_after(MEMBERS_WAIT_S, StartWithout())

    @property
    def _idle_s(self) -> float:
        is_known = type(self._members) is Direct or (self._group is not None and self._group.exists)
        return IDLE_S if is_known else UNKNOWN_IDLE_S

    def _retire(self) -> None:
        busy = self._active or self.process.waiting or any(not ticket.done for ticket in self._tickets)
        if busy or not self.is_loaded or not self._ledger.idle or (self._group is not None and not self._group.idle):
            self._active = False
            self.process.send_after(self._idle_s, Retire())
        else:
            self.process.stop()

    def _start_when_complete(self) -> None:
        if not self.is_loaded and self._view is not None and self._members.is_complete():
            self.loaded()

    def handle_cast(self, message: Any) -> None:
        """Account views are taken at once, everything else once the conversation is complete."""
        if type(message) is AccountView:
            self._members.take(message)
            self._full.forget_all()
            self._start_when_complete()
            if self._group is not None and self.is_loaded:
                self._group.governance.known(message.account)
        else:
            super().handle_cast(message)

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._active = True
        self._routes[type(message)](self, message)

    def _submit(self, submit: Submit) -> None:
        sender = submit.sender
        for frame in submit.frames:
            self._consider(sender, frame)

    def _consider(self, sender: Sender, frame: Send) -> None:
        if self._refused and (sender.device, frame.client_id) in self._refused:
            self._answer(sender, frame, self._refused[sender.device, frame.client_id])
            return
        if self._members.lists_seen != self._router.lists_written:  # asked here, for it is asked for each message
            self._members.catch_up()
        refusal = self._judge(sender, frame)
        if refusal is not None:
            self._turn_away(sender, frame, refusal)
        elif frame.flags & EPHEMERAL:
            self._pass_on(sender, frame)
        else:
            assert self._view is not None
            outcome = recall(self._view, sender, frame)
            if outcome is None and (frame.lists or frame.payloads or self._limits.lists_required):
                outcome = self._refused_by_lists(sender, frame)
            if outcome is None and self._full:
                outcome = self._refused_by_full(sender)
            if outcome is None:
                self._accept(self._view, sender, frame)
            else:
                self._answer(sender, frame, outcome)

    def _turn_away(self, sender: Sender, frame: Send, refusal: Refusal) -> None:
        """It may not be said now; but what was accepted, before its sender was removed perhaps, stays accepted."""
        assert self._view is not None, "it is loaded"
        known = recall(self._view, sender, frame) if frame.number else None
        if isinstance(known, Sent):
            self._answer(sender, frame, known)
            return
        if self._group is not None and refusal.code in (Code.NOT_MEMBER, Code.ANNOUNCEMENT_ONLY):
            self._refused[sender.device, frame.client_id] = refusal
            if len(self._refused) > REFUSED_MAX:
                del self._refused[next(iter(self._refused))]
        self._answer(sender, frame, refusal)

    def _judge(self, sender: Sender, frame: Send) -> Refusal | None:
        """Whether this sender may say this here; who may is known until a member changes (saves 1.6 µs a message)."""
        members = self._members
        if sender.device not in members.targets:
            admitted = members.admit(sender)
            if isinstance(admitted, Refusal):
                return admitted
            members.keep(sender, admitted)
        return within_limits(frame, self._limits)

    def _refused_by_lists(self, sender: Sender, frame: Send) -> Refusal | None:
        """Whether a message was made for other devices than there are."""
        members = self._members
        if not frame.payloads and frame.lists == members.lists:
            return None
        refusal = refused_by_form(frame, lists_required=self._limits.lists_required)
        if refusal is not None or not frame.lists:
            return refusal
        named = members.named(frame.lists)
        if type(members) is Direct and named is not None:
            ahead = [one for one in named.items() if one[1] > members.views[one[0]].devices_version]
            if any([members.is_behind(account, version) for account, version in ahead]):
                return Refusal(Code.BUSY, 0, BEHIND_RETRY_MS)
        found = stale(frame, members.lists, named, members.targets[sender.device], members.views)
        if found is not None and members.is_unsure():
            return Refusal(Code.BUSY, 0, BEHIND_RETRY_MS)
        return None if found is None else Refusal(Code.DEVICES_STALE, stale=found)

    def _refused_by_full(self, sender: Sender) -> Refusal | None:
        process = self.process
        refusal, doubted = self._full.judge(
            sender.account, self._members.targets[sender.device], process.runtime.clock.now_s()
        )
        for account, devices in doubted:
            for device in map(DeviceId, devices):
                try:
                    process.cast_sheddable(self._router.queue(device, AccountId(account)), Probe(process.pid))
                except UnreachableError:
                    self._full.heard(device, full=False, now_s=0.0)  # whoever is away has turned nothing away lately
        return refusal

    def _hear_of_full(self, full: Full) -> None:
        """One reader of two holds the other up; one of a group holds up nobody."""
        if self._group is None:
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
        seq, flags = view.next_seq, frame.flags & ~CHANGE
        message = Message(conversation, seq, sender.account, sender.device, message_id, now_ms, flags, frame.payload)
        body = encode_message_head(message) if frame.payloads else encode_message(message)
        record = Accepted(
            conversation,
            sender.device,
            sender.epoch,
            frame.number,
            frame.client_id,
            seq,
            message_id,
            sender.account,
            self._members.targets[sender.device],
            now_ms + (frame.ttl_s or self._limits.ttl_s_default) * 1000,
            flags,
            now_ms,
            body,
            b"",
            NOBODY_PARTS,
            self._members.versions[sender.device],
            bool(frame.lists),
            {own.device: encode_payload(own.payload) for own in frame.payloads} if frame.payloads else None,
        )
        view.apply(record)
        if self._group is not None:
            self._group.counted.wrote(sender.account, seq)
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
        refusal = self._refused_by_lists(sender, frame)
        if refusal is not None:
            self._answer(sender, frame, refusal)
            return
        now_ms = process.runtime.clock.wall_ms()
        message_id = self._ulid.next(now_ms)
        flags = frame.flags & ~CHANGE
        message = Message(conversation, 0, sender.account, sender.device, message_id, now_ms, flags, frame.payload)
        head = encode_message_head(message)
        tails = {own.device: encode_payload(own.payload) for own in frame.payloads}
        same = Pass(encode_message(message))
        for account, devices in self._members.targets[sender.device]:
            for device in map(DeviceId, devices):
                queue = self._router.live_queue(device, AccountId(account))
                if queue is not None:
                    process.cast_sheddable(queue, Pass(head + tails[device]) if tails else same)
        self.process.insist(sender.connection, Sent(conversation, 0, 0, message_id, now_ms))

    def _advance(self, advance: Advance) -> None:
        account = advance.account
        view = self._members.views.get(account)
        if view is None or not view.exists or not self._members.belongs(account):
            return
        moved = self._ledger.advance(account, advance.delivered, advance.read, view.read_receipts)
        if self._group is not None:
            self._group.advanced(account, moved, advance.read)
        elif moved:
            self.process.defer()
        else:
            self._tell_own(account)

    def handle_deferred(self) -> None:
        """Write the marks that moved during this round."""
        for record in self._ledger.records():
            self._disk.append(record, self.process.pid)

    def _marks_durable(self, durable: MarksDurable) -> None:
        if self._group is not None:
            self._group.marks_durable()
            return
        if self._ledger.durable(durable.account):
            for viewer in self._members.views.values():
                self._tell(viewer, (durable.account,))
        if self._ledger.has_news:
            self.process.defer()

    def _tell_own(self, account: AccountId) -> None:
        """A mark that brought nothing new: its sender still wants to know that the server has it."""
        if self._ledger.idle:
            self._tell(self._members.views[account], (account,))

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
        members = self._members.views
        shown = tuple(account for account in accounts if viewer.account not in members[account].blocked)
        return self._ledger.receipts(
            viewer.account, shown, lambda account: viewer.read_receipts and members[account].read_receipts
        )

    def _inquire(self, inquire: Inquire) -> None:
        viewer = self._members.views.get(inquire.account)
        if viewer is None or not self._members.belongs(inquire.account):
            return
        if self._group is not None:
            self._group.counted.answer(inquire.account, inquire.connection)
            return
        for receipt in self._receipts(viewer, tuple(self._members.views)):
            self.process.cast_sheddable(inquire.connection, receipt)

    def _ask(self, ask: GroupAsk) -> None:
        """A request that a direct chat answers as well, or one for a group."""
        if isinstance(ask.frame, FetchAudience):
            self._tell_audience(ask, ask.frame)
        else:
            self._of_group(ask)

    def _tell_audience(self, ask: GroupAsk, frame: FetchAudience) -> None:
        members = self._members
        members.catch_up()
        admitted = members.admit(Sender(ask.connection, ask.account, ask.device, Epoch(bytes(8))))
        refusal = admitted if isinstance(admitted, Refusal) and admitted.code is not Code.ANNOUNCEMENT_ONLY else None
        if refusal is None and members.is_unsure():
            refusal = Refusal(Code.BUSY, 0, BEHIND_RETRY_MS)
        if refusal is not None:
            code = refusal.code
            self.process.cast(ask.connection, Error(frame.request, code, code.sentence, refusal.retry_after_ms))
            return
        accounts = sorted(account for account in members.views if account > frame.after and members.belongs(account))
        page, is_last = page_of(members.views[account] for account in accounts)
        self.process.cast(ask.connection, Audience(frame.request, self._conversation, members.lists, page, is_last))

    def _of_group(self, message: Any) -> None:
        if self._group is not None:
            self._group.receive(message)

    _routes: Final[dict[type, Any]] = {
        Submit: _submit,
        Advance: _advance,
        Inquire: _inquire,
        MarksDurable: _marks_durable,
        Full: _hear_of_full,
        GroupAsk: _ask,
        Knows: _of_group,
        Watch: _of_group,
        Unwatch: _of_group,
        WatchType: _of_group,
        ChangeDurable: _of_group,
    }


def _same(value: object) -> object:
    return value
