"""The starting and stopping of a node's shards at run time, through their supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from supervisors import ChildExistsError, DeleteChild, StartChild, TerminateChild

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from actors.placement.estate import Estate
    from actors.router.api import Router
    from runtime import Process, Ref, Reply

__all__ = ["SHARDS_SUPERVISOR", "Residents"]

SHARDS_SUPERVISOR: Final = "shards"
"""The name of the supervisor under which this node's shards run."""


class Residents:
    """Starts and stops shards, one word after the other for each.

    Args:
        process: Of the placement, which gets the supervisor's answers.
        router: Is told who has left.
        estate: The shards that run here.
    """

    __slots__ = ("_estate", "_pending", "_process", "_router", "_stopping")

    def __init__(self, process: Process, router: Router, estate: Estate) -> None:
        self._process = process
        self._router = router
        self._estate = estate
        self._stopping: dict[int, Callable[[], object]] = {}
        self._pending: dict[Ref, Callable[[Any], object]] = {}

    def answered(self, reply: Reply) -> None:
        """The supervisor has answered."""
        then = self._pending.pop(reply.ref, None)
        if then is not None:
            then(reply.value)

    def start(self, shard: int, epoch: int) -> None:
        """Run a shard; if it is being stopped, then after that, and instead of what was to follow."""
        child = self._estate.add(shard, epoch)

        def begin() -> None:
            self._ask(StartChild(child), started)

        def started(answer: object) -> None:
            if isinstance(answer, ChildExistsError):  # a placement has crashed before it had stopped that one
                self._clear(child.id, begin)
            elif isinstance(answer, Exception):
                raise answer  # or the crash of the placement tells why it does not run

        if shard in self._stopping:
            self._stopping[shard] = begin
        else:
            begin()

    def stop(self, shard: int, then: Callable[[], object]) -> None:
        """Stop a shard and all who live in it, then go on."""
        self._router.leave(shard)
        self._estate.remove(shard)
        self._stopping[shard] = then
        self._clear(("shard", shard), lambda: self._stopping.pop(shard)())

    def _clear(self, child: Hashable, then: Callable[[], object]) -> None:
        """Let the supervisor stop a child and forget it."""
        self._ask(TerminateChild(child), lambda _: self._ask(DeleteChild(child), lambda _: then()))

    def _ask(self, request: object, then: Callable[[Any], object]) -> None:
        """Ask the supervisor; when it ends, the placement does too, for it stands behind it in its order."""
        supervisor = self._process.runtime.whereis(SHARDS_SUPERVISOR)
        if supervisor is not None:
            self._pending[self._process.call(supervisor, request, None)] = then
