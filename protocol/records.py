"""Link records: one type byte, two length bytes, body. The length is judged before anything is kept.

A reader keeps at most one unfinished record. Its bytes are appended to one growing buffer and looked at only when the
header or the body is complete, so bytes that drip in singly cost no more than their number.
"""

from collections.abc import Iterator
from typing import Final

from protocol.errors import Code, RemoteProtocolError
from protocol.limits import RECORD_SIZE_BYTES_MAX, TAG_SIZE_BYTES

__all__ = ["ALERT", "HANDSHAKE", "HEADER_SIZE_BYTES", "TRANSPORT", "RecordReader", "record"]

ALERT: Final = 0
HANDSHAKE: Final = 1
TRANSPORT: Final = 2
HEADER_SIZE_BYTES: Final = 3


def record(kind: int, body: bytes) -> bytes:
    """A record.

    Args:
        kind: ALERT, HANDSHAKE or TRANSPORT.
        body: At most 65,535 bytes.
    """
    return bytes((kind, len(body) >> 8, len(body) & 255)) + body


def bad_record(reason: str) -> RemoteProtocolError:
    """The error of a malformed record, for people who reached this port with something else."""
    return RemoteProtocolError(
        Code.BAD_RECORD,
        f"{reason} This port speaks Roost's own protocol (not HTTP or TLS): connect with a Roost client.",
    )


class RecordReader:
    """Cuts the bytes of an established link into the bodies of its transport records."""

    __slots__ = ("_needed", "_tail")

    def __init__(self) -> None:
        self._tail: bytearray | None = None
        self._needed = 0

    @property
    def unread(self) -> bytes:
        """The record that has begun; a fresh reader that is given it first goes on from here."""
        return b"" if self._tail is None else bytes(self._tail)

    def receive(self, data: bytes, size_bytes_max: int) -> Iterator[bytes]:
        """The bodies that are complete with these bytes, in order.

        Args:
            data: Bytes as they came, cut anywhere.
            size_bytes_max: Largest body accepted now.

        Raises:
            RemoteProtocolError: BAD_RECORD, as soon as a header shows it.
        """
        tail = self._tail
        if tail is not None:
            tail += data
            if len(tail) < self._needed:
                return
            data = bytes(tail)
            self._tail = None
        start = 0
        left = len(data)
        while left >= HEADER_SIZE_BYTES:
            size = data[start + 1] << 8 | data[start + 2]
            if data[start] != TRANSPORT or not TAG_SIZE_BYTES < size <= size_bytes_max:
                raise _bad_header(data[start], size, size_bytes_max)
            end = start + HEADER_SIZE_BYTES + size
            if left < HEADER_SIZE_BYTES + size:
                self._keep(data, start, HEADER_SIZE_BYTES + size)
                return
            yield data[start + HEADER_SIZE_BYTES : end]
            left -= HEADER_SIZE_BYTES + size
            start = end
        if left:
            if data[start] != TRANSPORT:
                raise _bad_header(data[start], None, size_bytes_max)
            self._keep(data, start, HEADER_SIZE_BYTES)

    def _keep(self, data: bytes, start: int, needed: int) -> None:
        self._tail = bytearray(data[start:])
        self._needed = needed


def _bad_header(kind: int, size: int | None, size_bytes_max: int) -> RemoteProtocolError:
    if kind != TRANSPORT:
        return bad_record(f"A record after the handshake has type {kind} instead of {TRANSPORT}.")
    return bad_record(
        f"A record has {size} bytes, but {TAG_SIZE_BYTES + 1} to {min(size_bytes_max, RECORD_SIZE_BYTES_MAX)} "
        "are allowed now."
    )
