"""Messages of ours that a device missed because it was linked in that moment: each is brought there, once.

What is to be brought stands in the database from the server's notice to its answer, so a crash forgets none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.messages import Error, Supplement
from roost.changes import Supplemented

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.messages import Done
    from roost.changes import Missed
    from roost.events import DeviceMissed
    from roost.requests import Requests
    from roost.sealing import Sealing
    from roost.steps import Step

__all__ = ["Supplements"]

ASK_AGAIN_S: Final = 20.0
RETRY_S_MIN: Final = 1.0


class Supplements:
    """What is to be brought to which device.

    Args:
        requests: of the session.
        sealing: makes the payload for the device; None if it is the same for all.
    """

    __slots__ = ("_asked", "_due_s", "_payloads", "_requests", "_sealing")

    def __init__(self, requests: Requests, sealing: Sealing | None = None) -> None:
        self._requests = requests
        self._sealing = sealing
        self._payloads: dict[Missed, bytes] = {}
        self._due_s: dict[Missed, float] = {}
        self._asked: dict[int, Missed] = {}

    def bring(self, missed: DeviceMissed, now_s: float) -> None:
        """A device lacks a message, whose payload the database had."""
        self._payloads[missed.missed] = missed.payload
        self._due_s[missed.missed] = now_s

    def disconnected(self) -> None:
        """What has no answer is brought again on the next connection."""
        self._asked.clear()
        self._due_s = dict.fromkeys(self._payloads, 0.0)

    def advance(self, now_s: float, step: Step) -> None:
        """Bring what is due."""
        for missed in [missed for missed, due_s in self._due_s.items() if due_s <= now_s]:
            self._due_s[missed] = now_s + ASK_AGAIN_S
            payload = self._payloads[missed]
            if self._sealing is not None:
                payload = self._sealing.supplement(missed.conversation, payload, missed.device)
            number = self._requests.ask(_frame_of(missed, payload), now_s, step)
            self._asked[number] = missed

    def answered(self, answer: Done | Error, now_s: float, step: Step) -> None:
        """The device has it, or will never have it, or not now."""
        missed = self._asked.pop(answer.request, None)
        if missed is None or missed not in self._payloads:
            return
        if isinstance(answer, Error) and answer.retry_after_ms >= 0:
            self._due_s[missed] = now_s + max(RETRY_S_MIN, answer.retry_after_ms / 1000)
            return
        del self._payloads[missed], self._due_s[missed]
        step.changes.append(Supplemented(missed))

    def next_deadline_s(self) -> float | None:
        """Return when `advance` has something to do."""
        return min(self._due_s.values(), default=None)


def _frame_of(missed: Missed, payload: bytes) -> Callable[[int], Supplement]:
    return lambda number: Supplement(number, missed.conversation, missed.seq, missed.account, missed.device, payload)
