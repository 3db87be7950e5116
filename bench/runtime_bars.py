"""The runtime's bars, beside pykka and an asyncio task with a queue in the same run.

Run with `python -m bench.runtime_bars`. Times are CPU time of the whole process, the best of several rounds, because
wall time on a shared machine is noise. Memory is the growth of the proportional set size in a fresh process.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pykka

from runtime import Actor, Message, Pid, Runtime
from supervisors import ChildSpec, Supervisor, SupervisorFlags

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]

ROUNDS = 5
PAIRS = 50
MESSAGES = 200_000
ACTORS = 1_000_000
BURST = 10_000
TASKS = 50_000
RESTARTS = 3_000
HEARTBEATS = 100_000


class Player(Actor):
    """Sends each message back to its partner until it has had its share."""

    __slots__ = ("left", "over", "partner")

    partner: Pid

    def __init__(self, messages: int, over: Callable[[], None]) -> None:
        self.left = messages
        self.over = over

    def handle_cast(self, message: Message) -> None:
        """Return it."""
        self.left -= 1
        if self.left:
            self.process.cast(self.partner, message)
        else:
            self.over()


class Idle(Actor):
    """Takes a message now and then."""

    __slots__ = ()

    def handle_cast(self, message: Message) -> None:
        """Nothing to do."""


class Fragile(Actor):
    """Crashes at each message."""

    __slots__ = ()

    def handle_cast(self, message: Message) -> None:
        """Crash."""
        raise ValueError


class Heart(Actor):
    """Beats once a minute."""

    __slots__ = ()

    def init(self) -> None:
        """Set the timer."""
        self.process.send_after(60.0, "beat")


class PykkaPlayer(pykka.ThreadingActor):
    """The same player, on pykka."""

    def __init__(self, messages: int, over: threading.Event) -> None:
        super().__init__()
        self.left = messages
        self.over = over
        self.partner: pykka.ActorRef[PykkaPlayer] | None = None

    def on_receive(self, message: Any) -> Any:
        """Return it, or learn who the partner is."""
        if isinstance(message, pykka.ActorRef):
            self.partner = message
            return
        self.left -= 1
        if self.left:
            assert self.partner is not None
            self.partner.tell(message)
        else:
            self.over.set()


async def message_us() -> float:
    """CPU of one cast from actor to actor, in microseconds: pairs playing ping-pong, one message in flight each."""
    best = float("inf")
    for _ in range(ROUNDS):
        runtime = Runtime()
        over = asyncio.Event()
        left = 2 * PAIRS

        def finished(over: asyncio.Event = over) -> None:
            nonlocal left
            left -= 1
            if left <= PAIRS:
                over.set()

        starters = []
        for _ in range(PAIRS):
            one, other = Player(MESSAGES // PAIRS // 2, finished), Player(MESSAGES // PAIRS // 2, finished)
            one_pid, other.partner = (runtime.start(one),) * 2
            one.partner = runtime.start(other)
            starters.append(one_pid)
        began = time.process_time()
        for pid in starters:
            runtime.cast(pid, began)
        await over.wait()
        best = min(best, time.process_time() - began)
        runtime.close()
    return best / MESSAGES * 1e6


async def task_message_us() -> float:
    """The same game between asyncio tasks, each with a queue."""

    async def play(mine: asyncio.Queue[float], partner: asyncio.Queue[float], messages: int) -> None:
        for _ in range(messages):
            partner.put_nowait(await mine.get())

    best = float("inf")
    for _ in range(2):
        began = time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(PAIRS):
                one: asyncio.Queue[float] = asyncio.Queue()
                other: asyncio.Queue[float] = asyncio.Queue()
                group.create_task(play(one, other, MESSAGES // PAIRS // 2))
                group.create_task(play(other, one, MESSAGES // PAIRS // 2))
                one.put_nowait(began)
        best = min(best, time.process_time() - began)
    return best / MESSAGES * 1e6


def pykka_message_us(messages: int = 20_000) -> float:
    """The same game between two pykka actors, which are threads."""
    over = threading.Event()
    one = PykkaPlayer.start(messages // 2, over)
    other = PykkaPlayer.start(messages // 2, over)
    one.ask(other)
    other.ask(one)
    began = time.process_time()
    one.tell(began)
    over.wait()
    used = time.process_time() - began
    pykka.ActorRegistry.stop_all()
    return used / messages * 1e6


async def drained(runtime: Runtime) -> None:
    """Wait until no actor has a message left, a round of the loop at a time."""
    await asyncio.sleep(0)
    while runtime.statistics().runnable:  # noqa: ASYNC110 - the runtime tells nobody that it is idle
        await asyncio.sleep(0)


async def restart_us() -> float:
    """CPU from a child's crash to its successor's first message, in microseconds."""
    best = float("inf")
    for _ in range(3):
        runtime = Runtime()
        flags = SupervisorFlags(intensity=1, period_s=1e-9)
        runtime.start(Supervisor(flags, [ChildSpec("child", Fragile, name="child")]))
        began = time.process_time()
        for _ in range(RESTARTS):
            child = runtime.whereis("child")
            assert child is not None
            runtime.cast(child, "crash")
            await drained(runtime)
        best = min(best, time.process_time() - began)
        assert runtime.statistics().crashed == RESTARTS
        runtime.close()
    return best / RESTARTS * 1e6


async def heartbeats_ms() -> float:
    """CPU in milliseconds that 100,000 waiting heartbeats cost in a second of idleness."""
    runtime = Runtime()
    for _ in range(HEARTBEATS):
        runtime.start(Heart())
    gc.collect()
    began = time.process_time()
    await asyncio.sleep(1.0)
    used = time.process_time() - began
    runtime.close()
    return used * 1e3


def _resident_bytes() -> int:
    gc.collect()
    return int(psutil.Process().memory_full_info().pss)


def million_actors() -> tuple[int, float]:
    """Start a million actors and have each handle a message; how many did, and the bytes that each takes afterwards.

    The messages come to ten thousand actors at a time: a mailbox takes 700 bytes while it exists, and what the
    process once had it keeps.
    """

    async def measure() -> tuple[int, float]:
        runtime = Runtime()
        before = _resident_bytes()
        pids = [runtime.start(Idle()) for _ in range(ACTORS)]
        list_bytes = pids.__sizeof__()
        for first in range(0, ACTORS, BURST):
            for pid in pids[first : first + BURST]:
                runtime.cast(pid, None)
            await drained(runtime)
        taken = _resident_bytes() - before - list_bytes
        return runtime.statistics().messages, taken / ACTORS

    return asyncio.run(measure())


def task_bytes() -> float:
    """Bytes that an idle asyncio task with a queue takes."""

    async def measure() -> float:
        async def idle(queue: asyncio.Queue[None]) -> None:
            while True:
                await queue.get()

        before = _resident_bytes()
        tasks = [asyncio.create_task(idle(asyncio.Queue())) for _ in range(TASKS)]
        await asyncio.sleep(0)
        taken = _resident_bytes() - before - tasks.__sizeof__()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return taken / TASKS

    return asyncio.run(measure())


def _bar(bar: str, value: float, unit: str, must: float | None = None, aim: float | None = None) -> Row:
    better = "higher" if unit == "actors" else "lower"
    met = None if must is None else (value >= must if better == "higher" else value <= must)
    return {"bar": bar, "value": round(value, 3), "unit": unit, "better": better, "must": must, "aim": aim, "met": met}


def run() -> list[Row]:
    """Measure every bar; rows without a `must` are there for comparison."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as fresh:
        actors, actor_bytes = fresh.submit(million_actors).result()
        bytes_of_task = fresh.submit(task_bytes).result()
    return [
        _bar("runtime: message between two actors", asyncio.run(message_us()), "us CPU", 1.0, 0.8),
        _bar("runtime: message, asyncio task and queue", asyncio.run(task_message_us()), "us CPU"),
        _bar("runtime: message, pykka", pykka_message_us(), "us CPU"),
        _bar("runtime: idle actor", actor_bytes, "bytes", 600, 500),
        _bar("runtime: idle asyncio task and queue", bytes_of_task, "bytes"),
        _bar("runtime: actors in one process", actors, "actors", ACTORS, ACTORS),
        _bar("runtime: restart of a crashed child", asyncio.run(restart_us()), "us CPU", 100, 50),
        _bar("runtime: 100,000 heartbeats, idle for a second", asyncio.run(heartbeats_ms()), "ms CPU"),
    ]


def main() -> None:
    """Print a line a bar."""
    print(f"{'bar':<50} {'figure':>12} {'unit':<7} {'must':>10} {'aim':>10}  met")
    for row in run():
        must, aim = ("-" if row[key] is None else f"{row[key]:,}" for key in ("must", "aim"))
        met = {True: "yes", False: "NO", None: "-"}[row["met"]]
        print(f"{row['bar']:<50} {row['value']:>12,} {row['unit']:<7} {must:>10} {aim:>10}  {met}")


if __name__ == "__main__":
    main()
