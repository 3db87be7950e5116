"""Noise handshakes over X25519 and their two transport ciphers (noiseprotocol.org/noise.html, revision 34).

Every link of a client uses Noise_XX_25519_AESGCM_SHA256::

    initiator (client)                     responder (server)
      -> e
      <- e, ee, s, es                        the server shows its static key
      -> s, se                               the client shows its static key
      Split() gives one CipherState a direction

Two devices that share a one-time secret use Noise_NNpsk0_25519_AESGCM_SHA256 through the server::

      -> psk, e                              each shows that it knows the secret, and nothing else
      <- e, ee

`CipherState` and `Suite` leave cipher and hash open, so that the other suites of the public cacophony vectors check
the same code. Equality of secrets is only ever decided inside the AEAD, which is constant-time.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.keys import KEY_SIZE_BYTES, EphemeralKey, KeyExchangeError, PrivateKey, RandomBytes
from protocol.limits import RECORD_SIZE_BYTES_MAX, TAG_SIZE_BYTES

__all__ = ["AESGCM_SHA256", "COUNTER_MAX", "NNPSK0_AESGCM_SHA256", "CipherState", "Handshake", "NoiseError", "Suite"]

COUNTER_MAX: Final = 2**64 - 2
"""Last nonce; 2**64 - 1 is reserved by the specification (section 5.1)."""

Pattern = tuple[tuple[str, ...], ...]
_PATTERN_XX: Final[Pattern] = (("e",), ("e", "ee", "s", "es"), ("s", "se"))
_PATTERN_NNPSK0: Final[Pattern] = (("psk", "e"), ("e", "ee"))
_NO_DATA: Final = b""


class NoiseError(Exception):
    """The handshake or a transport message cannot go on; the state it was raised from must not be used again."""


class Aead(Protocol):
    """What a cipher of the `cryptography` package offers."""

    def encrypt(self, nonce: bytes, data: bytes | bytearray, associated_data: bytes | None, /) -> bytes:
        """Ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes:
        """Plaintext; raises InvalidTag."""
        ...


class AeadFactory(Protocol):
    """How one is made from its key."""

    def __call__(self, key: bytes, /) -> Aead:
        """A cipher for a 32-byte key."""
        ...


class CipherState:
    """One direction's key and counter (section 5.1), for AESGCM: four zero bytes and the counter, big-endian.

    Two of these are all that a connection keeps of its handshake. The cipher itself is made at first use and can be
    put away with `rest`: it takes 2,490 bytes and 0.8 µs to make (measured), its key 65 bytes.
    """

    __slots__ = ("_aead", "_key", "counter")

    aead: ClassVar[AeadFactory] = AESGCM

    def __init__(self, key: bytes, counter: int = 0) -> None:
        """Start, or go on where another one stopped.

        Args:
            key: 32 bytes.
            counter: How many messages have passed under it.
        """
        self._key = key
        self._aead: Aead | None = None
        self.counter = counter

    def exported(self) -> tuple[bytes, int]:
        """What makes a state that goes on here: the key, which is a secret, and the counter."""
        return self._key, self.counter

    def nonce(self) -> bytes:
        """The 12 bytes for the counter as it stands."""
        return self.counter.to_bytes(12, "big")

    def rest(self) -> None:
        """Put the cipher away until the next message."""
        self._aead = None

    def encrypt(self, plaintext: bytes | bytearray, associated_data: bytes | None = None) -> bytes:
        """Ciphertext and tag; the counter moves on.

        Raises:
            NoiseError: All nonces are used up.
        """
        if self.counter > COUNTER_MAX:
            raise NoiseError("all nonces of this key are used up")
        aead = self._aead
        if aead is None:
            self._aead = aead = type(self).aead(self._key)
        ciphertext = aead.encrypt(self.nonce(), plaintext, associated_data)
        self.counter += 1
        return ciphertext

    def decrypt(self, ciphertext: bytes, associated_data: bytes | None = None) -> bytes:
        """Plaintext; the counter moves on only if it was authentic.

        Raises:
            NoiseError: The ciphertext is not the next one of this direction, or all nonces are used up.
        """
        if self.counter > COUNTER_MAX:
            raise NoiseError("all nonces of this key are used up")
        aead = self._aead
        if aead is None:
            self._aead = aead = type(self).aead(self._key)
        try:
            plaintext = aead.decrypt(self.nonce(), ciphertext, associated_data)
        except InvalidTag:
            raise NoiseError("a message fails authentication") from None
        self.counter += 1
        return plaintext


