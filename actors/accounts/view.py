"""What the rest of the messenger needs to know of an account."""

from __future__ import annotations

import msgspec

from protocol import AccountId, DeviceId

__all__ = ["AccountView"]


class AccountView(msgspec.Struct, array_like=True, frozen=True):
    """What the rest of the messenger needs to know of an account, as of `version`.

    `exists` is False for an address that nobody registered; the other fields are then empty. `since` says of each
    device in which version of the list of devices it came, or came anew.
    """

    account: AccountId
    exists: bool
    version: int = 0
    devices: tuple[DeviceId, ...] = ()
    contacts: frozenset[AccountId] = frozenset()
    blocked: frozenset[AccountId] = frozenset()
    read_receipts: bool = True
    last_seen: str = "everyone"
    online: str = "everyone"
    devices_version: int = 0
    since: tuple[int, ...] = ()

    def shows(self, audience: str, viewer: AccountId) -> bool:
        """Whether `viewer` belongs to an audience ("everyone", "contacts" or "nobody") of this account."""
        if viewer == self.account:
            return True
        if viewer in self.blocked or audience == "nobody":
            return False
        return audience == "everyone" or viewer in self.contacts
