"""A worker process: Thespian's mailbox on the main thread, which sleeps, and beside it a thread that does the work."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from typing import Any

from thespian.actors import Actor, ActorAddress

from supervisors.host.plan import GAVE_UP, PLAN, PULSES, Shift, WorkerSpec
from supervisors.host.processes import name_process

__all__ = ["WORKER", "HostWorker", "StopWorker"]

WORKER = "Roost Worker"


class StopWorker:
    """From the supervisor: finish, and end."""


class HostWorker(Actor):
    """Runs one `WorkerSpec` of the plan, and ends with what that returns.

    Args:
        capabilities: Hold the plan and the pulses.
        requirements: Say which worker this is.
    """

    def __init__(self, capabilities: dict[str, Any], requirements: dict[str, int]) -> None:
        super().__init__()
        worker = requirements[WORKER]
        self._shift = Shift(worker + 1, capabilities[PULSES])
        name_process("roost-worker" if worker == 0 else f"roost-worker-{worker + 1}")
        spec: WorkerSpec = capabilities[PLAN].workers[worker]
        threading.Thread(target=_work, args=(spec, self._shift), name=spec.name, daemon=True).start()

    def receiveMessage(self, message: Any, sender: ActorAddress) -> None:
        """Only the word to stop matters."""
        if isinstance(message, StopWorker):
            self._shift.ask_to_stop()


def _work(spec: WorkerSpec, shift: Shift) -> None:
    """Work, and end the process: an end that goes by way of Thespian would take longer and say less."""
    status = GAVE_UP
    try:
        status = spec.serve(shift)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