@dataclass(frozen=True, slots=True)
class Suite:
    """A pattern over X25519 with its cipher and its hash.

    Attributes:
        name: The full protocol name, hashed into the handshake.
        cipher: Type of the cipher states.
        hash_name: Name of the hash as `hashlib` knows it.
        pattern: The tokens of each message (section 7).
    """

    name: str
    cipher: type[CipherState]
    hash_name: str
    pattern: Pattern = _PATTERN_XX

    @property
    def has_secret(self) -> bool:
        """Whether both sides have to know a secret beforehand (section 9)."""
        return any("psk" in tokens for tokens in self.pattern)

    def hash(self, data: bytes) -> bytes:
        """HASH() of section 4.3."""
        return hashlib.new(self.hash_name, data).digest()

    def hkdf(self, chaining_key: bytes, material: bytes) -> tuple[bytes, bytes]:
        """HKDF() of section 4.3 with two outputs."""
        temporary = hmac.digest(chaining_key, material, self.hash_name)
        first = hmac.digest(temporary, b"\x01", self.hash_name)
        return first, hmac.digest(temporary, first + b"\x02", self.hash_name)

    def hkdf_of_three(self, chaining_key: bytes, material: bytes) -> tuple[bytes, bytes, bytes]:
        """HKDF() of section 4.3 with three outputs."""
        first, second = self.hkdf(chaining_key, material)
        temporary = hmac.digest(chaining_key, material, self.hash_name)
        return first, second, hmac.digest(temporary, second + b"\x03", self.hash_name)


AESGCM_SHA256: Final = Suite("Noise_XX_25519_AESGCM_SHA256", CipherState, "sha256")
"""The suite of every Roost link."""

NNPSK0_AESGCM_SHA256: Final = Suite("Noise_NNpsk0_25519_AESGCM_SHA256", CipherState, "sha256", _PATTERN_NNPSK0)
"""The suite between two devices that share a one-time secret."""


