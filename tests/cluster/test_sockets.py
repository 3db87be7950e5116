"""The same links over real sockets: TCP and Unix, two runtimes on one loop, and nodes in processes of their own."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from cluster import (
    Identity,
    LinkCode,
    LinkLimits,
    MessageTable,
    NodeChange,
    NodeDown,
    NodeRefused,
    NodeUp,
    Peer,
    SocketNetwork,
    bound_node_socket,
    cluster_supervisor,
    fresh_incarnation,
)
from cluster.sockets import UNREAD_SIZE_BYTES_MAX, host_and_port
from runtime import NODEDOWN, Actor, Down, Named, Runtime
from tests.cluster.messages import Count, Note, registered
from tests.cluster.world import key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from protocol import StaticKey
    from runtime import From, Message, Pid


Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Each test runs on both loops."""
    return asyncio.run if request.param == "asyncio" else uvloop.run


class Ear(Actor):
    """Puts what it hears into a queue; answers calls with what they ask."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()

    def handle_cast(self, message: Message) -> None:
        self.heard.put_nowait(message)

    def handle_info(self, message: Message) -> None:
        self.heard.put_nowait(message)

    def handle_call(self, request: Message, caller: From) -> None:
        self.process.reply(caller, request)


class Node:
    """A runtime on this loop with its changes in a queue."""

    def __init__(
        self, name: str, address: str | None, peers: dict[str, str | None], key: StaticKey | None = None
    ) -> None:
        self.listening = [bound_node_socket(each) for each in address.split()] if address else []
        self.runtime = Runtime(node=name, incarnation=fresh_incarnation(os.urandom))
        others = {peer: Peer(peer, key_of(peer).public, where) for peer, where in peers.items()}
        me = Identity(name, self.runtime.incarnation, key or key_of(name), others)
        self.changes: asyncio.Queue[NodeChange] = asyncio.Queue()
        self.tree = self.runtime.start(
            cluster_supervisor(
                self.runtime,
                me,
                registered(MessageTable()),
                SocketNetwork(*self.listening),
                observer=self.changes.put_nowait,
                limits=LinkLimits(redial_s_max=0.3, up_s=1.0),
            )
        )
        self.ear = Ear()
        self.pid = self.runtime.start(self.ear, name="ear")

    async def until(self, kind: type[NodeChange]) -> NodeChange:
        """The next change of a kind."""
        async with asyncio.timeout(20):
            while True:
                change = await self.changes.get()
                if isinstance(change, kind):
                    return change

    async def hear(self) -> Any:
        """What the ear hears next."""
        async with asyncio.timeout(20):
            return await self.ear.heard.get()

    def close(self) -> None:
        self.runtime.close()
        for listening in self.listening:
            listening.close()


@asynccontextmanager
async def nodes(*made: Node) -> AsyncIterator[None]:
    """Close them afterwards, and let the loop see the sockets off."""
    try:
        yield
    finally:
        for node in made:
            node.close()
        await asyncio.sleep(0.05)


def addresses(kind: str, folder: Path) -> tuple[str, str]:
    """Two free addresses."""
    if kind == "unix":
        return f"unix:{folder}/a", f"unix:{folder}/b"
    own = f"127.{os.getpid() >> 16 & 127 | 64}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"  # nobody else's ports
    free = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind((own, 0))
            free.append(f"tcp://{own}:{probe.getsockname()[1]}")
    return free[0], free[1]


async_kinds = pytest.mark.parametrize("kind", ["tcp", "unix"])


def seen(node: Node, pid: Pid) -> Pid:
    return node.runtime.foreign.pid(pid.node, pid.incarnation, pid.serial)


@async_kinds
def test_two_runtimes_talk_over_real_sockets(kind: str, run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        at_a, at_b = addresses(kind, tmp_path)
        a, b = Node("a", at_a, {"b": at_b}), Node("b", at_b, {"a": at_a})
        async with nodes(a, b):
            await a.until(NodeUp)
            await b.until(NodeUp)
            a.runtime.cast(seen(a, b.pid), Note("hi", a.pid))
            assert await b.hear() == Note("hi", a.pid)
            assert await a.runtime.ask(Named("b", "ear"), Note("?")) == Note("?")
            for number in range(5_000):
                assert a.runtime.cast(seen(a, b.pid), Count(number))
                if number % 1_000 == 0:
                    await asyncio.sleep(0)
            assert [(await b.hear()).number for _ in range(5_000)] == list(range(5_000))

    run(play())


def test_a_node_that_stops_says_so_and_one_that_comes_back_is_up_again(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        at_a, at_b = addresses("tcp", tmp_path)
        a, b = Node("a", at_a, {"b": at_b}), Node("b", at_b, {"a": at_a})
        async with nodes(a):
            first = await a.until(NodeUp)
            b.close()
            down = await a.until(NodeDown)
            assert isinstance(down, NodeDown)
            assert down.code is LinkCode.CLOSING
            again = Node("b", at_b, {"a": at_a})
            async with nodes(again):
                second = await a.until(NodeUp)
                assert isinstance(first, NodeUp)
                assert isinstance(second, NodeUp)
                assert first.incarnation != second.incarnation

    run(play())


def test_one_side_may_dial_alone(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        at_a, _ = addresses("unix", tmp_path)
        a, b = Node("a", at_a, {"b": None}), Node("b", None, {"a": at_a})
        async with nodes(a, b):
            assert isinstance(await a.until(NodeUp), NodeUp)
            assert isinstance(await b.until(NodeUp), NodeUp)

    run(play())


def test_a_node_listens_within_its_host_and_for_other_hosts_at_once(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        within, (outside, _) = addresses("unix", tmp_path)[0], addresses("tcp", tmp_path)
        a = Node("a", f"{within} {outside}", {"b": None, "c": None})
        b, c = Node("b", None, {"a": within}), Node("c", None, {"a": outside})
        async with nodes(a, b, c):
            ups = [await a.until(NodeUp), await a.until(NodeUp)]
            assert {up.node for up in ups} == {"b", "c"}

    run(play())


def test_a_wrong_key_and_a_stranger_are_refused_and_junk_harms_nobody(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        at_a, at_b = addresses("tcp", tmp_path)
        a = Node("a", at_a, {"b": at_b, "c": None})
        b = Node("b", at_b, {"a": at_a}, key=key_of("an impostor"))
        c = Node("c", None, {"a": at_a})
        async with nodes(a, b, c):
            refused = await a.until(NodeRefused)
            assert isinstance(refused, NodeRefused)
            assert refused.code in {LinkCode.KEY_WRONG, LinkCode.KEY_UNKNOWN}
            assert isinstance(await c.until(NodeUp), NodeUp)
            reader, writer = await asyncio.open_connection(*host_and_port(at_a))
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert len(await reader.read()) > 3
            writer.close()
            c.runtime.cast(Named("a", "ear"), Note("still here"))
            assert await a.hear() == Note("still here")

    run(play())


def test_strangers_that_say_nothing_are_closed_in_time_and_bounded(run: Run, tmp_path: Path) -> None:
    async def play() -> None:
        at_a, _ = addresses("tcp", tmp_path)
        a, b = Node("a", at_a, {"b": None}), Node("b", None, {"a": at_a})
        async with nodes(a, b):
            await b.until(NodeUp)
            streams = [await asyncio.open_connection(*host_and_port(at_a)) for _ in range(80)]
            async with asyncio.timeout(20):
                assert all([await reader.read() is not None for reader, _ in streams])
            for _, writer in streams:
                writer.close()
            assert b.runtime.cast(Named("a", "ear"), Note("still here"))
            assert await a.hear() == Note("still here")

    run(play())


def test_a_reader_that_is_slower_than_its_sender_holds_the_sender_up_and_loses_nothing(
    run: Run, tmp_path: Path
) -> None:
    async def play() -> None:
        at_a, at_b = addresses("unix", tmp_path)
        a, b = Node("a", at_a, {"b": at_b}), Node("b", at_b, {"a": at_a})
        async with nodes(a, b):
            await a.until(NodeUp)
            await b.until(NodeUp)
            pid, taken = seen(a, b.pid), 0
            while a.runtime.cast(pid, bytes(100_000)):
                taken += 1
            assert taken * 100_000 > 8 * UNREAD_SIZE_BYTES_MAX - 200_000
            for _ in range(taken):
                assert len(await b.hear()) == 100_000

    run(play())


@pytest.mark.parametrize("address", ["tcp://host", "tcp://h:99999", "http://h:1", "", "tcp://::1:5"])
def test_what_is_no_address_is_refused_with_a_sentence(address: str) -> None:
    with pytest.raises(ValueError, match="is no address of a node"):
        bound_node_socket(address)


def test_an_address_in_use_is_refused_and_one_of_a_dead_node_is_taken_over(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/node"
    first = bound_node_socket(address)
    with pytest.raises(OSError, match="use") as caught:
        bound_node_socket(address)
    assert caught.value.errno == errno.EADDRINUSE
    first.close()
    bound_node_socket(address).close()
    six = bound_node_socket("tcp://[::1]:0")
    with pytest.raises(OSError, match="use"):
        bound_node_socket(f"tcp://[::1]:{six.getsockname()[1]}")
    six.close()


@pytest.mark.crash
@async_kinds
def test_a_killed_process_is_told_at_once_and_a_stopped_one_within_four_seconds(
    kind: str, run: Run, tmp_path: Path
) -> None:
    async def play() -> None:
        at_a, at_b = addresses(kind, tmp_path)
        a = Node("a", at_a, {"b": at_b})
        async with nodes(a):
            for number, cruelty in ((signal.SIGKILL, 0.5), (signal.SIGSTOP, 4.0)):
                child = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.cluster.node_process", "b", at_b, "a", at_a
                )
                up = await a.until(NodeUp)
                assert isinstance(up, NodeUp)
                a.runtime.cast(Named("b", "echo"), Note("hi", a.pid))
                echoed = await a.hear()
                assert echoed.text == "hi"
                monitoring = Watcher(echoed.sender, a.ear)
                a.runtime.start(monitoring)
                assert await a.runtime.ask(echoed.sender, 7) == 7
                began_s = time.monotonic()
                child.send_signal(number)
                down = await a.hear()
                assert time.monotonic() - began_s <= cruelty
                assert isinstance(down, Down)
                assert (down.pid, down.reason) == (echoed.sender, NODEDOWN)
                if number is signal.SIGSTOP:
                    child.kill()
                await child.wait()

    run(play())


class Watcher(Actor):
    """Monitors a process and passes the Down on."""

    def __init__(self, pid: Pid, ear: Ear) -> None:
        self.pid = pid
        self.ear = ear

    def init(self) -> None:
        self.process.monitor(self.pid)

    def handle_info(self, message: Message) -> None:
        self.ear.heard.put_nowait(message)
