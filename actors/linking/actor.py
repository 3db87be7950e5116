"""The process of one rendezvous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.linking.api import Carry, Join, LinkLimits, Wait
from protocol import Code
from protocol.messages import Done, Error, LinkEnded, LinkOpened, LinkPassed
from runtime import Actor, Down, Pid

if TYPE_CHECKING:
    from runtime import Ref

__all__ = ["RendezvousActor"]

PAYLOADS_MAX: Final = 16
"""More than two devices need (4 each way at most), and few enough that nobody talks here for free."""


class Over:
    """The timer that ends it."""


class RendezvousActor(Actor):
    """Brings two connections together, once.

    Args:
        limits: How long it lasts.
    """

    __slots__ = ("_carried", "_guest", "_host", "_limits", "_timer")

    _timer: Ref

    def __init__(self, limits: LinkLimits) -> None:
        self._limits = limits
        self._host: Pid | None = None
        self._guest: Pid | None = None
        self._carried = 0

    def init(self) -> None:
        """It ends by itself, also if nobody comes."""
        self._timer = self.process.send_after(self._limits.lifetime_s, Over())

    def handle_cast(self, message: Any) -> None:
        """Two come, and pass something to each other."""
        kind = type(message)
        if kind is Wait:
            self._wait(message)
        elif kind is Join:
            self._join(message)
        elif kind is Carry:
            self._carry(message)

    def handle_info(self, message: Any) -> None:
        """One of the two has gone, or the time is over."""
        if type(message) is Over:
            self._end(Code.LINK_EXPIRED)
        elif type(message) is Down:
            self._end(Code.LINK_ENDED, message.pid)

    def _wait(self, wait: Wait) -> None:
        process = self.process
        if self._host is not None:  # nobody makes the same 128 bits by chance
            process.cast(wait.connection, _refused(wait.request))
            return
        self._host = wait.connection
        process.monitor(wait.connection)
        process.cast(wait.connection, LinkOpened(wait.request, self._limits.lifetime_s))

    def _join(self, join: Join) -> None:
        process = self.process
        if self._host is None or self._guest is not None:
            process.cast(join.connection, _refused(join.request))
            return
        self._guest = join.connection
        process.monitor(join.connection)
        process.cancel(self._timer)
        self._timer = process.send_after(self._limits.talk_s, Over())
        process.cast(join.connection, Done(join.request))

    def _carry(self, carry: Carry) -> None:
        others = {self._host: self._guest, self._guest: self._host}
        other = others.get(carry.connection)
        self._carried += 1
        if other is None or self._carried > PAYLOADS_MAX:
            self._end(Code.LINK_ENDED)
        else:
            self.process.cast(other, LinkPassed(carry.payload))

    def _end(self, code: Code, gone: Pid | None = None) -> None:
        for connection in (self._host, self._guest):
            if connection is not None and connection != gone:
                self.process.cast(connection, LinkEnded(code, code.sentence))
        self.process.stop()


def _refused(request: int) -> Error:
    return Error(request, Code.LINK_UNKNOWN, Code.LINK_UNKNOWN.sentence, -1)
