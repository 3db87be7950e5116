"""The account that a process owns: its record, who hears of its changes, and how a request is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from actors.accounts.api import AccountLimits, AccountView, Ask
from actors.accounts.logic import Account, encode_account
from actors.directory_keys import account_key, device_key
from actors.shard.api import Disk, LoadingActor, answers, inform
from protocol import AccountId, Code, DeviceId
from protocol.messages import DevicesChanged, Error
from storage import ABSENT, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.router.api import Router
    from protocol.messages import Frame
    from runtime import Pid, Reason, Ref

__all__ = ["RETRY_MS", "Claimed", "Owner", "Saved", "nothing"]

RETRY_MS: Final = 1_000
WAITERS_MAX: Final = 256
"""Answers that hang on one change; who asks for more is told to come again."""
KEY_TAKEN: Final = "This device's key belongs to another account; make a new key for each account."


class Saved(NamedTuple):
    """From the disk: the oldest change under way is durable, or is not."""

    ok: bool


class Change(NamedTuple):
    """A change on its way to the disk, and what is done when it is there, or else if it does not arrive."""

    account: Account
    waiters: list[tuple[Callable[[], object], Callable[[], object]]]


class Claimed(NamedTuple):
    """From the disk: the account that holds a device's key, empty for nobody; None when the claim was not taken."""

    ask: Ask
    device: DeviceId
    then: Callable[[], object]
    holder: bytes | None


