"""A group in the office: people, their devices, and what they ask of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from actors.accounts.api import Ask
from actors.conversation.api import Sender, Submit
from actors.groups.api import GroupAsk
from actors.receipts.api import Advance
from protocol import (
    AccountId,
    ClientId,
    ConversationId,
    Epoch,
    InviteToken,
    decode_change,
    decode_message,
    group_conversation,
)
from protocol.messages import (
    CHANGE,
    MEMBER,
    Change,
    ChangeGroup,
    CreateGroup,
    CreateInvite,
    DescribeGroup,
    Error,
    FetchGroupMarks,
    Group,
    GroupDone,
    GroupMarks,
    Groups,
    GroupStale,
    JoinGroup,
    ListGroups,
    Message,
    Refused,
    Send,
    Sent,
)
from tests.actors.office import Office, device_of

if TYPE_CHECKING:
    from actors.queue.api import QueueLimits

__all__ = ["CLIENT", "TOKEN", "Club", "Person"]

CLIENT = ClientId(b"c" * 16)
TOKEN = InviteToken(b"t" * 16)
ANSWERS = (GroupDone, GroupStale, Group, Groups, GroupMarks, Error)


class Person:
    """Somebody with one device, which acknowledges nothing unless told to.

    Args:
        office: Where they live.
        name: Of the account.
        device: Of the device.
    """

    def __init__(self, office: Office, name: str, device: str) -> None:
        self.office = office
        self.name = AccountId(name)
        self.device = device
        self.number = 0
        self._client_ids = itertools.count(1)
        self.visitor = office.attach(name, device)

    def back(self) -> None:
        """The device logs in again."""
        self.visitor = self.office.attach(self.name, self.device)

    def asks_group(self, frame: Any) -> Any:
        """What the group answers, if it does at once."""
        ask = GroupAsk(self.visitor.process.pid, self.name, device_of(self.device)[0], frame)
        return self._answer(self.office.router.conversation(frame.conversation), ask)

    def asks_account(self, frame: Any) -> Any:
        """What is answered to what the account looks at first."""
        device, key = device_of(self.device)
        ask = Ask(self.visitor.process.pid, device, key, frame)
        return self._answer(self.office.router.account(self.name), ask)

    def _answer(self, pid: Any, message: object) -> Any:
        before = len(self.visitor.heard)
        self.office.runtime.cast(pid, message)
        self.office.settle()
        answers = [frame for frame in self.visitor.heard[before:] if isinstance(frame, ANSWERS)]
        return answers[-1] if answers else None

    def says(self, conversation: ConversationId, text: str, flags: int = 0) -> Sent | Refused | None:
        """Send a message."""
        before = len(self.visitor.heard)
        self.submits(conversation, text, flags)
        self.office.settle()
        answers = [frame for frame in self.visitor.heard[before:] if isinstance(frame, Sent | Refused)]
        if answers and isinstance(answers[-1], Refused):
            self.number -= 1
        return answers[-1] if answers else None

    def says_again(self, conversation: ConversationId, text: str) -> Sent | Refused | None:
        """Send the last message once more, under the same id and number."""
        self._client_ids = itertools.count(next(self._client_ids) - 1)
        return self.says(conversation, text)

    def submits(self, conversation: ConversationId, text: str, flags: int = 0) -> None:
        """Send a message, to which nobody has reacted yet."""
        self.number += 1
        sender = Sender(self.visitor.process.pid, self.name, device_of(self.device)[0], Epoch(b"epoch--1"))
        client_id = ClientId(next(self._client_ids).to_bytes(16, "big"))
        send = Send(conversation, self.number, client_id, text.encode(), 0, flags)
        self.office.runtime.cast(self.office.router.conversation(conversation), Submit(sender, [send]))

    def reads(self, conversation: ConversationId, seq: int) -> None:
        """Say that the person has read up to here."""
        self.office.runtime.cast(self.office.router.conversation(conversation), Advance(self.name, seq, seq))
        self.office.settle()

    def acknowledges(self) -> None:
        """The device has everything that came."""
        self.office.acknowledge(self.visitor, self.name, self.device)

    @property
    def messages(self) -> list[Message]:
        """What came from the queue, in order."""
        return [decode_message(entry[2]) for entry in self.visitor.heard if isinstance(entry, tuple) and entry[1] == 0]

    @property
    def seqs(self) -> list[int]:
        """The places of what came."""
        return [message.seq for message in self.messages]

    @property
    def texts(self) -> list[str]:
        """What people said."""
        return [message.payload.decode() for message in self.messages if not message.flags & CHANGE]

    @property
    def changes(self) -> list[Change]:
        """What became of the group."""
        return [decode_change(message.payload) for message in self.messages if message.flags & CHANGE]


class Club:
    """An office with people, and a group that the first of them has made.

    Args:
        seed: Who runs when.
        names: Whoever has an account; each has one device of the same name and ``'s phone``.
        queue: Limits of the queues.
    """

    def __init__(self, seed: int, *names: str, queue: QueueLimits | None = None) -> None:
        self.office = Office(seed, queue)
        self.people = {name: self.person(name) for name in names}
        self.owner = next(iter(self.people.values()))
        self.id = group_conversation(self.owner.name, CLIENT)
        self._requests = itertools.count(2)
        assert self.owner.asks_account(CreateGroup(1, CLIENT, "Club")) == GroupDone(1, self.id, 1, 1)

    def person(self, name: str) -> Person:
        """Somebody new."""
        device = f"{name}'s phone"
        self.office.employ(name, device)
        return Person(self.office, name, device)

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    @property
    def version(self) -> int:
        """Of the group, as its first member sees it."""
        answer = self.describe(self.owner)
        assert isinstance(answer, Group)
        return answer.version

    def describe(self, person: Person, after: str = "") -> Any:
        """What the group is."""
        return person.asks_group(DescribeGroup(next(self._requests), self.id, AccountId(after)))

    def invite(self, person: Person, token: InviteToken = TOKEN, uses: int = 1_000, lifetime_s: int = 3_600) -> Any:
        """Make an invite."""
        return person.asks_group(CreateInvite(next(self._requests), self.id, token, lifetime_s, uses))

    def join(self, person: Person, token: InviteToken = TOKEN) -> Any:
        """Come in."""
        return person.asks_account(JoinGroup(next(self._requests), self.id, token))

    def gather(self, *names: str) -> None:
        """These are members."""
        self.invite(self.owner)
        for name in names:
            assert isinstance(self.join(self.people[name]), GroupDone)

    def change(
        self,
        person: Person,
        kind: int,
        account: str = "",
        role: int = MEMBER,
        version: int | None = None,
        **fields: Any,
    ) -> Any:
        """Ask for a change, by default of the group as it is."""
        version = self.version if version is None else version
        frame = ChangeGroup(next(self._requests), self.id, version, kind, AccountId(account), role)
        return person.asks_group(msgspec.structs.replace(frame, **fields))

    def marks(self, person: Person) -> Any:
        """How far each member is."""
        return person.asks_group(FetchGroupMarks(next(self._requests), self.id))

    def groups(self, person: Person) -> list[str]:
        """The groups that an account knows of."""
        answer = person.asks_account(ListGroups(next(self._requests)))
        assert isinstance(answer, Groups)
        return list(answer.conversations)
