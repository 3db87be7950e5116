"""Who is in the cluster, and who we are in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from protocol.keys import KEY_SIZE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocol import StaticKey

__all__ = ["Identity", "Peer", "fresh_incarnation"]

NODE_NAME_LENGTH_MAX: Final = 64
_INCARNATION_SIZE_BYTES: Final = 7
_DIGEST_SIZE_BYTES: Final = 8


def fresh_incarnation(random_bytes: Callable[[int], bytes]) -> int:
    """A number for a new life of a node: random, so that it needs no disk and no clock that only goes forward.

    Args:
        random_bytes: The machine's entropy.
    """
    return 1 + int.from_bytes(random_bytes(_INCARNATION_SIZE_BYTES), "big")


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node of the cluster.

    Attributes:
        name: Its name, as in its pids.
        public_key: The public half of its host's static key, 32 bytes; nothing else is believed. The nodes of one host
            share it.
        address: Where it listens: `tcp://host:port`, or `unix:path` within a host; None if only it dials.
    """

    name: str
    public_key: bytes
    address: str | None = None

    def __post_init__(self) -> None:
        if not 0 < len(self.name) <= NODE_NAME_LENGTH_MAX:
            raise ValueError(f"a node's name has 1 to {NODE_NAME_LENGTH_MAX} characters, not {len(self.name)}")
        if len(self.public_key) != KEY_SIZE_BYTES:
            raise ValueError(f"the key of {self.name} has {len(self.public_key)} bytes instead of {KEY_SIZE_BYTES}")


@dataclass(frozen=True, slots=True)
class Identity:
    """This node, as it presents itself.

    Attributes:
        name: Its name.
        incarnation: Its present life.
        key: Its host's static key. A peer with the same key is another node of this host.
        peers: The other nodes, by name.
        shared: The settings that must be the same on all nodes: key and value as text.
        names_by_key: The names of the other nodes for which a public key may speak: those of its host.
    """

    name: str
    incarnation: int
    key: StaticKey
    peers: Mapping[str, Peer]
    shared: Mapping[str, str] = field(default_factory=dict)
    names_by_key: Mapping[bytes, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        if self.name in self.peers:
            raise ValueError(f"{self.name} is named among its own peers: each node needs a name of its own")
        names: dict[bytes, frozenset[str]] = {}
        for peer in self.peers.values():
            names[peer.public_key] = names.get(peer.public_key, frozenset()) | {peer.name}
        object.__setattr__(self, "names_by_key", names)

    def digests(self) -> dict[str, bytes]:
        """A digest of each shared setting, so that a difference can be named without showing a value."""
        return {
            key: blake2b(value.encode(), digest_size=_DIGEST_SIZE_BYTES).digest() for key, value in self.shared.items()
        }
