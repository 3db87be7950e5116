"""What a node holds for as long as it is up, whatever happens to the process that serves: folder, key and door."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Final

from gateway.tcp import bound_socket
from protocol import StaticKey
from storage import FolderLock, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from config import NodeConfig

__all__ = ["Premises", "StartRefusedError"]

# A node that was killed a moment ago is ending still: its processes hold the folder and the port until they are gone.
PREDECESSOR_S_MAX: Final = 2.0
PORT_TRIES: Final = 10
PORT_RETRY_S: Final = 0.02


class StartRefusedError(Exception):
    """The node cannot start; the text says why and what to do."""


class Premises:
    """The data folder's lock, the server's identity, and the listening socket: taken before the first fork.

    Args:
        config: Where they are.

    Attributes:
        lock: Of the data folder.
        static_key: Made at the first start.
        listening: Clients may connect from now on; they wait until somebody accepts.

    Raises:
        StartRefusedError: One of them cannot be had.
    """

    __slots__ = ("listening", "lock", "static_key")

    def __init__(self, config: NodeConfig) -> None:
        folder = config.data_folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartRefusedError(
                f"cannot make the folder {folder}: {error.strerror}; change node.data_folder"
            ) from error
        try:
            self.lock = FolderLock(folder, PREDECESSOR_S_MAX)
        except StorageError as error:
            raise StartRefusedError(str(error)) from error
        self.static_key = _static_key(folder / "node.key")
        try:
            self.listening = _listening(config.listen_host, config.listen_port)
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


def _listening(host: str, port: int) -> socket.socket:
    for tries_left in reversed(range(PORT_TRIES)):
        try:
            return bound_socket(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not tries_left:
                raise
            time.sleep(PORT_RETRY_S)
    raise AssertionError("the last try returns or raises")


def _static_key(path: Path) -> StaticKey:
    """The server's identity, made at the first start; whoever reads the file can pose as this server."""
    try:
        if not path.exists():
            _write_key(path, StaticKey(secrets.token_bytes(32)))
        return StaticKey.from_bytes(bytes.fromhex(path.read_text().strip()))
    except ValueError as error:
        raise StartRefusedError(
            f"{path} is not a key: restore it from a copy; clients have pinned its public half"
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
