"""The whole messenger in memory, on virtual time, for tests of what clients see of it at one exact moment.

Whatever is said is carried at once and every commit succeeds: faults are the simulator's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from actors import connection_maker, messenger_children
from actors.accounts.api import AccountLimits, Rate, RateLimiter
from actors.connection.api import ConnectionLimits, Origin
from actors.conversation.api import ConversationLimits
from actors.directory_keys import directory_shard
from actors.presence.api import Load, PresenceLimits
from actors.queue.api import QueueLimits
from actors.router.api import Router
from actors.tally import Tally
from actors.tree import MessengerLimits
from protocol import AccountId, ClientWire, Epoch, ServerWire, StaticKey, Ulid, device_id_of, shard_of
from protocol import messages as m
from protocol.ids import SHARDS
from runtime import InlineTasks, Pid, Runtime, SeededRandomness, SeededScheduler, VirtualClock
from storage import ManualCommitter, MemoryEngine, Store, StoreLimits
from supervisors import Supervisor, SupervisorFlags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.connection.api import Luggage, Siblings

Kind = TypeVar("Kind")
COMMIT_PATIENCE_S = 0.001
SETTLE_ROUNDS = 5


class SmallNode:
    """A node.

    Args:
        rates: Operation -> rate; what is absent is not limited.
        load: What sheds presence.
        siblings: Who takes connections over.
        device_idle_s: A linked device that was not here for so long is removed; 0: never.
        conversation: What one message may be.
        before: The node that this one is after a restart, with the same disk; its processes are none any more.
    """

    via = "a dictionary"

    def __init__(
        self,
        rates: Mapping[str, Rate] | None = None,
        load: Load | None = None,
        siblings: Siblings | None = None,
        device_idle_s: int = 0,
        conversation: ConversationLimits = ConversationLimits(1_000, 86_400, 86_400),  # noqa: B008  # immutable
        before: SmallNode | None = None,
    ) -> None:
        self.clock: VirtualClock = VirtualClock() if before is None else before.clock
        self.scheduler = SeededScheduler(1)
        self.runtime = Runtime(
            clock=self.clock, randomness=SeededRandomness(1), scheduler=self.scheduler, tasks=InlineTasks()
        )
        self.engine: MemoryEngine = MemoryEngine() if before is None else before.engine
        self.committer = ManualCommitter(self.engine)
        store = Store.open(
            self.engine,
            self.committer,
            self.runtime.schedule,
            self.clock.wall_ms,
            StoreLimits(commit_patience_s=COMMIT_PATIENCE_S),
            "small",
            shard_of,
            directory_shard,
        )
        self.router = Router(self.runtime)
        self.codes: dict[str, list[str]] = {}
        self.load = load or Load()
        limits = MessengerLimits(
            conversation,
            QueueLimits(100, 1 << 20, 1 << 16, 8, 60.0),
            AccountLimits(5, 100, True, 600, 3, device_idle_s=device_idle_s),
            PresenceLimits(0.0, 0.0, self.load),
            60.0,
        )
        tree = messenger_children(
            store, store.take_ownership(range(SHARDS)), self.router, Ulid(self.runtime.randomness.bytes), self, limits,
            tally=Tally(),
        )  # fmt: skip
        self.runtime.start(Supervisor(SupervisorFlags("rest_for_one", intensity=9), tree))
        key = StaticKey.generate()
        self.connect = connection_maker(
            lambda: ServerWire(key),
            self.router,
            RateLimiter(rates or {}),
            ConnectionLimits(10.0, 300.0, 1_000, 32, 1 << 20, 30.0, 15, 900, 8, presence=True, load=self.load),
            "small",
            siblings,
        )
        self.settle()

    def send(self, address: AccountId, code: str, lifetime_s: int) -> None:
        """A verification code travels to a list."""
        self.codes.setdefault(address, []).append(code)

    def settle(self) -> None:
        """Everybody reacts and every commit is made; hardly any time passes."""
        for _ in range(SETTLE_ROUNDS):
            self.scheduler.run_for(COMMIT_PATIENCE_S)
            while self.committer.step():
                self.scheduler.run_until_idle()

    def wait(self, duration_s: float) -> None:
        """Let time pass, in steps in which everybody reacts."""
        until_s = self.clock.now_s() + duration_s
        while self.clock.now_s() < until_s:
            self.scheduler.run_for(min(0.25, until_s - self.clock.now_s()))
            self.settle()

    def lag(self, late_s: float, beats: int) -> None:
        """The node is busy: timers fire, but so much too late, so many times."""
        for _ in range(beats):
            self.clock.advance(1.0 + late_s)
            self.settle()

    def device(self, address: str, network: str = "") -> SmallDevice:
        """A device that is registered and logged in."""
        device = SmallDevice(self, network)
        device.register(address)
        device.ask(device.a_login(), m.Ready)
        return device


class SmallDevice:
    """A connection with a device key: what is said is answered at once.

    Args:
        node: Where it connects.
        network: Its network address, to which limits apply; empty for none.
        key: The device's; a new one for None.
        hello: Whether it greets.
    """

    def __init__(self, node: SmallNode, network: str = "", key: StaticKey | None = None, *, hello: bool = True) -> None:
        self.node = node
        self.key = key or StaticKey.generate()
        self.device = device_id_of(self.key.public)
        self.account = AccountId("")
        self.heard: list[Any] = []
        self.wire = ClientWire(self.key)
        self.closed = False
        self.pid: Pid = node.runtime.start(node.connect(self, Origin(network, bool(network)), self))
        self._flush()
        if hello:
            self.say(m.Hello([1], "small"))

    def arrive(self, node: SmallNode, luggage: Luggage) -> None:
        """Another worker takes the connection over."""
        self.node, self.pid = node, node.runtime.start(node.connect(self, Origin("", False), self, luggage))
        node.settle()

    def say(self, *frames: Any) -> None:
        """Say frames, and let everybody react."""
        for frame in frames:
            if not self.closed:
                self.wire.send(frame)
        self._flush()

    def begin(self, frame: Any) -> None:
        """Say something, and let everybody react but the disk."""
        self.wire.send(frame)
        self.node.runtime.cast(self.pid, self.wire.data_to_send())
        self.node.scheduler.run_for(COMMIT_PATIENCE_S)

    def _flush(self) -> None:
        while (data := self.wire.data_to_send()) and not self.closed:
            self.node.runtime.cast(self.pid, data)
            self.node.settle()

    def take(self, kind: type[Kind]) -> list[Kind]:
        """The frames of a kind that were heard since this was asked last; all others are forgotten."""
        heard, self.heard = self.heard, []
        return [frame for frame in heard if isinstance(frame, kind)]

    def ask(self, frame: Any, kind: type[Kind]) -> Kind:
        """Say something; the one answer of a kind."""
        self.heard.clear()
        self.say(frame)
        heard = list(self.heard)
        found = self.take(kind)
        assert len(found) == 1, f"asked for one {kind.__name__}, heard {heard}"
        return found[0]

    def register(self, address: str) -> None:
        """Become a device of an account."""
        self.ask(m.RequestCode(1, address), m.CodeSent)
        code = self.node.codes[address][-1]
        self.account = self.ask(m.Register(2, address, code, address, "small"), m.Registered).account

    def a_login(self) -> m.Login:
        """What begins its session."""
        return m.Login(self.account, Epoch(bytes(8)), True, 60)

    # What a connection needs of its socket and of the door.

    def write(self, data: bytes) -> None:
        """The server sends."""
        self.heard.extend(self.wire.receive_data(data))

    def close(self) -> None:
        """The server closes."""
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        """An endless socket buffer."""
        return 0

    def logged_in(self) -> None:
        """The door counts nobody."""