class Owner(LoadingActor):
    """What every request to an account needs.

    Args:
        account: Which one.
        disk: The account's shard of the store.
        router: Where the queues of its devices are found.
        limits: What it may have.

    Attributes:
        account: The account as it is, on disk or on its way there; None if nobody registered it.
        durable: The account as it is on disk: what may be told of it, for what is on its way may not arrive.
        view: What others were told last.
        subscribers: Who hears of every change.
        connections: Those that signed in while this process lives.
        writing: How many writes are under way; this process ends no sooner than they are answered.
    """

    __slots__ = (
        "_in_flight",
        "_is_lost",
        "account",
        "connections",
        "disk",
        "durable",
        "id",
        "limits",
        "router",
        "subscribers",
        "view",
        "writing",
    )

    def __init__(self, account: AccountId, disk: Disk, router: Router, limits: AccountLimits) -> None:
        super().__init__()
        self.id = account
        self.disk = disk
        self.router = router
        self.limits = limits
        self.account: Account | None = None
        self.durable: Account | None = None
        self.view = AccountView(account, exists=False)
        self.subscribers: dict[Ref, Pid] = {}
        self.connections: dict[DeviceId, Pid] = {}
        self.writing = 0
        self._in_flight: list[Change] = []  # an empty deque takes 700 bytes
        self._is_lost = False

    def save(self, account: Account, then: Callable[[], object], failed: Callable[[], object]) -> None:
        """Make a change durable; then tell everyone, and answer. What is built on a change that was lost is lost."""
        self.account = account
        self.writing += 1
        self._in_flight.append(Change(account, [(then, failed)]))
        if self._is_lost:
            return
        self.router.list_written(account.view())
        told = inform(self.process, Saved)

        def written(ok: bool) -> None:
            if not ok:  # word of it is behind other messages; until then nobody may go by it, here or elsewhere
                self._is_lost = True
                self.router.list_lost(self.id)
            told(ok)

        self.disk.store.directory.put(account_key(self.id), encode_account(account), written)

    def settled(self, then: Callable[[], object], failed: Callable[[], object]) -> None:
        """Go on when the account as it is now is on the disk: what is on its way may not arrive, and is not told.

        Args:
            then: What is done then; at once, if it is there already.
            failed: What is done if it does not arrive, or if too much hangs on it.
        """
        if not self._in_flight:
            then()
        elif len(waiters := self._in_flight[-1].waiters) < WAITERS_MAX:
            waiters.append((then, failed))
        else:
            failed()

    def saved(self, saved: Saved) -> None:
        """A change is on disk, or is not.

        Raises:
            EngineError: It is not.
        """
        if not saved.ok:
            raise EngineError(f"{self.id} was not written, and starts anew from what was")
        self.writing -= 1
        change = self._in_flight.pop(0)
        self.durable = change.account
        view = change.account.view()
        if view != self.view:
            told_version, self.view = self.view.devices_version, view
            if view.devices_version != told_version:
                self._tell_devices(view)
            for subscriber in self.subscribers.values():
                self.process.insist(subscriber, view)  # it may not go on with one that is out of date
        for then, _ in change.waiters:
            then()

    def terminate(self, reason: Reason) -> None:
        """Whoever waits for a change hears that it may not have come to the disk."""
        for change in self._in_flight:
            for _, failed in change.waiters:
                failed()

    def _tell_devices(self, view: AccountView) -> None:
        """Every device that is here; one that is away sees the new version in its next `Ready`.

        A connection that signed in while this process lives may not have reached its queue yet, so it is told, too.
        """
        changed = DevicesChanged(view.devices_version)
        self.connections = {device: pid for device, pid in self.connections.items() if device in view.devices}
        queues = (self.router.live_queue(device, self.id) for device in view.devices)
        for listener in (*self.connections.values(), *queues):
            if listener is not None:
                self.process.insist(listener, changed)  # its client comes back, and hears of it then

    def change(self, ask: Ask, account: Account, answer: Callable[[], object]) -> None:
        """Save a change that a client asked for and answer it."""
        cast, connection = self.process.cast, ask.connection
        self.save(account, lambda: cast(connection, answer()), lambda: self.busy(ask))

    def claim(self, ask: Ask, device: DeviceId, then: Callable[[], object]) -> None:
        """Take a device's key for this account, unless another one has it; then go on, or refuse what was asked."""
        self.writing += 1
        self.disk.store.directory.put(
            device_key(device),
            self.id.encode(),
            inform(self.process, lambda ok: Claimed(ask, device, then, self.id.encode() if ok else None)),
            expected=ABSENT,
        )

    def claimed(self, claimed: Claimed) -> None:
        """A key is a device of one account only: of this one from now on, unless another has it."""
        ask, device, then, holder = claimed
        if holder is None:
            self.disk.store.directory.get(
                device_key(device), *answers(self.process, lambda found: Claimed(ask, device, then, found or b""))
            )
            return
        self.writing -= 1
        if not holder:
            self.busy(ask)  # nobody has it, so the disk failed
        elif holder != self.id.encode():
            self.refuse(ask, Code.DEVICE_UNKNOWN, KEY_TAKEN)
        else:
            then()

    def answer(self, ask: Ask, frame: Frame) -> None:
        """Answer a request by the account as it is now, as soon as that is on the disk."""
        cast, connection = self.process.cast, ask.connection
        self.settled(lambda: cast(connection, frame), lambda: self.busy(ask))

    def refuse(self, ask: Ask, code: Code, sentence: str | None = None, retry_after_ms: int = -1) -> None:
        """Answer a request with an error, which a client may take for final."""
        self.answer(ask, Error(ask.frame.request, code, sentence or code.sentence, retry_after_ms))

    def busy(self, ask: Ask) -> None:
        """Answer that the disk does not take it now."""
        error = Error(ask.frame.request, Code.BUSY, Code.BUSY.sentence, RETRY_MS)
        self.process.cast(ask.connection, error)

    def owned(self, ask: Ask) -> Account | None:
        """The account, if the connection that asks is one of its devices (it may have been removed a moment ago)."""
        account = self.account
        if account is not None and account.holds(ask.device, ask.static_key):
            return account
        self.refuse(ask, Code.DEVICE_REVOKED)
        return None

    def unsettled(self, device: DeviceId, static_key: bytes) -> bool:
        """Whether it hangs on a change that is on its way to the disk if this is a device of the account."""
        account, durable = self.account, self.durable
        if account is durable:
            return False
        held = durable is not None and durable.holds(device, static_key)
        return held != (account is not None and account.holds(device, static_key))


def nothing() -> None:
    """What follows on a change that nobody waits for."""
