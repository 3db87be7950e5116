"""The people of a scenario: an account with one device each, the same in every run."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from protocol import AccountId, DeviceId, StaticKey, device_id_of

__all__ = ["Person", "people", "person"]


class Person(NamedTuple):
    """An account and the static key of its only device."""

    account: AccountId
    key: StaticKey
    device: DeviceId


def people(prefix: str, count: int) -> list[Person]:
    """That many people whose addresses begin so; their keys follow from the addresses and are worth nothing."""
    return [person(f"{prefix}{index}") for index in range(count)]


def person(address: str) -> Person:
    """The person with this address."""
    key = StaticKey(hashlib.sha256(b"roost bench " + address.encode()).digest())
    return Person(AccountId(address), key, device_id_of(key.public))
