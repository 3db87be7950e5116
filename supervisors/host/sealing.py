"""The seal on every frame between the processes of a host: what does not bear it is never unpickled. Pure."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

__all__ = ["SEAL_BYTES", "ForgedFrameError", "opened", "sealed"]

SEAL_BYTES: Final = sha256().digest_size


class ForgedFrameError(Exception):
    """A frame does not bear the seal of this host tree: it comes from a stranger, or was meant for another process."""


def sealed(key: bytes, port: int, payload: bytes) -> bytes:
    """A frame: HMAC-SHA256 (RFC 2104) over the port of its target and the payload, then the payload.

    Args:
        key: The secret of this host tree, made at its start and passed on by fork only.
        port: Where the frame goes; so one that a stranger was sent by mistake opens no other mailbox.
        payload: Anything.
    """
    return hmac.digest(key, port.to_bytes(2, "big") + payload, sha256) + payload


def opened(key: bytes, port: int, frame: bytes) -> bytes:
    """The payload of a frame, its seal compared in constant time.

    Args:
        key: As for `sealed`.
        port: Of the mailbox that the frame came to.
        frame: As `sealed` made it, or anything at all.

    Raises:
        ForgedFrameError: It was made without the key, or for another port.
    """
    payload = frame[SEAL_BYTES:]
    seal = hmac.digest(key, port.to_bytes(2, "big") + payload, sha256)
    if not hmac.compare_digest(frame[:SEAL_BYTES], seal):
        raise ForgedFrameError
    return payload
