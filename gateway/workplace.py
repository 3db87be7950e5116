"""What one worker of a host needs to outlive it: the folder of its node, and the sockets on which other nodes link."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Final

from cluster import bound_node_socket
from config import worker_folder
from storage import FolderLock, StorageError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from config import ClusterNode

__all__ = ["StartRefusedError", "Workplace", "link_socket", "tried"]

# A node that was killed a moment ago is ending still: its processes hold the folder and the port until they are gone.
PREDECESSOR_S_MAX: Final = 2.0
PORT_TRIES: Final = 10
PORT_RETRY_S: Final = 0.02
NAME_FILE: Final = "node.name"
LINK_SOCKET: Final = "link.sock"


class StartRefusedError(Exception):
    """The node cannot start; the text says why and what to do."""


class Workplace:
    """A node's data folder, locked, and its listening sockets for other nodes: taken before the first fork.

    Args:
        node: Which node this is.
        nodes: All nodes of the cluster, it among them.
        data_folder: The host's.

    Attributes:
        node: As given.
        folder: Where this node keeps its data.
        lock: Of the folder.
        links: For other hosts, if there are any, and for the other workers of this one, if there are any.

    Raises:
        StartRefusedError: One of them cannot be had, or the folder belongs to another node.
    """

    __slots__ = ("folder", "links", "lock", "node")

    def __init__(self, node: ClusterNode, nodes: Sequence[ClusterNode], data_folder: Path) -> None:
        self.node = node
        self.folder = worker_folder(data_folder, node.worker)
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartRefusedError(
                f"cannot make the folder {self.folder}: {error.strerror}; change node.data_folder"
            ) from error
        try:
            self.lock = FolderLock(self.folder, PREDECESSOR_S_MAX)
        except StorageError as error:
            raise StartRefusedError(str(error)) from error
        _check_name(self.folder, node.name, is_alone=len(nodes) == 1)
        self.links = tuple(self._listening(nodes, data_folder))

    def _listening(self, nodes: Sequence[ClusterNode], data_folder: Path) -> list[socket.socket]:
        addresses = []
        if self.node.link is not None and any(other.host != self.node.host for other in nodes):
            fix = f'change cluster.nodes["{self.node.host}"].link on every host, or end what has it'
            addresses.append((self.node.link, fix))
        if any(other.host == self.node.host for other in nodes if other is not self.node):
            addresses.append((link_socket(data_folder, self.node.worker), "change node.data_folder to a shorter path"))
        return [_bound(address, fix) for address, fix in addresses]


def link_socket(data_folder: Path, worker: int) -> str:
    """The address at which the workers of a host link with this one of them."""
    return f"unix:{worker_folder(data_folder, worker) / LINK_SOCKET}"


def tried(bind: Callable[[], socket.socket]) -> socket.socket:
    """A bound socket; where the address is in use, another try for a moment, because the last node may still be ending.

    Raises:
        OSError: It cannot be had.
    """
    for tries_left in reversed(range(PORT_TRIES)):
        try:
            return bind()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not tries_left:
                raise
            time.sleep(PORT_RETRY_S)
    raise AssertionError("the last try returns or raises")


def _bound(address: str, fix: str) -> socket.socket:
    try:
        return tried(lambda: bound_node_socket(address))
    except OSError as error:
        raise StartRefusedError(
            f"cannot listen for other nodes on {address}: {error.strerror or error}; {fix}"
        ) from error


def _check_name(folder: Path, name: str, *, is_alone: bool) -> None:
    """The folder remembers its node from the day on which there are others, who remember it by that name, too."""
    path = folder / NAME_FILE
    try:
        known = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        if not known and not is_alone:
            path.write_text(f"{name}\n", encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartRefusedError(f"cannot keep the name of this node in {path}: {error}; see to that file") from error
    if known not in ("", name):
        raise StartRefusedError(
            f'the folder {folder} has the data of the node "{known[:64]}", and the settings call this one "{name}": '
            "give it its name back, or change node.data_folder; to rename the node, stop every host, and write the new "
            f"name into {path} and the cluster.toml of every host"
        )
