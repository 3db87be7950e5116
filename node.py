"""One host of Roost: read cluster.toml, build the tree, wait. The whole system on one screen.

The launcher holds the premises and starts the process tree of the host (`supervisors.host`); each worker runs a node:

rest_for_one
├─ cluster      one_for_one: links to the other nodes, who is up, groups; on a lone node there is none of it
├─ journal      drives the store: one LMDB environment, one thread that commits
├─ shards       one_for_one: a supervisor per shard, and in it the shard's own process, then its accounts,
│               conversations, queues and presences
├─ gateway      rest_for_one: connections (they come and go), then the listener: opens last, closes first
└─ control      what `roostctl` asks
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop

from actors import (
    Cluster,
    Tally,
    connection_limits,
    connection_maker,
    directory_shard,
    message_table,
    messenger_children,
    messenger_limits,
    move_limits,
    rates,
    store_limits,
)
from actors.accounts.api import RateLimiter, code_sender
from actors.logbook import configure, hooks
from actors.presence.api import Load
from actors.router.api import Router
from cluster import fresh_incarnation
from config import ClusterConfig, ConfigError, cluster_nodes, load
from gateway import (
    CONTROL_SOCKET,
    Control,
    Door,
    DoorLimits,
    Passage,
    Premises,
    StartRefusedError,
    TcpListener,
    Workplace,
    drain,
    link_children,
    nodes_route,
    shard_routes,
)
from protocol import ServerWire, Ulid, shard_of
from protocol.ids import SHARDS
from runtime import SHUTDOWN, Actor, Down, LoopScheduler, Pid, Runtime
from storage import LmdbEngine, ShardAwayError, StorageError, Store, ThreadCommitter
from supervisors import ChildSpec, DynamicSupervisor, Supervisor, SupervisorFlags
from supervisors.host import BEAT_S, GAVE_UP, REFUSED, STOPPED, HostPlan, Shift, WorkerSpec

SOFTWARE: Final = "roost/0.1.0"
RECONNECT_SPREAD_MS: Final = 5_000
TREE_STOP_S: Final = 10.0
FLUSH_S: Final = 10.0
DESCRIPTORS_OWN: Final = 64
TAKE_AGAIN_S: Final = 0.05
TAKE_S_MAX: Final = 120.0
SWITCH_INTERVAL_S: Final = 0.0005
STATISTICS_INTERVAL_S: Final = 300.0


class _Watcher(Actor):
    """Tells the event loop when a process has ended."""

    def __init__(self, pid: Pid, ended: asyncio.Event) -> None:
        self._pid = pid
        self._ended = ended

    def init(self) -> None:
        self.process.monitor(self._pid)

    def handle_info(self, message: Any) -> None:
        if isinstance(message, Down):
            self._ended.set()
            self.process.stop()


class Node:
    """A running node.

    Args:
        config: Every setting.
        log: The node's logger.
        premises: The host's key and listening socket.
        place: Which node of the host it is, with its folder.

    Raises:
        StartRefusedError: The store is no good.
    """

    def __init__(self, config: ClusterConfig, log: Any, premises: Premises, place: Workplace) -> None:
        self.nodes = cluster_nodes(config)
        self.config = config
        self.log = log if len(self.nodes) == 1 else log.bind(node=place.node.name)
        self.premises = premises
        self.place = place
        try:
            engine = LmdbEngine(place.folder, config.journal.store_size_bytes_max, place.lock)
            self.runtime = Runtime(
                node=place.node.name,
                incarnation=0 if len(self.nodes) == 1 else fresh_incarnation(os.urandom),
                scheduler=LoopScheduler(),
                hooks=hooks(self.log),
            )
            self.store = Store.open(
                engine,
                ThreadCommitter(engine, self.runtime.post_threadsafe),
                self.runtime.schedule,
                self.runtime.clock.wall_ms,
                store_limits(config),
                place.node.name,
                shard_of,
                directory_shard,
            )
        except StorageError as error:
            raise StartRefusedError(str(error)) from error
        limits = config.limits
        self.door = Door(
            DoorLimits(
                limits.connections_max,
                limits.connections_unauthenticated_max,
                limits.connections_per_address_max,
                limits.loopback_exempt,
            ),
            premises.headcounts.get(place.node.name),
        )
        here_max = max(1, min(limits.connections_max, _descriptors_max() - DESCRIPTORS_OWN))
        self.connections = DynamicSupervisor(children_max=here_max, shutdown_s=1.0)
        self.router = Router(self.runtime)
        self.passage = self._passage()
        self.tally = Tally(self.log.warning)
        self.ended = asyncio.Event()
        self.root: Pid

    def _build(self, epochs: dict[int, int]) -> Pid:
        """The tree: what is lower in the list needs what is above it."""
        config, runtime, router = self.config, self.runtime, self.router
        limiter = RateLimiter(rates(config.rates))
        load = Load(config.presence.shed_lag_ms / 1000, self.log.warning)
        static_key = self.premises.static_key
        connect = connection_maker(
            lambda: ServerWire(static_key), router, limiter, connection_limits(config, load), SOFTWARE, self.passage
        )
        try:
            sender = code_sender(config.registration.code_sender, _say)
        except ValueError as error:
            raise StartRefusedError(str(error)) from error
        gateway = [
            ChildSpec("connections", lambda: self.connections, kind="supervisor"),
            ChildSpec(
                "listener",
                lambda: TcpListener(
                    self.premises.listening, self.door, self.connections, connect, static_key, self.passage
                ),
                name="listener",
                restart="transient",  # a node that drains stops it for good
            ),
        ]
        routes = [nodes_route(runtime, self.nodes, self.place.node), *shard_routes(runtime)]
        children = [
            *link_children(runtime, config, self.nodes, self.place, static_key, message_table, self.log),
            *messenger_children(
                self.store,
                epochs,
                router,
                Ulid(runtime.randomness.bytes),
                sender,
                messenger_limits(config, load),
                tally=self.tally,
                cluster=self._cluster(),
            ),
            ChildSpec("gateway", lambda: Supervisor(SupervisorFlags("rest_for_one"), gateway), kind="supervisor"),
            ChildSpec("control", lambda: Control(self.place.folder / CONTROL_SOCKET, routes, self.log)),
        ]
        return runtime.start(Supervisor(SupervisorFlags("rest_for_one", intensity=3, period_s=30), children))

    def _passage(self) -> Passage | None:
        """The way to the other workers of this host, if there are any."""
        hatches, router = self.premises.hatches, self.router
        if not hatches:
            return None
        return Passage(self.place.node.name, hatches, lambda account: router.node_of(shard_of(account)))

    def _cluster(self) -> Cluster | None:
        if len(self.nodes) == 1:
            return None
        weights = {node.name: node.weight for node in self.nodes}
        return Cluster(weights, self.log.warning, move_limits(self.config))

    def _shards(self) -> list[int]:
        """The shards that this node has; one that is alone has all that it has not handed over."""
        if len(self.nodes) == 1:
            return sorted(set(range(SHARDS)) - self.store.gone().keys())
        return sorted(self.store.holdings())

    async def begin(self) -> None:
        """Start the tree, and wait until the disk says that the shards are this node's; no word before that counts.

        Raises:
            StartRefusedError: A setting is no good, or the disk did not say so.
        """
        epochs: dict[int, int] = {}
        for shard in self._shards():
            epochs |= await self._taken(shard)
        self.root = self._build(epochs)
        self.runtime.start(_Watcher(self.root, self.ended))
        await self._settled()
        if self.store.statistics().failures:
            raise StartRefusedError("the first write to the data folder failed; look at the disk, then start again")

    async def _taken(self, shard: int) -> dict[int, int]:
        """Own a shard; where a copy that never became whole is in the way, when it has been purged."""
        waited_s = 0.0
        while True:
            try:
                return self.store.take_ownership((shard,))
            except ShardAwayError as error:
                if not waited_s:
                    self.log.warning("shard_waited_for", shard=shard, why=error.detail, fix="nothing to do but to wait")
                if waited_s >= TAKE_S_MAX:
                    raise StartRefusedError(f"{error}. Look at the disk, then start again") from error
            self.store.maintain()
            await asyncio.sleep(TAKE_AGAIN_S)
            waited_s += TAKE_AGAIN_S

    async def _settled(self) -> None:
        """Wait until what was written before is on disk, or has failed."""
        settled = asyncio.Event()
        self.store.directory.get(b"node", lambda _: settled.set())
        await settled.wait()

    async def placed(self) -> None:
        """Wait until the disk says which worker has which shard; hosts that may be away for long are not waited for."""
        if all(node.host == self.place.node.host for node in self.nodes):
            while any(self.router.node_of(shard) is None for shard in range(SHARDS)):  # noqa: ASYNC110 - as below
                await asyncio.sleep(0.01)
            await self._settled()

    def show_pulse(self, shift: Shift) -> None:
        """A beat now, and the next in half a second: by the timers of the runtime, so it stands still when they do."""
        shift.beat()
        self.runtime.schedule(BEAT_S, lambda: self.show_pulse(shift))

    def report(self) -> None:
        """A log line with the delivery statistics, and the next one in five minutes."""
        moved = self.passage.statistics()._asdict() if self.passage is not None else {}
        self.log.info("statistics", connections=self.door.connections, **moved, **self.tally.figures())
        self.runtime.schedule(STATISTICS_INTERVAL_S, self.report)

    async def stop(self) -> None:
        """Drain: accept no more, tell the clients, stop the tree from the right, flush the disk."""
        runtime = self.runtime
        listener = runtime.whereis("listener")
        if listener is not None:
            closed = asyncio.Event()
            runtime.start(_Watcher(listener, closed))
            runtime.exit(listener, SHUTDOWN)
            await closed.wait()
        self.premises.close_door()
        drain(runtime, self.connections, RECONNECT_SPREAD_MS)
        deadline_s = runtime.clock.now_s() + self.config.node.drain_timeout_s
        while self.door.connections and runtime.clock.now_s() < deadline_s:  # noqa: ASYNC110 - the door keeps counts
            await asyncio.sleep(0.01)
        runtime.exit(self.root, SHUTDOWN)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.ended.wait(), TREE_STOP_S)
        closed = asyncio.Event()
        self.store.close(closed.set)
        await closed.wait()
        runtime.close()


def _descriptors_max() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _allow_descriptors(connections_max: int, workers: int, log: Any) -> None:
    """As many file descriptors as the system lets us have; too few for `connections_max` is said, not found out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < connections_max / workers + DESCRIPTORS_OWN:
        log.warning(
            "descriptors_few",
            limit=hard,
            connections_max=connections_max,
            workers=workers,
            fix="raise the limit (LimitNOFILE, ulimit -n) or lower limits.connections_max",
        )


