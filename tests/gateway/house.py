"""Two workers of one host in one process: the whole messenger twice, on the loop that runs, with a passage between.

Each has a door of its own, so that a test says who accepts; `a` has the even shards and `b` the odd ones.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING, Any, Final, Self

import uvloop

from actors import Tally, connection_maker, messenger_children
from actors.accounts.api import AccountLimits, Rate, RateLimiter
from actors.connection.api import ConnectionLimits
from actors.conversation.api import ConversationLimits
from actors.logbook import configure, hooks
from actors.presence.api import PresenceLimits
from actors.queue.api import QueueLimits
from actors.router.api import Router
from actors.tree import MessengerLimits
from gateway import Door, DoorLimits, Passage, TcpListener, bound_socket, hatches
from protocol import ServerWire, StaticKey, Ulid, shard_of
from protocol.ids import SHARDS
from runtime import Actor, LoopScheduler, Runtime
from storage import MemoryEngine, Store, StoreLimits, ThreadCommitter
from supervisors import ChildSpec, DynamicSupervisor, Supervisor, SupervisorFlags
from tests.stories.raw_device import RawDevice

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from types import TracebackType

    from gateway import Hatch

DOOR: Final = DoorLimits(100, 50, 100, loopback_exempt=True)
LIMITS: Final = ConnectionLimits(10.0, 300.0, 1_000, 32, 1 << 20, 30.0, 15, 900, 8, presence=True)
PATIENCE_S: Final = 0.2
TEST_S_MAX: Final = 20.0
_LOOPS: Final = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
LOOPS: Final = tuple(_LOOPS)


def on_loop(function: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[str], None]:
    """An async test on the loop that its parameter `loop` names, never for longer than it may take."""

    async def limited() -> None:
        async with asyncio.timeout(TEST_S_MAX):
            await function()

    def test(loop: str) -> None:
        with asyncio.Runner(loop_factory=_LOOPS[loop]) as runner:
            runner.run(limited())

    return test


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until it is so; the test has a time of its own."""
    while not condition():  # noqa: ASYNC110 - what is waited for is told to nobody
        await asyncio.sleep(0.001)


def descriptors() -> dict[str, str]:
    """The open descriptors of this process, and what they are."""
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # the one of the listing itself
            continue
    return found


class Worker:
    """One of them.

    Args:
        name: Of its node.
        shards: Which it has.
        places: Where the others live.
        all_hatches: Of the host.
        key: The server's identity.
        door_limits: How many come in.
        rates: Operation -> rate; what is absent is not limited.
    """

    def __init__(
        self,
        name: str,
        shards: range,
        places: dict[int, str],
        all_hatches: Mapping[str, Hatch],
        key: StaticKey,
        door_limits: DoorLimits,
        rates: Mapping[str, Rate],
        codes: Codes,
    ) -> None:
        self.name = name
        self.key = key
        self.runtime = Runtime(node=name, scheduler=LoopScheduler(), hooks=hooks(configure("warning", "json")))
        engine = MemoryEngine()
        self.store = Store.open(
            engine,
            ThreadCommitter(engine, self.runtime.post_threadsafe),
            self.runtime.schedule,
            self.runtime.clock.wall_ms,
            StoreLimits(),
            name,
            shard_of,
        )
        self.router = Router(self.runtime)
        self.router.places.update(places)
        self.passage = Passage(name, all_hatches, lambda account: self.router.node_of(shard_of(account)), PATIENCE_S)
        self.door = Door(door_limits)
        self.connections = DynamicSupervisor(children_max=1_000, shutdown_s=1.0)
        self.listening = bound_socket("127.0.0.1", 0)
        self.address = f"127.0.0.1:{self.listening.getsockname()[1]}"
        connect = connection_maker(
            lambda: ServerWire(key), self.router, RateLimiter(rates), LIMITS, "house", self.passage
        )
        limits = MessengerLimits(
            ConversationLimits(1_000, 86_400, 86_400),
            QueueLimits(100, 1 << 20, 1 << 16, 8, 60.0),
            AccountLimits(5, 100, True, 600, 3),
            PresenceLimits(0.0, 0.0),
            60.0,
        )
        children = messenger_children(
            self.store,
            self.store.take_ownership(shards),
            self.router,
            Ulid(self.runtime.randomness.bytes),
            codes,
            limits,
            tally=Tally(),
        )
        children.append(ChildSpec("connections", lambda: self.connections, kind="supervisor"))
        self.met: list[tuple[Any, ...]] = []

        def met(*of_whom: Any, **more: Any) -> Actor:
            self.met.append(of_whom)
            return connect(*of_whom, **more)

        self.listener = TcpListener(self.listening, self.door, self.connections, met, key, self.passage)
        children.append(ChildSpec("listener", lambda: self.listener, name="listener", restart="transient"))
        self.runtime.start(Supervisor(SupervisorFlags("rest_for_one"), children))

    async def emptied(self) -> None:
        """Its clients are gone, and its book is empty; whoever was refused is not in it, and may linger longer."""
        await until(lambda: not self.door.connections and not self.listener.lingering)
        assert self.door.strangers == 0

    def hang(self) -> None:
        """Nobody takes out what is put into its hatch."""
        asyncio.get_running_loop().remove_reader(self.passage._inbox)

    def go_on(self) -> None:
        """It does again; or the worker does that has replaced it."""
        self.passage.open(self.listener._receive)

    async def close(self) -> None:
        """It ends."""
        self.hang()
        closed = asyncio.Event()
        self.store.close(closed.set)
        await closed.wait()
        self.runtime.close()
        self.listening.close()


