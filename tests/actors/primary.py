"""A primary device in a small node: it signs what a test says, right or wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from protocol import AccountId, StaticKey
from protocol import messages as m
from protocol.device_list import IdentityKey, ListedDevice, label_digest, sealed_label, sign_devices
from tests.actors.small_node import SmallDevice, SmallNode

__all__ = ["Primary"]

Kind = TypeVar("Kind")


class Primary:
    """A device that registered as the primary of an account, and is logged in.

    Args:
        node: Where.
        address: Of the account.
        key: The device's static key.
        identity: The account's.
        expect: What the registration is answered with; only after Registered it logs in.
        fields: Other fields of the RegisterPrimary than a right one has.
    """

    def __init__(
        self,
        node: SmallNode,
        address: str,
        *,
        key: StaticKey | None = None,
        identity: IdentityKey | None = None,
        expect: type[Any] = m.Registered,
        **fields: Any,
    ) -> None:
        self.node = node
        self.phone = SmallDevice(node, key=key)
        self.identity = identity or IdentityKey.generate()
        self.version = 0
        self.keys = [self.phone.key.public]
        self.labels: dict[bytes, bytes] = {}
        self.phone.ask(m.RequestCode(1, address), m.CodeSent)
        self.phone.account = AccountId(address)
        signed, labels = self.signed([self.phone.key.public], ["phone"])
        right: dict[str, Any] = {
            "code": node.codes[address][-1],
            "display_name": address,
            "signed": signed,
            "label": labels[0],
        }
        self.answer = self.phone.ask(m.RegisterPrimary(2, address, **(right | fields)), expect)
        if expect is m.Registered:
            self.phone.ask(self.phone.a_login(), m.Ready)

    def signed(
        self, keys: list[bytes], names: list[str], version: int | None = None, identity: IdentityKey | None = None
    ) -> tuple[m.SignedDevices, list[bytes]]:
        """A list of these devices, and its labels; by default with the next version."""
        self.version = self.version + 1 if version is None else version
        labels = [self.labels.setdefault(name.encode(), sealed_label(name, "test")) for name in names]
        listed = [ListedDevice(key, 1, label_digest(label)) for key, label in zip(keys, labels, strict=True)]
        return sign_devices(identity or self.identity, self.phone.account, self.version, listed), labels

    def sign(self, keys: list[bytes], names: list[str], kind: type[Kind], **fields: Any) -> Kind:
        """Sign a list, and hand it in."""
        signed, labels = self.signed(keys, names, **fields)
        return self.phone.ask(m.SignDevices(3, signed, labels), kind)

    def link(self, name: str) -> SmallDevice:
        """A further device that is on the list, and logged in."""
        device = SmallDevice(self.node)
        names = [one.name for one in self.list().own]
        self.keys.append(device.key.public)
        self.sign(self.keys, [*names, name], m.Done)
        device.account = self.phone.account
        device.ask(device.a_login(), m.Ready)
        return device

    def list(self) -> m.DeviceList:
        """The account's devices, as it sees them."""
        return self.phone.ask(m.FetchDevices(9, self.phone.account), m.DeviceList)
