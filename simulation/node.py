"""A simulated node: everything that `node.py` starts, save the listening socket, over a simulated disk and network.

Its processor is simulated, too: a few turns of its actors at a time, chosen by the seed, with a moment between, so that
segments, commits and timers come between any two of them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from actors.accounts.api import AccountLimits, RateLimiter
from actors.connection.api import ConnectionLimits, Drain, Origin
from actors.conversation.api import ConversationLimits
from actors.directory_keys import directory_shard
from actors.presence.api import PresenceLimits
from actors.queue.api import QueueLimits
from actors.shard.api import PaceLimits
from actors.tree import Cluster, MessengerLimits, Parts, connection_maker, messenger_children
from protocol import StaticKey, Ulid, shard_of
from runtime import KILLED, Actor, Hooks, InlineTasks, Pid, Reason, SeededRandomness, StartError
from simulation.agenda import HostClock, chance_of
from simulation.ambush import Ambush
from simulation.disk import DiskCommitter, SimulatedDisk
from simulation.guest import Anyone, Guest
from simulation.node_scheduler import NodeScheduler
from simulation.trap import InjectedError, Trap, TrappedRouter
from simulation.watched_wire import WatchedWire
from storage import EngineStatistics, StorageError, StoreLimits, Table
from supervisors import ChildSpec, DynamicSupervisor, Supervisor, SupervisorError, SupervisorFlags

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import AccountId
    from simulation.network import Socket, SocketUser
    from simulation.world import World

__all__ = ["SimulatedNode", "Sizes"]

CONNECTION_LIMITS: Final = ConnectionLimits(
    handshake_timeout_s=10.0,
    login_timeout_s=15.0,
    payload_size_bytes_max=32_768,
    window=16,
    outbound_buffer_bytes_max=1 << 18,
    slow_reader_s=20.0,
    heartbeat_s_min=5,
    heartbeat_s_max=30,
    open_conversations_max=16,
    presence=True,
)
SLICE_S: Final = (0.00002, 0.0005)
REBOOT_S: Final = (0.2, 3.0)
LIFETIME_S_MAX: Final = 86_400
FREE_SPACE_BYTES: Final = 1 << 40


@dataclass(frozen=True)
class Sizes:
    """The limits of one seed's nodes: small ones in some, so that their ends are met.

    Attributes:
        entries_max: Entries that may wait for one device.
        window_bytes: What may be on its way to one device.
        attempts_max: Broken connections after which a message is poison.
        resume_window_s: How long a session may be resumed.
        hot_window_bytes: Size of the hot journal.
        hot_window_s: Age of the hot journal.
        move_operations: Steps of one move.
        sweep_interval_s: How often what has expired is looked for.
        mailbox_limit: How many messages may wait for one connection.
        background_delay_s: How long what is not urgent waits for a device at which nobody looks.
        shared_bytes_min: What the inbox has to spare by storing a body once for several devices.
        copy_page_bytes: What goes at once of a shard that moves.
        copy_pages_max: How many of these may be on their way.
        pace: How fast large fan-outs go out.
    """

    entries_max: int = 10_000
    window_bytes: int = 64 * 1024
    attempts_max: int = 30
    resume_window_s: float = 60.0
    hot_window_bytes: int = 1 << 20
    hot_window_s: float = 3.0
    move_operations: int = 64
    sweep_interval_s: float = 2.0
    mailbox_limit: int = 10_000
    shared_bytes_min: int = 1
    background_delay_s: float = 0.0
    copy_page_bytes: int = 512 << 10
    copy_pages_max: int = 8
    pace: PaceLimits = field(default_factory=PaceLimits)


class Codes:
    """Verification codes travel to a dictionary."""

    via = "the simulator"

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}

    def send(self, address: AccountId, code: str, lifetime_s: int) -> None:
        """Deliver a code."""
        self.sent[address] = code


class SimulatedNode:
    """A node, its disk and its lives.

    Args:
        world: Where it stands.
        name: Its name.
        shards: The shards that it owns.
        sizes: Its limits.
        parts: The classes of its actors.

    Attributes:
        life: Grows at each start and each end; what belongs to another life is void.
        up: Whether it runs.
        guests: Its sockets.
        frozen_until_s: When it works again after it was last frozen.
        linked_at_s: Since when it is linked to others.
        ambush: Who is killed at its next mail, and whose handler raises.
    """

    def __init__(self, world: World, name: str, shards: tuple[int, ...], sizes: Sizes, parts: Parts) -> None:
        self.world = world
        self.name = name
        self._shards = shards
        self.sizes = sizes
        self.parts = parts
        self.witness = world.witness
        self.chance = chance_of(world.seed, f"node {name}")
        self.clock = HostClock(world.agenda, self.chance.uniform(0.999, 1.001), self.chance.randrange(-2_000, 2_000))
        self.static_key = StaticKey.generate(self.chance.randbytes)
        self.disk = SimulatedDisk(
            lambda *record: self.witness.durable(self, *record), self._moved, self.witness.audience.listed
        )
        self.codes = Codes()
        self.trap = Trap(world.coverage)
        self.guests: dict[Socket, Guest] = {}
        self.life = 0
        self.up = False
        self.ended: Counter[str] = Counter()
        self._alarm_s = float("inf")
        self.ambush = Ambush(world.coverage)
        self.free_space_bytes = FREE_SPACE_BYTES
        self.frozen_until_s = 0.0
        self.linked_at_s: dict[str, float] = {}

    @property
    def shards(self) -> tuple[int, ...]:
        """The shards that it has now, whether it runs or not."""
        return self._shards

    # Its life.

    def boot(self) -> None:
        """Start on what the disk holds; if the disk cannot be read now, try again a little later."""
        if self.up:
            return
        self.life += 1
        self.ambush.forget_victim()
        try:
            self._start()
        except (StorageError, StartError) as error:
            self.world.log(f"{self.name} cannot start: {type(error).__name__}")
            if self.up:
                self.die("kept", told=True)
            self.life += 1
            self.reboot_later()

    def _start(self) -> None:
        sizes, chance = self.sizes, self.chance
        self._alarm_s = float("inf")
        self.scheduler = NodeScheduler(chance.getrandbits(32), self)
        self.runtime = self.world.scenario.runtime(
            node=self.name,
            incarnation=self.incarnation(),
            clock=self.clock,
            randomness=SeededRandomness(chance.getrandbits(32)),
            scheduler=self.scheduler,
            tasks=InlineTasks(),
            hooks=Hooks(crashed=self._crashed, ended=self._ended, started=self._started),
            mailbox_limit=sizes.mailbox_limit,
        )
        self.runtime.foreign = self.world.scenario.foreign(self.runtime)
        self.disk.free_space_bytes = self.free_space_bytes
        self.committer = DiskCommitter(self.disk, self.world.agenda, chance, self.world.coverage, self._settled)
        self.store = self.world.scenario.store.open(
            self.disk,
            self.committer,
            self.runtime.schedule,
            self.clock.wall_ms,
            _store_limits(sizes),
            self.name,
            shard_of,
            directory_shard,
        )
        self.store.arm(self.trap, self.world.coverage)
        if self.life > 1 and self.store.statistics().hot_bytes:
            self.world.coverage.reached("a journal is replayed")
        self.witness.opened(self)
        self.router = TrappedRouter(self.runtime, self.trap, self.world.coverage)
        self.connections = DynamicSupervisor(shutdown_s=1.0)
        self.connect = connection_maker(
            lambda: WatchedWire(self.static_key, self.runtime.randomness.bytes, self.witness),
            self.router,
            RateLimiter({}),
            CONNECTION_LIMITS,
            "simulation",
        )
        children = self.children()
        self.world.log(f"LIFE {self.name} starts")
        self.up = True
        self.root = self.runtime.start(Supervisor(SupervisorFlags("rest_for_one", intensity=3, period_s=30), children))

    def incarnation(self) -> int:
        """A number for this life; a node that is alone needs none."""
        return 0

    def cluster(self) -> Cluster | None:
        """What it has to know of others; a node that is alone knows of none."""
        return None

    def children(self) -> list[ChildSpec]:
        """What its root supervises."""
        return [
            *messenger_children(
                self.store,
                self.store.take_ownership(self.shards),
                self.router,
                Ulid(self.runtime.randomness.bytes),
                self.codes,
                _messenger_limits(self.sizes),
                self.parts,
                cluster=self.cluster(),
            ),
            ChildSpec("connections", lambda: self.connections, kind="supervisor"),
        ]

    def die(self, fate: str, told: bool) -> None:
        """End as SIGKILL, or a power cut, ends a process.

        Args:
            fate: What becomes of the commit in flight.
            told: Whether clients hear of it (the kernel lives on) or not.
        """
        if not self.up:
            return
        self.world.log(f"LIFE {self.name} ends, a commit in flight would be {fate}")
        self.up = False
        self.life += 1
        self.frozen_until_s = 0.0
        self.trap.disarm()
        self.committer.die(self.disk, fate)
        self.disk = self.disk.reopened()
        for socket in list(self.guests):
            socket.vanish(told)
        self.guests.clear()
        self.runtime.close()

    def kill(self, pid: Pid) -> None:
        """Kill one of its processes."""
        self.witness.killed(self, pid)
        self.runtime.exit(pid, KILLED)

    def calm_down(self) -> None:
        """Nothing goes wrong any more."""
        self.free_space_bytes = self.disk.free_space_bytes = FREE_SPACE_BYTES
        self.disk.reads_to_fail = 0
        self.trap.disarm()
        self.ambush.disarm()
        self.thaw()
        if self.up:
            self.committer.calm_down()
        else:
            self.boot()

    def reboot_later(self) -> None:
        """Start again, as a process manager does."""
        life = self.life
        self.world.agenda.after(
            self.chance.uniform(*REBOOT_S), lambda: self.boot() if self.life == life and not self.up else None
        )

    def drain(self) -> None:
        """Say goodbye to every client, as at SIGTERM; what follows is an end without a commit in flight."""
        for child in self.connections.which_children():
            if child.pid is not None:
                self.runtime.cast(child.pid, Drain(500))

    # Its processor.

    def work_soon(self) -> None:
        """Run some turns after a moment."""
        life = self.life
        self.world.agenda.after(self.chance.uniform(*SLICE_S), lambda: self._work() if self.life == life else None)

    @property
    def is_frozen(self) -> bool:
        """Whether its process is stopped for now."""
        return self.world.agenda.now_s < self.frozen_until_s

    def freeze(self, duration_s: float) -> None:
        """Do nothing for a while, and read nothing; neither end of a connection is told."""
        self.world.log(f"LIFE {self.name} is frozen for {duration_s} s")
        self.frozen_until_s = self.world.agenda.now_s + duration_s
        for socket in self.guests:
            socket.up.paused = True
        self._while_alive(self.thaw)

    def thaw(self) -> None:
        """Read on."""
        self.frozen_until_s = min(self.frozen_until_s, self.world.agenda.now_s)
        for socket in list(self.guests):
            socket.up.resume()

    def _while_alive(self, action: Callable[[], None]) -> None:
        """Do something when it is frozen no more, if it lives so long."""
        life = self.life
        self.world.agenda.at(self.frozen_until_s, lambda: action() if self.life == life else None)

    def _work(self) -> None:
        if self.is_frozen:
            self._while_alive(self._work)
            return
        scheduler = self.scheduler
        for _ in range(self.chance.randint(1, 12)):
            if not scheduler.step():
                break
        if not self.runtime.is_alive(self.root):
            self._fall()
        elif scheduler.busy:
            self.work_soon()
        else:
            scheduler.asleep = True

    def _fall(self) -> None:
        """The tree has given up: the process ends, and its manager starts it again."""
        self.world.log(f"{self.name}: the tree has given up")
        self.world.coverage.reached("a node's tree gives up")
        self.die("kept", told=True)
        self.reboot_later()

    def alarm_at(self, due_s: float) -> None:
        """Let the timers fire at a moment of this node's clock."""
        due_s = self.clock.true_s(due_s)
        if due_s < self._alarm_s:
            self._alarm_s = due_s
            life = self.life
            self.world.agenda.at(due_s, lambda: self._ring(due_s) if self.life == life else None)

    def _ring(self, due_s: float) -> None:
        if self.is_frozen:
            self._while_alive(lambda: self._ring(due_s))
        elif due_s == self._alarm_s:  # else a nearer alarm has taken its place, and rung already
            self._alarm_s = float("inf")
            self.scheduler.fire_due()
            if self.scheduler.busy:
                self.scheduler.wake()

    def _settled(self) -> None:
        if self.up and self.scheduler.busy:
            self.scheduler.wake()

    # Its doors.

    def listen(self, socket: Socket) -> SocketUser | None:
        """A client connects; None when nobody listens."""
        if not self.up or self.is_frozen:
            return None
        guest = Guest(self)
        try:
            guest.pid = self.connections.start_actor(
                lambda: self.connect(self.trap.watch(socket), Origin("", False), Anyone())
            )
        except (StartError, SupervisorError):
            return None
        self.guests[socket] = guest
        return guest

    # What it tells.

    def _moved(self, table: Table, key: bytes) -> None:
        self.witness.moved(self, table, key)

    def _crashed(self, pid: Pid, actor: Actor, error: BaseException) -> None:
        self.witness.crashed(self, actor)
        self.went_wrong(type(actor).__name__, error)

    def went_wrong(self, what: str, error: BaseException) -> None:
        """Something raised: what the weather did not cause ends the run."""
        self.world.log(f"{self.name} {what} crashed: {type(error).__name__}")
        if not isinstance(error, InjectedError | StorageError):
            self.world.crashes.append(error)

    def _started(self, pid: Pid, actor: Actor) -> None:
        self.witness.started(self, pid, actor)

    def _ended(self, pid: Pid, actor: Actor, reason: Reason) -> None:
        if isinstance(actor, Supervisor) and pid != self.root and len(actor._window.restarts) > actor._window.intensity:
            self.world.coverage.reached("a supervisor gives up and its own one restarts it")
        self.witness.ended(self, pid, actor, reason)

    def statistics(self) -> EngineStatistics:
        """How full the disk is."""
        return self.disk.statistics()


def _store_limits(sizes: Sizes) -> StoreLimits:
    return StoreLimits(
        hot_window_bytes_max=sizes.hot_window_bytes,
        hot_window_s_max=sizes.hot_window_s,
        move_operations_max=sizes.move_operations,
        trim_records_max=sizes.move_operations,
        outbox_records_max=16,
        shared_bytes_min=sizes.shared_bytes_min,
    )


def _messenger_limits(sizes: Sizes) -> MessengerLimits:
    return MessengerLimits(
        ConversationLimits(2_000, LIFETIME_S_MAX, LIFETIME_S_MAX),
        QueueLimits(
            sizes.entries_max,
            1 << 20,
            sizes.window_bytes,
            sizes.attempts_max,
            sizes.resume_window_s,
            sizes.background_delay_s,
        ),
        AccountLimits(5, 100, True, 600, 5),
        PresenceLimits(5.0, 2.0),
        sizes.sweep_interval_s,
        pace=sizes.pace,
    )
