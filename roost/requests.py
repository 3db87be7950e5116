"""Questions to the server that wait for one answer each: settings, limits, devices, people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.messages import (
    CodeSent,
    DeviceList,
    Devices,
    Done,
    Error,
    Group,
    GroupDone,
    GroupMarks,
    Groups,
    GroupStale,
    Limits,
    Profile,
    Registered,
    Relations,
    Settings,
)
from roost.steps import Answered

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.messages import Frame
    from roost.steps import Step

__all__ = ["ANSWER_WAIT_S", "Requests"]

ANSWER_WAIT_S: Final = 15.0
_NUMBER_MAX: Final = 2**32 - 1
_ANSWERS: Final = (
    CodeSent, Registered, Settings, Profile, Limits, Devices, DeviceList, Relations, Done, Error,
    Group, GroupDone, GroupStale, GroupMarks, Groups,
)  # fmt: skip


class Requests:
    """The open requests of a session; numbers are not used twice within a connection's memory."""

    __slots__ = ("_deadlines_s", "_last")

    def __init__(self) -> None:
        self._last = 0
        self._deadlines_s: dict[int, float] = {}

    def _next_number(self) -> int:
        self._last = self._last % _NUMBER_MAX + 1
        return self._last

    def ask(self, frame_of: Callable[[int], Frame], now_s: float, step: Step) -> int:
        """Send a request and return its number."""
        number = self.expect(now_s)
        step.frames.append(frame_of(number))
        return number

    def expect(self, now_s: float) -> int:
        """Return the number of a request that takes more than one frame, and is answered with `resolve`."""
        number = self._next_number()
        self._deadlines_s[number] = now_s + ANSWER_WAIT_S
        return number

    def resolve(self, number: int, frame: Frame, step: Step) -> None:
        """Answer a request, if it still waits."""
        if self._deadlines_s.pop(number, None) is not None:
            step.answers.append(Answered(number, frame))

    def refuse(self, step: Step) -> int:
        """Answer a request with nothing, because there is no connection to ask over."""
        number = self._next_number()
        step.answers.append(Answered(number, None))
        return number

    def answer(self, frame: Frame, step: Step) -> None:
        """Take a frame that may answer a request; any other is skipped."""
        if isinstance(frame, _ANSWERS):
            self.resolve(frame.request, frame, step)

    def expire(self, now_s: float, step: Step) -> None:
        """Answer with nothing what the server did not answer in time."""
        for number in [number for number, until_s in self._deadlines_s.items() if until_s <= now_s]:
            del self._deadlines_s[number]
            step.answers.append(Answered(number, None))

    def next_deadline_s(self) -> float | None:
        """Return when `expire` has something to do."""
        return min(self._deadlines_s.values(), default=None)

    def disconnected(self, step: Step) -> None:
        """Answer every open request with nothing."""
        step.answers.extend(Answered(number, None) for number in self._deadlines_s)
        self._deadlines_s.clear()
