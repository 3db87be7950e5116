"""What a conversation does only when it is a group: changes, counted receipts, onlookers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.conversation.counted import Counted, WriteMarks
from actors.conversation.governance import Governance, TellAgain
from actors.conversation.membership import UNHEARD_RETRY_MS
from actors.conversation.onlookers import Onlookers, TellHere
from actors.groups.api import GroupAsk, Knows, Unwatch, Watch, WatchType, decode_group
from actors.receipts.api import GroupLedger
from actors.shard.api import ChangeDurable
from protocol import Code
from protocol.messages import DescribeGroup, Error, FetchGroupMarks, GroupMarks

if TYPE_CHECKING:
    from actors.conversation.api import ConversationLimits
    from actors.conversation.membership import Members
    from actors.router.api import Router
    from actors.shard.api import Disk
    from protocol import AccountId, ConversationId, Ulid
    from runtime import Process
    from storage.conversation_view import ConversationView

__all__ = ["GROUP_TIMERS", "GroupSide"]

GROUP_TIMERS: Final = (WriteMarks, TellAgain, TellHere)


class GroupSide:
    """The parts of a group, made when its past is known.

    Args:
        process: The process of the conversation.
        conversation: Which one.
        disk: Its shard of the store.
        router: Where accounts and queues are found.
        ulid: The node's generator of message ids.
        limits: What a group may be.
        members: Who belongs to it; told what the disk says.
        view: The conversation's past.
    """

    __slots__ = ("_conversation", "_disk", "_members", "_process", "counted", "governance", "ledger", "onlookers")

    def __init__(
        self,
        process: Process,
        conversation: ConversationId,
        disk: Disk,
        router: Router,
        ulid: Ulid,
        limits: ConversationLimits,
        members: Members,
        view: ConversationView,
    ) -> None:
        members.begin(decode_group(view.state))
        self._process = process
        self._conversation = conversation
        self._disk = disk
        self._members = members
        self.ledger = GroupLedger(conversation, view)
        self.counted = Counted(process, conversation, router, members, view, self.ledger)
        self.governance = Governance(process, conversation, disk, router, ulid, limits, members, view, self.ledger)
        self.onlookers = Onlookers(process, conversation, members)
        self.governance.tell_accounts()

    @property
    def exists(self) -> bool:
        """Whether the group was ever created."""
        return self._members.state.version > 0

    @property
    def idle(self) -> bool:
        """Whether nobody looks, and nothing waits."""
        return not self.onlookers and self.governance.idle

    def receive(self, message: Any) -> None:
        """Act on what only a group hears."""
        kind = type(message)
        if kind is GroupAsk:
            self._ask(message)
        elif kind is ChangeDurable:
            self.governance.change_durable()
            self.onlookers.members_changed()
        elif kind is Knows:
            self.governance.heard(message)
        elif kind is Watch:
            self.onlookers.watch(message)
        elif kind is Unwatch:
            self.onlookers.unwatch(message.connection)
        elif kind is WatchType:
            self.onlookers.types(message.connection, message.active)

    def _ask(self, ask: GroupAsk) -> None:
        frame = ask.frame
        if isinstance(frame, DescribeGroup):
            self.governance.describe(ask, frame)
        elif isinstance(frame, FetchGroupMarks):
            self._tell_marks(ask, frame)
        else:
            self.governance.request(ask)

    def _tell_marks(self, ask: GroupAsk, frame: FetchGroupMarks) -> None:
        governance, members = self.governance, self._members
        if ask.account not in members.durable.members:
            code = Code.NOT_MEMBER
            self._process.cast(ask.connection, Error(frame.request, code, code.sentence, -1))
            return
        if not members.belongs(ask.account) or ask.account not in members.views:
            code = Code.BUSY
            self._process.cast(ask.connection, Error(frame.request, code, code.sentence, UNHEARD_RETRY_MS))
            return
        page = governance.page(frame.after)
        marks = self.counted.marks(ask.account, [account for account in page if members.belongs(account)])
        answer = GroupMarks(frame.request, self._conversation, marks, governance.is_last(page))
        self._process.cast(ask.connection, answer)

    def timer(self, message: Any) -> None:
        """Act on a timer."""
        if type(message) is WriteMarks:
            self.counted.ticked()
            self._write_marks()
        elif type(message) is TellAgain:
            self.governance.tell_again()
        elif type(message) is TellHere:
            self.onlookers.tell_here()

    def advanced(self, account: AccountId, moved: bool, read: int) -> None:
        """A member has received or read more, or says again that it has read."""
        if moved:
            self.counted.moved()
        elif read and not self.ledger.waits(account):
            self.counted.tell_own(account)

    def _write_marks(self) -> None:
        for record in self.ledger.records():
            self._disk.append(record, self._process.pid)

    def marks_durable(self) -> None:
        """The marks of the last tick are on the disk."""
        readers = self.ledger.all_durable()
        self.counted.tell(readers)
        if self.ledger.has_news:
            self.counted.moved()
