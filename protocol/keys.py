"""X25519 key pairs: the static key that names a device or a server, and the ephemeral key of one handshake.

A private key is never printed: not in a repr, not in a log, not in a pickle.
"""

import os
from collections.abc import Callable
from typing import Final, NoReturn, Self

from nacl.bindings import crypto_scalarmult, crypto_scalarmult_base
from nacl.exceptions import CryptoError

__all__ = ["KEY_SIZE_BYTES", "EphemeralKey", "KeyExchangeError", "PrivateKey", "RandomBytes", "StaticKey"]

KEY_SIZE_BYTES: Final = 32

RandomBytes = Callable[[int], bytes]
"""Source of randomness: given n, it returns n bytes. `os.urandom` unless a test or the simulator says otherwise."""


class KeyExchangeError(Exception):
    """The peer's public key is a low-order point, whose shared secret everybody knows (RFC 7748, section 6.1)."""


class PrivateKey:
    """An X25519 private key (RFC 7748) with its public key."""

    __slots__ = ("_private", "public")

    def __init__(self, private: bytes) -> None:
        """Take a private key.

        Args:
            private: 32 secret bytes; clamping is done by X25519 itself.

        Raises:
            ValueError: Not 32 bytes; the text does not show them.
        """
        if len(private) != KEY_SIZE_BYTES:
            raise ValueError(f"a private key has {KEY_SIZE_BYTES} bytes, not {len(private)}")
        self._private = bytes(private)
        self.public: bytes = crypto_scalarmult_base(self._private)

    @classmethod
    def generate(cls, random_bytes: RandomBytes = os.urandom) -> Self:
        """A fresh key.

        Args:
            random_bytes: Source of randomness.
        """
        return cls(random_bytes(KEY_SIZE_BYTES))

    @classmethod
    def from_bytes(cls, private: bytes) -> Self:
        """The key that `private_bytes` gave.

        Raises:
            ValueError: Not 32 bytes.
        """
        return cls(private)

    def private_bytes(self) -> bytes:
        """The 32 secret bytes, for the key file and nothing else."""
        return self._private

    def exchange(self, public: bytes) -> bytes:
        """The 32-byte secret shared with the holder of `public`.

        Raises:
            KeyExchangeError: The result is all zeros.
        """
        try:
            return crypto_scalarmult(self._private, public)
        except (CryptoError, ValueError, TypeError) as error:
            # libsodium itself refuses an all-zero result, in constant time; a test holds it to that.
            raise KeyExchangeError("the peer's public key has low order") from error

    def __repr__(self) -> str:
        """The public half only."""
        return f"<{type(self).__name__} public={self.public.hex()}>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: a secret leaves through `private_bytes` or not at all."""
        raise TypeError("a private key cannot be pickled")


class StaticKey(PrivateKey):
    """The long-lived key that is a device's or a server's identity."""

    __slots__ = ()


class EphemeralKey(PrivateKey):
    """The key of one handshake, forgotten with it."""

    __slots__ = ()
