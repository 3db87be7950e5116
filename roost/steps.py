"""What a session hands out at once: changes first, then the frames and events that rely on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from protocol.messages import Frame
    from roost.changes import Change
    from roost.events import Event

__all__ = ["LINK", "Answered", "Step"]

LINK: Final = 0
"""In place of a request's number: this came from the device that is being linked."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request, or what came over a link: a frame, or None if the connection ended first."""

    request: int
    frame: Frame | None


@dataclass(slots=True)
class Step:
    """One step of the session, to be carried out in this order.

    Args:
        connection: the number of the connection the frames are for; on any other they are dropped.
        changes: commit these in one transaction before anything below.
        frames: send these, in order, on that connection.
        events: tell these to the application.
        answers: resolve these requests.
        disconnect: close the connection after the frames.
    """

    connection: int
    changes: list[Change] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    disconnect: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes or self.frames or self.events or self.answers or self.disconnect)
