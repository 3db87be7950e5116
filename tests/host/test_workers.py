"""A host of several workers: people who chat across them, while one, or all, are killed or hang."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from bench.live_node import LiveNode
from cluster import rendezvous
from protocol import messages as m
from protocol import shard_of
from tests.host.troupe import Troupe, left_after_a_while
from tests.stories.raw_device import RawDevice
from tests.stories.town import Town, back_online, story

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [pytest.mark.slow, pytest.mark.crash]

TWO = {"node": {"workers": 2}}
WEIGHTS = {"local": 1.0, "local.2": 1.0}
AT_HOME = ("alice", "carol", "erin", "grace", "ivan", "judy", "mallory", "niaj", "olivia", "peggy")


def worker_of(address: str) -> int:
    """Which worker of a host of two has an account: 0 or 1."""
    return list(WEIGHTS).index(rendezvous(shard_of(address), WEIGHTS))


def neighbours(town: Town) -> tuple[str, str]:
    """Two names, the account of the first at worker 1 and that of the second at worker 2."""
    first, second = (next(n for n in AT_HOME if worker_of(town.address(n)) == worker) for worker in (0, 1))
    return first, second


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LiveNode]:
    """A host of two workers, of which nothing is left in the end."""
    with LiveNode(tmp_path / "node", TWO) as host:
        processes = [psutil.Process(pid) for pid in host.processes().values()]
        yield host
        processes += [psutil.Process(pid) for pid in host.processes().values()] if host.running else []
    assert left_after_a_while(processes) == []


async def both_workers(node: LiveNode) -> list[int]:
    """The process ids of both, once there are two."""
    while len(workers := node.workers()) < 2:  # noqa: ASYNC110 - nobody tells that there is a process
        await asyncio.sleep(0.005)
    return workers


def crashes(node: LiveNode) -> list[str]:
    """What crashed besides the workers that the test itself has killed."""
    return [line for line in node.crashes if "worker_replaced" not in line]


async def at_worker(node: LiveNode, town: Town, worker: int, count: int) -> list[RawDevice]:
    """Devices of accounts of a worker, registered and logged in."""
    devices: list[RawDevice] = []
    number = 0
    while len(devices) < count:
        number += 1
        name = f"guest{number}"
        if worker_of(town.address(name)) == worker:
            device = RawDevice(node.address, node.server_key)
            await device.greet()
            await device.register(town.address(name), node.code_for)
            devices.append(device)
    for device in devices:
        await device.come_back()
    return devices


@story
async def test_people_of_different_workers_chat_and_the_start_is_told_once(tmp_path: Path, node: LiveNode) -> None:
    town = Town(node, tmp_path)
    first, second = neighbours(town)
    async with town.people(first, second) as [one, other]:
        for sender, reader in ((one, other), (other, one), (one, other)):
            await (await sender.send(reader.account, "hi")).delivered()
        assert [message.seq for message in await other.history(one.account)] == [1, 2, 3]
    assert node.terminate() == 0
    assert sum("Roost is at" in line for line in node.lines) == 1
    assert node.output.count('"event": "stopped"') == 2
    assert crashes(node) == []


@story
async def test_a_killed_worker_is_replaced_alone_and_nothing_is_lost(tmp_path: Path, node: LiveNode) -> None:
    town = Town(node, tmp_path)
    first, second = neighbours(town)
    async with town.people(first, second) as [one, other]:
        sendings = []
        for round_number in range(4):
            before = await both_workers(node)
            killed = round_number % 2
            sendings += [await one.send(other.account, f"a{round_number}"), await other.send(one.account, "b")]
            os.kill(before[killed], signal.SIGKILL)
            sendings += [await one.send(other.account, f"c{round_number}"), await other.send(one.account, "d")]
            await back_online([one, other][killed])
            for sending in sendings:
                await sending.delivered()
            after = await both_workers(node)
            assert after[1 - killed] == before[1 - killed]
            assert after[killed] != before[killed]
        for reader, writer in ((one, other), (other, one)):
            assert [message.seq for message in await reader.history(writer.account)] == list(range(1, 17))
    assert sum("Roost is at" in line for line in node.lines) == 1
    assert crashes(node) == []


@story
async def test_who_is_at_the_other_worker_stays_connected_when_one_is_killed(tmp_path: Path, node: LiveNode) -> None:
    town = Town(node, tmp_path)
    for worker in (0, 1):
        (device,) = await at_worker(node, town, 1 - worker, 1)
        os.kill((await both_workers(node))[worker], signal.SIGKILL)
        for token in range(20):
            await device.ping(token)
            await asyncio.sleep(0.005)
        device.drop()


@story
async def test_all_workers_killed_at_once_are_all_replaced(tmp_path: Path, node: LiveNode) -> None:
    town = Town(node, tmp_path)
    first, second = neighbours(town)
    async with town.people(first, second) as [one, other]:
        before = node.workers()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        sending = await one.send(other.account, "meanwhile")
        for client in (one, other):
            await back_online(client)
        await sending.delivered()
        assert not {*before} & {*await both_workers(node)}


@story
async def test_a_worker_that_is_stopped_is_replaced_and_its_sibling_serves_on(tmp_path: Path, node: LiveNode) -> None:
    town = Town(node, tmp_path)
    (device,) = await at_worker(node, town, 0, 1)
    (guest,) = await at_worker(node, town, 1, 1)
    before = node.workers()
    os.kill(before[1], signal.SIGSTOP)
    late = asyncio.create_task(_in_time(node, guest))
    while before[1] in node.workers():
        await device.ping()
        await asyncio.sleep(0.02)
    await late
    assert (await both_workers(node))[0] == before[0]
    assert node.output.count('"worker_hangs"') == 1
    device.drop()


async def _in_time(node: LiveNode, device: RawDevice) -> None:
    """Log in, again and again as clients do, until somebody answers."""
    while True:
        try:
            async with asyncio.timeout(6.0):
                await device.come_back()
        except (AssertionError, OSError, TimeoutError):
            await asyncio.sleep(0.05)
        else:
            device.drop()
            return


@story
async def test_connections_on_their_way_to_a_worker_that_is_killed_come_in_or_come_again(
    tmp_path: Path, node: LiveNode
) -> None:
    town = Town(node, tmp_path)
    guests = await at_worker(node, town, 1, 8)
    for guest in guests:
        guest.drop()
    for _ in range(5):
        arrivals = [asyncio.create_task(_in_time(node, guest)) for guest in guests]
        await asyncio.sleep(0.005)
        os.kill((await both_workers(node))[1], signal.SIGKILL)
        await asyncio.gather(*arrivals)
    assert crashes(node) == []
    for pid in await both_workers(node):
        files = _open_files(pid)
        assert sum(name.startswith("socket:") for name in files) < 30
    for guest in guests:
        await guest.come_back()
        await guest.ping()
        guest.drop()


@story
async def test_a_host_that_drains_tells_the_clients_of_all_its_workers(tmp_path: Path, node: LiveNode) -> None:
    town = Town(node, tmp_path)
    devices = [*await at_worker(node, town, 0, 1), *await at_worker(node, town, 1, 1)]
    ending = asyncio.create_task(asyncio.to_thread(node.terminate))
    for device in devices:
        words = await device.last_words()
        assert isinstance(words, m.Closing)
        assert words.code == 502
        device.drop()
    assert await ending == 0


def test_the_data_of_a_worker_that_is_no_more_is_not_passed_over(tmp_path: Path) -> None:
    node = LiveNode(tmp_path, {"node": {"workers": 3}})
    with node:
        node.terminate()
    node.launch(node={"workers": 2})
    assert node.wait() == 1
    assert f"the folder {node.data_folder / '3'} has the data of worker 3, and node.workers is 2" in node.output
    shutil.rmtree(node.data_folder / "3")


def test_that_everybody_is_there_is_told_once_by_the_last_who_comes() -> None:
    with Troupe("counted", "counted", "counted") as troupe:
        for pid in troupe.begun(3).values():
            os.kill(pid, signal.SIGKILL)
        troupe.begun(3)
        troupe.process.send_signal(signal.SIGTERM)
        troupe.rest()
        assert troupe.lines.count("everybody is there") == 1
        assert troupe.process.returncode == 0


def _open_files(pid: int) -> list[str]:
    """What a process has open; what it closes while we look is passed over."""
    files = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            files.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return files
