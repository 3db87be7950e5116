"""Crashes in the middle of a callback: the ports that actors use, any call of which may raise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.router.api import Router
from protocol import shard_of
from storage import Store
from storage.group import Failed, raise_it

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from protocol import AccountId, ConversationId, DeviceId
    from runtime import Pid, Runtime
    from simulation.coverage import Coverage
    from simulation.network import Socket
    from storage import Export, Row
    from storage.group import Done
    from storage.records import Record

__all__ = ["InjectedError", "Trap", "TrappedRouter", "TrappedStore"]


class InjectedError(Exception):
    """A fault of the simulator's making, inside an actor's own callback."""


class Trap:
    """Springs at one of the next calls of a port, before the call took effect or right after.

    Args:
        coverage: Where it notes that it has sprung.
    """

    __slots__ = ("_after", "_calls_left", "_coverage")

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._calls_left = 0
        self._after = False

    def set(self, calls: int, after: bool) -> None:
        """Spring at the call that is so many calls away.

        Args:
            calls: 1 for the very next call.
            after: Whether the call takes effect first.
        """
        self._calls_left = calls
        self._after = after

    def disarm(self) -> None:
        """Do not spring."""
        self._calls_left = 0

    def before(self) -> None:
        """A call begins.

        Raises:
            InjectedError: The trap springs.
        """
        if self._calls_left:
            self._calls_left -= 1
            if not self._calls_left and not self._after:
                self._spring()

    def after(self) -> None:
        """A call has taken effect.

        Raises:
            InjectedError: The trap springs.
        """
        if self._after and not self._calls_left:
            self._spring()

    def _spring(self) -> None:
        self._calls_left, self._after = 0, False
        self._coverage.reached("an actor crashes in the middle of a callback")
        raise InjectedError

    def watch(self, socket: Socket) -> TrappedTransport:
        """A socket whose writes may raise."""
        return TrappedTransport(socket, self)


class TrappedTransport:
    """A connection's transport."""

    __slots__ = ("_socket", "_trap", "abort", "close", "get_write_buffer_size")

    def __init__(self, socket: Socket, trap: Trap) -> None:
        self._socket = socket
        self._trap = trap
        self.close = socket.close
        self.abort = socket.abort
        self.get_write_buffer_size = socket.get_write_buffer_size

    def write(self, data: bytes) -> None:
        """Send, then perhaps raise: bytes that a wire has sealed cannot be left out of its stream."""
        self._socket.write(data)
        self._trap.before()


class TrappedStore(Store):
    """A node's store.

    Attributes:
        fenced_positions: What it took from writers that had lost their shard; nothing, of course.
    """

    __slots__ = ("_coverage", "_trap", "fenced_positions")

    _trap: Trap
    _coverage: Coverage
    fenced_positions: set[int]

    def arm(self, trap: Trap, coverage: Coverage) -> None:
        """Let it have its trap; called once, when it is open."""
        self._trap = trap
        self._coverage = coverage
        self.fenced_positions = set()

    def append(self, shard: int, epoch: int, record: Record, token: object = None) -> None:
        """Append a record."""
        self._trap.before()
        next_position = self._journal.next_position
        fenced = epoch != self._journal._owned.get(shard, 0)
        super().append(shard, epoch, record, token)
        if fenced:
            moving = shard not in self._journal._owned
            self._coverage.reached(
                "a writer is refused whose shard has moved" if moving else "a fenced writer is refused"
            )
            self.fenced_positions.update(range(next_position, self._journal.next_position))
        self._trap.after()

    def read_export(
        self, export: Export, size_bytes_max: int, completed: Callable[[list[Row]], None], failed: Failed = raise_it
    ) -> None:
        """Read on in a shard that moves."""
        if export.changes and not export.is_last and not self._journal.owns(export.shard):
            self._coverage.reached("a shard changes while it is copied")
        super().read_export(export, size_bytes_max, completed, failed)

    def discard_arrival(self, shard: int, completed: Done) -> None:
        """Forget a copy that is void."""
        if shard in self.arrivals():
            self._coverage.reached("a copy of a shard that did not move is purged")
        super().discard_arrival(shard, completed)

    def load_conversation(self, shard: int, conversation: str, completed: Any, failed: Failed = raise_it) -> None:
        """Load a conversation."""
        self._trap.before()
        super().load_conversation(shard, conversation, completed, failed)

    def load_queue(self, shard: int, device: bytes, completed: Any, failed: Failed = raise_it) -> None:
        """Load a queue."""
        self._trap.before()
        super().load_queue(shard, device, completed, failed)

    def read_queue(
        self,
        shard: int,
        device: bytes,
        after_position: int,
        limit: int,
        size_bytes_max: int,
        completed: Any,
        failed: Failed = raise_it,
    ) -> None:
        """Read a page of a queue."""
        self._trap.before()
        super().read_queue(shard, device, after_position, limit, size_bytes_max, completed, failed)


class TrappedRouter(Router):
    """A node's router: looking somebody up may raise."""

    __slots__ = ("_coverage", "_trap")

    def __init__(self, runtime: Runtime, trap: Trap, coverage: Coverage) -> None:
        super().__init__(runtime)
        self._trap = trap
        self._coverage = coverage

    def resolve(self, name: Hashable) -> Pid | None:
        """Another node has something for a name that nobody holds."""
        pid = super().resolve(name)
        if pid is not None:
            self._coverage.reached("another node has an actor started")
        elif isinstance(name, tuple) and name[0] == "at" and _shard_of(name[-1]) not in self._households:
            self._coverage.reached("something comes to a node whose shard has moved")
        return pid

    def shard(self, shard: int) -> Pid:
        """Look up a shard."""
        self._trap.before()
        return super().shard(shard)

    def account(self, account: AccountId) -> Pid:
        """Look up an account."""
        self._trap.before()
        return super().account(account)

    def conversation(self, conversation: ConversationId) -> Pid:
        """Look up a conversation."""
        self._trap.before()
        return super().conversation(conversation)

    def queue(self, device: DeviceId, account: AccountId) -> Pid:
        """Look up a queue."""
        self._trap.before()
        return super().queue(device, account)

    def presence(self, account: AccountId) -> Pid:
        """Look up a presence."""
        self._trap.before()
        return super().presence(account)

    def queue_here(self, device: bytes) -> Pid | None:
        """Look up a queue that runs here."""
        self._trap.before()
        return super().queue_here(device)

    def live_queue(self, device: DeviceId, account: AccountId) -> Pid | None:
        """Look up a running queue."""
        self._trap.before()
        return super().live_queue(device, account)


def _shard_of(name: str | bytes) -> int:
    """The shard of what is called so; a rendezvous is called by bytes."""
    return shard_of(name.hex() if isinstance(name, bytes) else name)
