"""The verification codes that an account waits for. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from typing import TYPE_CHECKING, Final

import msgspec

from protocol import AccountId, Code, DeviceId

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PendingCode", "PendingCodes"]

CODES_MAX: Final = 64  # more than the rates let through in a code's life, unless an operator has raised them much


class PendingCode(msgspec.Struct, frozen=True, eq=False):
    """A verification code on its way; only its digest is kept, and the network from which it was asked for."""

    digest: bytes
    network: str
    expires_s: float
    attempts_left: int


class PendingCodes:
    """One code for each device that asked: only that device can use it, and only its own wrong tries use it up.

    When there are too many, the oldest one of the network that has most of them goes. Devices are free to make and
    networks are not, so whoever asks with many devices pushes out their own.

    Args:
        account: Whose.
        lifetime_s: How long a code may be used.
        attempts_max: Wrong tries before a new one must be asked for.
    """

    __slots__ = ("_account", "_attempts_max", "_codes", "_lifetime_s")

    def __init__(self, account: AccountId, lifetime_s: int, attempts_max: int) -> None:
        self._account = account
        self._lifetime_s = lifetime_s
        self._attempts_max = attempts_max
        self._codes: dict[DeviceId, PendingCode] = {}

    def issue(self, device: DeviceId, network: str, text: str, now_s: float) -> PendingCode:
        """Keep a code that is being sent, in place of the one that this device had."""
        code = PendingCode(self._digest(text), network, now_s + self._lifetime_s, self._attempts_max)
        self._codes.pop(device, None)
        self._codes[device] = code
        self._keep(lambda pending: now_s < pending.expires_s)
        if len(self._codes) > CODES_MAX:
            [(most, _)] = Counter(pending.network for pending in self._codes.values()).most_common(1)
            del self._codes[next(asker for asker, pending in self._codes.items() if pending.network == most)]
        return code

    def withdraw(self, code: PendingCode) -> None:
        """Forget a code that could not be sent; a later one of the same device stays."""
        self._keep(lambda pending: pending is not code)

    def judge(self, device: DeviceId, text: str, now_s: float) -> Code | None:
        """Use up the device's code if it is right, and one of its tries if it is not.

        Returns:
            None if it was right; else why it was not.
        """
        code = self._codes.pop(device, None)
        if code is None or now_s >= code.expires_s or code.attempts_left <= 0:
            return Code.CODE_EXPIRED
        if hmac.compare_digest(code.digest, self._digest(text)):
            return None
        self._codes[device] = msgspec.structs.replace(code, attempts_left=code.attempts_left - 1)
        return Code.CODE_WRONG

    def waits(self, now_s: float) -> bool:
        """Whether any code may still be used."""
        return any(now_s < code.expires_s for code in self._codes.values())

    def _keep(self, wanted: Callable[[PendingCode], bool]) -> None:
        self._codes = {device: code for device, code in self._codes.items() if wanted(code)}

    def _digest(self, text: str) -> bytes:
        return hashlib.sha256(f"roost code\0{self._account}\0{text}".encode()).digest()
