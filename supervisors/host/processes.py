"""What the kernel does for the process tree: a child dies with its parent, and no orphan goes astray."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from typing import Final

__all__ = ["adopt_orphans", "deaf_to_the_terminal", "die_with_parent", "kill_and_reap", "name_process"]

# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_PR_SET_CHILD_SUBREAPER: Final = 36
REAP_S_MAX: Final = 2.0

_prctl = ctypes.CDLL(None, use_errno=True).prctl


def _control(option: int, value: int | bytes) -> None:
    if _prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def die_with_parent(parent: int) -> None:
    """SIGKILL this process when its parent ends; if that has happened already, end at once.

    Args:
        parent: The process id that forked this one.
    """
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent has ended, so that it can reap them all."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def name_process(name: str) -> None:
    """What `ps` and `top` call this process.

    Args:
        name: Up to 15 characters.
    """
    _control(_PR_SET_NAME, name.encode())


def deaf_to_the_terminal() -> None:
    """Leave the signals that ask for an end to the launcher: it drains the workers, whoever else is sent them, too."""
    signal.set_wakeup_fd(-1)  # the launcher's, inherited: what comes here is no news there
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def kill_and_reap(group: int) -> None:
    """Kill a process group and wait until no descendant is left, for at most 2 s.

    Args:
        group: Its leader, a child of this process, which is the parent of all orphans.
    """
    os.kill(group, signal.SIGKILL)  # it may not be the leader yet
    deadline_s = time.monotonic() + REAP_S_MAX
    while time.monotonic() < deadline_s:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if ended == 0:
            time.sleep(0.002)
