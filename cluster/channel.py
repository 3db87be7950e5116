"""One connection of this node, from its first byte to its end: what waits to leave, and what was heard when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cluster.codes import LinkCode, LinkError
from cluster.frames import ClockFrame, HeartbeatFrame, encode_frame
from cluster.outbound import Outbound
from cluster.session import SessionState
from protocol.frames import LENGTH_SIZE_BYTES

if TYPE_CHECKING:
    from cluster.network import Connection
    from cluster.session import Session

__all__ = ["Channel"]

CLOCK_SAID_EVERY_S: Final = 60.0


class Channel:
    """A connection, its session, and its clockwork.

    Args:
        connection: The stream of bytes.
        session: What is said on it.
        up_by_s: When the link has to be up.
        outbound_size_bytes_max: What may wait.

    Attributes:
        connection: As given.
        session: As given.
        outbound: What waits to leave.
        is_dirty: Whether it is to be flushed at the end of this tick.
        overflowed: Whether something that must not be dropped found no room.
        heard_s: When anything came last.
        is_clock_apart: Whether the peer's clock was found to be wrong, or ours.
    """

    __slots__ = (
        "_clock_at_s",
        "_confirmed",
        "_confirmed_s",
        "_said_s",
        "_up_by_s",
        "connection",
        "heard_s",
        "is_clock_apart",
        "is_dirty",
        "outbound",
        "overflowed",
        "session",
    )

    def __init__(self, connection: Connection, session: Session, up_by_s: float, outbound_size_bytes_max: int) -> None:
        self.connection = connection
        self.session = session
        self.outbound = Outbound(outbound_size_bytes_max)
        self.is_dirty = False
        self.overflowed = False
        self.heard_s = 0.0
        self.is_clock_apart = False
        self._clock_at_s = 0.0
        self._up_by_s = up_by_s
        self._said_s = 0.0
        self._confirmed = 0
        self._confirmed_s = 0.0

    @property
    def is_up(self) -> bool:
        """Whether it is a link, and not yet closed."""
        return self.session.state is SessionState.UP

    def rise(self, now_s: float) -> None:
        """The link is up."""
        self.heard_s = self._said_s = self._confirmed_s = now_s

    def write_session(self) -> None:
        """Write what the session itself has to say."""
        data = self.session.data_to_send()
        if data:
            self.connection.write(data)

    def flush(self) -> None:
        """Write what waits, if the connection takes it."""
        if self.outbound.size_bytes and self.is_up and not self.connection.is_full:
            self.write_session()
            self.connection.write(self.session.seal(self.outbound.take()))

    def is_heartbeat_due(self, now_s: float, heartbeat_s: float) -> bool:
        """Whether this side has to say that it lives."""
        return self.is_up and now_s - self._said_s >= heartbeat_s

    def say_heartbeat(self, now_s: float, wall_ms: int) -> None:
        """Say it, ahead of what waits: its order means nothing. Now and then say what the clock shows, too."""
        self._said_s = now_s
        frames = [encode_frame(HeartbeatFrame(self.session.frames_read))]
        if now_s >= self._clock_at_s:
            self._clock_at_s = now_s + CLOCK_SAID_EVERY_S
            frames.append(encode_frame(ClockFrame(wall_ms)))
        self.write_session()
        self.connection.write(
            self.session.seal(b"".join(len(frame).to_bytes(LENGTH_SIZE_BYTES, "big") + frame for frame in frames))
        )

    def take_heartbeat(self, heard: int, now_s: float) -> None:
        """The other side says how many of our frames it has read."""
        if heard > self._confirmed:
            self._confirmed = heard
            self._confirmed_s = now_s

    def fault(self, now_s: float, silent_s: float) -> LinkError | None:
        """What time alone says against the connection.

        A link must be heard, and must be told that it is: so both sides give it up, whichever way is cut.
        """
        peer = self.session.peer
        if not self.is_up:
            if now_s < self._up_by_s:
                return None
            return LinkError(LinkCode.TOO_SLOW, f"The link with {peer or 'somebody unknown'} was not up in time.")
        if now_s - self.heard_s >= silent_s:
            return LinkError(LinkCode.SILENT, f"Nothing was heard of {peer} for {silent_s:g} s.")
        if now_s - self._confirmed_s >= silent_s:
            return LinkError(LinkCode.STALLED, f"{peer} has read nothing of ours for {silent_s:g} s.")
        return None