def _say(line: str) -> None:
    """A line on the terminal in one write: several threads may have one to say."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _hello(config: ClusterConfig, premises: Premises) -> str:
    """The start-up line, and what to do next."""
    address = premises.address
    server = "" if address == "127.0.0.1:7667" else f" --server {address}"
    return (
        f"Roost is at {address}, data in {config.node.data_folder}, key {premises.static_key.public.hex()}; "
        f"next: .venv/bin/roost register alice{server}, then .venv/bin/roost chat bob"
    )


async def _run(config: ClusterConfig, log: Any, premises: Premises, place: Workplace, shift: Shift | None) -> int:
    """Serve until told to stop, in a worker process of the host or, with no shift, alone."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    if shift is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
    else:
        shift.on_stop(lambda: loop.call_soon_threadsafe(stop.set))
    gc.disable()  # a replay makes a million objects and no garbage
    node = Node(config, log, premises, place)
    await node.begin()
    # What is there now stays; a young collection each 20,000 objects instead of 700. A hot group has so many more under
    # way from one second to the next that of every 5,000 there were two a second of 3 ms (to 8), now one in 10 s: a
    # chat beside it takes 1.5 to 2.0 times as long (99 of 100); with 5,000, by turns, 2.1 to 2.6 (`--only hot`).
    gc.freeze()
    gc.enable()
    node.runtime.schedule(STATISTICS_INTERVAL_S, node.report)
    gc.set_threshold(20_000, 10, 50)
    # The commit thread waits for the interpreter no longer than this: beside a busy loop 99 of 100 commits take 1.1 ms
    # instead of 5.1, and a chat beside a hot group half as long (`--only hot`).
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if shift is not None:
        node.show_pulse(shift)
    opening = loop.create_task(_open(node, shift))
    fallen = loop.create_task(node.ended.wait())
    waiting = loop.create_task(stop.wait())
    await asyncio.wait({fallen, waiting}, return_when=asyncio.FIRST_COMPLETED)
    opening.cancel()
    if fallen.done():
        node.log.error("tree_gave_up", fix="look at the crashes above; what watches this process starts it again")
        return GAVE_UP
    node.log.info("draining", connections=node.door.connections)
    fallen.cancel()
    await node.stop()
    node.log.info("stopped", **node.tally.figures())
    return STOPPED


