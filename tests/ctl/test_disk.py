"""What lies under a folder, as the system tells it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctl.disk import MEMORY, file_system


def test_the_last_mount_of_a_device_says_what_it_is(tmp_path: Path) -> None:
    device = os.stat(tmp_path).st_dev
    here = f"{os.major(device)}:{os.minor(device)}"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"22 1 {here} / / rw,relatime shared:1 master:2 - ext4 /dev/a rw\n"
        f"23 22 {here} / /mnt/a rw - tmpfs tmpfs rw,size=2m\n"
        "24 22 250:1 / /mnt/b rw shared:3 - xfs /dev/b rw\n"
        "a line that says nothing\n"
    )
    assert file_system(tmp_path, mounts) == "tmpfs"
    assert file_system(tmp_path, mounts) in MEMORY
    mounts.write_text("24 22 250:1 / /mnt/b rw shared:3 - xfs /dev/b rw\n")
    assert file_system(tmp_path, mounts) == ""


def test_a_system_that_does_not_tell_is_no_trouble(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path / "nothing") == ""
    assert file_system(tmp_path / "nothing") == ""


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="only Linux tells")
def test_linux_tells_what_its_own_folder_of_processes_is() -> None:
    assert file_system(Path("/proc")) == "proc"
