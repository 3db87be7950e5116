"""What may wait while nobody looks at a device: it goes out together, so that the device's radio wakes once.

After XEP-0352, client state indication. Nothing is kept here: entries stay in the store, unread, and receipts with the
queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.messages import URGENT

if TYPE_CHECKING:
    from runtime import Process, Ref
    from storage import Entry

__all__ = ["Hold", "Release"]


class Release:
    """The timer at which what was held goes out."""


RELEASE: Final = Release()


class Hold:
    """A device in the background.

    Args:
        process: The process of its queue.
        delay_s: How long anything may wait.
    """

    __slots__ = ("_delay_s", "_process", "_timer")

    def __init__(self, process: Process, delay_s: float) -> None:
        self._process = process
        self._delay_s = delay_s
        self._timer: Ref | None = None

    @property
    def waits(self) -> bool:
        """Whether something is held now."""
        return self._timer is not None

    def takes(self, entry: Entry) -> bool:
        """Whether an entry may wait: not if it is urgent, nor if it would expire meanwhile."""
        wall_ms = self._process.runtime.clock.wall_ms() + int(self._delay_s * 1000)
        return not entry.flags & URGENT and (not entry.expires_ms or entry.expires_ms > wall_ms)

    def begin(self) -> None:
        """Something waits from now on, if nothing did."""
        if self._timer is None:
            self._timer = self._process.send_after(self._delay_s, RELEASE)

    def end(self) -> None:
        """Nothing waits any more."""
        if self._timer is not None:
            self._process.cancel(self._timer)
            self._timer = None
