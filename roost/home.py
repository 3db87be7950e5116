"""Where accounts live on this computer: one database each, in one folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roost.address import ServerAddress
from roost.conversations import account_address
from roost.errors import AccountInUseError, AccountMissingError, StoreError
from roost.store import Store

if TYPE_CHECKING:
    from protocol import AccountId

__all__ = ["LocalAccount", "account_path", "find_account", "home_folder", "registered"]

_SUFFIX: Final = ".db"


def home_folder() -> Path:
    """Return the folder of the accounts: $ROOST_HOME, or else ~/.local/share/roost."""
    chosen = os.environ.get("ROOST_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".local" / "share" / "roost"


def account_path(account: AccountId, server: ServerAddress, folder: Path | None = None) -> Path:
    """Return the database file of an account on a server."""
    return (folder or home_folder()) / f"{account}@{server.file_name}{_SUFFIX}"


@dataclass(frozen=True, slots=True)
class LocalAccount:
    """An account that is registered on this computer: its address, its server as ``HOST:PORT``, and its database."""

    account: str
    server: str
    path: Path


def registered(folder: Path | None = None) -> list[LocalAccount]:
    """Return the accounts in the folder; a database whose registration never ended is none."""
    paths = sorted((folder or home_folder()).glob(f"*@*{_SUFFIX}"))
    return [found for path in paths if (found := _looked_at(path)) is not None]


def _looked_at(path: Path) -> LocalAccount | None:
    try:
        store = Store(path, read_only=True)
    except (StoreError, AccountInUseError):
        # Whoever opens it is told what is wrong with it; until then it goes by its name.
        account, _, server = path.stem.rpartition("@")
        return LocalAccount(account, server, path)
    try:
        return LocalAccount(store.account, store.server, path) if store.account else None
    finally:
        store.close()


def find_account(account: str | None, server: str | None = None, folder: Path | None = None) -> Path:
    """Return the database of the account that is meant.

    Args:
        account: its address; None if there is only one.
        server: its server, needed when the same address is registered on several.
        folder: where to look, instead of the usual folder.

    Raises:
        AccountMissingError: none fits, or several do.
        AddressError: the account or server is not written correctly.
    """
    found = registered(folder)
    if account is not None:
        name = account_address(account)
        found = [one for one in found if one.path.stem.rpartition("@")[0] == name]
    if server is not None:
        file_name = ServerAddress.parse(server).file_name
        found = [one for one in found if one.path.stem.rpartition("@")[2] == file_name]
    if not found:
        who = f"{account} is not registered" if account else "No account is registered"
        where = f"{'' if server is None else ' with ' + server} on this computer"
        command = f"roost register {account or 'ADDRESS'}{'' if server is None else ' --server ' + server}"
        raise AccountMissingError(f"{who}{where}. Register first: {command}")
    if len(found) > 1:
        raise AccountMissingError(_several(found))
    return found[0].path


def _several(found: list[LocalAccount]) -> str:
    accounts = sorted({one.account for one in found})
    if len(accounts) > 1:
        return f"There are several accounts here ({', '.join(accounts)}). Say which, such as --account {accounts[0]}"
    servers = [one.server for one in found]
    return f"{accounts[0]} has several servers here ({', '.join(servers)}). Say which, such as --server {servers[0]}"
