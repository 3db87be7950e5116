"""A linked device removes itself, whatever becomes of the answer: the connection may end before it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from protocol import messages as m
from tests.roost.model_server import Link, ModelServer
from tests.roost.stories import link_in, people, story, wait_offline
from tests.roost.tcp_server import TcpServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Forgetful(ModelServer):
    """A server that answers no removal: it closes the connection, and has or has not done it."""

    def __init__(self, *, does: bool, says: Code | None = None) -> None:
        super().__init__()
        self.does = does
        self.says = says
        self.asked = 0

    def _on_removedevice(self, link: Link, frame: m.RemoveDevice) -> None:
        self.asked += 1
        if not self.does and self.asked > 1:
            super()._on_removedevice(link, frame)
            return
        assert link.account is not None
        if self.does:
            self.remove(link.account, frame.device)
        if self.says is None:
            self.disconnect(link)
        else:
            self.close(link, self.says)


@asynccontextmanager
async def laptop_of_alice(server: TcpServer, folder: Path) -> AsyncIterator[roost.Client]:
    """A linked device, online."""
    async with people(server, folder, "alice") as (phone,):
        code, linking = await link_in(folder / "laptop", server, "laptop")
        await (await phone.devices.link(code.text)).confirm()
        await linking
        async with roost.connect("alice", folder=folder / "laptop") as laptop:
            await laptop.wait_online()
            yield laptop


async def own_device(client: roost.Client) -> roost.KnownDevice:
    [device] = [one for one in await client.devices.list() if one.current]
    return device


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        (Forgetful(does=True, says=Code.DEVICE_REVOKED), 1),
        (Forgetful(does=True), 1),
        (Forgetful(does=False), 2),
    ],
    ids=["closed as removed", "done and cut off", "cut off before"],
)
def test_a_device_that_has_removed_itself_is_told_of_no_failure(model: Forgetful, asked: int, tmp_path: Path) -> None:
    @story
    async def check(folder: Path) -> None:
        async with TcpServer(model) as server, laptop_of_alice(server, folder) as laptop:
            own = await own_device(laptop)
            removing = asyncio.create_task(laptop.devices.revoke(own.device))
            if model.says is None:
                await wait_offline(laptop)
                laptop.retry_now()
            await removing
            assert model.asked == asked
            assert own.device not in model.accounts[laptop.account].devices

    check(tmp_path)


class Busy(ModelServer):
    """A server whose disk takes nothing the first time."""

    asked = 0

    def _on_removedevice(self, link: Link, frame: m.RemoveDevice) -> None:
        self.asked += 1
        if self.asked == 1:
            link.out.append(m.Error(frame.request, Code.BUSY, Code.BUSY.sentence, 10))
        else:
            super()._on_removedevice(link, frame)


@story
async def test_a_removal_that_the_server_has_no_room_for_is_asked_for_again(folder: Path) -> None:
    model = Busy()
    async with TcpServer(model) as server, laptop_of_alice(server, folder) as laptop:
        own = await own_device(laptop)
        await laptop.devices.revoke(own.device)
        assert model.asked == 2
        assert own.device not in model.accounts[laptop.account].devices


@story
async def test_a_removal_that_ends_in_another_way_is_no_success(folder: Path) -> None:
    model = Forgetful(does=False, says=Code.REPLACED)
    async with TcpServer(model) as server, laptop_of_alice(server, folder) as laptop:
        own = await own_device(laptop)
        with pytest.raises(roost.StoppedError) as raised:
            await laptop.devices.revoke(own.device)
        assert raised.value.code == Code.REPLACED
