"""The groups of the model server: who is in them, and what each change does, as the contract says it.

Every change is made with `change`, whoever asks for it; so a test can also let people act who have no device here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from protocol import (
    AccountId,
    Code,
    ConversationId,
    DeviceId,
    InviteId,
    encode_change,
    group_conversation,
    invite_id_of,
)
from protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.roost.model_server import Link, ModelServer

PAGE_MEMBERS = 2
_NO_DEVICE = DeviceId(bytes(16))


@dataclass
class ModelGroup:
    name: str
    announcement: bool = False
    version: int = 0
    seq: int = 0
    members: dict[AccountId, m.Member] = field(default_factory=dict)
    invites: dict[InviteId, m.Invite] = field(default_factory=dict)
    targets: list[frozenset[AccountId]] = field(default_factory=list)
    """Whom each message of the sequence goes to."""


class ModelGroups:
    """All groups of one server; `meanwhile` is called once before the next request is judged."""

    def __init__(self, server: ModelServer) -> None:
        self._server = server
        self.all: dict[ConversationId, ModelGroup] = {}
        self.meanwhile: Callable[[], object] | None = None

    def of(self, account: AccountId) -> list[ConversationId]:
        return sorted(conversation for conversation, group in self.all.items() if account in group.members)

    def members(self, conversation: ConversationId) -> set[AccountId]:
        group = self.all.get(conversation)
        return set(group.members) if group else set()

    def create(self, conversation: ConversationId, owner: AccountId, name: str, announcement: bool = False) -> None:
        group = self.all[conversation] = ModelGroup(name)
        self.change(conversation, owner, m.CREATED, account=owner, role=m.OWNER, name=name, announcement=announcement)
        assert group.version == 1

    def change(
        self,
        conversation: ConversationId,
        author: AccountId,
        kind: int,
        *,
        device: DeviceId = _NO_DEVICE,
        **fields: Any,
    ) -> int:
        """Make a change and tell everybody whom it concerns; its seq."""
        group = self.all[conversation]
        before = set(group.members)
        group.version += 1
        change = m.Change(group.version, kind, **fields)
        message = self._server.change_message(conversation, author, device, encode_change(change))
        group.seq = message.seq
        _apply(group, author, change)
        targets = frozenset(before | set(group.members))
        group.targets.append(targets)
        for account in sorted(targets):
            self._server.enqueue_all(account, message)
        return message.seq

    def refusal(self, conversation: ConversationId, account: AccountId) -> Code | None:
        group = self.all.get(conversation)
        if group is None or account not in group.members:
            return Code.NOT_MEMBER
        only_admins = group.announcement and group.members[account].role == m.MEMBER
        return Code.ANNOUNCEMENT_ONLY if only_admins else None

    def receipt(self, conversation: ConversationId, viewer: AccountId) -> m.GroupReceipt:
        """The counts of the last messages, a step each."""
        group, last = self.all[conversation], len(self.all[conversation].targets)
        marks = self._server.conversations[conversation].marks
        behind = max(0, last - 16)
        steps = []
        for seq in range(behind + 1, last + 1):
            counted = [who for who, it in group.members.items() if who != viewer and it.joined_seq <= seq]
            delivered, read = (sum(marks.get(who, (0, 0))[index] >= seq for who in counted) for index in (0, 1))
            steps.append(m.Step(seq, len(counted), delivered, read))
        return m.GroupReceipt(conversation, behind, steps)

    # Requests.

    def receive(self, link: Link, frame: Any) -> bool:
        """Take a frame about groups; whether it was one."""
        handler = getattr(self, f"_on_{type(frame).__name__.lower()}", None)
        if handler is None:
            return False
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        if not link.closed:
            handler(link, frame)
        return True

    def _on_listgroups(self, link: Link, frame: m.ListGroups) -> None:
        assert link.account is not None
        link.out.append(m.Groups(frame.request, self.of(link.account)))

    def _on_creategroup(self, link: Link, frame: m.CreateGroup) -> None:
        assert link.account is not None
        conversation = group_conversation(link.account, frame.client_id)
        seq = 0
        if conversation not in self.all:
            self.create(conversation, link.account, frame.name, frame.announcement)
            seq = 1
        self._done(link, frame.request, conversation, seq)

    def _on_joingroup(self, link: Link, frame: m.JoinGroup) -> None:
        group, seq, invite = self.all.get(frame.conversation), 0, invite_id_of(frame.token)
        assert link.account is not None
        if group is None or (invite not in group.invites and link.account not in group.members):
            self._refuse(link, frame.request, Code.INVITE_INVALID)
            return
        if link.account not in group.members:
            seq = self.change(frame.conversation, link.account, m.JOINED, invite=invite)
        self._done(link, frame.request, frame.conversation, seq)

    def _on_createinvite(self, link: Link, frame: m.CreateInvite) -> None:
        assert link.account is not None
        where, invite = frame.conversation, invite_id_of(frame.token)
        seq = self.change(where, link.account, m.INVITED, invite=invite, expires_ms=2**50, uses=frame.uses)
        self._done(link, frame.request, where, seq)

    def _on_changegroup(self, link: Link, frame: m.ChangeGroup) -> None:
        group = self.all.get(frame.conversation)
        assert link.account is not None
        if group is None or link.account not in group.members:
            if frame.kind == m.LEFT:
                link.out.append(m.GroupDone(frame.request, frame.conversation, 0, 0))
            else:
                self._refuse(link, frame.request, Code.NOT_MEMBER)
            return
        if self._is_so(group, frame):
            self._done(link, frame.request, frame.conversation, 0)
        elif frame.kind != m.LEFT and frame.version != group.version:
            link.out.append(m.GroupStale(frame.request, frame.conversation, group.version))
        else:
            names = ("account", "role", "name", "announcement", "invite")
            fields = {name: getattr(frame, name) for name in names}
            self._done(
                link, frame.request, frame.conversation,
                self.change(frame.conversation, link.account, frame.kind, device=link.device, **fields),
            )  # fmt: skip

    @staticmethod
    def _is_so(group: ModelGroup, frame: m.ChangeGroup) -> bool:
        member = group.members.get(frame.account)
        match frame.kind:
            case m.REMOVED:
                return member is None
            case m.ROLE:
                return member is not None and member.role == frame.role
            case m.RENAMED:
                return group.name == frame.name
            case m.ANNOUNCEMENT:
                return group.announcement == frame.announcement
            case m.INVITE_REVOKED:
                return frame.invite not in group.invites
            case _:
                return False

    def _on_describegroup(self, link: Link, frame: m.DescribeGroup) -> None:
        group = self.all.get(frame.conversation)
        if group is None or link.account not in group.members:
            self._refuse(link, frame.request, Code.NOT_MEMBER)
            return
        behind = sorted(account for account in group.members if account > frame.after)
        page = [group.members[account] for account in behind[:PAGE_MEMBERS]]
        shown = list(group.invites.values()) if group.members[link.account].role != m.MEMBER else []
        link.out.append(
            m.Group(
                frame.request, frame.conversation, group.version, group.seq, group.name, group.announcement,
                len(group.members), page, shown, len(behind) <= PAGE_MEMBERS,
            )
        )  # fmt: skip

    def _on_fetchgroupmarks(self, link: Link, frame: m.FetchGroupMarks) -> None:
        group = self.all.get(frame.conversation)
        if group is None or link.account not in group.members:
            self._refuse(link, frame.request, Code.NOT_MEMBER)
            return
        marks = self._server.conversations[frame.conversation].marks
        behind = sorted(account for account in group.members if account > frame.after)
        page = [m.GroupMark(account, *marks.get(account, (0, 0))) for account in behind[:PAGE_MEMBERS]]
        link.out.append(m.GroupMarks(frame.request, frame.conversation, page, len(behind) <= PAGE_MEMBERS))

    def _done(self, link: Link, request: int, conversation: ConversationId, seq: int) -> None:
        link.out.append(m.GroupDone(request, conversation, self.all[conversation].version, seq))

    @staticmethod
    def _refuse(link: Link, request: int, code: Code) -> None:
        link.out.append(m.Error(request, code, code.sentence, -1))


def _apply(group: ModelGroup, author: AccountId, change: m.Change) -> None:
    match change.kind:
        case m.CREATED:
            group.members[author] = m.Member(author, m.OWNER, group.seq)
            group.announcement = change.announcement
        case m.ANNOUNCEMENT:
            group.announcement = change.announcement
        case m.JOINED:
            group.members[author] = m.Member(author, m.MEMBER, group.seq)
            invite = group.invites.pop(change.invite, None)
            if invite is not None and invite.uses_left > 1:
                left = m.Invite(invite.invite, invite.account, invite.expires_ms, invite.uses_left - 1)
                group.invites[change.invite] = left
        case m.LEFT:
            del group.members[author]
            if change.account:
                _set_role(group, change.account, m.OWNER)
        case m.REMOVED:
            del group.members[change.account]
        case m.ROLE:
            _set_role(group, change.account, change.role)
        case m.RENAMED:
            group.name = change.name
        case m.ANNOUNCEMENT:
            group.announcement = change.announcement
        case m.INVITED:
            group.invites[change.invite] = m.Invite(change.invite, author, change.expires_ms, change.uses)
        case m.INVITE_REVOKED:
            del group.invites[change.invite]
        case m.DISSOLVED:
            group.members.clear()
            group.invites.clear()
        case _:
            pass  # a change of a kind that is not invented yet


def _set_role(group: ModelGroup, account: AccountId, role: int) -> None:
    group.members[account] = m.Member(account, role, group.members[account].joined_seq)


def devices_of(server: ModelServer, account: AccountId) -> list[DeviceId]:
    """The devices of an account; none of one that only acts in groups."""
    return list(server.accounts[account].devices) if account in server.accounts else []
