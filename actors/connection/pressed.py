"""A full socket: what must go out goes, what is told only once in a while waits for room, the newest of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from protocol.messages import GroupHere, GroupReceipt, Presence, Receipt, TypingBy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime import Ref

__all__ = ["Pressed"]

KEPT_MAX: Final = 256
Kept: TypeAlias = Receipt | Presence | GroupReceipt | GroupHere


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
        self._kept: dict[tuple[str, str], Kept] = {}

    def keep(self, frame: Kept | TypingBy) -> None:
        """Keep a frame for later, if it will still mean something."""
        if isinstance(frame, TypingBy):
            return
        if isinstance(frame, GroupReceipt | GroupHere):
            key: tuple[str, str] = (type(frame).__name__, frame.conversation)
        else:
            key = (frame.account, frame.conversation if isinstance(frame, Receipt) else "")
        if key in self._kept or len(self._kept) < KEPT_MAX:
            self._kept[key] = frame

    @property
    def kept(self) -> Iterable[Kept]:
        """What waits, in the order in which it first came."""
        return self._kept.values()
