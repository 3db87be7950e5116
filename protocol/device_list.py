"""The signed list of an account's devices: which keys the account's own identity key vouches for.

The primary device makes the identity key when it registers and signs every list with it (Ed25519, RFC 8032); the server
stores and serves lists, and can make none. The first entry is the primary. An entry names a device by its static key,
and carries the digest of its label (name and platform) instead of the label, so that others can check the list without
being told what the devices are called.
"""

import hashlib
import os
from collections.abc import Sequence
from typing import Annotated, Final, NoReturn, Self

import msgspec
from msgspec import Meta
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey, VerifyKey

from protocol.errors import Code, ProtocolError
from protocol.ids import AccountId, DeviceId, device_id_of
from protocol.keys import KEY_SIZE_BYTES, RandomBytes
from protocol.limits import LABEL_SIZE_BYTES_MAX, LISTED_DEVICES_MAX, NAME_LENGTH_MAX, TEXT_LENGTH_MAX
from protocol.messages.shared import U63, SignedDevices

__all__ = [
    "DeviceLabel",
    "DeviceListError",
    "DeviceRoll",
    "IdentityKey",
    "ListedDevice",
    "checked_label",
    "label_digest",
    "opened_devices",
    "sealed_label",
    "sign_devices",
]

_FORM: Final = 1
_TAG: Final = b"roost/devices/1\x00"
_LABEL_TAG: Final = b"roost/label/1\x00"
_SALT_SIZE_BYTES: Final = 16
_PLATFORM_LENGTH_MAX: Final = 32
_UNREADABLE: Final = (ValueError, RecursionError)

_Key = Annotated[bytes, Meta(min_length=32, max_length=32)]


class DeviceListError(ProtocolError):
    """A list is not what its account signed, or says what no list may say; nothing of it may be believed."""

    def __init__(self, sentence: str, code: Code = Code.LIST_INVALID) -> None:
        super().__init__(code, sentence)


class ListedDevice(msgspec.Struct, array_like=True, frozen=True):
    """One device of a list.

    Attributes:
        static_key: Its X25519 public key, which is its identity.
        added_ms: When the primary added it, milliseconds since 1970, by the primary's clock.
        label_digest: SHA-256 of its label.
    """

    static_key: _Key
    added_ms: U63
    label_digest: _Key

    @property
    def device(self) -> DeviceId:
        """Its id."""
        return device_id_of(self.static_key)


class _Body(msgspec.Struct, array_like=True, frozen=True):
    form: int
    account: Annotated[str, Meta(max_length=TEXT_LENGTH_MAX)]
    version: U63
    devices: Annotated[list[ListedDevice], Meta(min_length=1, max_length=LISTED_DEVICES_MAX)]


class DeviceRoll(msgspec.Struct, frozen=True):
    """What a list says, once its signature was found right.

    Attributes:
        identity: The Ed25519 public key that signed it.
        version: Grows with every list of this identity.
        devices: The devices, the primary first.
    """

    identity: bytes
    version: int
    devices: tuple[ListedDevice, ...]

    @property
    def primary(self) -> ListedDevice:
        """The device that signs."""
        return self.devices[0]

    def entry(self, device: DeviceId) -> ListedDevice | None:
        """The entry of a device, if it is listed."""
        return next((listed for listed in self.devices if listed.device == device), None)


class IdentityKey:
    """The Ed25519 key of an account: made by its primary device, which it never leaves."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        """Take a key.

        Args:
            seed: 32 secret bytes.

        Raises:
            ValueError: Not 32 bytes; the text does not show them.
        """
        if len(seed) != KEY_SIZE_BYTES:
            raise ValueError(f"an identity key has {KEY_SIZE_BYTES} bytes, not {len(seed)}")
        self._key = SigningKey(seed)
        self.public: bytes = bytes(self._key.verify_key)

    @classmethod
    def generate(cls, random_bytes: RandomBytes = os.urandom) -> Self:
        """A fresh key.

        Args:
            random_bytes: Source of randomness.
        """
        return cls(random_bytes(KEY_SIZE_BYTES))

    def seed_bytes(self) -> bytes:
        """The 32 secret bytes, for the device's database and nothing else."""
        return bytes(self._key)

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of a signature; whoever calls puts a tag in front that says what is signed."""
        return self._key.sign(message).signature

    def __repr__(self) -> str:
        """The public half only."""
        return f"<IdentityKey public={self.public.hex()}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied."""
        raise TypeError("an identity key cannot be pickled")


