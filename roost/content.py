"""What a message says: typed content inside the payload that the server never looks into.

A payload is one MessagePack map: `v` the version of this format, `t` the type of content and, for
type "text", `b` the text. A newer type or version than ours is kept as it came and shown as
`UnknownContent`, so that an older application says "update" where it cannot show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

__all__ = ["CONTENT_VERSION", "Content", "Text", "UnknownContent", "decode_content", "encode_text"]

CONTENT_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Text:
    """A text message."""

    text: str


@dataclass(frozen=True, slots=True)
class UnknownContent:
    """Content that this version cannot show.

    Args:
        type: the type the sender named; empty if the payload could not be read at all.
    """

    type: str

    @property
    def sentence(self) -> str:
        """Return what to show instead of the content."""
        if not self.type:
            return "This message could not be read."
        return "This message needs a newer version of Roost. Please update your app."


Content = Text | UnknownContent


class _Envelope(msgspec.Struct, frozen=True):
    v: int
    t: str
    b: object = None


_decode = msgspec.msgpack.Decoder(_Envelope).decode
_encode = msgspec.msgpack.Encoder().encode


def encode_text(text: str) -> bytes:
    """Return the payload of a text message."""
    return _encode(_Envelope(CONTENT_VERSION, "text", text))


def decode_content(payload: bytes) -> Content:
    """Return what a payload says; never raises, because the payload came from a stranger."""
    try:
        envelope = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UnknownContent("")
    if envelope.v == CONTENT_VERSION and envelope.t == "text" and isinstance(envelope.b, str):
        return Text(envelope.b)
    return UnknownContent(envelope.t or "unnamed")
