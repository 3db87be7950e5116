"""The runtime on real event loops, asyncio's and uvloop's."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from runtime import (
    KILLED,
    SHUTDOWN,
    Actor,
    CallError,
    From,
    Hooks,
    LoopScheduler,
    Message,
    Pid,
    Process,
    ReentryError,
    Runtime,
    VirtualClock,
)
from runtime.scheduler import DRAIN_S_MAX, LOW_S_MAX, LOW_WAIT_S_MAX, TURN_MESSAGES_MAX
from tests.runtime.cast import Puppet, boom

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import TypeAlias

    Run: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    factory = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop

    def run(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(coroutine)

    return run


async def rounds(count: int = 3) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0)


class Echo(Actor):
    """Answers everything with itself."""

    def handle_call(self, request: Message, caller: From) -> None:
        if request == "boom":
            boom(self.process)
        if request != "silence":
            self.process.reply(caller, request)


def test_asking_from_a_coroutine(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime()
        pid = runtime.start(Echo())
        assert await runtime.ask(pid, "hello") == "hello"
        assert await asyncio.gather(*(runtime.ask(pid, number) for number in range(100))) == list(range(100))
        with pytest.raises(CallError, match="timeout"):
            await runtime.ask(pid, "silence", timeout_s=0.01)
        with pytest.raises(CallError, match="crash"):
            await runtime.ask(pid, "boom")
        with pytest.raises(CallError, match="noproc"):
            await runtime.ask(pid, "hello")
        assert runtime.statistics().processes == 0
        runtime.close()

    run(story())


def test_an_asker_that_went_away_disturbs_nobody(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime()
        pid = runtime.start(Echo())
        asking = asyncio.ensure_future(runtime.ask(pid, "hello"))
        await asyncio.sleep(0)
        asking.cancel()
        await rounds()
        assert asking.cancelled()
        assert await runtime.ask(pid, "hello") == "hello"
        runtime.close()

    run(story())


def test_timers_tasks_and_posts_arrive(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime()
        done = asyncio.Event()
        heard: list[Any] = []

        class Busy(Puppet):
            def init(self) -> None:
                self.process.send_after(0.02, "second")
                self.process.send_after(0.001, "first")
                self.process.task(threading.get_ident)

            def handle_info(self, message: Message) -> None:
                heard.append(message)
                if len(heard) == 4:
                    done.set()

        pid = runtime.start(Busy())
        threading.Thread(
            target=runtime.post_threadsafe, args=(lambda: runtime.send(pid, threading.get_ident()) and None,)
        ).start()
        await asyncio.wait_for(done.wait(), 60)
        assert heard.index("first") < heard.index("second")
        assert threading.get_ident() in heard
        (result,) = [message for message in heard if hasattr(message, "value")]
        assert result.value != threading.get_ident()
        runtime.close()

    run(story())


def test_a_signal_from_outside_wakes_the_loop(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime()
        puppet = Puppet()
        pid = runtime.start(puppet)
        runtime.exit(pid, SHUTDOWN)
        await rounds()
        assert puppet.terminated == [SHUTDOWN]
        runtime.close()

    run(story())


def test_deferred_and_stop_from_outside_wake_the_loop(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime()
        puppet = Puppet()
        runtime.start(puppet)
        puppet.process.defer()
        await rounds()
        assert puppet.deferred == 1
        puppet.process.stop()
        await rounds()
        assert runtime.statistics().processes == 0
        runtime.close()

    run(story())


def test_exit_signals_and_casts_from_outside_a_callback_arrive(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime(scheduler=(scheduler := LoopScheduler()))
        assert runtime.scheduler is scheduler
        one, other = Puppet(), Puppet()
        runtime.start(one)
        runtime.start(other)

        def end_other_twice(process: Process) -> None:
            process.exit(other.pid, SHUTDOWN)
            process.exit(other.pid, KILLED)

        other.process.cast(one.pid, end_other_twice)
        await rounds()
        assert other.terminated == [SHUTDOWN]
        assert runtime.statistics().processes == 1
        runtime.close()

    run(story())


class Flood(Actor):
    """Casts to itself for ever; each message takes a millisecond."""

    def __init__(self, clock: VirtualClock) -> None:
        self.handled = 0
        self._clock = clock

    def handle_cast(self, message: Message) -> None:
        self.handled += 1
        self._clock.advance(0.001 / TURN_MESSAGES_MAX)
        self.process.cast(self.process.pid, message)


def test_a_flood_starves_neither_the_loop_nor_other_actors(
    run: Run,
) -> None:
    async def story() -> None:
        clock = VirtualClock()
        runtime = Runtime(clock=clock)
        flood, puppet = Flood(clock), Puppet()
        flood_pid, pid = runtime.start(flood), runtime.start(puppet)
        for _ in range(1000):
            runtime.cast(flood_pid, "more")
        runtime.cast(pid, lambda process: puppet.heard.append(flood.handled))
        puppet.process.defer()
        await asyncio.sleep(0)
        assert puppet.heard == [TURN_MESSAGES_MAX]
        assert puppet.deferred == 1
        turns = round(DRAIN_S_MAX / 0.001)
        assert TURN_MESSAGES_MAX <= flood.handled <= (turns + 1) * TURN_MESSAGES_MAX
        before = flood.handled
        await asyncio.sleep(0)
        assert before < flood.handled <= before + (turns + 1) * TURN_MESSAGES_MAX
        runtime.close()
        await rounds()

    run(story())


def test_low_priority_runs_behind_everybody_who_is_ready(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime(clock=VirtualClock())
        low, first, second = Puppet(), Puppet(), Puppet()
        order: list[str] = []
        low_pid, first_pid, second_pid = runtime.start(low), runtime.start(first), runtime.start(second)
        low.process.is_low = True
        runtime.cast(low_pid, lambda process: order.append("low"))
        runtime.cast(first_pid, lambda process: process.cast(second_pid, lambda _: order.append("second")))
        await rounds()
        assert order == ["second", "low"]
        low.process.is_low = False
        runtime.cast(low_pid, lambda process: order.append("not low"))
        runtime.cast(first_pid, lambda process: order.append("first"))
        await rounds()
        assert order[2:] == ["not low", "first"]
        runtime.close()

    run(story())


def test_a_flood_leaves_low_priority_a_share_of_the_time(run: Run) -> None:
    async def story() -> None:
        clock = VirtualClock()
        runtime = Runtime(clock=clock)
        flood, low = Flood(clock), Flood(clock)
        flood_pid, low_pid = runtime.start(flood), runtime.start(low)
        low.process.is_low = True
        for _ in range(1000):
            runtime.cast(flood_pid, "more")
            runtime.cast(low_pid, "more")
        for _ in range(20):
            await asyncio.sleep(0)
        assert low.handled >= flood.handled * LOW_S_MAX / (DRAIN_S_MAX + 0.001)
        assert low.handled < flood.handled
        runtime.close()
        await rounds()

    run(story())


def test_low_priority_leaves_the_loop_to_the_sockets_even_if_nobody_else_is_ready(run: Run) -> None:
    async def story() -> None:
        clock = VirtualClock()
        runtime = Runtime(clock=clock)
        floods = [Flood(clock) for _ in range(10)]
        for flood in floods:
            pid = runtime.start(flood)
            flood.process.is_low = True
            runtime.cast(pid, "more")
        round_max = round(LOW_S_MAX * 1000 * TURN_MESSAGES_MAX) + 1
        for count in (1, 2, 3):
            await asyncio.sleep(0)
            assert 0 < sum(flood.handled for flood in floods) <= count * round_max
        runtime.close()
        await rounds()

    run(story())


def test_nobody_of_low_priority_waits_much_longer_than_a_tenth_of_a_second_and_a_round_of_all(run: Run) -> None:
    async def story() -> None:
        clock = VirtualClock()
        runtime = Runtime(clock=clock)
        floods = [Flood(clock) for _ in range(200)]
        puppet = Puppet()
        for flood in floods:
            pid = runtime.start(flood)
            flood.process.is_low = flood is not floods[0]
            for _ in range(TURN_MESSAGES_MAX):
                runtime.cast(pid, "more")
        for _ in range(10):
            await asyncio.sleep(0)
        pid = runtime.start(puppet)
        puppet.process.is_low = True
        asked_s, served_s = clock.now_s(), list[float]()
        runtime.cast(pid, lambda _: served_s.append(clock.now_s()))
        while not served_s:  # noqa: ASYNC110 - each turn of the loop is a round
            await asyncio.sleep(0)
        assert served_s[0] - asked_s < LOW_WAIT_S_MAX + 0.001 * (len(floods) + 10)
        runtime.close()
        await rounds()

    run(story())


def test_a_watched_run_tells_the_hook_of_each_turn(run: Run) -> None:
    async def story() -> None:
        turns: list[tuple[Pid, int]] = []
        runtime = Runtime(hooks=Hooks(handled=lambda pid, actor, count, elapsed_s: turns.append((pid, count))))
        pid = runtime.start(Puppet())
        for number in range(70):
            runtime.cast(pid, number)
        await rounds()
        assert turns == [(pid, 64), (pid, 6)]
        assert runtime.statistics().messages == 70
        runtime.close()

    run(story())


def test_a_scheduled_function_that_raises_reaches_the_loops_handler(
    run: Run,
) -> None:
    async def story() -> None:
        contexts: list[dict[str, Any]] = []
        reported = asyncio.Event()

        def handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            contexts.append(context)
            reported.set()

        asyncio.get_running_loop().set_exception_handler(handler)
        runtime = Runtime()
        runtime.schedule(0, lambda: [][0])
        await asyncio.wait_for(reported.wait(), 60)
        assert isinstance(contexts[0]["exception"], IndexError)
        runtime.close()

    run(story())


def test_running_the_scheduler_inside_itself_is_refused(run: Run) -> None:
    async def story() -> None:
        scheduler = LoopScheduler()
        errors: list[BaseException] = []
        runtime = Runtime(scheduler=scheduler, hooks=Hooks(crashed=lambda pid, actor, error: errors.append(error)))
        puppet = Puppet()
        runtime.cast(runtime.start(puppet), lambda process: scheduler._drain())
        await rounds()
        assert [type(error) for error in errors] == [ReentryError]
        runtime.close()

    run(story())


def test_an_interrupt_passes_through_and_the_rest_goes_on(run: Run) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        scheduler = LoopScheduler()
        runtime = Runtime(scheduler=scheduler)

        class Interrupted(Puppet):
            def handle_info(self, message: Message) -> None:
                raise asyncio.CancelledError

        puppet, other = Interrupted(), Puppet()
        runtime.start(puppet)
        runtime.start(other)
        runtime.send(puppet.pid, "interrupt")
        runtime.cast(puppet.pid, "still handled")
        runtime.cast(other.pid, "handled")
        await rounds(5)
        assert puppet.heard == ["still handled"]
        assert other.heard == ["handled"]
        runtime.close()

    run(story())


def test_a_closed_runtime_runs_nothing_more(run: Run) -> None:
    async def story() -> None:
        runtime = Runtime()
        puppet = Puppet()
        runtime.cast(runtime.start(puppet), "unheard")
        runtime.schedule(0.001, lambda: puppet.heard.append("unheard"))
        runtime.close()
        runtime.start(late := Puppet())
        runtime.cast(late.pid, "unheard")
        await asyncio.sleep(0.01)
        assert puppet.heard == late.heard == []
        assert len(puppet.terminated) == 1

    run(story())


def test_posting_to_a_closed_loop_is_nothing() -> None:
    loop = asyncio.new_event_loop()
    scheduler = LoopScheduler(loop)
    Runtime(scheduler=scheduler)
    loop.close()
    scheduler.post_threadsafe(lambda: None)


def test_starting_without_a_loop_is_an_error_that_says_so() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        Runtime()
