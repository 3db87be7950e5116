"""The one-time code by which a new device is found and trusted: 16 random bytes, as text and as a QR code."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import segno
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from roost.errors import LinkError

if TYPE_CHECKING:
    from protocol.keys import RandomBytes

__all__ = ["LinkCode"]

_SECRET_SIZE_BYTES: Final = 16
_TEXT_LENGTH: Final = 28
_GROUP_LENGTH: Final = 4
_PREFIX: Final = "ROOST:LINK:"
_QUIET_MODULES: Final = 4
_HALVES: Final = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}


@dataclass(frozen=True, slots=True, repr=False)
class LinkCode:
    """A secret that two devices share for a minute, and the server never sees.

    Args:
        secret: 16 random bytes.
    """

    secret: bytes

    @classmethod
    def generate(cls, random_bytes: RandomBytes = os.urandom) -> Self:
        """A fresh code."""
        return cls(random_bytes(_SECRET_SIZE_BYTES))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a code as people paste or type it, or as it stands in the QR code.

        Raises:
            LinkError: It is none, or was mistyped.
        """
        plain = "".join(text.split()).upper().removeprefix(_PREFIX).replace("-", "")
        try:
            bits = base64.b32decode(plain + "====") if len(plain) == _TEXT_LENGTH else b""
        except (binascii.Error, ValueError):
            bits = b""
        code = cls(bits[:_SECRET_SIZE_BYTES])
        if len(code.secret) != _SECRET_SIZE_BYTES or code._plain != plain:
            raise LinkError("That is no code of a new device, or it was mistyped: it has 28 letters and digits.")
        return code

    @property
    def _plain(self) -> str:
        text = base64.b32encode(self.secret).decode().rstrip("=")
        digest = hashlib.sha256(b"roost/link/check" + self.secret).digest()
        return text + base64.b32encode(digest).decode()[: _TEXT_LENGTH - len(text)]

    @property
    def text(self) -> str:
        """Seven groups of four letters and digits, the last two of which find a mistake."""
        plain = self._plain
        return "-".join(plain[start : start + _GROUP_LENGTH] for start in range(0, _TEXT_LENGTH, _GROUP_LENGTH))

    @property
    def qr_text(self) -> str:
        """What the QR code says."""
        return _PREFIX + self._plain

    def qr_lines(self) -> list[str]:
        """The QR code (ISO/IEC 18004) in half blocks, two rows a line, light on dark, with its quiet zone.

        A terminal is dark as a rule, so the light modules are drawn; scanners read both ways.
        """
        code = segno.make_qr(self.qr_text, error="l", boost_error=False)
        rows = [[not module for module in row] for row in code.matrix_iter(border=_QUIET_MODULES)]
        if len(rows) % 2:
            rows.append([False] * len(rows[0]))
        return [
            "".join(_HALVES[upper, lower] for upper, lower in zip(*pair, strict=True))
            for pair in zip(rows[::2], rows[1::2], strict=True)
        ]

    @property
    def rendezvous(self) -> bytes:
        """Where the two meet at the server; it tells nothing of the secret."""
        return self._derived(b"roost/link/rendezvous", 16)

    @property
    def key(self) -> bytes:
        """What both must know before they trust each other."""
        return self._derived(b"roost/link/psk", 32)

    def _derived(self, info: bytes, size_bytes: int) -> bytes:
        return HKDF(SHA256(), size_bytes, salt=None, info=info).derive(self.secret)

    def __repr__(self) -> str:
        return "LinkCode(...)"