async def _open(node: Node, shift: Shift | None) -> None:
    """Say that the host is there, once all of its workers are."""
    await node.placed()
    if shift is None or shift.announce():
        _say(_hello(node.config, node.premises))


def serve(config: ClusterConfig, log: Any, premises: Premises, place: Workplace, shift: Shift | None) -> int:
    """One node, on an event loop of its own; returns its exit status."""
    try:
        return uvloop.run(_run(config, log, premises, place, shift))
    except StartRefusedError as error:
        print(f"Roost cannot start: {error}", file=sys.stderr, flush=True)
        return REFUSED


def _host(config: ClusterConfig, log: Any, premises: Premises) -> int:
    """The process tree, and in it a node for each worker."""
    from supervisors.host.launcher import run_host  # Thespian asks for this host's names (DNS) when it is imported

    gc.collect()
    gc.freeze()  # what is imported by now is shared by all processes of the tree, and no collection touches its pages
    workers = tuple(
        WorkerSpec(place.node.name, partial(serve, config, log, premises, place)) for place in premises.workplaces
    )
    return run_host(HostPlan(workers, log, config.node.drain_timeout_s + TREE_STOP_S + FLUSH_S))


def main(arguments: list[str] | None = None) -> int:
    """Run a node until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(prog="node.py", description="Run one node of Roost.")
    parser.add_argument("--config", type=Path, help="the settings file (default: cluster.toml here, if there is one)")
    parser.add_argument(
        "--single", action="store_true", help="one process, without the tree that replaces one which dies or hangs"
    )
    chosen = parser.parse_args(arguments)
    try:
        config = load(chosen.config or Path("cluster.toml"), required=chosen.config is not None)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if chosen.single and config.node.workers > 1:
        print(f"--single is one process, and node.workers is {config.node.workers}: set it to 1.", file=sys.stderr)
        return 2
    log = configure(config.log.level, config.log.format)
    try:
        premises = Premises(config.node, cluster_nodes(config))
    except StartRefusedError as error:
        print(f"Roost cannot start: {error}", file=sys.stderr)
        return 1
    _allow_descriptors(config.limits.connections_max, config.node.workers, log)
    if chosen.single:
        status = serve(config, log, premises, premises.workplaces[0], None)
    else:
        status = _host(config, log, premises)
    return 0 if status == STOPPED else 1


if __name__ == "__main__":
    sys.exit(main())
