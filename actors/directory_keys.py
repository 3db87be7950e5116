"""Every key under which the messenger keeps something in the directory, and the shard that it goes with.

A key that is made anywhere else would stay behind when its shard moves to another node; a test looks for such.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import IdentifierError, normalized_address, shard_of
from storage import StoreCorruptError

if TYPE_CHECKING:
    from protocol import AccountId, ConversationId, DeviceId

__all__ = [
    "account_key",
    "device_key",
    "directory_shard",
    "groups_key",
    "holder_of",
    "last_seen_key",
    "owed_key",
    "owed_prefix",
    "places_key",
]

_ACCOUNT: Final = b"account/"
_DEVICE: Final = b"device/"
_GROUPS: Final = b"groups/"
_LAST_SEEN: Final = b"last_seen/"
_OWED: Final = b"owed/"


def account_key(account: AccountId) -> bytes:
    """Where an account is: its devices, settings and lists."""
    return _ACCOUNT + account.encode()


def groups_key(account: AccountId) -> bytes:
    """Where it says which groups an account belongs to."""
    return _GROUPS + account.encode()


def last_seen_key(account: AccountId) -> bytes:
    """Where it says when an account was last seen."""
    return _LAST_SEEN + account.encode()


def device_key(device: DeviceId) -> bytes:
    """Where it says whose device that is; in the shard of that account, which only the value names."""
    return _DEVICE + device


def owed_prefix(account: AccountId, device: DeviceId) -> bytes:
    """What the keys begin with of all that a device has yet to get by a supplement; an address has no slash."""
    return _OWED + account.encode() + b"/" + device


def owed_key(account: AccountId, device: DeviceId, conversation: ConversationId, seq: int) -> bytes:
    """Where it says that a device of an account has yet to get one message by a supplement."""
    return owed_prefix(account, device) + seq.to_bytes(8, "big") + conversation.encode()


def places_key() -> bytes:
    """Where a node remembers who has which shard; it is the node's own, and goes with none."""
    return b"node/places"


def holder_of(value: bytes) -> AccountId:
    """The account that a value under `device_key` names.

    Raises:
        StoreCorruptError: It names none.
    """
    try:
        return normalized_address(value.decode())
    except (UnicodeDecodeError, IdentifierError) as error:
        raise StoreCorruptError("the directory's record of a device", "it names no account") from error


def directory_shard(key: bytes, value: bytes) -> int | None:
    """The shard that a key and its value go with; None for what is the node's own, or nobody can read."""
    try:
        if key.startswith(_DEVICE):
            return shard_of(holder_of(value))
        if key.startswith(_OWED):
            return shard_of(key[len(_OWED) :].split(b"/", 1)[0].decode())
        for prefix in (_ACCOUNT, _GROUPS, _LAST_SEEN):
            if key.startswith(prefix):
                return shard_of(key[len(prefix) :].decode())
    except (StoreCorruptError, UnicodeDecodeError):
        return None
    return None
