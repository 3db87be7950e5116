"""The process of an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.accounts.api import (
    AccountLimits,
    Ask,
    Blocked,
    CodeSender,
    DeviceLeft,
    LoggedIn,
    LoginRefused,
    Show,
    SignIn,
    Stayed,
    Subscribe,
    Supply,
    Unsubscribe,
)
from actors.accounts.devices import LOOK_AGAIN_S, DeviceKeeper, TellLeaving
from actors.accounts.logic import decode_account
from actors.accounts.memberships import GroupsLoaded, GroupsSaved, Memberships
from actors.accounts.owner import Claimed, Owner, Saved
from actors.accounts.registration import Registrar
from actors.accounts.supplements import OwedFound, OwedListed, Supplements
from actors.accounts.wishes import WISHES, blocked
from actors.directory_keys import account_key
from actors.groups.api import Belongs
from actors.presence.api import Appear, Vanish
from actors.shard.api import Disk, Supplied, answers
from protocol import AccountId, Code
from protocol.messages import (
    CreateGroup,
    FetchDevices,
    JoinGroup,
    ListDevices,
    ListGroups,
    Register,
    RegisterPrimary,
    RemoveDevice,
    RequestCode,
    SignDevices,
)
from runtime import Down, TaskDone, TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from actors.router.api import Router
    from runtime import Reason, Ref

__all__ = ["AccountActor"]

IDLE_S: Final = 0.25  # 10,000 quiet logins keep no account in memory, and few at a time (1.5 KB each)
WATCHED_S: Final = LOOK_AGAIN_S
"""While somebody subscribes it only looks at its devices; once a minute took 1,024 members of a group 3 ms."""
_OF_REGISTRATION: Final[dict[type, Callable[[Registrar, Ask, Any], None]]] = {
    RequestCode: Registrar.request_code,
    Register: Registrar.register,
    RegisterPrimary: Registrar.register,
}
_OF_DEVICES: Final[dict[type, Callable[[DeviceKeeper, Ask, Any], None]]] = {
    ListDevices: DeviceKeeper.list_devices,
    FetchDevices: DeviceKeeper.fetch_devices,
    SignDevices: DeviceKeeper.sign_devices,
    RemoveDevice: DeviceKeeper.remove_device,
}
_OF_GROUPS: Final = (CreateGroup, JoinGroup, ListGroups)


class Loaded(NamedTuple):
    """From the disk: the account's record, or None."""

    value: bytes | None


class Retire:
    """The timer that ends an account of which nobody wants anything."""


RETIRE: Final = Retire()


