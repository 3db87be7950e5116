"""A connection's end of a rendezvous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.linking.api import Carry, Join, Wait
from actors.router.api import Router, UnreachableError
from protocol import Code
from protocol.messages import Error, LinkEnded
from runtime import NORMAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol.messages import JoinLink, OpenLink, PassLink
    from runtime import Down, Pid, Process, Ref

__all__ = ["LinkEnd"]

BUSY_RETRY_MS: Final = 1_000


class LinkEnd:
    """Where a connection meets another one; made with its first rendezvous, for hardly any connection has one.

    Args:
        process: The connection's.
        router: Where a rendezvous is found.
        send: Says a frame to the client.
    """

    __slots__ = ("_monitor", "_process", "_rendezvous", "_router", "_send")

    def __init__(self, process: Process, router: Router, send: Callable[[Any], None]) -> None:
        self._process = process
        self._router = router
        self._send = send
        self._rendezvous: Pid | None = None
        self._monitor: Ref | None = None

    def open(self, frame: OpenLink) -> None:
        """Wait at a rendezvous, which begins with this."""
        if self._rendezvous is not None:
            self._refuse(frame.request, Code.LINK_UNKNOWN)
            return
        try:
            rendezvous = self._router.rendezvous(frame.rendezvous)
        except UnreachableError:
            self._refuse(frame.request, Code.BUSY, BUSY_RETRY_MS)
            return
        self._go_to(rendezvous)
        self._process.cast(rendezvous, Wait(self._process.pid, frame.request))

    def join(self, frame: JoinLink) -> None:
        """Join whoever waits at a rendezvous, instead of any other one."""
        rendezvous = self._router.live_rendezvous(frame.rendezvous)
        if rendezvous is None:
            self._refuse(frame.request, Code.LINK_UNKNOWN)
            return
        self._go_to(rendezvous)
        self._process.cast(rendezvous, Join(self._process.pid, frame.request))

    def carry(self, frame: PassLink) -> None:
        """Pass something on."""
        if self._rendezvous is None:
            self._send(LinkEnded(Code.LINK_ENDED, Code.LINK_ENDED.sentence))
        else:
            self._process.cast(self._rendezvous, Carry(self._process.pid, frame.payload))

    def ended(self, down: Down) -> bool:
        """Whether it is the rendezvous that has ended. One that ends as it should has said why itself."""
        if down.ref is not self._monitor:
            return False
        self._rendezvous = self._monitor = None
        if down.reason != NORMAL:
            self._send(LinkEnded(Code.LINK_UNKNOWN, Code.LINK_UNKNOWN.sentence))
        return True

    def _go_to(self, rendezvous: Pid) -> None:
        if self._monitor is not None:
            self._process.demonitor(self._monitor)
        self._rendezvous = rendezvous
        self._monitor = self._process.monitor(rendezvous)

    def _refuse(self, request: int, code: Code, retry_after_ms: int = -1) -> None:
        self._send(Error(request, code, code.sentence, retry_after_ms))