class Handshake:
    """One side of one handshake: the SymmetricState and HandshakeState of section 5.

    Call `write` and `read` in turn, as the pattern says, until `finished`; then `split` once and forget this object.
    After a NoiseError it is of no more use.
    """

    __slots__ = (
        "_chaining_key",
        "_cipher",
        "_ephemeral",
        "_hash",
        "_initiator",
        "_own_allowed",
        "_random_bytes",
        "_remote_ephemeral",
        "_secret",
        "_static",
        "_step",
        "_suite",
        "remote_static",
    )

    def __init__(
        self,
        *,
        initiator: bool,
        static: PrivateKey | None,
        prologue: bytes,
        suite: Suite = AESGCM_SHA256,
        random_bytes: RandomBytes = os.urandom,
        own_allowed: bool = False,
        secret: bytes = b"",
    ) -> None:
        """Start a handshake (Initialize() of section 5.3).

        Args:
            initiator: True for the side that speaks first.
            static: Our identity; None for a pattern without one.
            prologue: What both sides must agree on beforehand.
            suite: Cipher and hash.
            random_bytes: Source of the ephemeral key; a fresh one makes a replayed handshake useless.
            own_allowed: Whether the peer may have our own identity, as another process of this host has. Then whoever
                asks must tell itself from such a peer by what is said next: somebody in between may have led it to
                itself.
            secret: The 32 bytes that both sides know beforehand, for a pattern with `psk`; else empty.

        Raises:
            ValueError: A secret is missing, or of no use, or not of 32 bytes.
        """
        if len(secret) != (KEY_SIZE_BYTES if suite.has_secret else 0):
            raise ValueError(f"{suite.name} does not take a secret of {len(secret)} bytes")
        name = suite.name.encode()
        size = hashlib.new(suite.hash_name).digest_size
        self._suite = suite
        self._hash = name.ljust(size, b"\x00") if len(name) <= size else suite.hash(name)
        self._chaining_key = self._hash
        self._cipher: CipherState | None = None
        self._initiator = initiator
        self._own_allowed = own_allowed
        self._static = static
        self._secret = secret
        self._ephemeral: EphemeralKey | None = None
        self._random_bytes = random_bytes
        self._remote_ephemeral = _NO_DATA
        self._step = 0
        self.remote_static = _NO_DATA
        self._mix_hash(prologue)

    @property
    def finished(self) -> bool:
        """Whether all messages have passed."""
        return self._step == len(self._suite.pattern)

    @property
    def messages_passed(self) -> int:
        """How many messages have been written or read."""
        return self._step

    @property
    def our_turn(self) -> bool:
        """Whether the next message is ours to write."""
        return not self.finished and (self._step % 2 == 0) is self._initiator

    @property
    def handshake_hash(self) -> bytes:
        """The hash over everything so far; equal on both sides once finished (channel binding, section 11.2)."""
        return self._hash

    def write(self, payload: bytes = _NO_DATA) -> bytes:
        """Our next message.

        Raises:
            NoiseError: It is not our turn, or the peer's key is unusable.
        """
        if not self.our_turn:
            raise NoiseError("it is not our turn to write")
        message = b""
        for token in self._suite.pattern[self._step]:
            if token == "e":
                self._ephemeral = EphemeralKey.generate(self._random_bytes)
                self._mix_ephemeral(self._ephemeral.public)
                message += self._ephemeral.public
            elif token == "psk":
                self._mix_secret()
            elif token == "s":
                assert self._static is not None, "a pattern with s has a static key"
                message += self._encrypt_and_hash(self._static.public)
            else:
                self._mix_exchange(token)
        message += self._encrypt_and_hash(payload)
        self._step += 1
        return message

    def read(self, message: bytes) -> bytes:
        """Take the peer's next message and return its payload.

        Raises:
            NoiseError: It is not the peer's turn, or the message is too short, too long, forged or reflected.
        """
        if self.finished or self.our_turn:
            raise NoiseError("it is not the peer's turn to write")
        if len(message) > RECORD_SIZE_BYTES_MAX:
            raise NoiseError("a handshake message is too long")
        rest = message
        for token in self._suite.pattern[self._step]:
            if token == "e":
                self._remote_ephemeral, rest = _take(rest, KEY_SIZE_BYTES)
                if self._ephemeral is not None and self._remote_ephemeral == self._ephemeral.public:
                    raise NoiseError("the peer sent our own ephemeral key back")
                self._mix_ephemeral(self._remote_ephemeral)
            elif token == "psk":
                self._mix_secret()
            elif token == "s":
                sealed, rest = _take(rest, KEY_SIZE_BYTES + TAG_SIZE_BYTES)
                self.remote_static = self._decrypt_and_hash(sealed)
                assert self._static is not None, "a pattern with s has a static key"
                if self.remote_static == self._static.public and not self._own_allowed:
                    raise NoiseError("the peer sent our own static key back")
            else:
                self._mix_exchange(token)
        payload = self._decrypt_and_hash(rest)
        self._step += 1
        return payload

    def split(self) -> tuple[CipherState, CipherState]:
        """The two transport ciphers: (ours to send, ours to receive).

        Raises:
            NoiseError: The handshake is not finished.
        """
        if not self.finished:
            raise NoiseError("the handshake is not finished")
        first, second = self._suite.hkdf(self._chaining_key, _NO_DATA)
        from_initiator = self._suite.cipher(first[:KEY_SIZE_BYTES])
        from_responder = self._suite.cipher(second[:KEY_SIZE_BYTES])
        return (from_initiator, from_responder) if self._initiator else (from_responder, from_initiator)

    def _mix_hash(self, data: bytes) -> None:
        self._hash = self._suite.hash(self._hash + data)

    def _mix_ephemeral(self, public: bytes) -> None:
        """With a secret, the ephemeral key is mixed into the keys, too, so that none serves twice (section 9.2)."""
        self._mix_hash(public)
        if self._secret:
            self._mix_key(public)

    def _mix_secret(self) -> None:
        """MixKeyAndHash() of section 5.2."""
        self._chaining_key, mixed, temporary = self._suite.hkdf_of_three(self._chaining_key, self._secret)
        self._mix_hash(mixed)
        self._cipher = self._suite.cipher(temporary[:KEY_SIZE_BYTES])

    def _mix_key(self, material: bytes) -> None:
        """MixKey() of section 5.2."""
        self._chaining_key, temporary = self._suite.hkdf(self._chaining_key, material)
        self._cipher = self._suite.cipher(temporary[:KEY_SIZE_BYTES])

    def _mix_exchange(self, token: str) -> None:
        """MixKey(DH()) for a token whose letters name the initiator's key, then the responder's."""
        ours, theirs = (token[0], token[1]) if self._initiator else (token[1], token[0])
        key = self._static if ours == "s" else self._ephemeral
        assert key is not None, "the pattern names a key before it is used"
        try:
            secret = key.exchange(self.remote_static if theirs == "s" else self._remote_ephemeral)
        except KeyExchangeError as error:
            raise NoiseError(str(error)) from error
        self._mix_key(secret)

    def _encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = plaintext if self._cipher is None else self._cipher.encrypt(plaintext, self._hash)
        self._mix_hash(ciphertext)
        return ciphertext

    def _decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        if self._cipher is None:
            plaintext = ciphertext
        elif len(ciphertext) < TAG_SIZE_BYTES:
            raise NoiseError("a handshake message is too short")
        else:
            plaintext = self._cipher.decrypt(ciphertext, self._hash)
        self._mix_hash(ciphertext)
        return plaintext


def _take(message: bytes, size_bytes: int) -> tuple[bytes, bytes]:
    if len(message) < size_bytes:
        raise NoiseError("a handshake message is too short")
    return message[:size_bytes], message[size_bytes:]
