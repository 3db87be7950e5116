"""The groups of our account as this device knows them: folded from their changes, and asked for where that fails.

Which groups there are, the server is asked once in each run, so that a new device, and one whose database was restored,
know of all. A group of which we know nothing, or whose versions have a gap, is asked for; pages that do not fit
together are asked for again. A few are asked for at a time, and more slowly if the server says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from protocol import AccountId, Code, is_group
from protocol import messages as wire
from protocol.limits import GROUP_MEMBERS_MAX
from protocol.messages import CHANGE, DescribeGroup, Error, ListGroups
from roost.arrivals import WAITING_MUCH
from roost.changes import GroupFolded, GroupKnown
from roost.conversations import group_named
from roost.errors import GroupError
from roost.events import GroupChanged
from roost.group import (
    ChangeKind,
    Group,
    GroupInvite,
    GroupMember,
    Role,
    Standing,
    change_of,
    ended_by,
    folded,
    role_of,
)
from roost.requests import ANSWER_WAIT_S

if TYPE_CHECKING:
    from protocol import ConversationId
    from protocol.messages import Change, Groups, Message
    from roost.changes import Snapshot
    from roost.ports import Clock
    from roost.requests import Requests
    from roost.steps import Step

__all__ = ["FETCHES_MAX", "WANTED_MAX", "KnownGroups"]

FETCHES_MAX: Final = 4
"""Groups asked for at once."""
WANTED_MAX: Final = 4_096
"""Groups waiting to be asked for; an account has fewer, so what is beyond is a server out of its mind."""
_RETRY_S_MIN: Final = 0.5


@dataclass(slots=True)
class _Fetch:
    """A group that is asked for.

    Args:
        number: of the request under way; 0 if none is.
        until_s: when to ask again: not before, if none is under way, else because no answer has come.
        again: whether it must be asked for once more after that, because of something newer than the question.
        version: of the pages so far.
        members: of the pages so far.
        waiting: who waits for the end of it.
    """

    number: int = 0
    until_s: float = 0.0
    again: bool = False
    version: int = 0
    members: list[GroupMember] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    def begin(self, until_s: float) -> None:
        """Ask from the first page, not before a time."""
        self.number, self.until_s, self.version = 0, until_s, 0
        self.members = []


class KnownGroups:
    """What a session knows of groups.

    Args:
        snapshot: the database.
        requests: the questions of the session.
        clock: the time.
    """

    __slots__ = (
        "_account",
        "_clock",
        "_fetches",
        "_groups",
        "_list_number",
        "_list_until_s",
        "_numbers",
        "_ready",
        "_requests",
    )

    def __init__(self, snapshot: Snapshot, requests: Requests, clock: Clock) -> None:
        self._account = snapshot.account
        self._requests = requests
        self._clock = clock
        self._groups = {group.conversation: group for group in snapshot.groups}
        self._fetches: dict[ConversationId, _Fetch] = {}
        self._numbers: dict[int, ConversationId] = {}
        self._list_number = 0
        self._list_until_s: float | None = 0.0
        self._ready = False

    # What is known.

    def of(self, conversation: str) -> Group | None:
        """Return a group by its id; None if it is not known."""
        return self._groups.get(conversation)  # type: ignore[call-overload,no-any-return]  # any text may be asked for

    def all(self) -> list[Group]:
        """Return all groups, those that we have left too."""
        return list(self._groups.values())

    def named(self, text: str) -> ConversationId:
        """Return the group that is meant by its id or its name, with or without "#" before it.

        Raises:
            AddressError: none is, or more than one.
        """
        return group_named(self._groups.values(), text)

    def check_may_write(self, conversation: ConversationId) -> None:
        """See that we may send something to a conversation, as far as we know.

        Raises:
            GroupError: we may not.
        """
        self.check_member(conversation)
        group = self._groups.get(conversation)
        if group is not None and not group.may_write:
            raise GroupError(Code.ANNOUNCEMENT_ONLY.sentence, Code.ANNOUNCEMENT_ONLY)

    def check_member(self, conversation: ConversationId) -> None:
        """See that a group is not one that we have left.

        Raises:
            GroupError: it is.
        """
        group = self._groups.get(conversation)
        if group is not None and not group.is_open:
            raise GroupError(_CLOSED[group.standing], Code.NOT_MEMBER)

    def is_closed(self, conversation: ConversationId) -> bool:
        """Whether it is a group that we do not belong to any more, so that the server answers nothing about it."""
        group = self._groups.get(conversation)
        return group is not None and not group.is_open

    # What comes.

    def received(self, message: Message, step: Step) -> None:
        """Take a stored message of a group: a change is folded, and of a group that we do not know we ask."""
        conversation = message.conversation
        if not is_group(conversation):
            return
        change = change_of(message.payload) if message.flags & CHANGE else None
        group = self._groups.get(conversation)
        if change is not None:
            self._changed(group, message, change, step)
        elif group is None or message.flags & CHANGE:
            self.want(conversation)
        else:
            self.belongs(conversation, message.seq)

    def belongs(self, conversation: ConversationId, seq: int) -> None:
        """The server treats us as a member, as of `seq`; if we had left before, we have missed that we came back.

        So it is when this device's queue was full: what it does not take is told to the group, and not to the device.
        """
        group = self._groups.get(conversation)
        if group is not None and not group.is_open and seq > group.seq:
            self.want(conversation)

    def _changed(self, group: Group | None, message: Message, change: Change, step: Step) -> None:
        if group is not None and change.version <= group.version:
            return  # it is in what the server has told
        if group is None:
            group = self._unknown(message, change)
        after = folded(group, self._account, message.sender, change, message.seq) if group is not None else None
        if after is None:
            self.want(message.conversation)
            return
        self._groups[after.conversation] = after
        step.changes.append(GroupFolded(after, message.sender, change))
        step.events.append(GroupChanged(after))

    def _unknown(self, message: Message, change: Change) -> Group | None:
        """A group of which this is the first that we hear; None if it does not say enough."""
        if change.kind == ChangeKind.CREATED and change.version == 1:
            role = Role.OWNER if change.account == self._account else Role.MEMBER
            return Group(message.conversation, change.name, change.announcement, 0, message.seq, Standing.MEMBER, role)
        if ended_by(self._account, message.sender, change):
            return Group(message.conversation, "", False, 0, message.seq)
        return None

    def describe(self, conversation: ConversationId) -> int:
        """Ask for a group as soon as may be; the number of the request, answered when what it is stands in the step."""
        number = self._requests.expect(self._clock.now_s())
        self.want(conversation, number)
        return number

    def want(self, conversation: ConversationId, waiting: int = 0) -> None:
        """Ask for a group as soon as may be.

        Args:
            conversation: which one.
            waiting: the number of the request that is answered when it is known; 0 if nobody waits.
        """
        fetch = self._fetches.get(conversation)
        if fetch is None:
            if len(self._fetches) >= WANTED_MAX:
                return
            fetch = self._fetches[conversation] = _Fetch()
        elif fetch.number:
            fetch.again = True
        if waiting:
            fetch.waiting.append(waiting)

    def doubt(self) -> None:
        """This database was restored from an old copy: ask for everything that may have changed since."""
        self._list_until_s = 0.0
        for group in self._groups.values():
            if group.is_open:
                self.want(group.conversation)

    def ready(self, waiting: int) -> None:
        """The session may ask; so much waits for this device that it may have missed something."""
        self._ready = True
        if waiting >= WAITING_MUCH and self._list_until_s is None and not self._list_number:
            self._list_until_s = 0.0

    def disconnected(self) -> None:
        """Expect no more answers; what was asked for is asked for again."""
        self._ready = False
        self._numbers.clear()
        for fetch in self._fetches.values():
            fetch.begin(0.0)
            fetch.waiting.clear()  # they were told that the connection ended
        if self._list_number:
            self._list_number, self._list_until_s = 0, 0.0

    def ask(self, now_s: float, step: Step) -> None:
        """Ask what is due, while the session is ready."""
        if self._list_until_s is not None and now_s >= self._list_until_s:
            self._list_number = self._requests.ask(ListGroups, now_s, step)
            self._list_until_s = None  # if no answer comes, the next connection asks again
        for conversation, fetch in self._fetches.items():
            if fetch.number and now_s >= fetch.until_s:
                self._numbers.pop(fetch.number, None)
                fetch.begin(now_s)
            if not fetch.number and now_s >= fetch.until_s and len(self._numbers) < FETCHES_MAX:
                self._ask_page(conversation, fetch, now_s, step)

    def _ask_page(self, conversation: ConversationId, fetch: _Fetch, now_s: float, step: Step) -> None:
        after = fetch.members[-1].account if fetch.members else AccountId("")
        fetch.number = self._requests.ask(lambda number: DescribeGroup(number, conversation, after), now_s, step)
        fetch.until_s = now_s + ANSWER_WAIT_S
        self._numbers[fetch.number] = conversation

    def next_deadline_s(self) -> float | None:
        """Return when `ask` has something to do although nothing arrived."""
        if not self._ready:
            return None
        full = len(self._numbers) >= FETCHES_MAX
        deadlines = [fetch.until_s for fetch in self._fetches.values() if fetch.number or not full]
        if self._list_until_s is not None:
            deadlines.append(self._list_until_s)
        return min(deadlines, default=None)

    # What the server answers.

    def listed(self, answer: Groups, step: Step) -> None:
        """The server has said which groups there are; ask for those that this changes."""
        self._requests.answer(answer, step)
        if answer.request != self._list_number:
            return
        self._list_number = 0
        told = set(answer.conversations)
        for conversation in answer.conversations:
            if is_group(conversation) and not self._is_known(conversation):
                self.want(conversation)
        for group in self._groups.values():
            if group.is_open and group.conversation not in told:
                self.want(group.conversation)

    def _is_known(self, conversation: ConversationId) -> bool:
        """Whether its changes are followed; version 0 is what an earlier device of this database knew."""
        group = self._groups.get(conversation)
        return group is not None and group.is_open and group.version > 0

    def described(self, page: wire.Group, step: Step) -> None:
        """A page of a group that was asked for."""
        self._requests.answer(page, step)
        conversation = self._numbers.pop(page.request, None)
        if conversation is None or page.conversation != conversation:
            return
        fetch = self._fetches[conversation]
        if fetch.members and page.version != fetch.version:
            fetch.begin(0.0)
            return
        fetch.number, fetch.version = 0, page.version
        fetch.members += [GroupMember(it.account, Role(min(it.role, wire.OWNER)), it.joined_seq) for it in page.members]
        if not page.is_last and page.members and len(fetch.members) < GROUP_MEMBERS_MAX:
            self._ask_page(conversation, fetch, self._clock.now_s(), step)
            return
        self._know(page, fetch.members, step)
        self._end(conversation, fetch, page, step)

    def _know(self, page: wire.Group, members: list[GroupMember], step: Step) -> None:
        known = self._groups.get(page.conversation)
        if known is not None and page.version < known.version:
            return  # what came meanwhile is newer
        role = role_of(self._account, members)
        group = Group(page.conversation, page.name, page.announcement, page.version, page.seq, Standing.MEMBER, role)
        invites = [GroupInvite(it.invite, it.account, it.expires_ms, it.uses_left) for it in page.invites]
        if known is not None and known.version == page.version and not known.is_open:
            return  # this version has ended our membership
        self._groups[group.conversation] = group
        step.changes.append(GroupKnown(group, tuple(members), tuple(invites)))
        if group != known:
            step.events.append(GroupChanged(group))

    def refused(self, error: Error, step: Step) -> None:
        """The server has refused a request; perhaps it does not tell a group, or not now."""
        self._requests.answer(error, step)
        now_s = self._clock.now_s()
        if error.request == self._list_number and self._list_number:
            self._list_number = 0
            if error.retry_after_ms >= 0:
                self._list_until_s = now_s + max(_RETRY_S_MIN, error.retry_after_ms / 1000)
            return
        conversation = self._numbers.pop(error.request, None)
        if conversation is None:
            return
        fetch = self._fetches[conversation]
        if error.retry_after_ms >= 0:
            fetch.begin(now_s + max(_RETRY_S_MIN, error.retry_after_ms / 1000))
            return
        if error.code == Code.NOT_MEMBER:
            self.close(conversation, Standing.LEFT, step)
        self._end(conversation, fetch, error, step)

    def close(self, conversation: ConversationId, standing: Standing, step: Step) -> None:
        """We belong to a group no more; the change that says so may still be on the way."""
        group = self._groups.get(conversation)
        if group is not None and group.is_open:
            closed = replace(group, standing=standing)
            self._groups[conversation] = closed
            step.changes.append(GroupKnown(closed, None, ()))
            step.events.append(GroupChanged(closed))

    def _end(self, conversation: ConversationId, fetch: _Fetch, answer: wire.Group | Error, step: Step) -> None:
        if fetch.again:
            fetch.again = False
            fetch.begin(0.0)
            return
        del self._fetches[conversation]
        for number in fetch.waiting:
            self._requests.resolve(number, answer, step)


_CLOSED: Final = {
    Standing.LEFT: "You are no member of this group any more, so nothing can be sent to it. Ask for a new invite.",
    Standing.REMOVED: "You were removed from this group, so nothing can be sent to it. Ask one of its admins.",
    Standing.DISSOLVED: "This group was dissolved, so nothing can be sent to it.",
}
