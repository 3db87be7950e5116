"""One node of Roost, run once per host: read cluster.toml, build the tree, wait. The whole system on one screen.

rest_for_one
├─ journal      drives the store: one LMDB environment, one thread that commits
├─ shards       one_for_one: a supervisor per shard, and in it the shard's own process, then its accounts,
│               conversations, queues and presences
└─ gateway      rest_for_one: connections (they come and go), then the listener: opens last, closes first
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import resource
import secrets
import signal
import sys
from pathlib import Path
from typing import Any, Final

import uvloop

from actors import Tally, connection_limits, connection_maker, messenger_children, messenger_limits, rates, store_limits
from actors.accounts.api import RateLimiter, code_sender
from actors.logbook import configure, hooks
from actors.presence.api import Load
from actors.router.api import Router
from config import ClusterConfig, ConfigError, load
from gateway import Door, DoorLimits, TcpListener, bound_socket, drain
from protocol import ServerWire, StaticKey, Ulid, shard_of
from protocol.ids import SHARDS
from runtime import SHUTDOWN, Actor, Down, LoopScheduler, Pid, Runtime
from storage import LmdbEngine, StorageError, Store, ThreadCommitter
from supervisors import ChildSpec, DynamicSupervisor, Supervisor, SupervisorFlags

SOFTWARE: Final = "roost/0.1.0"
RECONNECT_SPREAD_MS: Final = 5_000
TREE_STOP_S: Final = 10.0
DESCRIPTORS_OWN: Final = 64
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


class StartError(Exception):
    """The node cannot start; the text says why and what to do."""


class Node:
    """A running node.

    Args:
        config: Every setting.
        log: The node's logger.

    Raises:
        StartError: The data folder or the address cannot be had.
    """

    def __init__(self, config: ClusterConfig, log: Any) -> None:
        self.config = config
        self.log = log
        folder = config.node.data_folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"cannot make the folder {folder}: {error.strerror}; change node.data_folder") from error
        try:
            engine = LmdbEngine(folder, config.journal.store_size_bytes_max)
            self.runtime = Runtime(node=config.node.name, scheduler=LoopScheduler(), hooks=hooks(log))
            self.store = Store.open(
                engine,
                ThreadCommitter(engine, self.runtime.post_threadsafe),
                self.runtime.schedule,
                self.runtime.clock.wall_ms,
                store_limits(config),
                config.node.name,
                shard_of,
            )
        except StorageError as error:
            raise StartError(str(error)) from error
        self.static_key = _static_key(folder / "node.key")
        try:
            self.listening = bound_socket(config.node.listen_host, config.node.listen_port)
        except OSError as error:
            raise StartError(f"cannot listen on {config.node.listen}: {error.strerror}; change node.listen") from error
        limits = config.limits
        self.door = Door(
            DoorLimits(
                limits.connections_max,
                limits.connections_unauthenticated_max,
                limits.connections_per_address_max,
                limits.loopback_exempt,
            )
        )
        self.connections = DynamicSupervisor(children_max=limits.connections_max, shutdown_s=1.0)
        self.tally = Tally(log.warning)
        self.root = self._build()
        self.ended = asyncio.Event()
        self.runtime.start(_Watcher(self.root, self.ended))

    def _build(self) -> Pid:
        """The tree: what is lower in the list needs what is above it."""
        config, runtime = self.config, self.runtime
        router = Router(runtime)
        limiter = RateLimiter(rates(config.rates))
        load = Load(config.presence.shed_lag_ms / 1000, self.log.warning)
        connect = connection_maker(
            lambda: ServerWire(self.static_key), router, limiter, connection_limits(config, load), SOFTWARE
        )
        try:
            sender = code_sender(config.registration.code_sender, _say)
        except ValueError as error:
            raise StartError(str(error)) from error
        gateway = [
            ChildSpec("connections", lambda: self.connections, kind="supervisor"),
            ChildSpec(
                "listener",
                lambda: TcpListener(self.listening, self.door, self.connections, connect, self.static_key),
                name="listener",
                restart="transient",  # a node that drains stops it for good
            ),
        ]
        children = [
            *messenger_children(
                self.store,
                self.store.take_ownership(range(SHARDS)),
                router,
                Ulid(runtime.randomness.bytes),
                sender,
                messenger_limits(config, load),
                tally=self.tally,
            ),
            ChildSpec("gateway", lambda: Supervisor(SupervisorFlags("rest_for_one"), gateway), kind="supervisor"),
        ]
        return runtime.start(Supervisor(SupervisorFlags("rest_for_one", intensity=3, period_s=30), children))

    @property
    def address(self) -> str:
        """Where clients connect."""
        host, port = self.listening.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def owning(self) -> None:
        """Wait until the disk says that the shards are this node's; nothing that is written before counts.

        Raises:
            StartError: It did not say so.
        """
        settled = asyncio.Event()
        self.store.directory.get(b"node", lambda _: settled.set())
        await settled.wait()
        if self.store.statistics().failures:
            raise StartError("the first write to the data folder failed; look at the disk, then start again")

    def report(self) -> None:
        """A log line with the delivery statistics, and the next one in five minutes."""
        self.log.info("statistics", connections=self.door.connections, **self.tally.figures())
        self.runtime.schedule(STATISTICS_INTERVAL_S, self.report)

    async def stop(self) -> None:
        """Drain: accept no more, tell the clients, stop the tree from the right, flush the disk."""
        runtime = self.runtime
        listener = runtime.whereis("listener")
        if listener is not None:
            runtime.exit(listener, SHUTDOWN)
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
        self.listening.close()


def _static_key(path: Path) -> StaticKey:
    """The server's identity, made at the first start; whoever reads the file can pose as this server."""
    try:
        if not path.exists():
            _write_key(path, StaticKey(secrets.token_bytes(32)))
        return StaticKey.from_bytes(bytes.fromhex(path.read_text().strip()))
    except ValueError as error:
        raise StartError(f"{path} is not a key: restore it from a copy; clients have pinned its public half") from error
    except OSError as error:
        raise StartError(f"cannot keep the server's key in {path}: {error.strerror}") from error


