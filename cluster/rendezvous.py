"""Who should have something, so that all nodes say the same without a word between them. Pure.

Rendezvous hashing: D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (IEEE/ACM Transactions
on Networking, 1998); with weights: C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables" (SPAA 2005). Each
node draws a number for each key, and the lowest has it; so a new node takes its share from all others, and nothing
else moves.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["rendezvous"]

_DRAW_SIZE_BYTES: Final = 7


def rendezvous(key: str | int, weights: Mapping[str, float]) -> str:
    """The node that should have what the key names.

    Args:
        key: A name, or the number of a shard.
        weights: By node, all above 0; there is at least one.
    """
    return min(weights, key=lambda node: (-math.log(_draw(key, node)) / weights[node], node))


def _draw(key: str | int, node: str) -> float:
    """Between 0 and 1, neither of them; the same on every machine."""
    digest = blake2b(f"{key} {node}".encode(), digest_size=_DRAW_SIZE_BYTES).digest()
    return (int.from_bytes(digest, "big") + 0.5) / (1 << 8 * _DRAW_SIZE_BYTES)
