"""Who belongs to a conversation, and with which devices: the two accounts of its id, or the members of a group."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.accounts.api import AccountView, Subscribe
from actors.conversation.logic import Refusal, authorise, targets_of
from actors.groups.api import NOBODY, GroupState
from actors.router.api import Router, UnreachableError
from protocol import AccountId, Code
from runtime import Named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.conversation.api import Sender
    from protocol import DeviceId
    from runtime import Down, Process, Ref
    from storage.records import Target

__all__ = ["Direct", "Members", "Membership", "Resubscribe"]

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
        views: By account; those of whoever was ever asked for.
        targets: By sending device, whom its messages go to; forgotten when a view or a member changes.
    """

    __slots__ = ("_monitors", "_process", "_router", "targets", "views")

    def __init__(self, process: Process, router: Router) -> None:
        self._process = process
        self._router = router
        self._monitors: dict[Ref, AccountId] = {}
        self.views: dict[AccountId, AccountView] = {}
        self.targets: dict[DeviceId, list[Target]] = {}

    @abstractmethod
    def belongs(self, account: AccountId) -> bool:
        """Whether an account is one of the conversation's."""

    @abstractmethod
    def is_complete(self) -> bool:
        """Whether the views of all that belong to it are there."""

    @abstractmethod
    def admit(self, sender: Sender) -> Refusal | list[Target]:
        """Whom the messages of a sender go to, or why it may send none."""

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

    def lost(self, down: Down) -> None:
        """A process has ended; if it was an account's, its successor is asked."""
        account = self._monitors.pop(down.ref, None)
        if account is not None:
            self._process.send_after(0.05, Resubscribe(account))

    def take(self, view: AccountView) -> None:
        """An account has changed, or is heard of for the first time."""
        self.views[view.account] = view
        self.targets.clear()

    def keep(self, device: DeviceId, targets: list[Target]) -> None:
        """Remember whom the messages of a device go to."""
        if len(self.targets) >= SENDERS_KEPT_MAX:
            self.targets.clear()
        self.targets[device] = targets


class Direct(Membership):
    """The two accounts of a chat, or the one of a note to self.

    Args:
        process: The process of the conversation.
        router: Where accounts are found.
        accounts: Who they are.
    """

    __slots__ = ("accounts",)

    def __init__(self, process: Process, router: Router, accounts: Iterable[AccountId]) -> None:
        super().__init__(process, router)
        self.accounts = tuple(dict.fromkeys(accounts))
        for account in self.accounts:
            self.subscribe(account)

    def belongs(self, account: AccountId) -> bool:
        """Whether an account is one of the two."""
        return account in self.accounts

    def is_complete(self) -> bool:
        """Whether both views are there."""
        return len(self.views) == len(self.accounts)

    def admit(self, sender: Sender) -> Refusal | list[Target]:
        """Whom the messages of a sender go to, or why it may send none."""
        return authorise(sender, self.views) or targets_of(self.views.values(), sender)


class Members(Membership):
    """The members of a group.

    Args:
        process: The process of the conversation.
        router: Where accounts are found.

    Attributes:
        state: The group, with every change that is written or on its way to the disk.
    """

    __slots__ = ("_all", "_places", "state")

    def __init__(self, process: Process, router: Router) -> None:
        super().__init__(process, router)
        self.state: GroupState = NOBODY
        self._all: list[Target] | None = None
        self._places: dict[str, int] = {}

    def begin(self, state: GroupState) -> None:
        """The group as the disk has it: its members are asked for their devices."""
        self.state = state
        for account in state.members:
            self.subscribe(AccountId(account))

    def become(self, state: GroupState) -> None:
        """The group after a change."""
        self.state = state
        self._all = None
        self.targets.clear()

    def take(self, view: AccountView) -> None:
        """An account has changed, or is heard of for the first time."""
        super().take(view)
        self._all = None

    def belongs(self, account: AccountId) -> bool:
        """Whether an account is a member."""
        return account in self.state.members

    def is_complete(self) -> bool:
        """Whether the views of all members are there."""
        views = self.views
        return len(views) >= len(self.state.members) and all(account in views for account in self.state.members)

    def admit(self, sender: Sender) -> Refusal | list[Target]:
        """Whom the messages of a sender go to, or why it may send none. Who blocks whom does not matter in a group."""
        code = self.state.may_write(sender.account)
        if code is not None:
            return Refusal(code)
        if sender.device not in self.views[sender.account].devices:
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

    def all_targets(self) -> list[Target]:
        """Every device of every member, its places by account noted."""
        if self._all is None:
            self._all, self._places = [], {}
            for account in self.state.members:
                devices: list[bytes] = list(self.views[AccountId(account)].devices)
                if devices:
                    self._places[account] = len(self._all)
                    self._all.append((account, devices))
        return self._all
