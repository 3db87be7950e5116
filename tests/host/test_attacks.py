"""Strangers at the mailboxes of the host's processes: what they send is never unpickled, and stops nobody's work."""

from __future__ import annotations

import os
import pickle
import secrets
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from bench.live_node import ADMIN, PROJECT, SUPERVISOR, WORKER, LiveNode, free_port
from supervisors.host.sealing import sealed
from tests.host.troupe import Troupe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

SILENT: Final = 300
STOCK: Final = """
import sys
from thespian.actors import ActorSystem
system = ActorSystem("multiprocTCPBase", {"Admin Port": int(sys.argv[1])}, transientUnique=True)
print("up", flush=True)
sys.stdin.read()
system.shutdown()
"""


class Canary:
    """What a stranger would run: unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def troupe() -> Iterator[Troupe]:
    """A host whose one worker has begun; after the attack it stops in order, and no process of it was lost."""
    with Troupe("steady") as troupe:
        troupe.begun(1)
        before = {name: [each.pid for each in group] for name, group in troupe.below().items()}
        yield troupe
        assert {name: [each.pid for each in group] for name, group in troupe.below().items()} == before
        troupe.process.terminate()
        assert troupe.rest() == ["steady-0 stops"]
        assert troupe.process.returncode == 0


def mailboxes(troupe: Troupe) -> dict[str, int]:
    """The port on which each process of the tree listens."""
    ports = {}
    for name, [process] in {**troupe.below(), "launcher": [psutil.Process(troupe.process.pid)]}.items():
        [listening] = [each for each in process.net_connections() if each.status == psutil.CONN_LISTEN]
        assert listening.laddr.ip == "127.0.0.1"
        ports[name] = listening.laddr.port
    assert ports.keys() == {"launcher", ADMIN, SUPERVISOR, WORKER}
    return ports


def send(port: int, data: bytes) -> bytes:
    """Send it, and return what is answered before the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
        stranger.sendall(data)
        answer = b""
        try:
            while received := stranger.recv(4096):
                answer += received
        except ConnectionResetError:
            pass
        return answer


def framed(payload: bytes) -> bytes:
    return b"%d>" % len(payload) + payload


def test_stock_thespian_runs_what_a_stranger_sends(tmp_path: Path) -> None:
    """So the attack below is a real one."""
    port, canary = free_port(), tmp_path / "canary"
    with subprocess.Popen(
        [sys.executable, "-c", STOCK, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT
    ) as stock:
        assert stock.stdin is not None
        assert stock.stdout is not None
        stock.stdout.readline()
        send(port, framed(pickle.dumps((None, Canary(canary)))))
        stock.stdin.close()
    assert canary.is_dir()


def test_a_frame_without_the_seal_is_never_unpickled(troupe: Troupe, tmp_path: Path) -> None:
    for name, port in mailboxes(troupe).items():
        if name != "launcher":  # it reads its mailbox only while it waits for an answer
            canary = tmp_path / name
            evil = pickle.dumps((None, Canary(canary)))
            for frame in (evil, bytes(32) + evil, sealed(secrets.token_bytes(32), port, evil)):
                send(port, framed(frame))
            assert not canary.exists()


@pytest.mark.parametrize(
    "junk",
    [b"-5>", b"-99999>x", b"0>", b"99999999>", b"9" * 30, b"x>", b"65537>" + bytes(100), framed(b"x"), b">"],
)
def test_a_size_that_is_none_ends_the_connection_and_nothing_else(troupe: Troupe, junk: bytes) -> None:
    for name, port in mailboxes(troupe).items():
        if name != "launcher":
            # A second write: what is read after the first shows whether the first was understood.
            with socket.create_connection(("127.0.0.1", port), timeout=10) as stranger:
                stranger.sendall(junk)
                try:
                    stranger.sendall(b"more")
                    while stranger.recv(4096):
                        pass
                except (ConnectionResetError, BrokenPipeError):
                    pass


def test_strangers_who_say_nothing_take_each_others_places() -> None:
    with ExitStack() as connections:
        troupe = connections.enter_context(Troupe("steady"))
        troupe.begun(1)
        ports = mailboxes(troupe)
        for _ in range(SILENT):
            for name, port in ports.items():
                if name != "launcher":
                    connections.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        for [process] in troupe.below().values():
            assert process.num_fds() < SILENT
        [worker] = troupe.below()[WORKER]
        worker.kill()
        assert troupe.begun(1).keys() == {"steady-0"}  # whoever is to be heard still is
        troupe.process.terminate()
        assert troupe.rest()[-1] == "steady-0 stops"
        assert troupe.process.returncode == 0


def other_addresses() -> list[str]:
    """Addresses of this machine other than the one the mailboxes are bound to."""
    own = {each.address for group in psutil.net_if_addrs().values() for each in group if each.family == socket.AF_INET}
    return sorted({"127.0.0.2", *own} - {"127.0.0.1"})


def test_no_other_address_of_this_machine_leads_to_a_mailbox(troupe: Troupe) -> None:
    for port in mailboxes(troupe).values():
        for address in other_addresses():
            with socket.socket() as stranger:
                stranger.settimeout(10)
                assert stranger.connect_ex((address, port)) != 0


def test_a_node_listens_on_loopback_and_on_its_own_address_only(tmp_path: Path) -> None:
    with LiveNode(tmp_path) as node:
        for pid in node.processes().values():
            listening = [each.laddr for each in psutil.Process(pid).net_connections() if each.status == "LISTEN"]
            assert {each.ip for each in listening} == {"127.0.0.1"}
            assert len(listening) == 2