class AccountActor(Owner):
    """Owns one account, or knows that there is none.

    Args:
        account: Which one.
        disk: The account's shard of the store.
        router: Where the queues of its devices are found.
        limits: What it may have.
        sender: How a verification code travels.
    """

    __slots__ = ("_active", "_keeper", "_memberships", "_registrar", "_retirement", "_sender", "_supplements")

    def __init__(
        self, account: AccountId, disk: Disk, router: Router, limits: AccountLimits, sender: CodeSender
    ) -> None:
        super().__init__(account, disk, router, limits)
        self._keeper = DeviceKeeper(self)
        self._sender = sender
        self._registrar: Registrar | None = None  # with the first wish for a code
        self._supplements = Supplements(self)
        self._active = True

    def init(self) -> None:
        """Ask the directory for the account."""
        self._memberships = Memberships(self.process, self.id, self.disk, self.router, self.limits.groups_max)
        self.disk.store.directory.get(account_key(self.id), *answers(self.process, Loaded))
        self._retirement = self.process.send_after(IDLE_S, RETIRE)

    def terminate(self, reason: Reason) -> None:
        """Tell whoever waits, and let go of the parts that hold this process.

        Else each account of a login lies in memory until the collector comes by: 2.5 KiB of an idle connection.
        """
        super().terminate(reason)
        self.process.cancel(self._retirement)
        del self._keeper, self._supplements
        self._registrar = None

    def receive_info(self, message: Any) -> None:
        """What comes from the disk, from timers, tasks and monitors."""
        kind = type(message)
        if kind is Loaded:
            if message.value is not None:
                self.account = self.durable = decode_account(message.value)
                self.view = self.account.view()
                self._keeper.look()
            self.router.list_loaded(self.view)
            self.loaded()
            self._keeper.tell_leaving()
        elif kind is Saved:
            self.saved(message)
        elif kind is Claimed:
            self.claimed(message)
        elif kind is GroupsLoaded or kind is GroupsSaved:
            self._memberships.receive_info(message)
        elif kind is Down:
            self._let_go((message.ref,))
        elif kind is TaskDone or kind is TaskFailed:
            self._some_registrar().code_travelled(message)
        elif kind is Retire:
            self._retire()
        elif kind is TellLeaving:
            self._keeper.tell_again()
        elif kind is OwedFound:
            self._supplements.found(message)
        elif kind is OwedListed:
            self._supplements.listed(message)

    def _retire(self) -> None:
        self._keeper.look()
        busy = self._active or self.subscribers or self.writing or self._keeper.busy or self.process.waiting
        busy = busy or self._memberships.busy or self._supplements.busy or not self.is_loaded
        registrar = self._registrar
        if busy or (registrar is not None and registrar.busy(self.process.runtime.clock.now_s())):
            self._active = False
            self._retire_after(WATCHED_S if self.subscribers else IDLE_S)
        else:
            self.router.list_forgotten(self.id)
            self.process.stop()

    def _retire_after(self, delay_s: float) -> None:
        self.process.cancel(self._retirement)
        self._retirement = self.process.send_after(delay_s, RETIRE)

    def _let_go(self, refs: Iterable[Ref]) -> None:
        """These have subscribed and do so no more; the account ends soon if they were the last."""
        for ref in refs:
            self.subscribers.pop(ref, None)
        if not self.subscribers:
            self._retire_after(IDLE_S)

    def _some_registrar(self) -> Registrar:
        if self._registrar is None:
            self._registrar = Registrar(self, self._sender, self._keeper.tell_leaving)
        return self._registrar

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._active = True
        kind = type(message)
        if kind is Ask:
            self._ask(message)
        elif kind is SignIn:
            self._sign_in(message)
        elif kind is Subscribe:
            self.subscribers[self.process.monitor(message.subscriber)] = message.subscriber
            self.process.insist(message.subscriber, self.view)  # it waits for that
        elif kind is Unsubscribe:
            refs = [ref for ref, subscriber in self.subscribers.items() if subscriber == message.subscriber]
            for ref in refs:
                self.process.demonitor(ref)
            self._let_go(refs)
        elif kind is Blocked:
            blocked(self, message.by)
        elif kind is Show:
            self.process.cast(message.asker, self.view)
        elif kind is DeviceLeft:
            self._keeper.left(message.device)
            self._supplements.left(message.device)
        elif kind is Supply:
            self._supplements.supply(message)
        elif kind is Supplied:
            self._supplements.supplied(message)
        elif kind is Appear or kind is Vanish:
            self._keeper.reported(message)
        elif kind is Belongs:
            self._memberships.belongs(message)
        elif kind is Stayed:
            self._keeper.seen(message.device)

    def _ask(self, ask: Ask) -> None:
        frame = ask.frame
        kind = type(frame)
        if kind in WISHES:
            WISHES[kind](self, ask, frame)
        elif kind in _OF_DEVICES:
            _OF_DEVICES[kind](self._keeper, ask, frame)
        elif kind in _OF_GROUPS:
            if self.owned(ask) is not None:
                self._memberships.ask(ask)
        else:
            _OF_REGISTRATION[kind](self._some_registrar(), ask, frame)

    def _sign_in(self, sign_in: SignIn) -> None:
        account, cast = self.account, self.process.cast
        if self.unsettled(sign_in.device, sign_in.static_key):
            busy = LoginRefused(Code.BUSY)
            self.settled(lambda: self._sign_in(sign_in), lambda: cast(sign_in.connection, busy))
        elif account is None:
            cast(sign_in.connection, LoginRefused(Code.ACCOUNT_UNKNOWN))
        elif not account.holds(sign_in.device, sign_in.static_key):
            cast(sign_in.connection, LoginRefused(Code.DEVICE_UNKNOWN))
        else:
            cast(sign_in.connection, LoggedIn(self.view))
            self.connections[sign_in.device] = sign_in.connection
            self._keeper.seen(sign_in.device)
