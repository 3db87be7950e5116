"""What a device has of what ours share, in 512 bytes, so that another one can tell what differs and no more.

Every entry falls into one of 64 buckets by the hash of its name, and a bucket's digest is the exclusive or of the
hashes of what is in it, 8 bytes each. Hence order does not matter, and zeros mean that there is nothing. Replicas
compare checksums before they tell each other everything (A. Demers et al., "Epidemic Algorithms for Replicated Database
Maintenance", PODC 1987); with buckets, one changed entry costs the telling of a 64th of all. Only devices of ours say
what is in it, so nobody gains by looking for two entries with one hash.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from roost.own_state import KNOWN_SIZE_BYTES, row_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from roost.own_state import Entry

__all__ = ["DIGEST_SIZE_BYTES", "both_lack", "differing", "digests_of"]

DIGEST_SIZE_BYTES: Final = 8
_BUCKETS: Final = KNOWN_SIZE_BYTES // DIGEST_SIZE_BYTES
_encode = msgspec.msgpack.Encoder().encode


def _bucket_of(entry: Entry) -> int:
    return sha256(_encode(row_of(entry)[:2])).digest()[0] % _BUCKETS


def _split(known: bytes) -> list[bytes]:
    return [known[start : start + DIGEST_SIZE_BYTES] for start in range(0, KNOWN_SIZE_BYTES, DIGEST_SIZE_BYTES)]


def digests_of(entries: Iterable[Entry]) -> bytes:
    """Return the digests of all buckets, one behind the other."""
    digests = [0] * _BUCKETS
    for entry in entries:
        digests[_bucket_of(entry)] ^= int.from_bytes(sha256(_encode(row_of(entry))).digest()[:DIGEST_SIZE_BYTES])
    return b"".join(digest.to_bytes(DIGEST_SIZE_BYTES) for digest in digests)


def differing(known: bytes, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries that somebody may lack: those of each bucket of which they have another digest."""
    held = list(entries)
    pairs = zip(_split(known), _split(digests_of(held)), strict=True)
    differs = [theirs != ours for theirs, ours in pairs]
    return [entry for entry in held if differs[_bucket_of(entry)]]


def both_lack(one: bytes, other: bytes) -> bytes:
    """Return digests for which `differing` finds what either of two devices may lack."""
    nothing = bytes(DIGEST_SIZE_BYTES)
    pairs = zip(_split(one), _split(other), strict=True)
    return b"".join(mine if mine == theirs else nothing for mine, theirs in pairs)
