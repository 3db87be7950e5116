"""The devices of an account: listed, signed, removed, and let go when nobody has used them for long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.accounts.api import DeviceRevoked
from actors.accounts.logic import Account, Vouched
from actors.accounts.owner import nothing
from actors.presence.api import Appear, Vanish
from actors.queue.api import Report
from actors.router.api import UnreachableError
from protocol import AccountId, Code, DeviceId, ProtocolError, normalized_name
from protocol.device_list import DeviceListError, checked_label, opened_devices
from protocol.messages import (
    Device,
    DeviceList,
    Devices,
    Done,
    Error,
    FetchDevices,
    ListDevices,
    RemoveDevice,
    SignDevices,
)

if TYPE_CHECKING:
    from actors.accounts.api import Ask
    from actors.accounts.owner import Owner
    from protocol.device_list import DeviceRoll

__all__ = ["DeviceKeeper", "TellLeaving"]

TELL_AGAIN_S: Final = 2.0
LOOK_AGAIN_S: Final = 3_600.0
SEEN_EVERY_MS: Final = 3_600_000
"""How often it is written down that a device was here."""
UNSEEN_S: Final = 86_400
"""A device that is here all the time says so seldom: so old may the last word of it be when its connection ends."""
KEEPS_PRIMARY: Final = "The primary device cannot be removed; recover the account on another device instead."


class TellLeaving:
    """The timer that speaks again to the queues of removed devices."""


class DeviceKeeper:
    """The devices of one account.

    Args:
        owner: The account's process.
    """

    __slots__ = ("_look_at_s", "_owner", "_telling")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._telling = False
        self._look_at_s = 0.0

    @property
    def busy(self) -> bool:
        """Whether queues of removed devices have yet to answer."""
        return self._telling

    def list_devices(self, ask: Ask, frame: ListDevices) -> None:
        """What the server knows of each."""
        account = self._owner.owned(ask)
        if account is not None:
            self._owner.answer(ask, Devices(frame.request, _known(account, ask.device)))

    def fetch_devices(self, ask: Ask, frame: FetchDevices) -> None:
        """Who they are, by the word of the primary; what they are called is told to the account's own devices only."""
        owner = self._owner
        account = owner.durable
        if account is None:  # so it is on the disk, whatever is on its way there
            unknown = Error(frame.request, Code.ACCOUNT_UNKNOWN, Code.ACCOUNT_UNKNOWN.sentence, -1)
            owner.process.cast(ask.connection, unknown)
            return
        is_own = account.holds(ask.device, ask.static_key)
        answer = DeviceList(
            frame.request,
            owner.id,
            account.devices_version,
            [DeviceId(record.device) for record in account.devices],
            account.signed(),
            list(account.labels) if is_own else [],
            _known(account, ask.device) if is_own else [],
        )
        owner.process.cast(ask.connection, answer)

    def sign_devices(self, ask: Ask, frame: SignDevices) -> None:
        """The primary says which devices there are from now on: at most one more than before."""
        account = self._owner.owned(ask)
        if account is None:
            return
        try:
            vouched = self._judged(ask, account, frame)
        except ProtocolError as error:
            self._owner.refuse(ask, error.code, error.sentence)
            return
        if vouched is None:  # it was signed before
            self._owner.answer(ask, Done(frame.request))
            return
        new = [listed.device for listed in vouched.roll.devices if account.device(listed.device) is None]
        if not new:
            self._take(ask, frame, vouched)
        else:
            self._owner.claim(ask, new[0], lambda: self._take_claimed(ask, frame))

    def _take_claimed(self, ask: Ask, frame: SignDevices) -> None:
        """The new device's key is the account's; meanwhile the account may have changed."""
        account = self._owner.owned(ask)
        if account is None:
            return
        try:
            vouched = self._judged(ask, account, frame)
        except ProtocolError as error:
            self._owner.refuse(ask, error.code, error.sentence)
            return
        if vouched is not None:
            self._take(ask, frame, vouched)
        else:
            self._owner.answer(ask, Done(frame.request))

    def _take(self, ask: Ask, frame: SignDevices, vouched: Vouched) -> None:
        account = self._owner.account
        assert account is not None, "it was judged a moment ago"
        now_ms = self._owner.process.runtime.clock.wall_ms()

        def taken() -> object:
            self.tell_leaving()
            return Done(frame.request)

        self._owner.change(ask, account.with_list(vouched, now_ms), taken)

    def _judged(self, ask: Ask, account: Account, frame: SignDevices) -> Vouched | None:
        """The list, if the account can have it; None if it has it already.

        Raises:
            ProtocolError: It cannot.
        """
        if not account.identity or not account.is_primary(ask.device):
            raise ProtocolError(Code.NOT_PRIMARY)
        if frame.signed == account.signed():
            return None
        roll = opened_devices(frame.signed, self._owner.id)
        if roll.identity != account.identity:
            raise DeviceListError("The list of devices is signed by another key than the account's.")
        if roll.version <= account.list_version or _brings_back(account, roll):
            raise ProtocolError(Code.LIST_STALE)
        if roll.primary.device != ask.device:
            raise DeviceListError("The first device of the list is the one that signs it, the primary.")
        if len(roll.devices) > self._owner.limits.devices_max:
            raise ProtocolError(Code.DEVICES_MAX)
        if sum(account.device(listed.device) is None for listed in roll.devices) > 1:
            raise DeviceListError("A list adds at most one device; link one after another.")
        if len(frame.labels) != len(roll.devices):
            raise DeviceListError("A list comes with one label for each of its devices, in its order.")
        labels = [checked_label(listed, label) for listed, label in zip(roll.devices, frame.labels, strict=True)]
        return Vouched(
            frame.signed,
            roll,
            tuple(frame.labels),
            tuple(normalized_name(label.name) for label in labels),
            tuple(label.platform for label in labels),
        )

    def remove_device(self, ask: Ask, frame: RemoveDevice) -> None:
        """A device goes: any of an account without a primary, else a linked one by itself or by the primary."""
        owner = self._owner
        account = owner.owned(ask)
        if account is None:
            return
        if account.device(frame.device) is None:
            owner.refuse(ask, Code.DEVICE_UNKNOWN, "Your account has no such device; ask for the list of its devices.")
        elif account.identity and account.is_primary(frame.device):
            owner.refuse(ask, Code.NOT_PRIMARY, KEEPS_PRIMARY)
        elif account.identity and frame.device != ask.device and not account.is_primary(ask.device):
            owner.refuse(ask, Code.NOT_PRIMARY)
        else:

            def removed() -> object:
                self.tell_leaving()
                return Done(frame.request)

            owner.change(ask, account.without_device(frame.device), removed)

    def look(self) -> None:
        """Let go of linked devices that nobody has used for long; nobody sends to an account that is not loaded."""
        owner = self._owner
        now_s = owner.process.runtime.clock.now_s()
        if not owner.limits.device_idle_s or now_s < self._look_at_s:
            return
        self._look_at_s = now_s + LOOK_AGAIN_S
        for device in self._idle():
            queue = owner.router.live_queue(device, owner.id)
            if queue is None:
                self._expire(device)
            else:
                owner.process.cast(queue, Report(owner.process.pid))  # it may be here all the time, and so never log in

    def reported(self, report: Appear | Vanish) -> None:
        """A queue says whether its device, which seemed idle, is connected."""
        if isinstance(report, Appear):
            self.seen(report.device)
        elif report.device in self._idle():
            self._expire(report.device)

    def _idle(self) -> tuple[DeviceId, ...]:
        owner = self._owner
        idle_s = owner.limits.device_idle_s + UNSEEN_S
        now_ms = owner.process.runtime.clock.wall_ms()
        return () if owner.account is None else owner.account.idle(now_ms - idle_s * 1_000)

    def seen(self, device: DeviceId) -> None:
        """A device is here, which is written down now and then if it could be taken for idle."""
        account, now_ms = self._owner.account, self._owner.process.runtime.clock.wall_ms()
        if account is None or account.is_primary(device) or not self._owner.limits.device_idle_s:
            return
        record = account.device(device)
        if record is not None and now_ms - record.last_login_ms > SEEN_EVERY_MS:
            self._owner.save(account.seen(device, now_ms), nothing, nothing)

    def _expire(self, device: DeviceId) -> None:
        account = self._owner.account
        assert account is not None, "it has devices"
        self._owner.save(account.without_device(device), self.tell_leaving, nothing)

    def tell_leaving(self) -> None:
        """Tell the queues of removed devices, again and again until each has let go of everything.

        What is not on the disk yet is not told: a device that hears of its removal has lost its account for good.
        """
        owner = self._owner
        account, durable = owner.account, owner.durable
        if account is None or durable is None:
            return
        leaving = [device for device in durable.leaving if device in account.leaving]
        if not leaving:
            return
        for device in leaving:
            try:
                queue = owner.router.queue(DeviceId(device), owner.id)
            except UnreachableError:
                continue
            owner.process.insist(queue, DeviceRevoked(owner.process.pid))  # or it ends, and its connection with it
        if not self._telling:
            self._telling = True
            owner.process.send_after(TELL_AGAIN_S, TellLeaving())

    def tell_again(self) -> None:
        """The timer is due."""
        self._telling = False
        self.tell_leaving()

    def left(self, device: DeviceId) -> None:
        """The queue of a removed device is empty."""
        account = self._owner.account
        if account is not None and device in account.leaving:
            self._owner.save(account.left(device), nothing, nothing)


def _brings_back(account: Account, roll: DeviceRoll) -> bool:
    """Whether a list names a device that has left since the list before: who signed it had not heard of that."""
    signed = account.signed()
    new = {(listed.static_key, listed.added_ms) for listed in roll.devices if account.device(listed.device) is None}
    if signed is None or not new:
        return False
    before = opened_devices(signed, AccountId(account.account)).devices
    return any((listed.static_key, listed.added_ms) in new for listed in before)


def _known(account: Account, asking: DeviceId) -> list[Device]:
    return [
        Device(DeviceId(record.device), record.name, record.created_ms, record.last_login_ms, record.device == asking)
        for record in account.devices
    ]
