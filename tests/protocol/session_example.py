"""The annotated session of docs/protocol.md, computed without our own code.

The handshake is written once more here, from the specification, on other primitives than `protocol` uses (the X25519 of
`cryptography`), and the frames are packed by `msgpack`. A test compares the outcome with both wires, byte for byte.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

import msgpack
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SERVER_STATIC: Final = bytes(range(0x00, 0x20))
DEVICE_STATIC: Final = bytes(range(0x20, 0x40))
DEVICE_EPHEMERAL: Final = bytes(range(0x40, 0x60))
SERVER_EPHEMERAL: Final = bytes(range(0x60, 0x80))

TIME_MS: Final = 1_700_000_000_000
EPOCH: Final = bytes.fromhex("e0e1e2e3e4e5e6e7")
CLIENT_ID: Final = bytes(range(0xC0, 0xD0))
MESSAGE_ID: Final = bytes.fromhex("018bcfe56800") + bytes(range(10))
SESSION: Final = bytes(range(0x50, 0x60))

Step = tuple[str, bytes]
"""Who speaks (``C`` or ``S``) and the whole record."""


def public(private: bytes) -> bytes:
    """The public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def exchange(private: bytes, other: bytes) -> bytes:
    """X25519 of our private and the other's public key."""
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(other))


DEVICE: Final = hashlib.sha256(public(DEVICE_STATIC)).digest()[:16]

SESSION_FRAMES: Final[tuple[tuple[str, list[tuple[str, list[object]]]], ...]] = (
    ("C", [("Hello", [0, [1], "example/1"]), ("Login", [3, "ann", EPOCH, True, 60, b"", 0, 0])]),
    (
        "S",
        [
            ("Welcome", [32, 1, "roost/1", TIME_MS, 65_536, 32, 131_072]),
            ("Ready", [35, "ann", DEVICE, SESSION, False, 60, 0, TIME_MS, 1]),
            ("Drained", [43, 0]),
        ],
    ),
    ("C", [("Send", [4, "ann:bob", 1, CLIENT_ID, b"hello", 0, 0, [], []])]),
    ("S", [("Sent", [36, "ann:bob", 1, 1, MESSAGE_ID, TIME_MS])]),
    ("C", [("Bye", [21])]),
)


@dataclass(slots=True)
class Shown:
    """The text of the example as it grows, and the records that go over the wire."""

    lines: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def value(self, name: str, data: bytes) -> None:
        """One named value, 32 bytes a line."""
        for start in range(0, max(len(data), 1), 32):
            self.lines.append(f"  {name if start == 0 else '':<22} {data[start : start + 32].hex()}".rstrip())

    def record(self, who: str, kind: int, body: bytes, what: str) -> None:
        """A whole record and its parts."""
        header = bytes((kind,)) + len(body).to_bytes(2, "big")
        self.steps.append((who, header + body))
        self.lines += ["", f"{'client → server' if who == 'C' else 'server → client'}: {what}"]
        self.value("record header", header)


@dataclass(slots=True)
class Symmetric:
    """Section 2 of the document, in as few lines as it takes."""

    shown: Shown
    h: bytes = b""
    ck: bytes = b""
    k: bytes = b""
    n: int = 0

    def mix_hash(self, data: bytes) -> None:
        """h = SHA-256(h + data)."""
        self.h = hashlib.sha256(self.h + data).digest()

    def mix_key(self, name: str, secret: bytes) -> None:
        """Next ck and k; the counter starts again."""
        self.ck, self.k = hkdf(self.ck, secret)
        self.n = 0
        self.shown.value(f"{name}: secret", secret)
        self.shown.value("ck", self.ck)
        self.shown.value("k", self.k)

    def seal(self, plaintext: bytes) -> bytes:
        """ENCRYPT with h as associated data, then mix the result in."""
        sealed = AESGCM(self.k).encrypt(nonce(self.n), plaintext, self.h)
        self.n += 1
        self.mix_hash(sealed)
        return sealed


def nonce(counter: int) -> bytes:
    """Four zero bytes and the counter, big-endian."""
    return bytes(4) + counter.to_bytes(8, "big")


