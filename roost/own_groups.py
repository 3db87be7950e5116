"""`Client.groups`: make groups, let people in, and look after them.

What is known of a group is in the local database and follows its changes, so reading works offline. Whatever changes a
group asks the server; a request whose answer was lost with the connection is said again, which changes nothing twice.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

from protocol import AccountId, ClientId, Code, IdentifierError, is_group, normalized_name
from protocol import messages as wire
from protocol.limits import GROUP_NAME_LENGTH_MAX, U32_MAX
from protocol.messages import (
    ChangeGroup,
    CreateGroup,
    CreateInvite,
    FetchGroupMarks,
    GroupDone,
    GroupMarks,
    GroupStale,
    JoinGroup,
    ListGroups,
)
from roost.conversations import account_address, other_account
from roost.errors import GroupError, GroupStaleError, InviteLinkError, NotConnectedError, RefusedError, TextError
from roost.events import ConnectionState
from roost.group import Group, GroupInvite, MemberMark, MessageInfo, Role, Standing
from roost.heard_changes import HeardChanges
from roost.history import MessageState
from roost.invite_link import InviteLink
from roost.own_devices import refused_or

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import ConversationId
    from protocol.messages import Frame
    from roost.client import Client
    from roost.group import GroupDetails
    from roost.store import Store
    from roost.writing import Named

__all__ = ["OwnGroups"]

_INSIST_S: Final = 20.0
_STALE_MAX: Final = 8
_CLIENT_ID_SIZE_BYTES: Final = 16
_LIFETIME_S_DEFAULT: Final = 7 * 86_400
_STALE: Final = "Somebody else changed the group at the same time, so nothing was done. Look at it, and ask again."


class OwnGroups:
    """The groups of our account.

    A group is named by what `list` or `create` gave, by its id ("#01ARZ...") or by its name; `AddressError` says that
    there is none such. What changes a group raises `NotConnectedError` if there is no connection, `RefusedError` with
    the server's reason if it says no (roles, limits), `GroupError` if we do not belong to the group any more, and
    `GroupStaleError` if somebody else changed at the same time what the change is about; then nothing was done.

    Args:
        client: whose groups.
        store: its database.
    """

    def __init__(self, client: Client, store: Store) -> None:
        self._client = client
        self._store = store
        self._known = client._runner.session.groups

    # What is known here.

    def list(self) -> list[Group]:
        """Return the groups of this account, by name, also those that we left and can still read."""
        return sorted(
            self._known.all(), key=lambda group: (not group.is_open, group.name.casefold(), group.conversation)
        )

    def get(self, group: str | Group) -> Group | None:
        """Return what this device knows of a group; None if it does not know it."""
        return self._known.of(self.conversation_of(group))

    def conversation_of(self, group: str | Group) -> ConversationId:
        """Return the id of a group.

        Raises:
            AddressError: there is none such, or more than one.
        """
        return group.conversation if isinstance(group, Group) else self._known.named(group)

    async def details(self, group: str | Group) -> GroupDetails:
        """Return a group with its members, as this device knows them; works offline.

        Raises:
            GroupError: this device does not know it.
        """
        found = await self._client._in_store(self._store.group, self.conversation_of(group))
        if found is None:
            raise GroupError("This device does not know that group. The list says which there are: roost group")
        return found

    # What the server is asked.

    async def refresh(self) -> None:
        """Learn of every group of the account, as a new device does by itself soon after its first login."""
        answer = refused_or(await self._insist(ListGroups), wire.Groups)
        for conversation in answer.conversations:
            known = self._known.of(conversation)
            if known is None or not known.is_open:
                try:
                    await self._describe(conversation)
                except RefusedError as error:
                    if error.code != Code.NOT_MEMBER:  # one that we have just left may still be listed
                        raise

    async def describe(self, group: str | Group) -> GroupDetails:
        """Ask the server what a group is, bring this device's copy up to date, and return it."""
        conversation = self.conversation_of(group)
        await self._describe(conversation)
        return await self.details(conversation)

    async def create(self, name: str, *, announcement: bool = False) -> Group:
        """Make a group, of which we are the owner and only member.

        Args:
            name: what it is called: 1 to 100 visible characters.
            announcement: whether only its admins write.

        Raises:
            TextError: that is no name.
        """
        name, client_id = _name(name), ClientId(os.urandom(_CLIENT_ID_SIZE_BYTES))
        answer = await self._insist(CreateGroup, client_id, name, announcement)
        return await self._known_at(refused_or(answer, GroupDone))

    async def join(self, link: str | InviteLink) -> Group:
        """Become a member by an invite.

        Raises:
            InviteLinkError: that is no invite, or not the whole of one.
        """
        invite = InviteLink.parse(link) if isinstance(link, str) else link
        answer = await self._insist(JoinGroup, invite.conversation, invite.token)
        return await self._known_at(refused_or(answer, GroupDone), joins=True)

    async def create_invite(
        self, group: str | Group, *, lifetime_s: int = _LIFETIME_S_DEFAULT, uses: int = 1
    ) -> InviteLink:
        """Make an invite; its `text` is a link to be passed on. Whoever has it can join.

        Args:
            group: which one; we must be an admin.
            lifetime_s: seconds for which it is good, 30 days at most.
            uses: how many people it lets in.

        Raises:
            TextError: that is no number of seconds or people.
        """
        if not 0 < lifetime_s <= U32_MAX or not 0 < uses <= U32_MAX:
            raise TextError("An invite lasts 1 second to 30 days and lets at least one person in.")
        conversation = self._open(group).conversation
        link = InviteLink.generate(conversation)
        answer = await self._insist(CreateInvite, conversation, link.token, lifetime_s, uses)
        await self._known_at(refused_or(answer, GroupDone))
        return link

    async def revoke_invite(self, group: str | Group, invite: str | InviteLink | GroupInvite) -> Group:
        """Let an invite be good for nothing any more.

        Args:
            group: which one; we must be an admin.
            invite: what `create_invite` gave, its text, or one of those that `describe` shows.

        Raises:
            InviteLinkError: that is no invite of this group.
        """
        link = InviteLink.parse(invite) if isinstance(invite, str) else invite
        conversation = self.conversation_of(group)
        if isinstance(link, InviteLink) and link.conversation != conversation:
            raise InviteLinkError("That invite leads to another group, so it cannot be revoked in this one.")
        return await self._change(conversation, wire.INVITE_REVOKED, _always, invite=link.invite)

    async def leave(self, group: str | Group) -> Group:
        """Leave a group. If nobody else owns it, its oldest admin or member does then; without members it ends."""
        return await self._change(group, wire.LEFT, _always, Standing.LEFT)

    async def remove(self, group: str | Group, account: str) -> Group:
        """Remove a member; we must be an admin, or the owner if they are an admin."""
        who = account_address(account)
        return await self._change(group, wire.REMOVED, _same_member(who), account=who)

    async def set_role(self, group: str | Group, account: str, role: Role) -> Group:
        """Make somebody a member, an admin or an owner."""
        who = account_address(account)
        return await self._change(group, wire.ROLE, _same_member(who), account=who, role=int(role))

    async def rename(self, group: str | Group, name: str) -> Group:
        """Call a group something else; we must be an admin.

        Raises:
            TextError: that is no name.
        """
        return await self._change(group, wire.RENAMED, _same_name, name=_name(name))

    async def set_announcement(self, group: str | Group, announcement: bool) -> Group:
        """Let only admins write, or let everybody; we must be an admin."""
        return await self._change(group, wire.ANNOUNCEMENT, _always, announcement=announcement)

    async def dissolve(self, group: str | Group) -> Group:
        """End a group for everybody; we must be an owner. What was said stays with those who have it."""
        return await self._change(group, wire.DISSOLVED, _same_owners, Standing.DISSOLVED)

    async def marks(self, group: str | Group) -> tuple[MemberMark, ...]:
        """Ask the server how far each member has received and read a group."""
        conversation = self._open(group).conversation
        marks: tuple[MemberMark, ...] = ()
        after = AccountId("")
        while True:
            page = refused_or(await self._insist(FetchGroupMarks, conversation, after), GroupMarks)
            marks += tuple(MemberMark(one.account, one.delivered, one.read) for one in page.marks)
            if page.is_last or not page.marks or page.marks[-1].account <= after:
                return marks
            after = page.marks[-1].account

    async def message_info(self, message: Named) -> MessageInfo:
        """Say whom a message has reached. Of a group the server is asked, and tells of those who are still members.

        Raises:
            MessageError: it is not in the history any more, or the server does not have it yet.
        """
        found = await self._client._accepted(message)
        seq = found.seq
        if not is_group(found.conversation):
            return _direct_info(other_account(found.conversation, found.sender), found.state)
        joined = {one.account: one.joined_seq for one in (await self.describe(found.conversation)).members}
        marks = [
            mark
            for mark in await self.marks(found.conversation)
            if mark.account != found.sender and joined.get(mark.account, seq) < seq
        ]
        read = tuple(mark.account for mark in marks if mark.read >= seq)
        here = tuple(mark.account for mark in marks if mark.delivered >= seq > mark.read)
        return MessageInfo(read, here, tuple(mark.account for mark in marks if mark.delivered < seq))

    # How it is asked.

    def _open(self, group: str | Group) -> Group:
        """The group as it is known now, if we belong to it."""
        conversation = self.conversation_of(group)
        self._known.check_member(conversation)
        return self._known.of(conversation) or Group(conversation, "", False, 0, 0)

    async def _change(
        self,
        group: str | Group,
        kind: int,
        is_still_meant: Callable[[GroupDetails, GroupDetails], bool],
        ended: Standing | None = None,
        **fields: Any,
    ) -> Group:
        """Change a group, again if it has changed meanwhile and the change is still meant.

        Args:
            group: which one.
            kind: what is to be done.
            is_still_meant: told what the group was and is, whether it may be done all the same.
            ended: what we are to the group when it is done, if no member any more.
            fields: of the change.
        """
        conversation = self._open(group).conversation
        heard = HeardChanges(conversation, self._client._events_from_now())
        before = await self._client._in_store(self._store.group, conversation)
        for _ in range(_STALE_MAX):
            version = before.group.version if before is not None else 0
            answer, was_lost = await self._answer(ChangeGroup, conversation, version, kind, **fields)
            if not isinstance(answer, GroupStale):
                done = refused_or(answer, GroupDone)
                if ended is not None:
                    self._client._runner.session.close_group(conversation, ended)
                    self._client._runner.wake()
                return await self._known_at(done)
            now = await self.describe(conversation)
            since, made = range(version + 1, answer.version + 1), {"kind": kind, **fields}
            if was_lost and version and await heard.contain(self._client.device, made, since):
                return now.group  # ours was made, and somebody else has gone on from there
            if before is not None and not is_still_meant(before, now):
                break
            before = now
        raise GroupStaleError(_STALE)

    async def _known_at(self, done: GroupDone, *, joins: bool = False) -> Group:
        """The group at least as of a change of ours; its message may still be on the way."""
        known = self._known.of(done.conversation)
        if known is None or (known.is_open and known.version < done.version) or (joins and not known.is_open):
            await self._describe(done.conversation)
            known = self._known.of(done.conversation)
        return known or Group(done.conversation, "", False, done.version, done.seq)

    async def _describe(self, conversation: ConversationId) -> None:
        self._check_online()
        number = self._known.describe(conversation)
        self._client._runner.wake()
        await self._client._answer_to(number, wire.Group)

    async def _insist(self, kind: Callable[..., Frame], *args: Any) -> Any:
        """As `_answer`, of what a lost answer makes no difference to."""
        return (await self._answer(kind, *args))[0]

    async def _answer(self, kind: Callable[..., Frame], *args: Any, **fields: Any) -> tuple[Any, bool]:
        """Ask until there is an answer: whatever changes a group may be said twice.

        Returns:
            The answer, and whether an earlier one was lost, or may have been.

        Raises:
            NotConnectedError: there is no connection, or none for so long that nobody knows what became of it.
            RefusedError: the server says no.
        """
        self._check_online()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _INSIST_S
        was_lost = False
        while True:
            try:
                answer = await self._client._ask(lambda number: kind(number, *args, **fields), msgspec.Struct)
                return answer, was_lost
            except NotConnectedError:
                was_lost = True
                try:
                    async with asyncio.timeout_at(until_s):
                        await self._client.wait_online()
                except TimeoutError:
                    raise NotConnectedError(_UNKNOWN) from None
                if loop.time() >= until_s:  # it is online, and the server says nothing
                    raise NotConnectedError(_UNKNOWN) from None
            except RefusedError as error:
                delay_s = error.retry_after_ms / 1000
                if error.code != Code.BUSY or delay_s < 0 or loop.time() + delay_s > until_s:
                    raise
                await asyncio.sleep(delay_s)

    def _check_online(self) -> None:
        self._client.check_running()
        if self._client.connection.state is not ConnectionState.ONLINE:
            raise NotConnectedError("The server cannot be asked now: there is no connection to it.")