def _write_key(path: Path, key: StaticKey) -> None:
    """Under another name first: a start that dies in the middle leaves no half key behind."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.private_bytes().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _allow_descriptors(connections_max: int, log: Any) -> None:
    """As many file descriptors as the system lets us have; too few for `connections_max` is said, not found out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < connections_max + DESCRIPTORS_OWN:
        log.warning(
            "descriptors_few",
            limit=hard,
            connections_max=connections_max,
            fix="raise the limit (LimitNOFILE, ulimit -n) or lower limits.connections_max",
        )


def _say(line: str) -> None:
    """A line on the terminal in one write: several threads may have one to say."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _hello(node: Node) -> str:
    """The start-up line, and what to do next."""
    config = node.config.node
    server = "" if node.address == "127.0.0.1:7667" else f" --server {node.address}"
    return (
        f"Roost is at {node.address}, data in {config.data_folder}, key {node.static_key.public.hex()}; "
        f"next: .venv/bin/roost register alice{server}, then .venv/bin/roost chat bob"
    )


async def _run(config: ClusterConfig, log: Any) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _allow_descriptors(config.limits.connections_max, log)
    gc.disable()  # a replay makes a million objects and no garbage
    node = Node(config, log)
    await node.owning()
    # What is there now stays; a young collection each 50,000 objects instead of 700 (22.5 to 18.7 us a message).
    gc.freeze()
    gc.enable()
    node.runtime.schedule(STATISTICS_INTERVAL_S, node.report)
    gc.set_threshold(50_000, 20, 50)
    print(_hello(node), flush=True)
    fallen = loop.create_task(node.ended.wait())
    waiting = loop.create_task(stop.wait())
    await asyncio.wait({fallen, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if fallen.done():
        log.error("tree_gave_up", fix="look at the crashes above; the process manager should start the node again")
        return 1
    log.info("draining", connections=node.door.connections)
    fallen.cancel()
    await node.stop()
    log.info("stopped", **node.tally.figures())
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a node until SIGTERM or SIGINT; returns the exit status."""
    parser = argparse.ArgumentParser(prog="node.py", description="Run one node of Roost.")
    parser.add_argument("--config", type=Path, help="the settings file (default: cluster.toml here, if there is one)")
    chosen = parser.parse_args(arguments).config
    try:
        config = load(chosen or Path("cluster.toml"), required=chosen is not None)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    log = configure(config.log.level, config.log.format)
    try:
        return uvloop.run(_run(config, log))
    except StartError as error:
        print(f"Roost cannot start: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
