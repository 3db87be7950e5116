"""What a host holds for as long as it is up, whatever happens to the processes that serve: folders, key and doors."""

from __future__ import annotations

import errno
import os
import secrets
import socket
from typing import TYPE_CHECKING, Final

from config import WORKERS_MAX, worker_folder
from gateway.headcount import headcounts
from gateway.passage import hatches
from gateway.tcp import bound_socket
from gateway.workplace import StartRefusedError, Workplace, tried
from protocol import StaticKey
from storage import DATA_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from config import ClusterNode, NodeConfig

__all__ = ["KEY_FILE", "Premises", "host_key"]

KEY_FILE: Final = "node.key"


class Premises:
    """The data folders' locks, the host's identity, and the listening sockets: taken before the first fork.

    Args:
        config: Where they are.
        nodes: All nodes of the cluster; those of this host have `config.name` as their host.

    Attributes:
        workplaces: One for each worker, the first worker's first.
        static_key: Made at the first start; clients and other hosts know this host by it.
        listening: Clients may connect from now on; they wait until somebody accepts.
        hatches: Of each worker by its node's name, where there are several.
        headcounts: The same.

    Raises:
        StartRefusedError: One of them cannot be had.
    """

    __slots__ = ("hatches", "headcounts", "listening", "static_key", "workplaces")

    def __init__(self, config: NodeConfig, nodes: Sequence[ClusterNode]) -> None:
        folder = config.data_folder
        own = [node for node in nodes if node.host == config.name]
        _check_former_workers(folder, len(own))
        self.workplaces = tuple(Workplace(node, nodes, folder) for node in own)
        names = [node.name for node in own] if len(own) > 1 else []
        self.hatches = hatches(names)
        self.headcounts = dict(zip(names, headcounts(len(names)), strict=True)) if names else {}
        self.static_key = host_key(folder)
        if own[0].key not in (b"", self.static_key.public):
            raise StartRefusedError(
                f'cluster.nodes["{config.name}"].key is not that of {folder / KEY_FILE}: if that file is of this host, '
                f"write {self.static_key.public.hex()} there on every host, else bring the right file back"
            )
        try:
            self.listening = tried(lambda: bound_socket(config.listen_host, config.listen_port))
        except OSError as error:
            raise StartRefusedError(
                f"cannot listen on {config.listen}: {error.strerror}; change node.listen"
            ) from error

    @property
    def address(self) -> str:
        """Where clients connect."""
        host, port = self.listening.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def close_door(self) -> None:
        """Refuse whoever connects from now on, in whichever process the socket is open."""
        try:
            self.listening.shutdown(socket.SHUT_RDWR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
        self.listening.close()


def _check_former_workers(folder: Path, workers: int) -> None:
    """Data of a worker that is no more is not passed over in silence.

    Raises:
        StartRefusedError: There is some.
    """
    for worker in range(workers + 1, WORKERS_MAX + 1):
        former = worker_folder(folder, worker)
        if (former / DATA_FILE).exists():
            raise StartRefusedError(
                f"the folder {former} has the data of worker {worker}, and node.workers is {workers}: set it to "
                f"{worker} again; to have fewer workers, first give its shards to others (roostctl move-shard), and "
                "then move that folder away"
            )


def host_key(data_folder: Path) -> StaticKey:
    """The host's identity, made if there is none; whoever reads its file can pose as this host.

    To be called by whoever has the folder's lock, unless the file is there.

    Raises:
        StartRefusedError: It can be neither read nor made.
    """
    path = data_folder / KEY_FILE
    try:
        if not path.exists():
            _write_key(path, StaticKey(secrets.token_bytes(32)))
        return StaticKey.from_bytes(bytes.fromhex(path.read_text().strip()))
    except ValueError as error:
        raise StartRefusedError(
            f"{path} is not a key: restore it from a copy; clients and other hosts have pinned its public half"
        ) from error
    except OSError as error:
        raise StartRefusedError(f"cannot keep the server's key in {path}: {error.strerror}") from error


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
