"""A full socket: what must go out goes, what is told only once in a while waits for room, the newest of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.messages import Presence, Receipt, TypingBy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime import Ref

__all__ = ["Pressed"]

KEPT_MAX: Final = 256


class Pressed:
    """The state of a connection whose socket takes no more for now.

    Receipts and presence are watermarks and states: the newest replaces the one before it. Beyond `KEPT_MAX` of them
    the next login heals what is lost. Typing is over by then, and is not kept.

    Args:
        timer: Ends the connection if the socket stays full.
    """

    __slots__ = ("_kept", "timer")

    def __init__(self, timer: Ref) -> None:
        self.timer = timer
        self._kept: dict[tuple[str, str], Receipt | Presence] = {}

    def keep(self, frame: Receipt | Presence | TypingBy) -> None:
        """Keep a frame for later, if it will still mean something."""
        if isinstance(frame, TypingBy):
            return
        key = (frame.account, frame.conversation if isinstance(frame, Receipt) else "")
        if key in self._kept or len(self._kept) < KEPT_MAX:
            self._kept[key] = frame

    @property
    def kept(self) -> Iterable[Receipt | Presence]:
        """What waits, in the order in which it first came."""
        return self._kept.values()
