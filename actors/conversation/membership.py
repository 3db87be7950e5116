"""Who belongs to a conversation, and with which devices: the two accounts of its id, or the members of a group."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from actors.accounts.api import AccountView, Show, Subscribe, Unsubscribe
from actors.conversation.logic import Refusal, authorise, targets_of
from actors.conversation.roll import Roll
from actors.groups.api import NOBODY, GroupState
from actors.router.api import Router, UnreachableError
from protocol import AccountId, Code, shard_of
from runtime import Named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.conversation.api import Sender
    from protocol import DeviceId
    from runtime import Down, Process, Ref
    from storage.records import Target

__all__ = ["BEHIND_RETRY_MS", "UNHEARD_RETRY_MS", "Direct", "Members", "Membership", "Resubscribe"]

DENIAL_TRUSTED_S: Final = 75.0
"""Longer than a client's longest pause between two tries, or the second would be asked about as the first was."""
BEHIND_RETRY_MS: Final = 200
UNHEARD_RETRY_MS: Final = 1_000
"""For a member who asks something before its account was heard of."""
CLAIMS_MAX: Final = 64
"""Of one account; who makes up more is asked to come again."""
SENDERS_KEPT_MAX: Final = 64
"""Senders whose targets are kept; each list of a large group takes 8 KB."""


class Resubscribe(NamedTuple):
    """The timer that asks for the view of an account that is still missing."""

    account: AccountId


