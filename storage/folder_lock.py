"""Whose a data folder is: an flock'ed file in it says so, with the process id of who took it."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

from storage.errors import EngineError, StoreLockedError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FolderLock"]

LOCK_FILE: Final = "node.lock"
RETRY_S: Final = 0.02


class FolderLock:
    """A data folder held by this process and by all that it forks: it is free when the last of them has ended.

    Args:
        folder: The data folder; made (mode 0700) where absent.
        wait_s: How long to wait for a holder that is ending, in seconds; it looks every 20 ms.

    Raises:
        StoreLockedError: Somebody else holds it.
        EngineError: The folder or the file cannot be opened.
    """

    __slots__ = ("_descriptor", "folder")

    def __init__(self, folder: Path, wait_s: float = 0.0) -> None:
        self.folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self._descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EngineError(f"cannot open {folder}: {error}") from error
        deadline_s = time.monotonic() + wait_s
        while not self._taken():
            if time.monotonic() >= deadline_s:
                holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
                self.close()
                raise StoreLockedError(str(folder), holder)
            time.sleep(RETRY_S)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of it; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
