"""Whose a data folder is: held by processes, not by one of them, and waited for while they end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from bench.live_node import PROJECT
from storage import FolderLock, LmdbEngine, StoreLockedError

if TYPE_CHECKING:
    from pathlib import Path

LEAVES_IT_TO_A_CHILD = """
import os, sys
from pathlib import Path
from storage import FolderLock

lock = FolderLock(Path(sys.argv[1]))
if os.fork() == 0:
    os.write(1, b"held")
    sys.stdin.read()
"""


def test_a_held_folder_is_refused_with_its_holder(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(StoreLockedError, match=f"by process {os.getpid()};"):
        FolderLock(tmp_path)
    lock.close()
    lock.close()
    FolderLock(tmp_path).close()


def test_a_folder_that_is_let_go_is_had_by_who_waits(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    had: list[FolderLock] = []
    waiting = threading.Thread(target=lambda: had.append(FolderLock(tmp_path, wait_s=60.0)))
    waiting.start()
    lock.close()
    waiting.join()
    with pytest.raises(StoreLockedError):
        FolderLock(tmp_path)
    had[0].close()


def test_a_folder_is_held_until_the_last_process_that_inherited_it_ends(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LEAVES_IT_TO_A_CHILD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.read(4) == b"held"
        assert parent.wait() == 0
        with pytest.raises(StoreLockedError, match=f"by process {parent.pid};"):
            FolderLock(tmp_path)
        parent.stdin.close()
        FolderLock(tmp_path, wait_s=60.0).close()


def test_an_engine_in_a_held_folder_leaves_the_lock_to_its_owner(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    LmdbEngine(tmp_path, 1 << 20, lock).close()
    with pytest.raises(StoreLockedError):
        FolderLock(tmp_path)
    lock.close()
    LmdbEngine(tmp_path, 1 << 20).close()
