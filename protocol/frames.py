"""Frames in the decrypted byte stream: three length bytes, then the frame. They may span records.

As in `records`: the length is judged before anything is kept, and bytes that drip in singly cost no more than their
number.
"""

from collections.abc import Iterator
from typing import Final

from protocol.errors import Code, RemoteProtocolError

__all__ = ["LENGTH_SIZE_BYTES", "FrameReader"]

LENGTH_SIZE_BYTES: Final = 3


class FrameReader:
    """Cuts the plaintext of one direction into frames."""

    __slots__ = ("_needed", "_tail")

    def __init__(self) -> None:
        self._tail: bytearray | None = None
        self._needed = 0

    @property
    def unread(self) -> bytes:
        """The frame that has begun; a fresh reader that is given it first goes on from here."""
        return b"" if self._tail is None else bytes(self._tail)

    def receive(self, plaintext: bytes, size_bytes_max: int) -> Iterator[bytes]:
        """The frames that are complete with these bytes, in order, without their length.

        Args:
            plaintext: The next bytes of the stream, cut anywhere.
            size_bytes_max: Largest frame accepted now.

        Raises:
            RemoteProtocolError: FRAME_TOO_LARGE or, for an empty frame, BAD_FRAME, as soon as a length shows it.
        """
        tail = self._tail
        if tail is not None:
            tail += plaintext
            if len(tail) < self._needed:
                return
            plaintext = bytes(tail)
            self._tail = None
        start = 0
        left = len(plaintext)
        while left >= LENGTH_SIZE_BYTES:
            size = plaintext[start] << 16 | plaintext[start + 1] << 8 | plaintext[start + 2]
            if not 0 < size <= size_bytes_max:
                raise _bad_length(size, size_bytes_max)
            needed = LENGTH_SIZE_BYTES + size
            if left < needed:
                self._keep(plaintext, start, needed)
                return
            end = start + needed
            yield plaintext[start + LENGTH_SIZE_BYTES : end]
            left -= needed
            start = end
        if left:
            self._keep(plaintext, start, LENGTH_SIZE_BYTES)

    def _keep(self, plaintext: bytes, start: int, needed: int) -> None:
        self._tail = bytearray(plaintext[start:])
        self._needed = needed


def _bad_length(size: int, size_bytes_max: int) -> RemoteProtocolError:
    if size == 0:
        return RemoteProtocolError(Code.BAD_FRAME, "A frame has no bytes; fix the client.")
    return RemoteProtocolError(
        Code.FRAME_TOO_LARGE,
        f"A frame has {size} bytes, but at most {size_bytes_max} are allowed now; send less at once.",
    )
