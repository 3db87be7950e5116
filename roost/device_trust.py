"""Which list of devices is believed: the one that the identity we know has signed, and no older one. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from protocol.device_list import DeviceListError, checked_label, opened_devices
from roost.errors import DevicesForgedError

if TYPE_CHECKING:
    from protocol.device_list import DeviceLabel, DeviceRoll
    from protocol.messages import DeviceList, SignedDevices

__all__ = ["Pin", "decode_pin", "encode_pin", "first_pin", "judged", "labels_of", "pin_of"]

_UNREADABLE: Final = (ValueError, RecursionError)
_Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Pin(msgspec.Struct, array_like=True, frozen=True):
    """The list of an account that was believed last: whose signature it bore, its version, and its digest."""

    identity: _Digest
    version: int
    digest: _Digest


_decode = msgspec.msgpack.Decoder(Pin).decode


def encode_pin(pin: Pin) -> bytes:
    """The value to store."""
    return msgspec.msgpack.encode(pin)


def decode_pin(value: bytes) -> Pin | None:
    """What was stored; None if nothing was."""
    try:
        return _decode(value)
    except _UNREADABLE:
        return None


def pin_of(signed: SignedDevices, version: int) -> Pin:
    """The pin of a list that is believed."""
    return Pin(signed.identity, version, hashlib.sha256(signed.body).digest())


def first_pin(identity: bytes) -> Pin:
    """What the primary believes of its own account before it has seen a list there: whatever it has signed itself.

    Args:
        identity: the account's public key.
    """
    return Pin(identity, 0, bytes(32))


def judged(answer: DeviceList, pin: Pin | None) -> DeviceRoll | None:
    """The list in an answer, if it may be believed; None for an account of which nobody signs the devices.

    Whether another identity than the pinned one is believed is for the caller to decide: this refuses it.

    Raises:
        DevicesForgedError: The server says what the account's primary has not signed.
    """
    account = answer.account
    if answer.signed is None:
        if pin is not None:
            raise DevicesForgedError(f"The server says that nobody signs the devices of {account}, but somebody does.")
        return None
    try:
        roll = opened_devices(answer.signed, account)
    except DeviceListError as error:
        raise DevicesForgedError(f"The server's list of the devices of {account} is forged or damaged.") from error
    if pin is not None:
        if roll.identity != pin.identity:
            raise DevicesForgedError(f"The devices of {account} are signed by another identity than before.")
        if roll.version < pin.version:
            raise DevicesForgedError(f"The server shows an older list of the devices of {account} than before.")
        if roll.version == pin.version and pin_of(answer.signed, roll.version) != pin:
            raise DevicesForgedError(f"There are two lists of the devices of {account} with one version.")
    listed = {entry.device for entry in roll.devices}
    ghosts = [device for device in answer.devices if device not in listed]
    if ghosts:
        raise DevicesForgedError(
            f"The server counts a device to {account} ({ghosts[0].hex()[:8]}) that its primary device has not signed."
        )
    return roll


def labels_of(answer: DeviceList, roll: DeviceRoll) -> tuple[DeviceLabel, ...]:
    """What our own devices are called, as the primary signed it.

    Raises:
        DevicesForgedError: The server changed a name.
    """
    try:
        return tuple(checked_label(entry, label) for entry, label in zip(roll.devices, answer.labels, strict=True))
    except (DeviceListError, ValueError) as error:
        raise DevicesForgedError("The server calls a device of yours otherwise than its primary signed it.") from error
