"""The group side of a conversation: who asks for a change gets it judged, written, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.groups.api import Belongs, GroupAsk, GroupFrame, GroupState, Knows, Verdict, encode_group, judge
from actors.router.api import Router, UnreachableError
from actors.shard.api import ChangeTicket, Disk
from protocol import AccountId, Code, ConversationId, Ulid, encode_change, encode_message
from protocol.messages import (
    CHANGE,
    MEMBER,
    Change,
    ChangeGroup,
    CreateGroup,
    CreateInvite,
    DescribeGroup,
    Error,
    Group,
    GroupDone,
    GroupStale,
    JoinGroup,
    Member,
    Message,
)
from storage.records import Accepted

if TYPE_CHECKING:
    from actors.conversation.api import ConversationLimits
    from actors.conversation.membership import Members
    from actors.receipts.api import GroupLedger
    from runtime import Pid, Process
    from storage.conversation_view import ConversationView
    from storage.records import Target

__all__ = ["Governance", "TellAgain"]

PAGE_MEMBERS: Final = 512
PENDING_ACCOUNTS_MAX: Final = 1_024
PENDING_PER_ACCOUNT_MAX: Final = 4
RETRY_MS: Final = 1_000
WAITERS_MAX: Final = 256
"""Answers that hang on one change; who asks for more is told to come again."""
TELL_AGAIN_S: Final = 5.0


class TellAgain:
    """The timer that speaks again to accounts which have not said that they know whether they are members."""


class Governance:
    """Writes the changes of one group, and says what it is.

    What is told is what is on the disk; what is judged is that and every change on its way there.

    Args:
        process: The process of the conversation.
        conversation: Which one.
        disk: Its shard of the store.
        router: Where accounts are found.
        ulid: The node's generator of message ids.
        limits: What a group may be.
        members: Who belongs to it.
        view: The conversation's past, into which changes are folded as messages are.
        ledger: The marks of the members.
    """

    __slots__ = (
        "_conversation",
        "_disk",
        "_in_flight",
        "_known",
        "_ledger",
        "_limits",
        "_members",
        "_pending",
        "_process",
        "_router",
        "_telling",
        "_ulid",
        "_view",
    )

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
        ledger: GroupLedger,
    ) -> None:
        self._process = process
        self._conversation = conversation
        self._disk = disk
        self._router = router
        self._ulid = ulid
        self._limits = limits
        self._members = members
        self._view = view
        self._ledger = ledger
        self._pending: dict[AccountId, list[GroupAsk]] = {}
        self._in_flight: list[tuple[ChangeTicket, GroupState]] = []
        self._known: set[str] = set()
        self._telling = False

    @property
    def idle(self) -> bool:
        """Nothing waits for the disk or for an account."""
        return not self._in_flight and not self._pending

    def request(self, ask: GroupAsk) -> None:
        """Carry out what somebody asks for, refuse it, or wait for their account to say which devices it has."""
        account, frame = ask.account, ask.frame
        assert isinstance(frame, CreateGroup | ChangeGroup | CreateInvite | JoinGroup), "others change nothing"
        now_ms = self._process.runtime.clock.wall_ms()
        members = self._members
        verdict = judge(members.state, account, frame, self._limits.group_members_max, now_ms)
        if verdict.change is None:
            self._answer(ask, verdict)
            return
        members.catch_up()
        view = members.views.get(account)
        if view is None:
            self._wait(ask)
        elif members.is_mistaken() or (ask.device not in view.devices and members.may_have(account, ask.device)):
            self._refuse(ask.connection, frame, Code.BUSY, retry_after_ms=RETRY_MS)
        elif ask.device not in view.devices:
            self._refuse(ask.connection, frame, Code.DEVICE_REVOKED)
        else:
            self._write(ask, verdict.change, now_ms)

    def _wait(self, ask: GroupAsk) -> None:
        pending = self._pending.get(ask.account)
        if pending is None and len(self._pending) < PENDING_ACCOUNTS_MAX:
            self._pending[ask.account] = [ask]
            if not self._members.belongs(ask.account):  # else it was asked
                self._members.subscribe(ask.account)
        elif pending is not None and len(pending) < PENDING_PER_ACCOUNT_MAX:
            pending.append(ask)
        else:
            self._refuse(ask.connection, ask.frame, Code.BUSY, retry_after_ms=RETRY_MS)

    def known(self, account: AccountId) -> None:
        """The devices of an account are known: what it asked for goes on."""
        for ask in self._pending.pop(account, ()):
            self.request(ask)
        if not self._members.belongs(account):
            self._release()

    def _release(self) -> None:
        kept = [self._members.durable, *(state for _, state in self._in_flight)]  # some may come and go in one commit
        self._members.release(
            lambda account: account in self._pending or any(account in state.members for state in kept)
        )

    def _answer(self, ask: GroupAsk, verdict: Verdict) -> None:
        """What changes nothing: it is stale, refused, or so already, as soon as that is on the disk."""
        state, frame, code = self._members.state, ask.frame, verdict.code
        answer: GroupStale | GroupDone | Error
        if verdict.is_stale:
            answer = GroupStale(frame.request, self._conversation, state.version)
        elif code is not None:
            answer = Error(frame.request, code, verdict.sentence or code.sentence, -1)
        else:
            version = state.version if ask.account in state.members else 0  # not for strangers to know
            answer = GroupDone(frame.request, self._conversation, version, 0)
        ticket = self._in_flight[-1][0] if self._in_flight else None
        if ticket is None or ticket.done:  # then word of it is in our mailbox, and nobody looks at the ticket any more
            self._process.cast(ask.connection, answer)
        elif len(ticket.waiters) < WAITERS_MAX:
            ticket.waiters.append((ask.connection, answer, _busy(frame)))
        else:
            self._process.cast(ask.connection, _busy(frame))

    def _refuse(self, connection: Pid, frame: GroupFrame, code: Code, retry_after_ms: int = -1) -> None:
        self._process.cast(connection, Error(frame.request, code, code.sentence, retry_after_ms))

    def _write(self, ask: GroupAsk, change: Change, now_ms: int) -> None:
        """The one place where a group changes: the change takes its seq, and goes to those before and after it."""
        full = self._disk.store.accepting()
        if full is not None:
            code, wait_ms = (Code.STORAGE_FULL, 60_000) if full.full else (Code.BUSY, RETRY_MS)
            self._refuse(ask.connection, ask.frame, code, retry_after_ms=wait_ms)
            return
        members, view, author = self._members, self._view, ask.account
        seq, message_id = view.next_seq, self._ulid.next(now_ms)
        before = members.all_targets()
        state = self._after(author, change, seq, now_ms)
        parted = [account for account in members.state.members if account not in state.members]
        members.become(state)
        for account in parted:
            self._ledger.forget(AccountId(account))
        payload = encode_change(change)
        targets = _concerned(members.all_targets(), before, parted)
        record = Accepted(
            self._conversation,
            b"",
            b"",
            0,
            b"",
            seq,
            message_id,
            author,
            targets,
            now_ms + self._limits.ttl_s_default * 1_000,
            CHANGE,
            now_ms,
            encode_message(Message(self._conversation, seq, author, ask.device, message_id, now_ms, CHANGE, payload)),
            encode_group(state),
            parted,
            members.versions_of(targets),
        )
        view.apply(record)
        ticket = ChangeTicket(self._process.pid, seq)
        done = GroupDone(ask.frame.request, self._conversation, state.version, seq)
        ticket.waiters.append((ask.connection, done, _busy(ask.frame)))
        self._in_flight.append((ticket, state))
        self._disk.append(record, ticket)

    def _after(self, author: AccountId, change: Change, seq: int, now_ms: int) -> GroupState:
        """The group after a change, without those who have said that they know; who moves now has yet to hear it."""
        before = self._members.state
        after = before.apply(author, change, seq, now_ms)
        after = after.told(self._known - (before.members.keys() ^ after.members.keys()))
        self._known.clear()
        return after

    def change_durable(self) -> None:
        """A change is on the disk: from now on it may be told, to each account that came or went with it."""
        before = self._members.durable
        while self._in_flight and self._in_flight[0][0].done:
            self._members.durable = self._in_flight.pop(0)[1]
        moved = before.members.keys() ^ self._members.durable.members.keys()
        for account in sorted(moved):
            self.tell_account(AccountId(account))
        if moved:
            self._tell_later()
        self._release()

    def tell_accounts(self) -> None:
        """Each account that came or went hears whether it belongs to the group, until it says that it knows."""
        untold = [account for account in self._members.durable.untold if account not in self._known]
        for account in untold:
            self.tell_account(AccountId(account))
        if untold:
            self._tell_later()

    def _tell_later(self) -> None:
        if not self._telling:
            self._telling = True
            self._process.send_after(TELL_AGAIN_S, TellAgain())

    def tell_account(self, account: AccountId) -> None:
        """One account hears whether it belongs to the group."""
        belongs = Belongs(self._conversation, account in self._members.durable.members, self._process.pid)
        try:
            self._process.cast(self._router.account(account), belongs)
        except UnreachableError:
            return  # the timer tells it again, or the next life of this process

    def tell_again(self) -> None:
        """Some time has passed."""
        self._telling = False
        self.tell_accounts()

    def heard(self, knows: Knows) -> None:
        """An account knows; with the next change it is off the list. A change under way may be news to it again."""
        state = self._members.state
        if knows.account not in state.untold:
            return  # a stranger who was told may be anybody
        if knows.member == (knows.account in self._members.durable.members) == (knows.account in state.members):
            self._known.add(knows.account)

    def describe(self, ask: GroupAsk, frame: DescribeGroup) -> None:
        """Tell a member a page of what the group is."""
        state = self._members.durable
        role = state.role(ask.account)
        if role is None:
            self._refuse(ask.connection, frame, Code.NOT_MEMBER)
            self.tell_account(ask.account)  # it may believe that it is one
            return
        page = self.page(frame.after)
        now_ms = self._process.runtime.clock.wall_ms()
        answer = Group(
            frame.request,
            self._conversation,
            state.version,
            state.seq,
            state.name,
            state.announcement,
            len(state.members),
            [Member(account, state.members[account].role, state.members[account].joined_seq) for account in page],
            state.told_invites(now_ms) if role != MEMBER else [],
            self.is_last(page),
        )
        self._process.cast(ask.connection, answer)

    def page(self, after: AccountId) -> list[AccountId]:
        """The accounts behind one, in their order, as many as a frame tells."""
        behind = sorted(account for account in self._members.durable.members if account > after)
        return [AccountId(account) for account in behind[:PAGE_MEMBERS]]

    def is_last(self, page: list[AccountId]) -> bool:
        """Whether no account lies behind a page."""
        return not page or page[-1] == max(self._members.durable.members)


def _concerned(after: list[Target], before: list[Target], parted: list[str]) -> list[Target]:
    """Whom a change goes to: all that are members after it, and those who part with it."""
    if not parted:
        return after
    gone = set(parted)
    return [*after, *(target for target in before if target[0] in gone)]


def _busy(frame: Any) -> Error:
    return Error(frame.request, Code.BUSY, Code.BUSY.sentence, RETRY_MS)