def hkdf(ck: bytes, material: bytes) -> tuple[bytes, bytes]:
    """Two outputs of Noise's HKDF."""
    temporary = hmac.digest(ck, material, "sha256")
    first = hmac.digest(temporary, b"\x01", "sha256")
    return first, hmac.digest(temporary, first + b"\x02", "sha256")


def handshake(shown: Shown) -> tuple[bytes, bytes]:
    """The three messages; the keys of both directions, client's first."""
    state = Symmetric(shown)
    state.h = state.ck = b"Noise_XX_25519_AESGCM_SHA256".ljust(32, b"\x00")
    shown.value("h = ck =", state.h)
    state.mix_hash(b"roost/1")
    shown.value("h after the prologue", state.h)
    client_e, server_e, server_s, client_s = map(
        public, (DEVICE_EPHEMERAL, SERVER_EPHEMERAL, SERVER_STATIC, DEVICE_STATIC)
    )

    shown.record("C", 1, client_e, "handshake message 1, → e")
    state.mix_hash(client_e)
    state.mix_hash(b"")
    shown.value("e (client's, public)", client_e)
    shown.value("h", state.h)

    inner = Shown()
    state.shown = inner
    state.mix_hash(server_e)
    inner.value("e (server's, public)", server_e)
    state.mix_key("ee", exchange(SERVER_EPHEMERAL, client_e))
    sealed_static = state.seal(server_s)
    inner.value("s sealed", sealed_static)
    state.mix_key("es", exchange(SERVER_STATIC, client_e))
    sealed_nothing = state.seal(b"")
    inner.value("payload sealed", sealed_nothing)
    inner.value("h", state.h)
    shown.record("S", 1, server_e + sealed_static + sealed_nothing, "handshake message 2, ← e, ee, s, es")
    shown.lines += inner.lines

    inner = Shown()
    state.shown = inner
    sealed_static = state.seal(client_s)
    inner.value("s sealed", sealed_static)
    state.mix_key("se", exchange(DEVICE_STATIC, server_e))
    sealed_nothing = state.seal(b"")
    inner.value("payload sealed", sealed_nothing)
    inner.value("h", state.h)
    shown.record("C", 1, sealed_static + sealed_nothing, "handshake message 3, → s, se")
    shown.lines += inner.lines

    keys = hkdf(state.ck, b"")
    shown.lines += ["", "Split()"]
    shown.value("key client → server", keys[0])
    shown.value("key server → client", keys[1])
    return keys


def session() -> Shown:
    """The whole example."""
    shown = Shown(["The private keys (never fixed in real life) and their public keys"])
    for name, private in (
        ("server static", SERVER_STATIC),
        ("device static", DEVICE_STATIC),
        ("client ephemeral", DEVICE_EPHEMERAL),
        ("server ephemeral", SERVER_EPHEMERAL),
    ):
        shown.value(name, private)
        shown.value("  public", public(private))
    shown.value("device id", DEVICE)
    shown.lines += ["", "Before the first message"]
    keys = dict(zip("CS", handshake(shown), strict=True))
    counters = {"C": 0, "S": 0}
    for who, frames in SESSION_FRAMES:
        packed = [msgpack.packb(array, use_bin_type=True) for _, array in frames]
        plaintext = b"".join(len(data).to_bytes(3, "big") + data for data in packed)
        sealed = AESGCM(keys[who]).encrypt(nonce(counters[who]), plaintext, None)
        shown.record(who, 2, sealed, ", ".join(name for name, _ in frames))
        shown.value("nonce", nonce(counters[who]))
        for (name, array), data in zip(frames, packed, strict=True):
            shown.lines.append(f"  {name} {readable(array)}")
            shown.value("  length", len(data).to_bytes(3, "big"))
            shown.value("  frame", data)
        shown.value("sealed plaintext, tag", sealed)
        counters[who] += 1
    return shown


def readable(value: object) -> str:
    """An array as the document writes it."""
    match value:
        case bytes():
            return f"h'{value.hex()}'"
        case bool():
            return "true" if value else "false"
        case list():
            return f"[{', '.join(map(readable, value))}]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)
