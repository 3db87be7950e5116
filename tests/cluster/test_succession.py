"""Services and the deaths of real processes: how soon another node has taken over."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from cluster import NodeDown, NodeUp, Whereabouts, singletons_spec
from cluster.whereabouts import process_name
from runtime import CallError, Named
from supervisors import ChildSpec, Supervisor, SupervisorFlags
from tests.cluster.messages import Note
from tests.cluster.node_process import Echo
from tests.cluster.test_sockets import Node, addresses, nodes, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.cluster.test_sockets import Run

__all__ = ["run"]


AT_A, AT_B = Named("a", process_name("clerk")), Named("b", process_name("clerk"))


async def until(done: Callable[[], Awaitable[bool]]) -> float:
    """How long it takes, in seconds; at most 20."""
    began_s = time.monotonic()
    async with asyncio.timeout(20):
        while not await done():  # noqa: ASYNC110  # another process says nothing by itself
            await asyncio.sleep(0.005)
    return time.monotonic() - began_s


async def answers(node: Node, at: Named) -> bool:
    """Whether the service runs there."""
    try:
        answer: object = await node.runtime.ask(at, Note("?"))
    except CallError:
        return False
    return answer == Note("?")


@pytest.mark.crash
@pytest.mark.parametrize(("number", "within_s"), [(signal.SIGKILL, 2.0), (signal.SIGSTOP, 4.0)])
def test_the_service_of_a_process_that_dies_or_stands_still_is_taken_over_in_time(
    number: signal.Signals, within_s: float, run: Run, tmp_path: Path
) -> None:
    async def play() -> None:
        at_a, at_b = addresses("tcp", tmp_path)
        a, whereabouts = Node("a", at_a, {"b": at_b}), Whereabouts()
        spec = singletons_spec([ChildSpec("clerk", Echo)], whereabouts=whereabouts)

        async def is_taken_over() -> bool:
            return whereabouts.singleton("clerk") == AT_A

        async def is_one_again() -> bool:
            running = [at for at in (AT_A, AT_B) if await answers(a, at)]
            return running == [whereabouts.singleton("clerk")]

        async with nodes(a):
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.cluster.node_process", "b", at_b, "a", at_a
            )
            await until(lambda: answers(a, AT_B))
            a.runtime.start(Supervisor(SupervisorFlags(), [spec]))
            await until(is_one_again)
            assert whereabouts.singleton("clerk") == AT_B
            child.send_signal(number)
            took_s = await until(is_taken_over)
            print(f"after {number.name} another node runs the service in {took_s:.2f} s")
            assert took_s <= within_s
            if number is signal.SIGSTOP:
                child.send_signal(signal.SIGCONT)
                await a.until(NodeDown)
                await a.until(NodeUp)
                await until(is_one_again)
                child.kill()
            await child.wait()

    run(play())
