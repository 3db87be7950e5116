"""Watermarks: how far each member of a conversation has received and read. Pure.

Reads have two faces: `read` is what the account's own devices share, `read_shown` what the other members may see. Who
has switched read receipts off shows no reads from then on, and sees none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.messages import Receipt
from storage.records import Marked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from protocol import AccountId, ConversationId
    from storage.conversation_view import ConversationView

__all__ = ["GroupLedger", "Ledger", "Marks"]


class Marks(NamedTuple):
    """A member's watermarks, by seq."""

    delivered: int
    read: int
    read_shown: int


NONE_YET: Final = Marks(0, 0, 0)


class Ledger:
    """The changes of watermarks in one conversation, on their way to the disk and then to the members.

    One `Marked` record a member and commit: changes that come while a commit is in flight wait for it and merge, so
    a fast reader costs one record a commit, not one a message. State is mutated in place for the same reason.
    """

    __slots__ = ("_changed", "_conversation", "_in_flight", "_view")

    def __init__(self, conversation: ConversationId, view: ConversationView) -> None:
        self._conversation = conversation
        self._view = view
        self._changed: dict[AccountId, Marks] = {}
        self._in_flight: dict[AccountId, Marked] = {}

    @property
    def idle(self) -> bool:
        """Nothing waits for the disk."""
        return not self._changed and not self._in_flight

    @property
    def has_news(self) -> bool:
        """Whether `records` would give any."""
        return bool(self._changed) and not self._in_flight

    def advance(self, account: AccountId, delivered: int, read: int, shows_reads: bool) -> bool:
        """Merge what is newly known of a member; True if that moved a mark forward.

        Args:
            account: The member.
            delivered: Its devices have received up to this seq; what is read has been received.
            read: It has read up to this seq.
            shows_reads: Whether its read receipts are on.
        """
        seq_max = self._view.next_seq - 1
        read = min(read, seq_max)
        delivered = min(max(delivered, read), seq_max)
        mark = self._changed.get(account) or self._in_flight.get(account) or self._view.marks.get(account) or NONE_YET
        read_shown = read if shows_reads else 0
        if delivered <= mark.delivered and read <= mark.read and read_shown <= mark.read_shown:
            return False
        self._changed[account] = Marks(
            max(mark.delivered, delivered), max(mark.read, read), max(mark.read_shown, read_shown)
        )
        return True

    def _present(self, account: AccountId) -> Marks:
        mark = self._view.marks.get(account)
        return NONE_YET if mark is None else Marks(mark.delivered, mark.read, mark.read_shown)

    def records(self) -> list[Marked]:
        """What to write now; nothing while the last write is in flight."""
        if self._in_flight:
            return []
        self._in_flight = {
            account: Marked(self._conversation, account, mark.delivered, mark.read, mark.read_shown)
            for account, mark in self._changed.items()
        }
        self._changed.clear()
        return list(self._in_flight.values())

    def durable(self, account: AccountId) -> bool:
        """The last write of a member's marks is on disk: from now on they may be told; False if there was none."""
        written = self._in_flight.pop(account, None)
        if written is not None:
            self._view.apply(written)
        return written is not None

    def mark(self, account: AccountId) -> Marks:
        """The marks of a member that are on disk."""
        return self._present(account)

    def receipts(
        self, viewer: AccountId, members: tuple[AccountId, ...], sees_reads: Callable[[AccountId], bool]
    ) -> Iterator[Receipt]:
        """The present marks of `members`, as `viewer` may see them.

        Args:
            viewer: To whom they are told; its own reads are always shown.
            members: Whose marks.
            sees_reads: Whether the viewer may see a member's reads.
        """
        for account in members:
            mark = self._present(account)
            read = mark.read if account == viewer else mark.read_shown if sees_reads(account) else 0
            yield Receipt(self._conversation, account, mark.delivered, read)


class GroupLedger(Ledger):
    """The same for a group: all members that have moved are one record, for each of them acknowledges every message."""

    __slots__ = ()

    def records(self) -> list[Marked]:
        """What to write now, one record; nothing while the last write is in flight."""
        records = super().records()
        if not records:
            return records
        first, *others = records
        told = [(other.account, other.delivered, other.read, other.read_shown) for other in others]
        return [Marked(first.conversation, first.account, first.delivered, first.read, first.read_shown, told)]

    def waits(self, account: AccountId) -> bool:
        """Whether what is known of a member is not on the disk yet."""
        return account in self._changed or account in self._in_flight

    def all_durable(self) -> list[AccountId]:
        """The last write is on disk; returns whose read marks have moved."""
        written, self._in_flight = self._in_flight, {}
        moved = [account for account, mark in written.items() if mark.read > self._present(account).read]
        for mark in written.values():
            if mark.delivered:
                self._view.apply(mark)
        return moved

    def forget(self, account: AccountId) -> None:
        """A member has gone, and its marks with it: those on their way to the disk are followed there by that word."""
        self._changed.pop(account, None)
        if account in self._in_flight:
            self._in_flight[account] = Marked(self._conversation, account, 0, 0, 0)
