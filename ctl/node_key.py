"""`roostctl node-key`: a host's key, and the entry by which the other hosts will know it."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Final

from config import ConfigError, HostConfig, load, load_node
from ctl.control import settings_file
from gateway import KEY_FILE, StartRefusedError, host_key
from storage import FolderLock, StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from config import NodeConfig
    from protocol import StaticKey

__all__ = ["node_key"]

LINK_PORT: Final = 7668
LOCK_WAIT_S: Final = 2.0
_NOT_REACHED: Final = ("localhost", "0.0.0.0", "::", "127.", "::1")


def node_key(config: Path | None) -> int:
    """Make the key of this host if it has none, and print the entry for cluster.toml.

    Of the settings only [node] has to be right: the entries of the cluster may still lack their keys.

    Args:
        config: The settings file of the host.

    Returns:
        0.

    Raises:
        ConfigError: The settings file cannot be used.
        StartRefusedError: The key can be neither read nor made.
    """
    file, required = settings_file(config)
    node = load_node(file, required=required)
    entry = _entry(file, node)
    link = entry.link if entry is not None else _link(node)
    print(
        f'[[cluster.nodes]]\nname = "{node.name}"\nlink = "{link}"\nkey = "{_key(node.data_folder).public.hex()}"\n'
        f"workers = {node.workers}\nweight = {entry.weight if entry is not None else 1.0}"
    )
    if sys.stdout.isatty():
        why = "" if entry is not None else "; see to it that the other hosts reach this one by its link"
        print(f"\nPut this into the cluster.toml of every host{why}.", file=sys.stderr)
    return 0


def _key(folder: Path) -> StaticKey:
    """The host's key; a node that is just starting makes it itself, and only one of the two may."""
    if (folder / KEY_FILE).exists():
        return host_key(folder)
    try:
        with closing(FolderLock(folder, LOCK_WAIT_S)):
            return host_key(folder)
    except StorageError as error:
        raise StartRefusedError(str(error)) from error


def _entry(file: Path, node: NodeConfig) -> HostConfig | None:
    """What the settings say of this host already, if they are right."""
    try:
        hosts = load(file).cluster.nodes
    except ConfigError:
        return None
    return next((host for host in hosts if host.name == node.name), None)


def _link(node: NodeConfig) -> str:
    """Beside the clients' address, if other hosts can reach that; else a place to fill in, which no host would take."""
    host = node.listen_host
    if host.startswith(_NOT_REACHED):
        return f"<address of this host>:{LINK_PORT}"
    return f"{node.listen.rpartition(':')[0]}:{LINK_PORT}"