class Codes:
    """Verification codes travel to a dictionary."""

    via = "a dictionary"

    def __init__(self) -> None:
        self.last: dict[str, str] = {}

    def send(self, address: str, code: str, lifetime_s: int) -> None:
        """As `CodeSender`."""
        self.last[address] = code


class House:
    """The host.

    Args:
        doors: Limits of each worker's door.
        rates: As of each worker.
    """

    def __init__(
        self, doors: tuple[DoorLimits, DoorLimits] = (DOOR, DOOR), rates: Mapping[str, Rate] | None = None
    ) -> None:
        self.key = StaticKey.generate()
        self.codes = Codes()
        self.hatches = hatches(["a", "b"])
        self._doors = doors
        self._rates = rates or {}
        self._numbers = itertools.count()
        self.devices: list[RawDevice] = []

    async def __aenter__(self) -> Self:
        even, odd = range(0, SHARDS, 2), range(1, SHARDS, 2)
        self.a, self.b = (
            Worker(name, own, dict.fromkeys(other, place), self.hatches, self.key, door, self._rates, self.codes)
            for name, own, place, other, door in (
                ("a", even, "b", odd, self._doors[0]),
                ("b", odd, "a", even, self._doors[1]),
            )
        )
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for device in self.devices:
            device.drop()
        try:
            if error is None:
                for worker in (self.a, self.b):
                    await worker.emptied()
        finally:  # a loop of uvloop on which somebody still listens never closes
            for worker in (self.a, self.b):
                await worker.close()
            for hatch in self.hatches.values():
                for end in hatch:
                    end.close()

    def account_of(self, worker: Worker) -> str:
        """A new address whose account lives with a worker."""
        while True:
            address = f"person.{next(self._numbers)}"
            if self.a.router.node_of(shard_of(address)) == worker.name:
                return address

    def device(self, door: Worker) -> RawDevice:
        """A device that connects at a worker's door."""
        device = RawDevice(door.address, self.key.public)
        self.devices.append(device)
        return device

    async def person(self, home: Worker, door: Worker) -> RawDevice:
        """A device of a registered account, logged in over a worker's door."""
        inside = home.door.connections
        device = self.device(home)
        await device.greet()
        await device.register(self.account_of(home), self.codes.last.__getitem__)
        device.drop()
        await until(lambda: home.door.connections <= inside)
        device.at(door.address)
        await device.come_back()
        return device
