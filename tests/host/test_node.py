"""A node in its host: people go on talking when a worker is killed, and nothing stands in the way of the next node."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from typing import TYPE_CHECKING

import psutil
import pytest

from bench.live_node import SUPERVISOR, WORKER, LiveNode
from tests.host.troupe import left_after_a_while
from tests.stories.town import Town, back_online, story, texts

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.crash]


def until_zombie(process: psutil.Process) -> None:
    while process.status() != psutil.STATUS_ZOMBIE:
        pass


@story
async def test_people_go_on_talking_after_their_worker_was_killed(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "node") as node:
        town = Town(node, tmp_path)
        async with town.people("alice", "bob") as [alice, bob]:
            await (await alice.send(bob.account, "before")).sent()
            worker = node.processes()[WORKER]
            os.kill(worker, signal.SIGKILL)
            sending = await alice.send(bob.account, "meanwhile")
            for client in (alice, bob):
                await back_online(client)
            await sending.delivered()
            assert [message.seq for message in await bob.history(alice.account)] == [1, 2]
            await town.register("carol")
            assert node.processes()[WORKER] != worker
        assert sum("Roost is at" in line for line in node.lines) == 1
        assert [line for line in node.crashes if "worker_replaced" not in line] == []


@story
async def test_a_connection_made_while_no_worker_lives_is_served_by_the_next(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "node") as node:
        processes = {name: psutil.Process(pid) for name, pid in node.processes().items()}
        processes[SUPERVISOR].suspend()
        processes[WORKER].kill()
        await asyncio.to_thread(until_zombie, processes[WORKER])
        async with asyncio.TaskGroup() as callers:
            stranger = Town(node, tmp_path).stranger()
            greeting = callers.create_task(stranger.__aenter__())
            host, _, port = node.address.rpartition(":")
            await asyncio.to_thread(socket.create_connection((host, int(port)), timeout=5).close)
            assert not greeting.done()
            processes[SUPERVISOR].resume()
        await stranger.__aexit__(None, None, None)


def test_the_next_node_starts_at_once_after_a_kill(tmp_path: Path) -> None:
    node = LiveNode(tmp_path)
    node.start()
    processes = [psutil.Process(pid) for pid in node.processes().values()]
    for process in processes:
        process.suspend()  # they will be slow to die, as on a busy machine
    os.kill(node.pid, signal.SIGKILL)
    follower = LiveNode(tmp_path / "next", {"node": {"data_folder": str(node.data_folder), "listen": node.address}})
    with follower:
        assert follower.server_key == node.server_key
        node.wait()
        assert left_after_a_while(processes) == []


def test_a_folder_in_use_is_waited_for_and_then_refused(tmp_path: Path) -> None:
    with LiveNode(tmp_path / "first") as first:
        second = LiveNode(tmp_path / "second", {"node": {"data_folder": str(first.data_folder)}})
        second.launch()
        assert second.wait() == 1
        assert second.output.count("is in use by process") == 1
        assert "host_failed" not in second.output


def test_a_store_that_a_worker_cannot_open_is_named_once_and_not_tried_again(tmp_path: Path) -> None:
    node = LiveNode(tmp_path, {"registration": {"code_sender": "no.such:thing"}})
    node.launch()
    assert node.wait() == 1
    assert [line.partition(":")[0] for line in node.lines] == ["Roost cannot start"]


@pytest.mark.parametrize("ask", [signal.SIGTERM, signal.SIGINT])
def test_one_process_alone_serves_and_drains_too(tmp_path: Path, ask: signal.Signals) -> None:
    with LiveNode(tmp_path / "node", arguments=["--single"]) as node:

        @story
        async def visit() -> None:
            async with Town(node, tmp_path).people("alice", "bob") as [alice, bob]:
                await (await alice.send(bob.account, "hi")).sent()
                assert await texts(bob.events(), 1) == ["hi"]

        visit()
        assert psutil.Process(node.pid).children() == []
        os.kill(node.pid, ask)
        assert node.wait() == 0
        assert '"event": "stopped"' in node.output
