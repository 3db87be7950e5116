"""The launcher: the process that the operator, or the process manager, starts, watches and signals.

It stands above Thespian's processes, and the host is there exactly as long as it is: when it ends, however it does,
the kernel ends the others from parent to child.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import socket
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ActorAddress, ActorSystem, ActorSystemException
from thespian.system.utilis import thesplog_control

from supervisors.host.plan import PLAN, PULSES, HostPlan
from supervisors.host.processes import adopt_orphans, kill_and_reap
from supervisors.host.pulse import Pulses
from supervisors.host.supervisor import SUPERVISOR, Begin, Drain, HostSupervisor
from supervisors.host.transport import ADMIN_PORT, KEY
from supervisors.host.tree import KILLED, HostBase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["run_host"]

START_S_MAX: Final = 20.0
TELL_S_MAX: Final = 5.0
LOOK_S: Final = 1.0
SILENT_LOOKS: Final = 5
START_TRIES: Final = 3
_TO_STOP: Final = (signal.SIGTERM, signal.SIGINT)


class _HostEndedError(BaseException):
    """The admin has ended, or did not answer in time; raised by a signal, through whatever Thespian catches."""


def run_host(plan: HostPlan) -> int:
    """Run the process tree until it is told to stop by SIGTERM or SIGINT, or fails.

    To be called on the main thread, with no other thread running and nothing open that a fork must not carry over.

    Args:
        plan: What it consists of.

    Returns:
        The exit status: 0 when every worker has stopped as it was asked to, else 1, with the reason in the log.
    """
    return _Launcher(plan).run()


class _Launcher:
    def __init__(self, plan: HostPlan) -> None:
        self._plan = plan
        self._pulses = Pulses(len(plan.workers) + 1)
        self._admin_pid = 0
        self._waiting = False
        self._stop_asked = False
        self._news, self._bell = os.pipe()

    def run(self) -> int:
        adopt_orphans()
        thesplog_control(100, False, 0)  # no file in the shared folder for temporary files
        for number in (self._news, self._bell):
            os.set_blocking(number, False)
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        for number in _TO_STOP:
            signal.signal(number, self._asked_to_stop)
        signal.signal(signal.SIGCHLD, self._child_ended)
        status, why = 1, ""
        try:
            self._watch(*self._start())
        except (_HostEndedError, ActorSystemException) as error:
            why = str(error)
        finally:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if (ended := self._admin_ended()) is not None:
                status, why = _outcome(ended)
            self._end_processes()
        if why:
            self._plan.log.error("host_failed", why=why, fix="what watches this process starts the host again")
        return status

    def _asked_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True

    def _child_ended(self, number: int, frame: FrameType | None) -> None:
        """Thespian would go on waiting for the answer of a process that is no more."""
        if self._waiting and self._admin_ended() is not None:
            raise _HostEndedError("the process tree ended")

    def _admin_ended(self) -> int | None:
        """The admin's exit status, or minus the signal that killed it; None while it runs. It stays to be reaped."""
        if not self._admin_pid:
            return None
        end = os.waitid(os.P_PID, self._admin_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if end is None:
            return None
        return end.si_status if end.si_code == os.CLD_EXITED else -end.si_status

    @contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Wait for Thespian's processes no longer than that, and not at all once they have ended."""

        def too_late(number: int, frame: FrameType | None) -> None:
            raise _HostEndedError(f"the process tree did not answer within {seconds:g} s")

        signal.signal(signal.SIGALRM, too_late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        self._waiting = True
        try:
            if self._admin_ended() is not None:
                raise _HostEndedError("the process tree ended")
            yield
        finally:
            self._waiting = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _start(self) -> tuple[ActorSystem, ActorAddress]:
        with self._within(START_S_MAX):
            system = ActorSystem(self._base(), transientUnique=True)
            supervisor = system.createActor(HostSupervisor)
            system.tell(supervisor, Begin())
        return system, supervisor

    def _base(self) -> HostBase:
        """Thespian with a key and an admin port of its own; a port that somebody was faster to take is left to them."""
        for tries_left in reversed(range(START_TRIES)):
            capabilities: dict[str, Any] = {
                ADMIN_PORT: _free_port(),
                KEY: secrets.token_bytes(32),
                PLAN: self._plan,
                PULSES: self._pulses,
            }
            try:
                return HostBase(SimpleNamespace(capabilities=capabilities), self._admin_started)
            except ActorSystemException:
                if not tries_left:
                    raise
                self._end_processes()
        raise AssertionError("the last try returns or raises")

    def _admin_started(self, pid: int) -> None:
        self._admin_pid = pid

    def _end_processes(self) -> None:
        if self._admin_pid:
            kill_and_reap(self._admin_pid)
            self._admin_pid = 0

    def _watch(self, system: ActorSystem, supervisor: ActorAddress) -> None:
        """Look after the supervisor once a second, and after signals at once, until the admin has ended."""
        beats, looks = 0, 0
        deadline_s = float("inf")
        drained = False
        while self._admin_ended() is None:
            if self._stop_asked and not drained:
                drained = True
                deadline_s = time.monotonic() + self._plan.stop_s_max
                with self._within(TELL_S_MAX):
                    system.tell(supervisor, Drain())
            if time.monotonic() > deadline_s:
                raise _HostEndedError(f"the workers did not stop within {self._plan.stop_s_max:g} s")
            if self._slept():
                count = self._pulses.count(SUPERVISOR)
                looks = looks + 1 if count == beats else 0
                beats = count
                if looks == SILENT_LOOKS:
                    raise _HostEndedError("the supervisor is silent")

    def _slept(self) -> bool:
        """Sleep for a second, or until a signal comes; whether it was the second."""
        if not select.select([self._news], [], [], LOOK_S)[0]:
            return True
        os.read(self._news, 4096)
        return False


def _outcome(ended: int) -> tuple[int, str]:
    """The launcher's own exit status, and what is to be said of it that nobody has said."""
    if ended < 0:
        return 1, f"the admin was ended by {signal.Signals(-ended).name}"
    if ended > KILLED:
        return 1, f"the supervisor was ended by {signal.Signals(ended - KILLED).name}"
    return ended, ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