def sign_devices(
    identity: IdentityKey, account: AccountId, version: int, devices: Sequence[ListedDevice]
) -> SignedDevices:
    """A list, signed.

    Args:
        identity: The account's key.
        account: Whose devices.
        version: Above that of every list signed before.
        devices: The devices, the primary first.
    """
    body = msgspec.msgpack.encode(_Body(_FORM, account, version, list(devices)))
    return SignedDevices(identity.public, body, identity.sign(_TAG + body))


def opened_devices(signed: SignedDevices, account: AccountId) -> DeviceRoll:
    """What a list says, if its own identity key signed it for this account.

    Whether that key is the account's is the reader's to know: by what it has pinned.

    Raises:
        DeviceListError: The signature does not fit, or the list is another account's, or cannot be read.
    """
    try:
        VerifyKey(signed.identity).verify(_TAG + signed.body, signed.signature)
    except (CryptoError, ValueError) as error:
        raise DeviceListError("The signature of the list of devices does not fit; sign it again.") from error
    try:
        body = _decode(signed.body)
    except _UNREADABLE as error:
        raise DeviceListError("The signed list of devices cannot be read; fix the client that signed it.") from error
    if body.form != _FORM or body.account != account:
        raise DeviceListError("The signed list of devices is that of another account, or of another form.")
    if len({listed.static_key for listed in body.devices}) != len(body.devices):
        raise DeviceListError("The signed list of devices names one device twice; fix the client that signed it.")
    return DeviceRoll(signed.identity, body.version, tuple(body.devices))


_decode = msgspec.msgpack.Decoder(_Body).decode


class DeviceLabel(msgspec.Struct, array_like=True, frozen=True):
    """What the own devices and the server know of a device beside its key.

    Attributes:
        salt: Random, so that nobody finds a name by trying digests.
        name: What its owner calls it.
        platform: What it runs on, such as `linux`.
    """

    salt: Annotated[bytes, Meta(min_length=_SALT_SIZE_BYTES, max_length=_SALT_SIZE_BYTES)]
    name: Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX)]
    platform: Annotated[str, Meta(max_length=_PLATFORM_LENGTH_MAX)] = ""


_decode_label = msgspec.msgpack.Decoder(DeviceLabel).decode


def sealed_label(name: str, platform: str = "", random_bytes: RandomBytes = os.urandom) -> bytes:
    """The bytes of a new label.

    Args:
        name: A normalised name.
        platform: What the device runs on; cut to 32 characters.
        random_bytes: Source of the salt.
    """
    return msgspec.msgpack.encode(DeviceLabel(random_bytes(_SALT_SIZE_BYTES), name, platform[:_PLATFORM_LENGTH_MAX]))


def label_digest(label: bytes) -> bytes:
    """What a list says of a label."""
    return hashlib.sha256(_LABEL_TAG + label).digest()


def checked_label(listed: ListedDevice, label: bytes) -> DeviceLabel:
    """The label of a device of a list.

    Raises:
        DeviceListError: It is not the one that was signed, or cannot be read.
    """
    if len(label) > LABEL_SIZE_BYTES_MAX or label_digest(label) != listed.label_digest:
        raise DeviceListError("The label of a device is not the one that was signed; send those of the list, in order.")
    try:
        return _decode_label(label)
    except _UNREADABLE as error:
        raise DeviceListError("The label of a device cannot be read; fix the client that signed it.") from error
