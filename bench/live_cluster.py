"""Several hosts, each a real `node.py`, that link with each other; and what an operator may ask and tell them."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import aiohttp

from bench.live_node import LiveNode, NodeError, free_port
from gateway import CONTROL_SOCKET, host_key

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from bench.live_node import Settings

__all__ = ["LiveCluster", "Spot", "cluster_settings", "loopback"]

Node = TypeVar("Node", bound=LiveNode)

WHOLE_WAIT_S: Final = 30.0
SHARDS_S_MAX: Final = 2.0
MOVE_S_MAX: Final = 120.0
LOOK_S: Final = 0.05


class Spot(NamedTuple):
    """Where a host stands.

    Attributes:
        listen: Where clients find it, as host:port.
        link: Where other hosts find it.
        command: What runs node.py there; nothing for this very Python.
    """

    listen: str
    link: str
    command: tuple[str, ...] = ()


def loopback(names: Iterable[str]) -> dict[str, Spot]:
    """Hosts on this machine, apart by their ports alone."""
    return {name: Spot(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}") for name in names}


def cluster_settings(folder: Path, links: Mapping[str, str]) -> dict[str, Settings]:
    """What the operators of hosts write, by host; each is given its key.

    Args:
        folder: Where the folders of the hosts are, under their names.
        links: Where each listens for the others, by its name.
    """
    entries = []
    for name, link in links.items():
        data_folder = folder / name / "data"
        data_folder.mkdir(parents=True, exist_ok=True)
        entries.append({"name": name, "link": link, "key": host_key(data_folder).public.hex()})
    return {name: {"node": {"name": name}, "cluster": {"nodes": entries}} for name in links}


class LiveCluster(Generic[Node]):
    """Hosts that know each other by their settings.

    Args:
        nodes: By their names.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = dict(nodes)
        self._codes_read: dict[str, int] = {}

    @property
    def crashes(self) -> list[str]:
        """What the hosts have logged about actors of their own that crashed, since the last start of each."""
        return [f"{name}: {line}" for name, node in self.nodes.items() for line in node.crashes]

    async def start(self) -> None:
        """Start all hosts at once, and wait until each shard has a node.

        Raises:
            NodeError: One of them ended or said nothing, or they do not come together.
        """
        await asyncio.gather(*(asyncio.to_thread(node.start) for node in self.nodes.values()))
        await self.wait_whole()

    async def wait_whole(self) -> None:
        """Wait until every host sees every shard on a node that is up, and all agree on which.

        Raises:
            NodeError: It takes too long.
        """
        deadline_s = time.monotonic() + WHOLE_WAIT_S
        while True:
            seen = await asyncio.gather(*(self.shards(name) for name in self.nodes))
            if all(row["state"] == "up" for row in seen[0]) and all(rows == seen[0] for rows in seen):
                return
            if time.monotonic() > deadline_s:
                said = "\n".join(f"{name}:\n{node.output}" for name, node in self.nodes.items())
                raise NodeError(f"not all shards were up within {WHOLE_WAIT_S:.0f} s. The hosts printed:\n{said}")
            await asyncio.sleep(LOOK_S)

    def kill(self) -> None:
        """SIGKILL of every host that runs; one that was stopped dies, too."""
        for node in self.nodes.values():
            node.kill()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to every process of a host at once, as when the machine itself stops."""
        for pid in set(self.nodes[name].processes().values()):
            os.kill(pid, number)

    async def wait_code(self, account: str) -> str:
        """The next verification code of an account; the node that has it prints it, whoever was asked."""
        number = self._codes_read.get(account, 0)
        self._codes_read[account] = number + 1
        while True:
            codes = [code for node in self.nodes.values() for code in node.codes_of(account)]
            if len(codes) > number:
                return codes[number]
            await asyncio.sleep(LOOK_S)

    async def shards(self, name: str) -> list[dict[str, Any]]:
        """Who has which shard, as a host sees it, in the order of the shards: shard, node, epoch, due and state.

        Raises:
            NodeError: It does not grant it.
            OSError: It cannot be reached.
        """
        rows: list[dict[str, Any]] = await self._ask(name, SHARDS_S_MAX, "GET", "/shards")
        return rows

    async def move(self, name: str, shard: int, to: str) -> dict[str, Any]:
        """Hand a shard over; returns shard, from, to, rows, size_bytes and still_s.

        Args:
            name: The host that is asked.
            shard: Which shard.
            to: The node that is to have it.

        Raises:
            NodeError: It does not grant it; the sentence says why.
            OSError: It cannot be reached.
        """
        answer: dict[str, Any] = await self._ask(name, MOVE_S_MAX, "POST", f"/shards/{shard}/move", {"to": to})
        return answer

    async def _ask(
        self, name: str, timeout_s: float, method: str, path: str, body: dict[str, str] | None = None
    ) -> Any:
        socket = self.nodes[name].data_folder / CONTROL_SOCKET
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout) as session,
                session.request(method, f"http://{name}{path}", json=body) as response,
            ):
                answer = await response.json()
        except aiohttp.ClientError as error:
            raise OSError(f"{name} cannot be asked: {error}") from error
        if response.status >= 400:
            raise NodeError(f"{name}: {answer['error']}")
        return answer
