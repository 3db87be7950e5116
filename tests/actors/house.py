"""A whole node in one process and one thread, under one seed: real actors, real store, a memory engine, no sockets.

`House.boot` starts what `node.py` starts, save the listener; `House.die` throws it away as SIGKILL does, and decides
the fate of the commit in flight. Virtual time belongs to the house, so that it goes on through a death.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actors.accounts.api import AccountLimits, RateLimiter
from actors.connection.api import ConnectionLimits, Ended, Origin
from actors.conversation.api import ConversationLimits
from actors.presence.api import PresenceLimits
from actors.queue.api import QueueLimits
from actors.router.api import Router
from actors.tree import MessengerLimits, Parts, connection_maker, messenger_children
from protocol import ServerWire, StaticKey, Ulid, shard_of
from runtime import (
    Actor,
    Hooks,
    InlineTasks,
    Pid,
    Runtime,
    SeededRandomness,
    SeededScheduler,
    StartError,
    VirtualClock,
)
from storage import EngineError, ManualCommitter, Store, StoreLimits, Table
from supervisors import ChildSpec, DynamicSupervisor, Supervisor, SupervisorError, SupervisorFlags
from tests.actors.witness import WatchedEngine, Witness

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol import AccountId
    from storage.records import Record
    from tests.actors.phone import Phone

SERVER_KEY = StaticKey(bytes(range(32)))
CONNECTION_LIMITS = ConnectionLimits(
    handshake_timeout_s=10.0,
    login_timeout_s=10.0,
    payload_size_bytes_max=1_000,
    window=8,
    outbound_buffer_bytes_max=1 << 20,
    slow_reader_s=30.0,
    heartbeat_s_min=5,
    heartbeat_s_max=30,
    open_conversations_max=16,
    presence=True,
)


class InjectedError(Exception):
    """A fault of the test's making, inside an actor's own callback."""


class CrashingStore(Store):
    """The store, in whose `append` a caller can be made to crash: before it took effect, or right after."""

    __slots__ = ("crash_after", "crash_before")

    crash_before: bool
    crash_after: bool

    def append(self, shard: int, epoch: int, record: Record, token: object = None) -> None:
        if self.crash_before:
            self.crash_before = False
            raise InjectedError
        super().append(shard, epoch, record, token)
        if self.crash_after:
            self.crash_after = False
            raise InjectedError


class Codes:
    """Verification codes travel to a dictionary."""

    via = "a dictionary"

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}

    def send(self, address: AccountId, code: str, lifetime_s: int) -> None:
        self.sent[address] = code


@dataclass(frozen=True)
class Floor:
    """The sizes of one house: small ones, so that their ends are met."""

    shards: tuple[int, ...]
    entries_max: int = 10_000
    window_bytes: int = 64 * 1024
    attempts_max: int = 30
    resume_window_s: float = 60.0
    hot_window_bytes: int = 1 << 20
    hot_window_s: float = 3.0
    move_operations: int = 64
    ttl_s: int = 86_400
    background_delay_s: float = 2.0


@dataclass(eq=False)
class Link:
    """One connection: a transport of the server on one side, a phone on the other, two directions between.

    What the server writes is decrypted, and seen by the witness, at once; the phone reads it when it is its turn.
    """

    phone: Phone
    witness: Witness
    pid: Pid | None = None
    up: deque[bytes] = field(default_factory=deque)
    down: deque[object] = field(default_factory=deque)
    cut: bool = False
    closing: bool = False

    def write(self, data: bytes) -> None:
        """The server sends."""
        if self.cut or self.closing:
            return
        for frame in self.phone.decrypt(self, data):
            self.witness.told(self.phone, frame)
            self.down.append(frame)

    def close(self) -> None:
        """The server closes; what it sent before still arrives."""
        self.closing = True

    def abort(self) -> None:
        """The connection is gone at once."""
        self.cut = self.closing = True
        self.up.clear()
        self.down.clear()

    def get_write_buffer_size(self) -> int:
        """An endless socket buffer; slow readers are told of by Pressure."""
        return 0


class Anyone:
    """A door's book without limits."""

    def logged_in(self) -> None:
        """Nobody counts strangers here."""


