"""The cast of these tests: tiny actors, and a stage with virtual time and a seeded scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime import (
    Actor,
    From,
    Hooks,
    InlineTasks,
    Message,
    Pid,
    Process,
    Reason,
    Runtime,
    SeededRandomness,
    SeededScheduler,
    VirtualClock,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Stage:
    """A runtime on virtual time under a seed, and a short way to play on it."""

    def __init__(self, seed: int = 0, *, hooks: Hooks | None = None, mailbox_limit: int = 10_000) -> None:
        self.clock = VirtualClock()
        self.scheduler = SeededScheduler(seed)
        self.runtime = Runtime(
            clock=self.clock,
            randomness=SeededRandomness(seed),
            scheduler=self.scheduler,
            tasks=InlineTasks(),
            hooks=hooks,
            mailbox_limit=mailbox_limit,
        )

    def puppet(self, *, trap_exit: bool = False, name: str | None = None) -> Puppet:
        """A started puppet."""
        puppet = Puppet(trap_exit=trap_exit)
        self.runtime.start(puppet, name=name)
        return puppet

    def play(self, puppet: Puppet, act: Callable[[Process], object]) -> None:
        """Let a puppet do something inside a callback, and everybody react."""
        self.runtime.cast(puppet.pid, act)
        self.settle()

    def settle(self) -> None:
        """Let everybody react, without time passing."""
        self.scheduler.run_until_idle()

    def wait(self, duration_s: float) -> None:
        """Let time pass."""
        self.scheduler.run_for(duration_s)

    def is_alive(self, puppet: Puppet) -> bool:
        """Whether the puppet's process lives."""
        return self.runtime.is_alive(puppet.pid)


class Puppet(Actor):
    """Does what it is told in a cast, answers calls with what they ask, and remembers what it heard."""

    def __init__(self, *, trap_exit: bool = False) -> None:
        self.wants_to_trap_exits = trap_exit
        self.heard: list[Any] = []
        self.deferred = 0
        self.terminated: list[Reason] = []
        self.callers: list[From] = []

    @property
    def pid(self) -> Pid:
        return self.process.pid

    def init(self) -> None:
        self.process.trap_exit = self.wants_to_trap_exits

    def handle_cast(self, message: Message) -> None:
        if callable(message):
            message(self.process)
        else:
            self.heard.append(message)

    def handle_call(self, request: Message, caller: From) -> None:
        if callable(request):
            self.process.reply(caller, request(self.process))
        else:
            self.callers.append(caller)

    def handle_info(self, message: Message) -> None:
        self.heard.append(message)

    def handle_deferred(self) -> None:
        self.deferred += 1

    def terminate(self, reason: Reason) -> None:
        self.terminated.append(reason)


class Starter(Actor):
    """Runs a function as its init."""

    def __init__(self, function: Callable[[Process], object]) -> None:
        self.function = function

    def init(self) -> None:
        self.function(self.process)


class Box:
    """Holds what a function found out inside a callback."""

    def __init__(self) -> None:
        self.value: Any = None

    def of(self, act: Callable[[Process], object]) -> Callable[[Process], None]:
        """The same act, its result kept here."""

        def kept(process: Process) -> None:
            self.value = act(process)

        return kept


def boom(process: Process) -> None:
    """Crash whoever does this."""
    raise ValueError("boom")