class Membership(ABC):
    """The accounts of a conversation as their own processes show them, and whom a message goes to.

    Args:
        process: The process of the conversation.
        router: Where accounts are found.

    Attributes:
        views: By account; those of whoever belongs to it, and of some who may.
        targets: By sending device, whom its messages go to; forgotten when a view or a member changes.
        versions: By sending device, of the lists of devices in its targets.
        lists_seen: How many changes of lists on this node it knows of.
        unwritten: Accounts whose list is not on the disk yet as we know it. What is accepted obeys it; but nobody is
            told of it, for if the write fails, the account has an older list again than it was told.
        mistaken: Those of them whose list has not come to the disk: nothing goes by it until they are heard of anew.
    """

    __slots__ = (
        "_asked",
        "_denied",
        "_monitors",
        "_process",
        "_router",
        "lists_seen",
        "mistaken",
        "targets",
        "unwritten",
        "versions",
        "views",
    )

    def __init__(self, process: Process, router: Router) -> None:
        self._process = process
        self._router = router
        self._monitors: dict[Ref, AccountId] = {}
        self.views: dict[AccountId, AccountView] = {}
        self.targets: dict[DeviceId, list[Target]] = {}
        self.versions: dict[DeviceId, list[int]] = {}
        self.lists_seen = router.lists_written
        self.unwritten: set[AccountId] = set()
        self.mistaken: set[AccountId] = set()
        self._asked: dict[AccountId, set[int | DeviceId]] = {}
        self._denied: dict[AccountId, dict[int | DeviceId, float]] = {}

    @property
    @abstractmethod
    def lists(self) -> list[int]:
        """What a message says that was made for the devices of all who belong to it."""

    @abstractmethod
    def named(self, lists: list[int]) -> dict[AccountId, int] | None:
        """Which version a message that says this was made for, of each list that has changed; None if nobody knows."""

    @abstractmethod
    def belongs(self, account: AccountId) -> bool:
        """Whether an account is one of the conversation's."""

    @abstractmethod
    def is_complete(self) -> bool:
        """Whether the views of all that belong to it are there."""

    @abstractmethod
    def _admit(self, sender: Sender) -> Refusal | list[Target]:
        """Whom the messages of a sender go to, or why it may send none, by the lists that we know."""

    def admit(self, sender: Sender) -> Refusal | list[Target]:
        """Whom the messages of a sender go to, or why it may send none; one that may be new is to ask again."""
        if self.is_mistaken():
            return Refusal(Code.BUSY, 0, BEHIND_RETRY_MS)
        admitted = self._admit(sender)
        is_unknown = isinstance(admitted, Refusal) and admitted.code is Code.DEVICE_REVOKED
        if is_unknown and self.may_have(sender.account, sender.device):
            return Refusal(Code.BUSY, 0, BEHIND_RETRY_MS)
        return admitted

    def subscribe(self, account: AccountId) -> None:
        """Ask an account for its view, and for every later one; or ask again soon."""
        process = self._process
        try:
            pid = self._router.account(account)
        except UnreachableError:
            process.send_after(1.0, Resubscribe(account))
            return
        monitor = process.monitor(pid)
        tell = process.insist if type(pid) is Named else process.cast  # of one elsewhere nobody says that it was full
        if tell(pid, Subscribe(process.pid)):
            self._monitors[monitor] = account
        else:
            process.demonitor(monitor)
            process.send_after(1.0, Resubscribe(account))

    def hears_of(self, account: AccountId) -> bool:
        """Whether the views of an account are wanted."""
        return self.belongs(account)

    def subscribe_again(self, account: AccountId) -> None:
        """Some time has passed since an account could not be asked, or has ended."""
        if self.hears_of(account) and account not in self._monitors.values():
            self.subscribe(account)

    def lost(self, down: Down) -> None:
        """A process has ended; if it was an account's, its successor is asked."""
        account = self._monitors.pop(down.ref, None)
        if account is not None:
            self._process.send_after(0.05, Resubscribe(account))

    def take(self, view: AccountView) -> None:
        """An account has changed on the disk, or is heard of for the first time."""
        written, known = self._router.listed(view.account), self.views.get(view.account)
        self.unwritten.discard(view.account)
        self.mistaken.discard(view.account)
        self._hear(view, is_news=known is None or view.devices_version != known.devices_version)
        if written is not None and written.version > view.version:
            self._foresee(written, view)  # word of it is on its way, and must not be overtaken by older word
        else:
            self._know(view)

    def _hear(self, view: AccountView, *, is_news: bool) -> None:
        """What was said of a list that is not so in this one is denied; of an older list, no longer."""
        claims = self._asked.pop(view.account, ())
        if is_news:
            self._denied.pop(view.account, None)
        if claims:
            denied = self._denied.setdefault(view.account, {})
            if len(denied) + len(claims) > CLAIMS_MAX:
                denied.clear()
            denied.update(dict.fromkeys(claims, self._process.runtime.clock.now_s()))

    def _foresee(self, written: AccountView, known: AccountView) -> None:
        """Obey a list that is on its way to the disk; whom its account blocks is not so before it is there."""
        if written.devices_version == known.devices_version:
            self._know(known)
            return
        self.unwritten.add(written.account)
        version, devices, since = written.devices_version, written.devices, written.since
        self._know(msgspec.structs.replace(known, devices_version=version, devices=devices, since=since))

    def _know(self, view: AccountView) -> None:
        self.views[view.account] = view
        self.forget_targets()

    def forget_targets(self) -> None:
        """Whom messages go to has to be seen anew."""
        self.targets.clear()
        self.versions.clear()

    def catch_up(self) -> None:
        """Before anything is accepted: take the lists written on this node that concern us and were not told yet."""
        router = self._router
        if self.lists_seen == router.lists_written:
            return
        changed = router.written_last(router.lists_written - self.lists_seen)
        self.lists_seen = router.lists_written
        for account in list(self.views if changed is None else changed):
            known, written = self.views.get(account), router.listed(account)
            if known is None:
                continue
            if written is not None and written.devices_version > known.devices_version:
                self._foresee(written, known)
            elif account in self.unwritten and self._is_another(written, known):
                self.mistaken.add(account)
                self.forget_targets()

    def _is_another(self, written: AccountView | None, known: AccountView) -> bool:
        """Whether a list that we foresaw was not written."""
        if written is None:
            return self._router.has_lost(known.account)
        return written.devices_version < known.devices_version or written.devices != known.devices

    def is_mistaken(self) -> bool:
        """Whether a list of those who belong to it, by which we go, has not come to the disk."""
        return any(self.belongs(account) for account in self.mistaken)

    def is_unsure(self) -> bool:
        """Whether the lists of those who belong to it are not all on the disk, so that nobody may be told of them."""
        return any(self.belongs(account) for account in self.unwritten)

    def may_have(self, account: AccountId, device: DeviceId) -> bool:
        """Whether a device may be one of an account, although it is in no list that we know."""
        return account in self.unwritten or self.is_behind(account, device)

    def is_behind(self, account: AccountId, claim: int | DeviceId) -> bool:
        """Whether a list may be newer than the one we know, because somebody's words say so: then its account is asked.

        What an account has denied lately is not so, and what one of this node has read or written is the truth.

        Args:
            account: Whose list it is.
            claim: The version that it is said to have, or the device that says to be in it.
        """
        listed, known = self._router.listed(account), self.views.get(account)
        if listed is not None:
            return known is not None and listed.devices_version > known.devices_version  # word of it is on its way
        denied_s = self._denied.get(account, {}).get(claim)
        if denied_s is not None and self._process.runtime.clock.now_s() - denied_s < DENIAL_TRUSTED_S:
            return False
        claims = self._asked.setdefault(account, set())
        if len(claims) >= CLAIMS_MAX:
            claims.clear()
        claims.add(claim)
        with contextlib.suppress(UnreachableError):
            self._process.cast(self._router.account(account), Show(self._process.pid))
        return True

    def keep(self, sender: Sender, targets: list[Target]) -> None:
        """Remember whom the messages of a device go to, as it was admitted."""
        if len(self.targets) >= SENDERS_KEPT_MAX:
            self.forget_targets()
        self.targets[sender.device] = targets
        self.versions[sender.device] = self._versions_for(sender, targets)

    def _versions_for(self, _: Sender, targets: list[Target]) -> list[int]:
        """Of the list of each account to which the messages of a sender go."""
        return self.versions_of(targets)

    def versions_of(self, targets: list[Target]) -> list[int]:
        """Of the list of each account among these; 0 for one that has not been heard of."""
        return [_version_of(self.views.get(AccountId(account))) for account, _ in targets]


