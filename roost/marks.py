"""Watermarks: how far each member has received and read, by `seq`; they only grow, so a lost one heals.

Ours go to the server with `Mark` when somebody reads, and again after a login for every conversation of
which the server is not known to know the latest. Others' come as `Receipt`, or in a group as counts; after a login
they are fetched for every conversation with a message of ours that is not read yet.

What is told of a message may pass it by: another device wrote it, and it still waits in the queue, or its ✓ was lost.
Counts are kept for that, and what was told while this device was away is fetched when the message is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from protocol import is_group
from protocol.messages import FetchMarks, Mark
from roost.changes import MarksChanged, ProgressStored, ReceiptStored, StoredMarks
from roost.events import ProgressChanged, ReceiptChanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from protocol import ConversationId
    from protocol.messages import GroupReceipt, Receipt
    from roost.changes import Snapshot
    from roost.steps import Step

__all__ = ["FETCHED_MAX", "FETCHED_PER_FRAME_MAX", "Marks"]

FETCHED_PER_FRAME_MAX: Final = 64
FETCHED_MAX: Final = 512


@dataclass(slots=True)
class _Watermarks:
    """The watermarks of one conversation.

    `told_*` is what this connection has sent, and `counts` what a group said last.
    """

    delivered: int = 0
    read: int = 0
    server_delivered: int = 0
    server_read: int = 0
    written: int = 0
    read_by_others: int = 0
    told_delivered: int = 0
    told_read: int = 0
    counts: ProgressStored | None = None

    @property
    def server_is_behind(self) -> bool:
        return self.delivered > self.server_delivered or self.read > self.server_read

    @property
    def untold(self) -> bool:
        return self.delivered > max(self.server_delivered, self.told_delivered) or self.read > max(
            self.server_read, self.told_read
        )


class Marks:
    """The watermarks of all conversations."""

    __slots__ = (
        "_account",
        "_asked",
        "_changed",
        "_is_closed",
        "_is_drained",
        "_to_ask",
        "_to_recount",
        "_to_tell",
        "_watermarks",
    )

    def __init__(self, snapshot: Snapshot, is_closed: Callable[[ConversationId], bool]) -> None:
        """Start from what is stored.

        Args:
            snapshot: the database.
            is_closed: of which conversations the server says and takes nothing any more.
        """
        self._account = snapshot.account
        self._is_closed = is_closed
        self._watermarks = {
            conversation: _watermarks(stored) for conversation, stored in reversed(snapshot.marks.items())
        }
        # In the order in which it happened: sets of strings have another order in each process.
        self._changed: dict[ConversationId, None] = {}
        self._to_tell: dict[ConversationId, None] = {}
        self._to_recount: dict[ConversationId, None] = {}
        self._to_ask: dict[ConversationId, None] = {}
        self._asked: dict[ConversationId, None] = {}  # without an answer yet
        self._is_drained = False

    def _of(self, conversation: ConversationId) -> _Watermarks:
        """Return a conversation's watermarks and count it as the latest one."""
        marks = self._watermarks.pop(conversation, None) or _Watermarks()
        self._watermarks[conversation] = marks
        return marks

    def received(self, conversation: ConversationId, seq: int, *, own: bool) -> None:
        """Count a stored message as received. Its ack tells the server, so no `Mark` follows."""
        marks = self._of(conversation)
        if own:
            self._ours(conversation, marks, seq)
            if not self._is_drained:
                self._ask(conversation)
        if seq > marks.delivered:
            marks.delivered = seq
            self._changed[conversation] = None

    def written(self, conversation: ConversationId, seq: int) -> None:
        """Count a message of this device as accepted under `seq`."""
        self._ours(conversation, self._of(conversation), seq)

    def _ours(self, conversation: ConversationId, marks: _Watermarks, seq: int) -> None:
        marks.written = max(marks.written, seq)
        if marks.counts is not None and seq <= marks.counts.steps[-1].up_to:
            self._to_recount[conversation] = None

    def reopened(self, conversation: ConversationId) -> None:
        """The server answers for a conversation again, of which it was not asked at the login."""
        if conversation in self._watermarks:
            self._ask(conversation)

    def _ask(self, conversation: ConversationId) -> None:
        self._to_ask.pop(conversation, None)  # the latest comes last
        self._to_ask[conversation] = None

    def read(self, conversation: ConversationId, seq: int, step: Step) -> None:
        """Count everything up to `seq` as read."""
        marks = self._of(conversation)
        if seq <= marks.read:
            return
        marks.read = seq
        marks.delivered = max(marks.delivered, seq)
        self._changed[conversation] = None
        self._to_tell[conversation] = None
        step.events.append(ReceiptChanged(conversation, self._account, marks.delivered, marks.read))

    def receipt(self, receipt: Receipt, step: Step) -> None:
        """Take over what the server knows of a member, and heal what it does not know of us."""
        marks = self._of(receipt.conversation)
        if not is_group(receipt.conversation):
            self._asked.pop(receipt.conversation, None)
        if receipt.account == self._account:
            self._own_receipt(marks, receipt, step)
            return
        marks.read_by_others = max(marks.read_by_others, receipt.read)
        step.changes.append(ReceiptStored(receipt.conversation, receipt.account, receipt.delivered, receipt.read))
        step.events.append(ReceiptChanged(receipt.conversation, receipt.account, receipt.delivered, receipt.read))

    def progress(self, receipt: GroupReceipt, step: Step) -> None:
        """Take over how many members of a group have received and read its latest messages."""
        marks = self._of(receipt.conversation)
        up_to = receipt.behind
        for one in receipt.steps:
            if one.read < one.members:
                break
            up_to = one.up_to
        marks.read_by_others = max(marks.read_by_others, up_to)
        self._asked.pop(receipt.conversation, None)
        if receipt.steps:
            marks.counts = ProgressStored(receipt.conversation, receipt.behind, tuple(receipt.steps))
            self._to_recount[receipt.conversation] = None

    def _own_receipt(self, marks: _Watermarks, receipt: Receipt, step: Step) -> None:
        marks.server_delivered = max(marks.server_delivered, receipt.delivered)
        marks.server_read = max(marks.server_read, receipt.read)
        if receipt.read > marks.read:  # another of our devices has read further
            marks.read = receipt.read
            marks.delivered = max(marks.delivered, receipt.read)
            step.events.append(ReceiptChanged(receipt.conversation, self._account, marks.delivered, marks.read))
        self._changed[receipt.conversation] = None
        if marks.untold:
            self._to_tell[receipt.conversation] = None

    def ready(self, step: Step) -> None:
        """Ask after a login for what may have been missed, the latest conversations first."""
        wanted: list[ConversationId] = []
        for conversation in reversed(self._watermarks):
            marks = self._watermarks[conversation]
            if self._is_closed(conversation):
                continue
            if marks.server_is_behind:
                self._to_tell[conversation] = None
            if marks.server_is_behind or marks.written > marks.read_by_others:
                wanted.append(conversation)
            if len(wanted) == FETCHED_MAX:
                break
        _fetch(wanted, step)

    def drained(self) -> None:
        """All that waited at the login is here."""
        self._is_drained = True

    def tell(self, heard_late: Iterable[ConversationId], step: Step) -> None:
        """Send what is to be told, one `Mark` a conversation, and ask what is to be asked; only while ready.

        Args:
            heard_late: Where messages of ours may have been accepted on an earlier connection.
            step: What is to be done.
        """
        for conversation in heard_late:
            self._ask(conversation)
        if self._is_drained and self._to_ask:
            wanted = [it for it in reversed(self._to_ask) if not self._is_closed(it)][:FETCHED_MAX]
            _fetch(wanted, step)
            self._asked.update(dict.fromkeys(wanted))
            self._to_ask.clear()
        for conversation in self._to_tell:
            marks = self._watermarks[conversation]
            marks.told_delivered, marks.told_read = marks.delivered, marks.read
            if not self._is_closed(conversation):
                step.frames.append(Mark(conversation, marks.delivered, marks.read))
        self._to_tell.clear()

    def store(self, step: Step) -> None:
        """Hand out what changed since the last step, one row a conversation."""
        for conversation in self._to_recount:
            counts = self._watermarks[conversation].counts
            assert counts is not None, "there is something to count by"
            step.changes.append(counts)
            step.events.append(ProgressChanged(conversation, counts.behind, counts.steps))
        self._to_recount.clear()
        for conversation in self._changed:
            marks = self._watermarks[conversation]
            step.changes.append(
                MarksChanged(conversation, marks.delivered, marks.read, marks.server_delivered, marks.server_read)
            )
        self._changed.clear()

    def disconnected(self) -> None:
        """Trust no longer that what was told has arrived, and ask again what has no answer."""
        self._to_tell.clear()
        self._is_drained = False
        self._to_ask = self._asked | self._to_ask
        self._asked.clear()
        for marks in self._watermarks.values():
            marks.told_delivered = marks.told_read = 0


def _fetch(wanted: list[ConversationId], step: Step) -> None:
    for start in range(0, len(wanted), FETCHED_PER_FRAME_MAX):
        step.frames.append(FetchMarks(wanted[start : start + FETCHED_PER_FRAME_MAX]))


def _watermarks(stored: StoredMarks) -> _Watermarks:
    return _Watermarks(
        stored.delivered,
        stored.read,
        stored.server_delivered,
        stored.server_read,
        stored.written,
        stored.read_by_others,
    )
