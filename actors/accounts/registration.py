"""How a device becomes one of an account by a verification code: the first as its primary, or after a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.accounts.logic import Account, Vouched
from actors.accounts.pending import PendingCode, PendingCodes
from protocol import Code, DeviceId, ProtocolError, device_id_of, normalized_name
from protocol.device_list import DeviceListError, checked_label, opened_devices
from protocol.messages import CodeSent, Register, Registered, RegisterPrimary, RequestCode
from runtime import Ref, TaskDone, TaskFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.accounts.api import Ask, CodeSender
    from actors.accounts.owner import Owner

__all__ = ["Registrar"]

CODE_DIGITS: Final = 6


class Registrar:
    """The codes of one account, and who registers with them.

    Args:
        owner: The account's process.
        sender: How a verification code travels.
        tell_leaving: Tells devices that were replaced.
    """

    __slots__ = ("_codes", "_owner", "_sender", "_sending", "_tell_leaving")

    def __init__(self, owner: Owner, sender: CodeSender, tell_leaving: Callable[[], None]) -> None:
        limits = owner.limits
        self._owner = owner
        self._tell_leaving = tell_leaving
        self._sender = sender
        self._codes = PendingCodes(owner.id, limits.code_lifetime_s, limits.code_attempts_max)
        self._sending: dict[Ref, tuple[Ask, PendingCode]] = {}

    def busy(self, now_s: float) -> bool:
        """Whether a code is on its way, or may still be used."""
        return bool(self._sending) or self._codes.waits(now_s)

    def request_code(self, ask: Ask, frame: RequestCode) -> None:
        """Make a code and let it travel."""
        owner = self._owner
        process, limits = owner.process, owner.limits
        if not limits.registration_open:
            owner.refuse(ask, Code.REGISTRATION_CLOSED)
            return
        number = int.from_bytes(process.runtime.randomness.bytes(8), "big") % 10**CODE_DIGITS
        text = f"{number:0{CODE_DIGITS}d}"
        code = self._codes.issue(ask.device, ask.network, text, process.runtime.clock.now_s())
        ref = process.task(self._sender.send, owner.id, text, limits.code_lifetime_s)
        self._sending[ref] = ask, code

    def code_travelled(self, outcome: TaskDone | TaskFailed) -> None:
        """A code was sent, or could not be."""
        sending = self._sending.pop(outcome.ref, None)
        if sending is None:
            return
        ask, code = sending
        owner = self._owner
        if type(outcome) is TaskFailed:
            self._codes.withdraw(code)
            owner.refuse(ask, Code.NOT_AVAILABLE, "The verification code could not be sent; try again later.", 60_000)
        else:
            request = ask.frame.request
            owner.process.cast(ask.connection, CodeSent(request, self._sender.via, owner.limits.code_lifetime_s))

    def register(self, ask: Ask, frame: Register | RegisterPrimary) -> None:
        """Judge the code, and whether the account may have this device; then take it."""
        owner = self._owner
        if not owner.limits.registration_open:
            owner.refuse(ask, Code.REGISTRATION_CLOSED)
            return
        device = device_id_of(ask.static_key)
        try:
            vouched = self._first_list(ask, frame) if isinstance(frame, RegisterPrimary) else None
            device_name = vouched.names[0] if vouched is not None else ""
            if isinstance(frame, Register):
                device_name = normalized_name(frame.device_name)
            name = normalized_name(frame.display_name)
        except ProtocolError as error:
            owner.refuse(ask, error.code, error.sentence)
            return
        wrong = self._codes.judge(device, frame.code, owner.process.runtime.clock.now_s())
        refusal = wrong or self._barred(device, vouched, frame)
        if refusal is not None:
            owner.refuse(ask, refusal)
            return
        owner.claim(ask, device, lambda: self._take(ask, frame, name, device_name, vouched))

    def _first_list(self, ask: Ask, frame: RegisterPrimary) -> Vouched:
        roll = opened_devices(frame.signed, self._owner.id)
        if len(roll.devices) != 1 or roll.primary.static_key != ask.static_key:
            raise DeviceListError("The first list of devices names the device that registers, and no other.")
        label = checked_label(roll.primary, frame.label)
        return Vouched(frame.signed, roll, (frame.label,), (normalized_name(label.name),), (label.platform,))

    def _barred(self, device: DeviceId, vouched: Vouched | None, frame: Register | RegisterPrimary) -> Code | None:
        """Why this device cannot be one of the account's."""
        account = self._owner.account
        if account is None:
            return None
        if vouched is None:
            if account.identity:
                return Code.LINK_NEEDED
            full = len(account.devices) >= self._owner.limits.devices_max and account.device(device) is None
            return Code.DEVICES_MAX if full else None
        if account.identity == vouched.roll.identity:  # its first answer was lost, or the key is where it may not be
            return None if account.is_primary(device) else Code.LIST_INVALID
        return None if isinstance(frame, RegisterPrimary) and frame.recover else Code.LINK_NEEDED

    def _take(
        self, ask: Ask, frame: Register | RegisterPrimary, name: str, device_name: str, vouched: Vouched | None
    ) -> None:
        owner = self._owner
        device = device_id_of(ask.static_key)
        refusal = self._barred(device, vouched, frame)
        if refusal is not None:
            owner.refuse(ask, refusal)  # another device was faster
            return
        now_ms = owner.process.runtime.clock.wall_ms()
        account = owner.account or Account(owner.id, now_ms, name)
        if vouched is None:
            account = account.with_device(ask.static_key, device_name, now_ms)
        elif account.identity != vouched.roll.identity:
            account = account.with_list(vouched, now_ms)

        def taken() -> object:
            self._tell_leaving()
            return Registered(frame.request, owner.id, device)

        owner.change(ask, account, taken)