_UNKNOWN: Final = (
    "The connection broke before the server answered, and did not come back. Look at the group when it has: it may be "
    "done or not."
)


def _name(text: str) -> str:
    try:
        return normalized_name(text, GROUP_NAME_LENGTH_MAX)
    except IdentifierError as error:
        raise TextError(error.sentence, error.code) from error


def _direct_info(other: AccountId | None, state: MessageState) -> MessageInfo:
    them = () if other is None else (other,)
    match state:
        case MessageState.READ:
            return MessageInfo(them, (), ())
        case MessageState.DELIVERED | MessageState.RECEIVED:
            return MessageInfo((), them, ())
        case _:
            return MessageInfo((), (), them)


def _always(before: GroupDetails, now: GroupDetails) -> bool:
    return True


def _same_name(before: GroupDetails, now: GroupDetails) -> bool:
    """Nobody else has renamed it."""
    return before.group.name == now.group.name


def _same_owners(before: GroupDetails, now: GroupDetails) -> bool:
    """The group is whose it was."""
    owners = [{one.account for one in group.members if one.role is Role.OWNER} for group in (before, now)]
    return owners[0] == owners[1]


def _same_member(account: AccountId) -> Callable[[GroupDetails, GroupDetails], bool]:
    """That account is who it was; if it was nobody, or is, the server knows better how to answer."""

    def is_so(before: GroupDetails, now: GroupDetails) -> bool:
        was, is_now = ([one for one in group.members if one.account == account] for group in (before, now))
        return not was or not is_now or was == is_now

    return is_so
