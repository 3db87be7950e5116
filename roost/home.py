"""Where accounts live on this computer: one database each, in one folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from roost.address import ServerAddress
from roost.conversations import account_address
from roost.errors import AccountMissingError

if TYPE_CHECKING:
    from protocol import AccountId

__all__ = ["account_path", "find_account", "home_folder", "registered"]

_SUFFIX: Final = ".db"


def home_folder() -> Path:
    """Return the folder of the accounts: $ROOST_HOME, or else ~/.local/share/roost."""
    chosen = os.environ.get("ROOST_HOME")
    return Path(chosen).expanduser() if chosen else Path.home() / ".local" / "share" / "roost"


def account_path(account: AccountId, server: ServerAddress, folder: Path | None = None) -> Path:
    """Return the database file of an account on a server."""
    return (folder or home_folder()) / f"{account}@{server.file_name}{_SUFFIX}"


def registered(folder: Path | None = None) -> list[Path]:
    """Return the databases in the folder."""
    return sorted((folder or home_folder()).glob(f"*@*{_SUFFIX}"))


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
        found = [path for path in found if path.name.rpartition("@")[0] == name]
    if server is not None:
        file_name = ServerAddress.parse(server).file_name
        found = [path for path in found if path.stem.rpartition("@")[2] == file_name]
    if not found:
        who = f"{account} is not registered" if account else "No account is registered"
        raise AccountMissingError(f"{who} on this computer. Register first: roost register ADDRESS --server HOST:PORT")
    if len(found) > 1:
        names = ", ".join(path.stem for path in found)
        raise AccountMissingError(f"There are several accounts ({names}). Say which with --account, and --server.")
    return found[0]
