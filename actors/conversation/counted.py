"""Receipts of a group: told as counts, to those who have written lately, once in a while however many have read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.receipts.api import RECENT_SEQS, Counts, Standing, Tell
from protocol import AccountId
from protocol.messages import GroupMark, GroupReceipt, Receipt

if TYPE_CHECKING:
    from actors.conversation.membership import Members
    from actors.receipts.api import GroupLedger
    from actors.router.api import Router
    from protocol import ConversationId
    from runtime import Pid, Process
    from storage.conversation_view import ConversationView

__all__ = ["Counted", "WriteMarks"]

WRITERS_MAX: Final = 32
TICK_S_MIN: Final = 0.02
TICK_S_MAX: Final = 1.0
MEMBERS_PER_TICK_S: Final = 200


class WriteMarks:
    """The timer at which the marks that have moved are written."""


class Counted:
    """What the members of one group hear of each other's marks.

    Marks are written, and counts told, once a tick: the larger the group, the longer, up to a second.

    Args:
        process: The process of the conversation.
        conversation: Which one.
        router: Where queues are found.
        members: Who belongs to it.
        view: The conversation's past.
        ledger: The marks on their way.
    """

    __slots__ = ("_conversation", "_ledger", "_members", "_process", "_router", "_ticking", "_view", "_writers")

    def __init__(
        self,
        process: Process,
        conversation: ConversationId,
        router: Router,
        members: Members,
        view: ConversationView,
        ledger: GroupLedger,
    ) -> None:
        self._process = process
        self._conversation = conversation
        self._router = router
        self._members = members
        self._view = view
        self._ledger = ledger
        self._writers: dict[AccountId, int] | None = None
        self._ticking = False

    def _known_writers(self) -> dict[AccountId, int]:
        """Who has written lately, the latest last; this process may be younger than what they wrote."""
        if self._writers is None:
            recent = self._view.next_seq - RECENT_SEQS
            lasts: dict[bytes, int] = {}
            for (device, _), producer in self._view.producers.items():
                if producer.ring and producer.ring[-1].seq >= recent:
                    lasts[device] = max(producer.ring[-1].seq, lasts.get(device, 0))
            found = [
                (max(lasts.get(device, 0) for device in devices), AccountId(account))
                for account, devices in self._members.all_targets()
                if not lasts.keys().isdisjoint(devices)
            ]
            self._writers = {account: seq for seq, account in sorted(found)[-WRITERS_MAX:]}
        return self._writers

    def wrote(self, account: AccountId, seq: int) -> None:
        """An account has written: it is told how far its message has come."""
        writers = self._known_writers()
        writers.pop(account, None)
        writers[account] = seq
        if len(writers) > WRITERS_MAX:
            del writers[next(iter(writers))]

    def moved(self) -> None:
        """A mark has moved: it is written at the next tick."""
        if not self._ticking:
            self._ticking = True
            tick_s = len(self._members.state.members) / MEMBERS_PER_TICK_S
            self._process.send_after(min(max(tick_s, TICK_S_MIN), TICK_S_MAX), WriteMarks())

    def ticked(self) -> None:
        """The tick is over."""
        self._ticking = False

    def _standing(self, account: str) -> Standing:
        """How far a member is, as others may see it."""
        mark = self._view.marks.get(account)
        joined = self._members.state.members[account].joined_seq
        if mark is None:
            return Standing(joined, 0, 0)
        view = self._members.views.get(AccountId(account))
        return Standing(joined, mark.delivered, mark.read_shown if view is not None and view.read_receipts else 0)

    def _counts(self) -> Counts:
        return Counts(self._view.next_seq - 1, map(self._standing, self._members.state.members))

    def _receipt(self, counts: Counts, viewer: AccountId) -> GroupReceipt:
        shows_reads = self._members.views[viewer].read_receipts
        return GroupReceipt(self._conversation, counts.behind, counts.steps(self._standing(viewer), shows_reads))

    def tell(self, readers: list[AccountId]) -> None:
        """New marks are on the disk: writers hear the counts, and readers that the server has theirs."""
        for account in readers:
            if self._members.belongs(account):
                self.tell_own(account)
        recent = self._view.next_seq - RECENT_SEQS
        counts: Counts | None = None
        writers = self._known_writers()
        for account, seq in list(writers.items()):
            if seq < recent or not self._members.belongs(account):
                del writers[account]
                continue
            queues = self._queues(account)
            if queues:
                counts = counts or self._counts()
                receipt = Tell(self._receipt(counts, account))
                for queue in queues:
                    self._process.cast_sheddable(queue, receipt)

    def tell_own(self, account: AccountId) -> None:
        """The devices of an account hear how far it is, by what the server knows."""
        receipt = Tell(self._own(account))
        for queue in self._queues(account):
            self._process.cast_sheddable(queue, receipt)

    def _queues(self, account: AccountId) -> list[Pid]:
        found = (self._router.live_queue(device, account) for device in self._members.views[account].devices)
        return [queue for queue in found if queue is not None]

    def _own(self, account: AccountId) -> Receipt:
        mark = self._ledger.mark(account)
        return Receipt(self._conversation, account, mark.delivered, mark.read)

    def answer(self, account: AccountId, connection: Pid) -> None:
        """Somebody asks: for their own mark, and the counts of the others."""
        self._process.cast_sheddable(connection, self._own(account))
        self._process.cast_sheddable(connection, self._receipt(self._counts(), account))

    def marks(self, viewer: AccountId, accounts: list[AccountId]) -> list[GroupMark]:
        """How far some members are, as another one may see it."""
        sees = self._members.views[viewer].read_receipts
        found: list[GroupMark] = []
        for account in accounts:
            if account == viewer:
                mark = self._ledger.mark(account)
                found.append(GroupMark(account, mark.delivered, mark.read))
            elif (view := self._members.views.get(account)) is None or viewer in view.blocked:
                found.append(GroupMark(account, 0, 0))  # even a delivery tells when they were here
            else:
                standing = self._standing(account)
                found.append(GroupMark(account, standing.delivered, standing.read if sees else 0))
        return found
