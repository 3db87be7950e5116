"""The cast of these tests: workers that obey, crash, refuse to start or refuse to stop, and a stage that logs them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from runtime import (
    KILLED,
    SHUTDOWN,
    Actor,
    Crash,
    Exit,
    InlineTasks,
    Message,
    NoReply,
    Pid,
    Reason,
    Reply,
    Runtime,
    SeededScheduler,
    VirtualClock,
)
from supervisors import ChildInfo, ChildSpec, Strategy, Supervisor, SupervisorFlags, WhichChildren

if TYPE_CHECKING:
    from collections.abc import Hashable

Behaviour = Literal["plain", "stubborn", "lingering"]


class Worker(Actor):
    """Logs its start and its end, and does in a cast what it is told.

    A stubborn one traps exits and ignores them; a lingering one takes a second to stop.
    """

    def __init__(self, stage: Stage, id: Hashable, behaviour: Behaviour = "plain") -> None:
        self.stage = stage
        self.id = id
        self.behaviour = behaviour

    def init(self) -> None:
        if self.stage.failures.get(self.id, 0) > 0:
            self.stage.failures[self.id] -= 1
            self.stage.log.append(f"fail {self.id}")
            raise ValueError(self.id)
        self.process.trap_exit = self.behaviour != "plain"
        self.stage.log.append(f"start {self.id}")

    def handle_cast(self, message: Message) -> None:
        message(self)

    def handle_info(self, message: Message) -> None:
        if self.behaviour == "lingering" and isinstance(message, Exit):
            self.process.send_after(1, message.reason)
        elif self.behaviour == "lingering" and isinstance(message, Reason):
            self.process.stop(message)

    def terminate(self, reason: Reason) -> None:
        self.stage.log.append(f"stop {self.id}")


class Stage:
    """A runtime on virtual time under a seed, with a log of what its workers did."""

    def __init__(self, seed: int) -> None:
        self.log: list[str] = []
        self.failures: dict[Hashable, int] = {}
        self.scheduler = SeededScheduler(seed)
        self.clock = VirtualClock()
        self.runtime = Runtime(clock=self.clock, scheduler=self.scheduler, tasks=InlineTasks())

    def spec(self, id: Hashable, behaviour: Behaviour = "plain", **fields: Any) -> ChildSpec:
        """A spec of a worker that is registered under its id."""
        return ChildSpec(id, partial(Worker, self, id, behaviour), name=id, **fields)

    def supervise(
        self, *specs: ChildSpec, strategy: Strategy = "one_for_one", intensity: int = 3, period_s: float = 5.0
    ) -> Pid:
        """Start a supervisor and forget the log of the start."""
        pid = self.runtime.start(Supervisor(SupervisorFlags(strategy, intensity, period_s), specs))
        self.log.clear()
        return pid

    def end(self, id: Hashable, reason: Reason) -> None:
        """Let a worker end for this reason, and everybody react."""
        pid = self.runtime.whereis(id)
        assert pid is not None
        if isinstance(reason, Crash):
            self.runtime.cast(pid, crash)
        elif reason == KILLED:
            self.runtime.exit(pid, KILLED)
        else:
            self.runtime.cast(pid, lambda worker: worker.process.stop(reason))
        self.settle()

    def settle(self) -> None:
        """Let everybody react; a few milliseconds pass, for retries."""
        self.scheduler.run_for(0.01)

    def wait(self, duration_s: float) -> None:
        """Let time pass."""
        self.scheduler.run_for(duration_s)

    def ask(self, pid: Pid, request: Message) -> Any:
        """What a supervisor answers; the reason if it does not."""
        answers: list[Reply | NoReply] = []
        self.runtime.ask_nowait(pid, request, answers.append, None)
        self.scheduler.run_until_idle()
        if not answers:
            return "waiting"
        (answer,) = answers
        return answer.value if isinstance(answer, Reply) else answer.reason

    def children(self, pid: Pid) -> dict[Hashable, ChildInfo]:
        """A supervisor's children by id."""
        return {info.id: info for info in self.ask(pid, WhichChildren())}

    def running(self) -> list[Hashable]:
        """The registered names, in order."""
        return sorted(self.runtime.names(), key=str)

    def shut_down(self, pid: Pid) -> None:
        """Tell a supervisor to end."""
        self.runtime.exit(pid, SHUTDOWN)
        self.settle()


def crash(worker: Worker) -> None:
    """Crash whoever does this."""
    raise ValueError(worker.id)