class Direct(Membership):
    """The two accounts of a chat, or the one of a note to self.

    Args:
        process: The process of the conversation.
        router: Where accounts are found.
        accounts: Who they are.
    """

    __slots__ = ("_lists", "accounts")

    def __init__(self, process: Process, router: Router, accounts: Iterable[AccountId]) -> None:
        super().__init__(process, router)
        self.accounts = tuple(dict.fromkeys(accounts))
        self._lists: list[int] | None = None
        for account in self.accounts:
            self.subscribe(account)

    @property
    def lists(self) -> list[int]:
        """The version of each list, in the order of the conversation's id."""
        if self._lists is None:
            self._lists = [self.views[account].devices_version for account in self.accounts]
        return self._lists

    def named(self, lists: list[int]) -> dict[AccountId, int] | None:
        """Which versions these are."""
        if len(lists) != len(self.accounts):
            return None
        return dict(zip(self.accounts, lists, strict=True))

    def forget_targets(self) -> None:
        """Whom messages go to has to be seen anew."""
        super().forget_targets()
        self._lists = None

    def belongs(self, account: AccountId) -> bool:
        """Whether an account is one of the two."""
        return account in self.accounts

    def is_complete(self) -> bool:
        """Whether both views are there."""
        return len(self.views) == len(self.accounts)

    def _admit(self, sender: Sender) -> Refusal | list[Target]:
        """Whom the messages of a sender go to, or why it may send none."""
        return authorise(sender, self.views) or targets_of(self.views.values(), sender)


