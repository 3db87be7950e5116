"""The supervisor of a host's workers: a Thespian actor in a process without threads, for it forks.

Thespian runs a handler that raises a second time. Here that would start two workers for one, so a fault ends the
process, and with it the host.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from thespian.actors import Actor, ActorAddress, ChildActorExited, WakeupMessage

from supervisors.host.logic import Effect, Kill, Leave, Staff, Start, Stop
from supervisors.host.plan import BEAT_S, PLAN, PULSES, HostPlan
from supervisors.host.processes import name_process
from supervisors.host.tree import ChildEnded
from supervisors.host.worker import WORKER, HostWorker, StopWorker
from supervisors.window import RestartWindow

if TYPE_CHECKING:
    from supervisors.host.pulse import Pulses

__all__ = ["SUPERVISOR", "Begin", "Drain", "HostSupervisor"]

SUPERVISOR = 0
"""The supervisor's own cell among the pulses; worker n has n + 1."""


class Begin:
    """From the launcher: start the workers."""


class Drain:
    """From the launcher: stop them, and then end."""


class HostSupervisor(Actor):
    """Starts, watches, kills and replaces workers; ends when `logic` says so.

    Args:
        capabilities: Hold the plan and the pulses.
    """

    def __init__(self, capabilities: dict[str, Any]) -> None:
        super().__init__()
        plan: HostPlan = capabilities[PLAN]
        self._plan = plan
        self._pulses: Pulses = capabilities[PULSES]
        self._staff = Staff(len(plan.workers), RestartWindow(plan.intensity, plan.period_s))
        self._created: list[ActorAddress | None] = [None] * len(plan.workers)
        self._parent = os.getppid()
        name_process("roost-super")

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        """A word from the launcher, a child's end, or the time to look at the pulses."""
        try:
            for effect in self._decided(message):
                self._run(effect)
        except Exception:
            traceback.print_exc()
            os._exit(1)

    def _decided(self, message: Any) -> list[Effect]:
        match message:
            case Begin():
                self._look_later()
                return self._staff.begin()
            case WakeupMessage():
                self._look_later()
                return self._look()
            case ChildActorExited():
                return self._child_ended(message)
            case Drain():
                return self._staff.drain()
            case _:
                return []

    def _look_later(self) -> None:
        self._pulses.beat(SUPERVISOR)
        self.wakeupAfter(timedelta(seconds=BEAT_S))

    def _look(self) -> list[Effect]:
        """Twice a second: is the parent there, has an exit gone unheard, does everyone's heart beat?"""
        if os.getppid() != self._parent:
            os._exit(1)
        self._myRef.childDied()
        effects: list[Effect] = []
        for worker in range(len(self._created)):
            effects += self._staff.looked(worker, self._pulses.count(worker + 1))
        return effects

    def _child_ended(self, message: ChildActorExited) -> list[Effect]:
        """Each end is told once: by `ChildEnded`, or by Thespian where there could be no process to begin with."""
        known = message.created if isinstance(message, ChildEnded) else message.childAddress
        status = message.status if isinstance(message, ChildEnded) else -1
        for worker, created in enumerate(self._created):
            if created is not None and created == known:
                self._created[worker] = None
                return self._staff.ended(worker, status, time.monotonic())
        return []

    def _run(self, effect: Effect) -> None:
        log, workers = self._plan.log, self._plan.workers
        match effect:
            case Start(worker, status):
                if status is not None:
                    log.warning("worker_replaced", worker=workers[worker].name, ended=_how(status))
                self._pulses.clear(worker + 1)
                self._created[worker] = self.createActor(HostWorker, {WORKER: worker})
            case Kill(worker):
                log.error("worker_hangs", worker=workers[worker].name, fix="it is killed and replaced")
                pid = self._myRef.child_pid(self._created[worker])
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            case Stop(worker):
                if self._created[worker] is not None:
                    self.send(self._created[worker], StopWorker())
            case Leave(status, event):
                if event == "host_gave_up":
                    log.error(
                        event,
                        replaced=self._plan.intensity,
                        period_s=self._plan.period_s,
                        fix="look at what the workers said above; the process manager should start the host again",
                    )
                os._exit(status)


def _how(status: int) -> str:
    return f"status {status}" if status >= 0 else signal.Signals(-status).name
