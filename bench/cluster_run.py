"""People at several hosts who write to each other across them without end, and the books of it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import roost
from bench.circle import Circle
from bench.cluster_view import HostSight, Sight
from bench.crash import SETTINGS as CRASH_SETTINGS
from bench.device import Device, until
from bench.ledger import Ledger
from bench.live_cluster import LiveCluster, cluster_settings
from bench.live_node import LiveNode, NodeError, merged
from protocol import AccountId
from protocol.ids import shard_of

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from bench.cluster_view import View
    from bench.ledger import Counts
    from bench.live_cluster import Spot

__all__ = ["ClusterRun"]

NAMES: Final = ("ann", "bob", "cid", "dee", "eve", "fay", "gus", "hal", "ida", "jon", "kim", "lea")
CONVERGE_S_MAX: Final = 90.0  # a chat that was refused often is tried again after up to 75 s
LOOK_S: Final = 0.25
RATE_OVER_S: Final = 2.0

SETTINGS: Final = merged(
    CRASH_SETTINGS,
    {"rates": {"registrations_per_address_per_hour": 1_000, "connects_per_minute": 100_000, "connects_burst": 10_000}},
)
"""As small on disk as in a crash run; and everybody may come from one address, which need not be loopback."""


class ClusterRun:
    """A cluster, and people spread over its hosts. As a context it is started, and killed at the end.

    Neighbours of the circle come to the doors of different hosts; the first person has two devices, at two hosts.

    Args:
        folder: Where everything is kept; empty at first.
        spots: Where each host stands, by its name.
        seed: Decides who writes how much when.
        view: Shows how it goes.
        people: How many, from 3 to 12.
        pause_s: From one batch of a device to the next, on average.

    Attributes:
        cluster: The hosts.
        ledger: The books.
        kills: Hosts that were killed.
        moves: Shards that were handed over.
    """

    def __init__(
        self, folder: Path, spots: Mapping[str, Spot], seed: int, view: View, people: int = 12, pause_s: float = 0.3
    ) -> None:
        hosts = list(spots)
        names = NAMES[:people]
        circle = Circle({name: ("phone", "tablet") if name == names[0] else ("phone",) for name in names})
        settings = cluster_settings(folder, {name: spot.link for name, spot in spots.items()})
        self.cluster = LiveCluster(
            {
                name: LiveNode(folder / name, merged(SETTINGS, settings[name]), spot.command, address=spot.listen)
                for name, spot in spots.items()
            }
        )
        self.ledger = Ledger(circle.streams())
        self.kills = 0
        self.moves = 0
        self.crashes: list[str] = []
        self._view = view
        self._states = dict.fromkeys(hosts, "down")
        self._homes: dict[Device, str] = {}
        for name in circle.devices:
            person, _, kind = name.partition("/")
            device = Device(name, circle.neighbours(person), folder, self.ledger, f"{seed} {name}", pause_s)
            self._homes[device] = hosts[(names.index(person) + (kind == "tablet")) % len(hosts)]
        self._watching: asyncio.Task[None] | None = None
        self._began_s = time.monotonic()
        self._ticks: deque[tuple[float, int]] = deque()
        self._moving: set[int] = set()

    async def __aenter__(self) -> Self:
        """Start the hosts, and let everybody register, come online and write.

        Raises:
            NodeError: A host did not start, or they do not come together.
        """
        try:
            self._watching = asyncio.create_task(self._watch())
            self._states = dict.fromkeys(self._states, "starting")
            await self.cluster.start()
            self._states = dict.fromkeys(self._states, "up")
            self.say(f"{len(self._states)} hosts are linked, and each of the 64 shards has its node. People register.")
            await self._gather()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*(device.sleep() for device in self._homes), return_exceptions=True)
        await asyncio.to_thread(self.cluster.kill)
        self.crashes += self.cluster.crashes

    async def _gather(self) -> None:
        """The first device of a person registers, and each other one is linked by it."""
        primaries: dict[str, Device] = {}
        for device, host in self._homes.items():
            primary = primaries.setdefault(device.person, device)
            if primary is device:
                await device.register(self.cluster.nodes[host], self.cluster.wait_code)
            else:
                await device.link(self.cluster.nodes[host], primary)
        for device in self._homes:
            await device.wake()
        await asyncio.gather(*(device.come_online() for device in self._homes))

    @property
    def hosts(self) -> list[str]:
        """The names of the hosts."""
        return list(self._states)

    def say(self, text: str) -> None:
        """One line of the narration."""
        self._view.say(time.monotonic() - self._began_s, text)

    def mark(self, host: str, state: str) -> None:
        """Show something about a host: what was done to it."""
        self._states[host] = state

    async def live(self, seconds: float) -> None:
        """Let everybody write for a while.

        Raises:
            AssertionError: A client gave up or a message was refused; says which and why.
        """
        await until(lambda: False, time.monotonic() + seconds, self._check)

    def _check(self) -> None:
        for device in self._homes:
            device.check()

    async def kill(self, host: str) -> None:
        """SIGKILL of everything that runs on a host."""
        node = self.cluster.nodes[host]
        self.say(f"kill -9 {node.pid}: host {host} is gone.")
        await asyncio.to_thread(node.kill)
        self.crashes += [f"{host}: {line}" for line in node.crashes]
        self.kills += 1
        self.mark(host, "killed")

    async def restart(self, host: str) -> None:
        """Start a host that was killed, on what is on its disk."""
        self.mark(host, "starting")
        await asyncio.to_thread(self.cluster.nodes[host].start)
        self.mark(host, "up")
        self.say(f"host {host} runs again on its disk, process {self.cluster.nodes[host].pid}.")
        await asyncio.gather(*(device.come_online() for device, home in self._homes.items() if home == host))

    def signal(self, host: str, number: signal.Signals, state: str) -> None:
        """Signal everything that runs on a host."""
        self.say(f"{number.name} to every process of host {host}.")
        self.cluster.signal(host, number)
        self.mark(host, state)

    async def shard_in_use(self, host: str) -> int:
        """A shard that a host has and that does not move yet, if possible one in which somebody's account lives."""
        rows = await self.cluster.shards(host)
        held = [row["shard"] for row in rows if row["node"] == host and row["shard"] not in self._moving]
        accounts = [shard_of(AccountId(device.person)) for device in self._homes]
        return next((shard for shard in accounts if shard in held), held[0])

    async def move(self, source: str, target: str) -> bool:
        """Hand a shard in use over; says how it went.

        Returns:
            Whether it was; if not, it is where it was.
        """
        shard = await self.shard_in_use(source)
        self._moving.add(shard)
        try:
            moved = await self.cluster.move(source, shard, target)
        except NodeError as error:
            self.say(f"shard {shard} stays at {source}: {error}")
            return False
        finally:
            self._moving.remove(shard)
        self.moves += 1
        self.say(
            f"shard {shard} moved from {moved['from']} to {moved['to']} while people chat: {moved['rows']} rows, "
            f"{moved['size_bytes'] / 1e3:.0f} kB; it stood still for {moved['still_s'] * 1e3:.0f} ms."
        )
        return True

    async def converge(self) -> Counts:
        """Everyone online, everything sent, everything shown; then the books.

        Raises:
            AssertionError: A client gave up or a message was refused; says which and why.
        """
        self.say("Everybody writes a last word, and waits for all that is on its way.")
        deadline_s = time.monotonic() + CONVERGE_S_MAX
        try:
            async with asyncio.timeout(CONVERGE_S_MAX):
                await asyncio.gather(*(device.come_online() for device in self._homes))
        except TimeoutError:
            away = [
                f"{device.name} at {home}: {device.client.connection}"
                for device, home in self._homes.items()
                if device.client is not None and device.client.connection.state is not roost.ConnectionState.ONLINE
            ]
            raise AssertionError(f"not everybody comes online: {'; '.join(away)}") from None
        await asyncio.gather(*(device.finish(deadline_s) for device in self._homes))
        await until(lambda: not self.ledger.waiting(), deadline_s)
        return self.ledger.counts()

    @property
    def line(self) -> str:
        """The last line: what became of everything."""
        return f"{self.ledger.counts()}, moves {self.moves}, kills {self.kills}"

    async def _watch(self) -> None:
        while True:
            self._view.show(await self._sight())
            await asyncio.sleep(LOOK_S)

    async def _sight(self) -> Sight:
        counts, now_s = self.ledger.counts(), time.monotonic()
        self._ticks.append((now_s, counts.accepted))
        while self._ticks[0][0] < now_s - RATE_OVER_S and len(self._ticks) > 2:
            self._ticks.popleft()
        since_s, before = self._ticks[0]
        per_second = (counts.accepted - before) / (now_s - since_s) if now_s > since_s else 0.0
        hosts = await asyncio.gather(*(self._host_sight(host) for host in self._states))
        return Sight(now_s - self._began_s, hosts, counts, per_second, self.moves, self.kills)

    async def _host_sight(self, host: str) -> HostSight:
        rows = []
        with suppress(OSError, NodeError, TimeoutError):
            async with asyncio.timeout(LOOK_S):
                rows = await self.cluster.shards(host)
        homes = [device for device, home in self._homes.items() if home == host]
        online = sum(
            device.client is not None and device.client.connection.state is roost.ConnectionState.ONLINE
            for device in homes
        )
        return HostSight(host, self._states[host], rows, online, len(homes))