class Members(Membership):
    """The members of a group.

    A member of another shard may not have been heard of, because its host is away. What is said goes to its account
    then, and its shard finds the devices when it takes its part.

    Args:
        process: The process of the conversation.
        router: Where accounts are found.
        shard: Where the group lives.

    Attributes:
        state: The group, with every change that is written or on its way to the disk.
        durable: The group as it is on the disk.
    """

    __slots__ = ("_all", "_all_versions", "_guests", "_has_waited", "_places", "_roll", "_shard", "durable", "state")

    def __init__(self, process: Process, router: Router, shard: int) -> None:
        super().__init__(process, router)
        self._shard = shard
        self._has_waited = False
        self.state: GroupState = NOBODY
        self.durable: GroupState = NOBODY
        self._all: list[Target] | None = None
        self._all_versions: list[int] = []  # as long as all targets, and so are the places
        self._places: dict[str, int] = {}
        self._guests: set[AccountId] = set()  # no members, or not any more, but heard of until that is durable
        self._roll = Roll()

    def begin(self, state: GroupState) -> None:
        """The group as the disk has it: its members are asked for their devices."""
        self.state = self.durable = state
        for account in state.members:
            self.subscribe(AccountId(account))

    def become(self, state: GroupState) -> None:
        """The group after a change."""
        for account in self.state.members.keys() ^ state.members.keys():
            view = self.views.get(AccountId(account)) if account in state.members else None
            self._roll.note(AccountId(account), 0 if view is None else view.devices_version)
        self._guests.update(AccountId(account) for account in self.state.members if account not in state.members)
        self.state = state
        self._all = None
        self.forget_targets()

    def subscribe(self, account: AccountId) -> None:
        """Ask an account for its view, and for every later one; also that of one that wants to become a member."""
        if not self.belongs(account):
            self._guests.add(account)
        super().subscribe(account)

    def hears_of(self, account: AccountId) -> bool:
        """Whether the views of an account are wanted."""
        return account in self.state.members or account in self._guests

    def take(self, view: AccountView) -> None:
        """An account has changed on the disk, or is heard of for the first time."""
        if self.hears_of(view.account):
            super().take(view)
        else:
            self._unsubscribe(view.account)  # this has crossed the last word of it, or there was no room for that

    def release(self, stays: Callable[[AccountId], bool]) -> None:
        """Hear no more of whoever has left, or was not let in; one that comes back is asked anew.

        Args:
            stays: Whether something is still to be done for an account that is no member.
        """
        gone = {account for account in self._guests if not self.belongs(account) and not stays(account)}
        self._guests = {account for account in self._guests - gone if not self.belongs(account)}
        if not gone:
            return
        for ref in [ref for ref, account in self._monitors.items() if account in gone]:
            del self._monitors[ref]
            self._process.demonitor(ref)
        for account in gone:
            for known in (self.views, self._asked, self._denied):
                known.pop(account, None)
            self.unwritten.discard(account)
            self.mistaken.discard(account)
            self._unsubscribe(account)

    def _unsubscribe(self, account: AccountId) -> None:
        with contextlib.suppress(UnreachableError):  # then it watches us no more, either
            self._process.cast(self._router.account(account), Unsubscribe(self._process.pid))

    def _know(self, view: AccountView) -> None:
        super()._know(view)
        self._all = None
        if self.belongs(view.account):
            self._roll.note(view.account, view.devices_version)

    @property
    def lists(self) -> list[int]:
        """One number for all members and the versions of their lists."""
        return [self._roll.number]

    def named(self, lists: list[int]) -> dict[AccountId, int] | None:
        """Which versions of the lists that have changed belong to this number, if that was lately."""
        return self._roll.since(lists[0])

    def belongs(self, account: AccountId) -> bool:
        """Whether an account is a member."""
        return account in self.state.members

    def is_complete(self) -> bool:
        """Whether the views of all members are there; or of those that are waited for."""
        views, members = self.views, self.state.members
        if not self._has_waited:
            return len(views) >= len(members) and all(account in views for account in members)
        return all(account in views or shard_of(account) != self._shard for account in members)

    def wait_no_longer(self) -> None:
        """Go on without members of other shards. Those of its own are here whenever the group is."""
        self._has_waited = True

    def _admit(self, sender: Sender) -> Refusal | list[Target]:
        """Whom the messages of a sender go to, or why it may send none. Who blocks whom does not matter in a group."""
        code = self.state.may_write(sender.account)
        if code is not None and code is self.durable.may_write(sender.account):
            return Refusal(code)
        if code is not None:
            return Refusal(Code.BUSY, 0, BEHIND_RETRY_MS)  # a sender takes that for final, and it may not arrive
        view = self.views.get(sender.account)
        if view is None:
            return Refusal(Code.BUSY, 0, UNHEARD_RETRY_MS)
        if sender.device not in view.devices:
            return Refusal(Code.DEVICE_REVOKED)
        targets = list(self.all_targets())  # what most of a large group has in common is computed once
        place = self._places[sender.account]
        account, devices = targets[place]
        others = [device for device in devices if device != sender.device]
        if others:
            targets[place] = (account, others)
        else:
            del targets[place]
        return targets

    def _versions_for(self, sender: Sender, targets: list[Target]) -> list[int]:
        versions = list(self._all_versions)  # with the targets: 0.14 ms for 1,024 instead of 0.22
        if len(targets) < len(versions):
            del versions[self._places[sender.account]]
        return versions

    def all_targets(self) -> list[Target]:
        """Every device of every member, its places by account noted; of whom is not heard of, the account alone."""
        if self._all is None:
            views, versions = self.views, []
            targets: list[Target] = []
            for account in self.state.members:
                view = views.get(AccountId(account))
                if view is None or view.devices:
                    targets.append((account, [] if view is None else list(view.devices)))
                    versions.append(_version_of(view))
            self._all, self._all_versions = targets, versions
            self._places = {account: place for place, (account, _) in enumerate(targets)}
        return self._all


def _version_of(view: AccountView | None) -> int:
    """Of an account's list; 0 for one that has not been heard of."""
    return 0 if view is None else view.devices_version