class House:
    """A node and its disk.

    Args:
        seed: Decides everything.
        floor: Sizes and shards.
        parts: The classes of the actors.
    """

    def __init__(self, seed: int, floor: Floor, parts: Parts | None = None) -> None:
        self.seed = seed
        self.floor = floor
        self.parts = parts or Parts()
        self.chance = random.Random(f"house {seed}")
        self.clock = VirtualClock()
        self.witness = Witness()
        self.engine = WatchedEngine(self.witness)
        self.codes = Codes()
        self.links: list[Link] = []
        self.boots = 0
        self.crashes: list[BaseException] = []
        self.faults = False

    def boot(self) -> None:
        """Start a node on what the disk holds."""
        self.boots += 1
        floor = self.floor
        self.scheduler = SeededScheduler(self.chance.getrandbits(32))
        self.runtime = Runtime(
            clock=self.clock,
            randomness=SeededRandomness(self.chance.getrandbits(32)),
            scheduler=self.scheduler,
            tasks=InlineTasks(),
            hooks=Hooks(crashed=self._crashed),
        )
        self.committer = ManualCommitter(self.engine)
        limits = StoreLimits(
            hot_window_bytes_max=floor.hot_window_bytes,
            hot_window_s_max=floor.hot_window_s,
            move_operations_max=floor.move_operations,
            trim_records_max=floor.move_operations,
            outbox_records_max=16,
        )
        self.store: CrashingStore = CrashingStore.open(
            self.engine, self.committer, self.runtime.schedule, self.clock.wall_ms, limits, "house", shard_of
        )
        self.store.crash_before = self.store.crash_after = False
        self.router = Router(self.runtime)
        self.connections = DynamicSupervisor(shutdown_s=1.0)
        self.connect = connection_maker(
            lambda: ServerWire(SERVER_KEY), self.router, RateLimiter({}), CONNECTION_LIMITS, "house"
        )
        children = [
            *messenger_children(
                self.store,
                self.store.take_ownership(floor.shards),
                self.router,
                Ulid(self.runtime.randomness.bytes),
                self.codes,
                self._limits(),
                self.parts,
            ),
            ChildSpec("connections", lambda: self.connections, kind="supervisor"),
        ]
        self.root = self.runtime.start(Supervisor(SupervisorFlags("rest_for_one", intensity=3, period_s=30), children))

    def _limits(self) -> MessengerLimits:
        floor = self.floor
        return MessengerLimits(
            ConversationLimits(1_000, floor.ttl_s, 86_400),
            QueueLimits(
                floor.entries_max,
                1 << 20,
                floor.window_bytes,
                floor.attempts_max,
                floor.resume_window_s,
                floor.background_delay_s,
            ),
            AccountLimits(5, 100, True, 600, 5),
            PresenceLimits(5.0, 2.0),
            2.0,
        )

    def _crashed(self, pid: Pid, actor: Actor, error: BaseException) -> None:
        if not isinstance(error, InjectedError):
            self.crashes.append(error)

    @property
    def alive(self) -> bool:
        """Whether the node's tree has not given up."""
        return self.runtime.is_alive(self.root)

    def die(self, tables: Iterable[Table]) -> None:
        """End the process as SIGKILL does.

        Args:
            tables: What of the commit in flight reached the disk: nothing, all tables, or some of them.
        """
        prepared = self.committer.crash()
        kept = tuple(tables)
        if prepared is not None and kept:
            prepared.tear(kept)  # type: ignore[attr-defined]  # the memory engine's
        self.engine = self.engine.crash()
        for link in self.links:
            link.abort()
        self.links.clear()

    def accept(self, phone: Phone) -> Link:
        """A phone connects."""
        link = Link(phone, self.witness)
        try:
            link.pid = self.connections.start_actor(lambda: self.connect(link, Origin("", False), Anyone()))
        except (StartError, SupervisorError):
            link.abort()
        self.links.append(link)
        return link

    def carry(self, link: Link) -> bool:
        """Bytes of a phone reach the server, cut anywhere; False if there were none."""
        if not link.up or link.pid is None:
            return False
        data = link.up.popleft()
        if len(data) > 2 and self.chance.random() < 0.2:
            cut = self.chance.randrange(1, len(data))
            link.up.appendleft(data[cut:])
            data = data[:cut]
        if not self.runtime.cast(link.pid, data):
            link.abort()
        return True

    def end(self, link: Link) -> None:
        """A socket is closed, and the server's side hears of it."""
        link.abort()
        if link.pid is not None:
            self.runtime.cast(link.pid, Ended())

    def fail_commit(self) -> bool:
        """Let the commit in flight fail; never a node's first, which makes it the owner of its shards."""
        if not self.committer.waiting or self.store.statistics().commits == 0:
            return False
        return self.committer.fail(EngineError("the disk refused"))

    def let_pass(self, duration_s: float) -> None:
        """Virtual time passes; who is woken by it runs later."""
        self.clock.advance(duration_s)
        self.scheduler.fire_due()

    def check(self) -> None:
        """Raise what went wrong so far."""
        if self.crashes:
            raise self.crashes[0]
        self.witness.check()
