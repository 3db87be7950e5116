"""Bodies that several devices of a shard wait for: each is stored once, and the devices' entries refer to it.

Keys of the BODIES table: shard, position. Values: an entry, body and all. In the INBOX table stands under

    b"n" shard position   how many devices' entries refer to a body, four bytes

A reference is what lies under a device's entry key instead of the entry: a byte that begins no entry, the shard, and
the size, for queues are counted without their bodies. Its position is that of the body, so it needs no name for it.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct as Layout
from struct import error as LayoutError
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from storage.errors import StoreCorruptError
from storage.records import ENTRY_OVERHEAD_BYTES, Entry, decode_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

COUNT_PREFIX: Final = b"n"
REFERENCE: Final = b"\xc1"
"""No MessagePack value begins with it, so no entry does."""

_key = Layout(">BQ")
_reference = Layout(">cBI")
_count = Layout(">I")


class Reference(msgspec.Struct, gc=False, frozen=True):
    """A device's entry whose body is stored once for its shard.

    Attributes:
        position: As the entry's.
        size_bytes: What the entry counts for in a quota.
        body_key: Where it lies.
    """

    position: int
    size_bytes: int
    body_key: bytes

    def encode(self) -> bytes:
        """Return it as stored under an entry's key."""
        return _reference.pack(REFERENCE, self.body_key[0], self.size_bytes - ENTRY_OVERHEAD_BYTES)


Waiting: TypeAlias = Entry | Reference
"""What lies in the inbox for a device."""


def body_key(shard: int, position: int) -> bytes:
    """Return the key of a body."""
    return _key.pack(shard, position)


def count_key(key: bytes) -> bytes:
    """Return the key of the count of a body, given its key."""
    return COUNT_PREFIX + key


def body_position(key: bytes) -> int:
    """Return the position that the key of a body ends with.

    Raises:
        StoreCorruptError: It is no such key.
    """
    if len(key) != _key.size:
        raise StoreCorruptError("the inbox", f"the key of a body has {len(key)} bytes")
    position: int = _key.unpack(key)[1]
    return position


def encode_count(count: int) -> bytes:
    """Return a count as stored; 0 says that a move is still counting."""
    return _count.pack(count)


def decode_count(value: bytes | None) -> int:
    """Return the count of a stored value.

    Raises:
        StoreCorruptError: It is none.
    """
    if value is None or len(value) != _count.size:
        raise StoreCorruptError("the inbox", "nobody knows how many wait for a body")
    count: int = _count.unpack(value)[0]
    return count


def body_keys(shard: int, positions: Iterable[int]) -> list[bytes]:
    """Return the keys of many bodies of one shard."""
    pack = _key.pack
    return [pack(shard, position) for position in positions]


def encode_reference(shard: int, entry: Entry) -> bytes:
    """Return what refers to the body of an entry of this shard."""
    return reference_of(shard, len(entry.body))


@lru_cache(maxsize=1_024)
def reference_of(shard: int, size_bytes: int) -> bytes:
    """Return what refers to a body of this shard and size; bodies of one group are of few sizes."""
    return _reference.pack(REFERENCE, shard, size_bytes)


def is_reference(value: bytes) -> bool:
    """Whether a value under an entry's key refers to a body."""
    return value[:1] == REFERENCE


def decode_reference(position: int, value: bytes) -> Reference:
    """Return the reference of a stored value.

    Raises:
        StoreCorruptError: It is none.
    """
    try:
        _, shard, size_bytes = _reference.unpack(value)
    except LayoutError as error:
        raise StoreCorruptError("the inbox", str(error)) from error
    return Reference(position, size_bytes + ENTRY_OVERHEAD_BYTES, body_key(shard, position))


def decode_body(reference: Reference, value: bytes | None) -> Entry:
    """Return the entry of a body that a reference names.

    Raises:
        StoreCorruptError: There is none, or another one.
    """
    if value is None:
        raise StoreCorruptError("the inbox", f"the body at position {reference.position} is not there")
    entry = decode_entry(value)
    if entry.position != reference.position or entry.size_bytes != reference.size_bytes:
        raise StoreCorruptError("the inbox", f"another body than that of position {reference.position}")
    return entry
