"""The process of an account."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actors.accounts.api import (
    AccountLimits,
    AccountView,
    Ask,
    Blocked,
    CodeSender,
    DeviceLeft,
    DeviceRevoked,
    LoggedIn,
    LoginRefused,
    Show,
    SignIn,
    Subscribe,
)
from actors.accounts.logic import AUDIENCES, Account, decode_account, encode_account
from actors.accounts.pending import PendingCode, PendingCodes
from actors.directory_keys import account_key, device_key
from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, LoadingActor, answers, inform
from protocol import AccountId, Code, DeviceId, IdentifierError, device_id_of, normalized_address, normalized_name
from protocol.messages import (
    CodeSent,
    Device,
    Devices,
    DevicesChanged,
    Done,
    Error,
    GetSettings,
    ListDevices,
    ListRelations,
    Lookup,
    Profile,
    Register,
    Registered,
    Relations,
    RemoveDevice,
    RequestCode,
    SetRelation,
    SetSettings,
    Settings,
)
from runtime import Down, Pid, Ref, TaskDone, TaskFailed
from storage import ABSENT, EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AccountActor"]

IDLE_S: Final = 0.25  # 10,000 quiet logins keep no account in memory, and few at a time (1.5 KB each)
LOGIN_RECORDED_EVERY_MS: Final = 3_600_000
RETRY_MS: Final = 1_000
CODE_DIGITS: Final = 6
TELL_AGAIN_S: Final = 2.0


class TellLeaving:
    """The timer that speaks again to the queues of removed devices."""


class Loaded(NamedTuple):
    """From the disk: the account's record, or None."""

    value: bytes | None


class Claim(NamedTuple):
    """A registration whose code was right."""

    ask: Ask
    device: DeviceId
    device_name: str
    display_name: str


class Claimed(NamedTuple):
    """From the disk: the account that holds the device's key, empty for nobody; None when the claim was not taken."""

    claim: Claim
    holder: bytes | None


class Saved(NamedTuple):
    """From the disk: a change is durable, or is not."""

    ok: bool
    account: Account
    then: Callable[[], None]
    failed: Callable[[], None]


class Retire:
    """The timer that ends an account of which nobody wants anything."""


