"""What lies under a folder: a disk, or memory that only looks like one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["MEMORY", "file_system"]

MEMORY: Final = ("tmpfs", "ramfs")
"""File systems that live in memory: nothing in them outlives the machine, and no fsync takes its time."""

_MOUNTS: Final = Path("/proc/self/mountinfo")


def file_system(folder: Path, mounts: Path = _MOUNTS) -> str:
    """The kind of file system that a folder is on, as `ext4`.

    Args:
        folder: One that exists.
        mounts: What Linux tells of its mounts; see proc(5).

    Returns:
        Its name, or "" if this system does not tell.
    """
    try:
        device = os.stat(folder).st_dev
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in reversed(lines):
        place, _, rest = line.partition(" - ")
        if place.split()[2:3] == [wanted] and rest:
            return rest.split()[0]
    return ""
