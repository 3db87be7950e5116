"""What waits to leave for one node: frames in order, bounded in bytes, the least important shed first.

As a mailbox: what may be shed is refused above half the limit; a message is refused at the limit, after what may be
shed has been; what the system owes (links, exits, answers) passes, up to twice the limit, which ends the link.
"""

from __future__ import annotations

from typing import Final

from protocol.frames import LENGTH_SIZE_BYTES

__all__ = ["Outbound"]

FRAME_OVERHEAD_BYTES: Final = 64
"""What a waiting frame takes beside its bytes, so that many small ones are bounded, too."""
_SHED: Final = b""


class Outbound:
    """Frames that wait, each with its length before it.

    Args:
        size_bytes_max: The limit, with what the frames take beside their bytes.

    Attributes:
        size_bytes: What waits now.
        shed: Messages that were dropped after they had been taken.
    """

    __slots__ = ("_frames", "_limit", "_sheddable", "shed", "size_bytes")

    def __init__(self, size_bytes_max: int) -> None:
        self._limit = size_bytes_max
        self._frames: list[bytes] = []
        self._sheddable: list[int] = []
        self.size_bytes = 0
        self.shed = 0

    def put(self, frame: bytes) -> bool:
        """Take a message's frame; returns whether there was room."""
        size = self.size_bytes + len(frame) + FRAME_OVERHEAD_BYTES
        if size > self._limit:
            self._shed()
            size = self.size_bytes + len(frame) + FRAME_OVERHEAD_BYTES
            if size > self._limit:
                return False
        self.size_bytes = size
        self._frames.append(len(frame).to_bytes(LENGTH_SIZE_BYTES, "big") + frame)
        return True

    def put_sheddable(self, frame: bytes) -> bool:
        """Take the frame of a message that may be lost under load; returns whether there was room."""
        if self.size_bytes + len(frame) + FRAME_OVERHEAD_BYTES > self._limit // 2:
            return False
        self._sheddable.append(len(self._frames))
        return self.put(frame)

    def put_owed(self, frame: bytes) -> bool:
        """Take a frame that must not be dropped; False means that the link has to end."""
        size = self.size_bytes + len(frame) + FRAME_OVERHEAD_BYTES
        if size > 2 * self._limit:
            return False
        self.size_bytes = size
        self._frames.append(len(frame).to_bytes(LENGTH_SIZE_BYTES, "big") + frame)
        return True

    def take(self) -> bytes:
        """Everything that waits, in order; nothing is left."""
        data = b"".join(self._frames)
        self._frames.clear()
        self._sheddable.clear()
        self.size_bytes = 0
        return data

    def _shed(self) -> None:
        for index in self._sheddable:
            self.size_bytes -= len(self._frames[index]) - LENGTH_SIZE_BYTES + FRAME_OVERHEAD_BYTES
            self._frames[index] = _SHED
        self.shed += len(self._sheddable)
        self._sheddable.clear()