class AccountActor(LoadingActor):
    """Owns one account, or knows that there is none.

    Args:
        account: Which one.
        disk: The account's shard of the store.
        router: Where the queues of its devices are found.
        limits: What it may have.
        sender: How a verification code travels.
    """

    __slots__ = (
        "_account",
        "_active",
        "_codes",
        "_connections",
        "_disk",
        "_id",
        "_limits",
        "_router",
        "_saving",
        "_sender",
        "_sending",
        "_subscribers",
        "_telling",
        "_view",
    )

    def __init__(
        self, account: AccountId, disk: Disk, router: Router, limits: AccountLimits, sender: CodeSender
    ) -> None:
        super().__init__()
        self._id = account
        self._disk = disk
        self._router = router
        self._limits = limits
        self._sender = sender
        self._account: Account | None = None
        self._view = AccountView(account, exists=False)
        self._subscribers: dict[Ref, Pid] = {}
        self._codes = PendingCodes(account, limits.code_lifetime_s, limits.code_attempts_max)
        self._connections: dict[DeviceId, Pid] = {}
        self._sending: dict[Ref, tuple[Ask, PendingCode]] = {}
        self._saving = 0
        self._telling = False
        self._active = True

    def init(self) -> None:
        """Ask the directory for the account."""
        self._disk.store.directory.get(account_key(self._id), *answers(self.process, Loaded))
        self.process.send_after(IDLE_S, Retire())

    def receive_info(self, message: Any) -> None:
        """What comes from the disk, from timers, tasks and monitors."""
        kind = type(message)
        if kind is Loaded:
            if message.value is not None:
                self._account = decode_account(message.value)
                self._view = self._account.view()
            self.loaded()
            self._tell_leaving()
        elif kind is Saved:
            self._saved(message)
        elif kind is Claimed:
            self._claimed(message)
        elif kind is Down:
            self._subscribers.pop(message.ref, None)
        elif kind is TaskDone or kind is TaskFailed:
            self._code_travelled(message)
        elif kind is Retire:
            self._retire()
        elif kind is TellLeaving:
            self._telling = False
            self._tell_leaving()

    def _retire(self) -> None:
        busy = self._active or self._subscribers or self._saving or self._sending or self._telling
        busy = busy or self.process.waiting
        if busy or self._codes.waits(self.process.runtime.clock.now_s()) or not self.is_loaded:
            self._active = False
            self.process.send_after(IDLE_S, Retire())
        else:
            self.process.stop()

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._active = True
        kind = type(message)
        if kind is Ask:
            self._requests[type(message.frame)](self, message, message.frame)
        elif kind is SignIn:
            self._sign_in(message)
        elif kind is Subscribe:
            self._subscribers[self.process.monitor(message.subscriber)] = message.subscriber
            self.process.cast(message.subscriber, self._view)
        elif kind is Blocked:
            self._blocked(message.by)
        elif kind is Show:
            self.process.cast(message.asker, self._view)
        elif kind is DeviceLeft:
            self._left(message.device)

    def _save(self, account: Account, then: Callable[[], None], failed: Callable[[], None]) -> None:
        """Make a change durable; then tell everyone, and answer."""
        self._account = account
        self._saving += 1
        self._disk.store.directory.put(
            account_key(self._id),
            encode_account(account),
            inform(self.process, lambda ok: Saved(ok, account, then, failed)),
        )

    def _saved(self, saved: Saved) -> None:
        self._saving -= 1
        if not saved.ok:
            saved.failed()
            raise EngineError(f"{self._id} was not written, and starts anew from what was")
        view = saved.account.view()
        if view != self._view:
            told_version, self._view = self._view.devices_version, view
            if view.devices_version != told_version:
                self._tell_devices(view)
            for subscriber in self._subscribers.values():
                self.process.insist(subscriber, view)  # it may not go on with one that is out of date
        saved.then()

    def _tell_devices(self, view: AccountView) -> None:
        """Every device that is here; one that is away sees the new version in its next `Ready`.

        A connection that signed in while this process lives may not have reached its queue yet, so it is told, too.
        """
        changed = DevicesChanged(view.devices_version)
        self._connections = {device: pid for device, pid in self._connections.items() if device in view.devices}
        queues = (self._router.live_queue(device, self._id) for device in view.devices)
        for listener in (*self._connections.values(), *queues):
            if listener is not None:
                self.process.insist(listener, changed)  # its client comes back, and hears of it then

    def _change(self, ask: Ask, account: Account, answer: Callable[[], object]) -> None:
        """Save a change that a client asked for and answer it."""
        request = ask.frame.request
        cast, connection = self.process.cast, ask.connection

        def then() -> None:
            cast(connection, answer())

        def failed() -> None:
            cast(connection, Error(request, Code.BUSY, Code.BUSY.sentence, RETRY_MS))

        self._save(account, then, failed)

    def _refuse(self, ask: Ask, code: Code, sentence: str | None = None, retry_after_ms: int = -1) -> None:
        request = ask.frame.request
        self.process.cast(ask.connection, Error(request, code, sentence or code.sentence, retry_after_ms))

    def _owned(self, ask: Ask) -> Account | None:
        """The account, if the connection that asks is one of its devices (it may have been removed a moment ago)."""
        account = self._account
        if account is None or not account.holds(ask.device, ask.static_key):
            self._refuse(ask, Code.DEVICE_REVOKED)
            return None
        return account

    def _sign_in(self, sign_in: SignIn) -> None:
        account, cast = self._account, self.process.cast
        if account is None:
            cast(sign_in.connection, LoginRefused(Code.ACCOUNT_UNKNOWN))
        elif not account.holds(sign_in.device, sign_in.static_key):
            cast(sign_in.connection, LoginRefused(Code.DEVICE_UNKNOWN))
        else:
            cast(sign_in.connection, LoggedIn(self._view))
            self._connections[sign_in.device] = sign_in.connection
            now_ms = self.process.runtime.clock.wall_ms()
            record = account.device(sign_in.device)
            if record is not None and now_ms - record.last_login_ms > LOGIN_RECORDED_EVERY_MS:
                self._save(account.seen(sign_in.device, now_ms), _nothing, _nothing)

    def _request_code(self, ask: Ask, frame: RequestCode) -> None:
        process, limits = self.process, self._limits
        if not limits.registration_open:
            self._refuse(ask, Code.REGISTRATION_CLOSED)
            return
        number = int.from_bytes(process.runtime.randomness.bytes(8), "big") % 10**CODE_DIGITS
        text = f"{number:0{CODE_DIGITS}d}"
        code = self._codes.issue(ask.device, ask.network, text, process.runtime.clock.now_s())
        ref = process.task(self._sender.send, self._id, text, limits.code_lifetime_s)
        self._sending[ref] = ask, code

    def _code_travelled(self, outcome: TaskDone | TaskFailed) -> None:
        sending = self._sending.pop(outcome.ref, None)
        if sending is None:
            return
        ask, code = sending
        if type(outcome) is TaskFailed:
            self._codes.withdraw(code)
            self._refuse(ask, Code.NOT_AVAILABLE, "The verification code could not be sent; try again later.", 60_000)
        else:
            request = ask.frame.request
            self.process.cast(ask.connection, CodeSent(request, self._sender.via, self._limits.code_lifetime_s))

    def _register(self, ask: Ask, frame: Register) -> None:
        if not self._limits.registration_open:
            self._refuse(ask, Code.REGISTRATION_CLOSED)
            return
        try:
            device_name = normalized_name(frame.device_name)
            name = normalized_name(frame.display_name)
        except IdentifierError as error:
            self._refuse(ask, error.code, error.sentence)
            return
        device = device_id_of(ask.static_key)
        wrong = self._codes.judge(device, frame.code, self.process.runtime.clock.now_s())
        if wrong is not None or self._full_for(device):
            self._refuse(ask, wrong or Code.DEVICES_MAX)
            return
        claim = Claim(ask, device, device_name, name)
        self._saving += 1  # this process ends no sooner than the claim is answered
        self._disk.store.directory.put(
            device_key(device),
            self._id.encode(),
            inform(self.process, lambda ok: Claimed(claim, self._id.encode() if ok else None)),
            expected=ABSENT,
        )

    def _full_for(self, device: DeviceId) -> bool:
        """Whether the account has as many devices as it may, and this is none of them."""
        known = self._account
        return known is not None and len(known.devices) >= self._limits.devices_max and known.device(device) is None

    def _claimed(self, claimed: Claimed) -> None:
        """A key is a device of one account only: of this one from now on, unless another has it."""
        claim, holder = claimed
        if holder is None:
            self._disk.store.directory.get(
                device_key(claim.device), *answers(self.process, lambda found: Claimed(claim, found or b""))
            )
            return
        self._saving -= 1
        if not holder:
            self._refuse(claim.ask, Code.BUSY, retry_after_ms=RETRY_MS)  # nobody has it, so the disk failed
        elif holder != self._id.encode():
            self._refuse(
                claim.ask,
                Code.DEVICE_UNKNOWN,
                "This device's key belongs to another account; make a new key for each account.",
            )
        elif self._full_for(claim.device):
            self._refuse(claim.ask, Code.DEVICES_MAX)  # another device was faster
        else:
            now_ms = self.process.runtime.clock.wall_ms()
            account = self._account or Account(self._id, now_ms, claim.display_name)
            frame = claim.ask.frame
            assert isinstance(frame, Register)
            registered = Registered(frame.request, self._id, claim.device)
            account = account.with_device(claim.ask.static_key, claim.device_name, now_ms)
            self._change(claim.ask, account, lambda: registered)

    def _get_settings(self, ask: Ask, frame: GetSettings) -> None:
        account = self._owned(ask)
        if account is not None:
            self.process.cast(ask.connection, _settings(frame.request, account))

    def _set_settings(self, ask: Ask, frame: SetSettings) -> None:
        account = self._owned(ask)
        if account is None:
            return
        for audience in (frame.last_seen, frame.online):
            if audience is not None and audience not in AUDIENCES:
                self._refuse(ask, Code.SETTING_INVALID, f"That is no audience; choose one of {', '.join(AUDIENCES)}.")
                return
        try:
            name = None if frame.display_name is None else normalized_name(frame.display_name)
        except IdentifierError as error:
            self._refuse(ask, error.code, error.sentence)
            return
        changed = account.with_settings(frame.read_receipts, frame.last_seen, frame.online, name)
        self._change(ask, changed, lambda: _settings(frame.request, changed))

    def _set_relation(self, ask: Ask, frame: SetRelation) -> None:
        account = self._owned(ask)
        if account is None:
            return
        try:
            other = normalized_address(frame.account)
        except IdentifierError as error:
            self._refuse(ask, error.code, error.sentence)
            return
        if frame.relation not in ("none", "contact", "blocked"):
            self._refuse(ask, Code.SETTING_INVALID, 'A relation is "none", "contact" or "blocked".')
        elif other == self._id:
            self._refuse(ask, Code.SETTING_INVALID, "You cannot be your own contact or block yourself.")
        elif frame.relation != "none" and len(account.contacts) + len(account.blocked) >= self._limits.relations_max:
            self._refuse(ask, Code.OVER_QUOTA, "The lists of contacts and blocked accounts are full; remove some.")
        else:
            if frame.relation == "blocked" and other not in account.blocked:
                with contextlib.suppress(UnreachableError):  # a sign for the operator, and no more than that
                    self.process.cast(self._router.account(other), Blocked(self._id))
            self._change(ask, account.with_relation(other, frame.relation), lambda: Done(frame.request))

    def _blocked(self, by: AccountId) -> None:
        """Many who block one account are a sign of abuse: for the operator, not for anyone else."""
        account, limits = self._account, self._limits
        if account is None:
            return
        now_ms = self.process.runtime.clock.wall_ms()
        window_s, accounts_min = limits.mass_block_window_s, limits.mass_block_accounts_min
        counted, many = account.blocked_by(by, now_ms, window_s * 1_000, accounts_min)
        if many:
            self._disk.tally.mass_blocked(self._id, accounts_min, window_s)
        self._save(counted, _nothing, _nothing)

    def _list_relations(self, ask: Ask, frame: ListRelations) -> None:
        account = self._owned(ask)
        if account is not None:
            contacts = [AccountId(other) for other in sorted(account.contacts)]
            blocked = [AccountId(other) for other in sorted(account.blocked)]
            self.process.cast(ask.connection, Relations(frame.request, contacts, blocked))

    def _lookup(self, ask: Ask, frame: Lookup) -> None:
        account = self._account
        if account is None:
            self._refuse(ask, Code.ACCOUNT_UNKNOWN)
        else:
            profile = Profile(frame.request, self._id, account.display_name, len(account.devices))
            self.process.cast(ask.connection, profile)

    def _list_devices(self, ask: Ask, frame: ListDevices) -> None:
        account = self._owned(ask)
        if account is not None:
            devices = [
                Device(
                    DeviceId(record.device),
                    record.name,
                    record.created_ms,
                    record.last_login_ms,
                    record.device == ask.device,
                )
                for record in account.devices
            ]
            self.process.cast(ask.connection, Devices(frame.request, devices))

    def _remove_device(self, ask: Ask, frame: RemoveDevice) -> None:
        account = self._owned(ask)
        if account is None:
            return
        if account.device(frame.device) is None:
            self._refuse(ask, Code.DEVICE_UNKNOWN, "Your account has no such device; ask for the list of its devices.")
            return

        def removed() -> object:
            self._tell_leaving()
            return Done(frame.request)

        self._change(ask, account.without_device(frame.device), removed)

    def _tell_leaving(self) -> None:
        """Tell the queues of removed devices, again and again until each has let go of everything."""
        account = self._account
        if account is None or not account.leaving:
            return
        for device in account.leaving:
            try:
                queue = self._router.queue(DeviceId(device), self._id)
            except UnreachableError:
                continue
            self.process.insist(queue, DeviceRevoked(self.process.pid))  # or it ends, and its connection with it
        if not self._telling:
            self._telling = True
            self.process.send_after(TELL_AGAIN_S, TellLeaving())

    def _left(self, device: DeviceId) -> None:
        account = self._account
        if account is not None and device in account.leaving:
            self._save(account.left(device), _nothing, _nothing)

    _requests: Final[dict[type, Any]] = {
        RequestCode: _request_code,
        Register: _register,
        GetSettings: _get_settings,
        SetSettings: _set_settings,
        SetRelation: _set_relation,
        ListRelations: _list_relations,
        Lookup: _lookup,
        ListDevices: _list_devices,
        RemoveDevice: _remove_device,
    }


def _settings(request: int, account: Account) -> Settings:
    return Settings(request, account.read_receipts, account.last_seen, account.online, account.display_name)


def _nothing() -> None:
    return None
