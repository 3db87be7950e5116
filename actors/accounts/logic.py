"""The account as data: devices, settings, contacts, block list. Pure."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from actors.accounts.view import AccountView
from protocol import AccountId, DeviceId, device_id_of
from protocol.messages import SignedDevices
from storage import StoreCorruptError
from storage.records import UNREADABLE, Number, check_version

if TYPE_CHECKING:
    from protocol.device_list import DeviceRoll

__all__ = ["AUDIENCES", "Account", "DeviceRecord", "Vouched", "decode_account", "encode_account", "lists_device"]

AUDIENCES: Final = ("everyone", "contacts", "nobody")
SCHEMA: Final = 1
WHERE: Final = "the directory's record of an account"


class DeviceRecord(msgspec.Struct, array_like=True, frozen=True):
    """One device of an account: its Noise static key is its identity.

    `since` is the version of the account's list of devices in which it came, or came anew.
    """

    device: bytes
    static_key: bytes
    name: str
    created_ms: Number
    last_login_ms: Number
    platform: str = ""
    since: Number = 0


class Vouched(NamedTuple):
    """A list of devices whose signature and labels were found right.

    Attributes:
        signed: As it was signed.
        roll: What it says.
        labels: Of each device, as they were digested.
        names: Of each device, normalised.
        platforms: Of each device.
    """

    signed: SignedDevices
    roll: DeviceRoll
    labels: tuple[bytes, ...]
    names: tuple[str, ...]
    platforms: tuple[str, ...]


class Account(msgspec.Struct, array_like=True, frozen=True):
    """An account as it stands in the directory. Every change gives a new one with `version` + 1.

    The first device is the primary. `identity` is empty for an account whose devices nobody has signed.
    """

    account: str
    created_ms: Number
    display_name: str
    devices: tuple[DeviceRecord, ...] = ()
    version: Number = 1
    read_receipts: bool = True
    last_seen: str = "everyone"
    online: str = "everyone"
    contacts: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()
    devices_version: int = 1
    blockers: tuple[tuple[str, int], ...] = ()
    leaving: tuple[bytes, ...] = ()
    identity: bytes = b""
    list_version: Number = 0
    list_body: bytes = b""
    list_signature: bytes = b""
    labels: tuple[bytes, ...] = ()

    def view(self) -> AccountView:
        """The part that other rooms see."""
        return AccountView(
            AccountId(self.account),
            exists=True,
            version=self.version,
            devices=tuple(DeviceId(device.device) for device in self.devices),
            contacts=frozenset(AccountId(account) for account in self.contacts),
            blocked=frozenset(AccountId(account) for account in self.blocked),
            read_receipts=self.read_receipts,
            last_seen=self.last_seen,
            online=self.online,
            devices_version=self.devices_version,
            since=tuple(device.since for device in self.devices),
        )

    def device(self, device: DeviceId) -> DeviceRecord | None:
        """The device of that id, if the account has it."""
        return next((record for record in self.devices if record.device == device), None)

    def holds(self, device: DeviceId, static_key: bytes) -> bool:
        """Whether this very key is a device of the account (compared in constant time)."""
        record = self.device(device)
        return record is not None and hmac.compare_digest(record.static_key, static_key)

    def with_device(self, static_key: bytes, name: str, now_ms: int) -> Account:
        """The account with one more device; the same key again only changes its name."""
        device = device_id_of(static_key)
        added = DeviceRecord(device, static_key, name, now_ms, now_ms, since=self.devices_version + 1)
        if self.device(device) is None:
            devices = (*self.devices, added)
        else:
            devices = tuple(added if record.device == device else record for record in self.devices)
        leaving = self.left(device).leaving
        return self._changed(devices=devices, devices_version=self.devices_version + 1, leaving=leaving)

    def with_list(self, vouched: Vouched, now_ms: int) -> Account:
        """The account with exactly the devices of a list, in its order; the others leave."""
        roll = vouched.roll
        devices = []
        for listed, name, platform in zip(roll.devices, vouched.names, vouched.platforms, strict=True):
            record = self.device(listed.device) or DeviceRecord(
                listed.device, listed.static_key, "", now_ms, now_ms, since=self.devices_version + 1
            )
            devices.append(msgspec.structs.replace(record, name=name, platform=platform))
        staying = {record.device for record in devices}
        gone = tuple(record.device for record in self.devices if record.device not in staying)
        return self._changed(
            devices=tuple(devices),
            devices_version=self.devices_version + 1,
            leaving=(*(device for device in self.leaving if device not in staying), *gone),
            identity=roll.identity,
            list_version=roll.version,
            list_body=vouched.signed.body,
            list_signature=vouched.signed.signature,
            labels=vouched.labels,
        )

    def signed(self) -> SignedDevices | None:
        """The list that the primary signed last; None if nobody has."""
        return SignedDevices(self.identity, self.list_body, self.list_signature) if self.identity else None

    def is_primary(self, device: DeviceId) -> bool:
        """Whether it is the first device, which signs for the others."""
        return bool(self.devices) and self.devices[0].device == device

    def idle(self, before_ms: int) -> tuple[DeviceId, ...]:
        """The linked devices that have not been here since then; the primary is never idle."""
        return tuple(DeviceId(record.device) for record in self.devices[1:] if record.last_login_ms < before_ms)

    def without_device(self, device: DeviceId) -> Account:
        """The account without that device, which leaves: its queue has yet to let everything go with a notice."""
        kept = tuple(record for record in self.devices if record.device != device)
        leaving = (*self.left(device).leaving, device)
        return self._changed(devices=kept, devices_version=self.devices_version + 1, leaving=leaving)

    def left(self, device: DeviceId) -> Account:
        """The account, knowing that nothing waits for that device any more; not a change that others hear of."""
        return msgspec.structs.replace(self, leaving=tuple(other for other in self.leaving if other != device))

    def seen(self, device: DeviceId, now_ms: int) -> Account:
        """The account with the moment when a device was here last moved to now; not a change that others hear of."""
        devices = tuple(
            msgspec.structs.replace(record, last_login_ms=now_ms) if record.device == device else record
            for record in self.devices
        )
        return msgspec.structs.replace(self, devices=devices)

    def with_settings(
        self, read_receipts: bool | None, last_seen: str | None, online: str | None, display_name: str | None
    ) -> Account:
        """The account with the given settings; None leaves one as it is."""
        return self._changed(
            read_receipts=self.read_receipts if read_receipts is None else read_receipts,
            last_seen=self.last_seen if last_seen is None else last_seen,
            online=self.online if online is None else online,
            display_name=self.display_name if display_name is None else display_name,
        )

    def with_relation(self, account: AccountId, relation: str) -> Account:
        """The account with another one as "contact", "blocked" or "none" of the two."""
        contacts, blocked = self.contacts - {account}, self.blocked - {account}
        if relation == "contact":
            contacts |= {account}
        elif relation == "blocked":
            blocked |= {account}
        return self._changed(contacts=contacts, blocked=blocked)

    def blocked_by(self, account: AccountId, now_ms: int, window_ms: int, accounts_min: int) -> tuple[Account, bool]:
        """The account after another one has blocked it, and whether many have now; not a change that others hear of.

        Each counts once, for so long as the window is; when they were many, the count begins again.
        """
        recent = [(who, at_ms) for who, at_ms in self.blockers if who != account and at_ms > now_ms - window_ms]
        recent.append((account, now_ms))
        many = len(recent) >= accounts_min
        return msgspec.structs.replace(self, blockers=() if many else tuple(recent)), many

    def _changed(self, **fields: object) -> Account:
        return msgspec.structs.replace(self, version=self.version + 1, **fields)


_decode = msgspec.msgpack.Decoder(Account).decode


def encode_account(account: Account) -> bytes:
    """The account's directory value: a schema byte, then MessagePack."""
    return bytes((SCHEMA,)) + msgspec.msgpack.encode(account, order="deterministic")


def decode_account(value: bytes) -> Account:
    """The account of a directory value.

    Raises:
        StoreVersionError: a newer Roost wrote it.
        StoreCorruptError: it is none.
    """
    check_version(value, SCHEMA, WHERE)
    try:
        return _decode(memoryview(value)[1:])
    except UNREADABLE as error:
        raise StoreCorruptError(WHERE, str(error)) from error


def lists_device(value: bytes, device: DeviceId) -> bool:
    """Whether the account of a directory value has a device; raises as `decode_account`."""
    return decode_account(value).device(device) is not None
