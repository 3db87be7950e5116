"""A second device by a code on its screen: two databases, one node, no message with a code in it."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import roost
from protocol import Code
from tests.stories.town import story, texts, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stories.town import Town

ROOT: Final = Path(__file__).parents[2]
SETTINGS = {"rates": {"code_requests_per_hour": 20}}
pytestmark = pytest.mark.slow


@asynccontextmanager
async def waiting(town: Town, device: str) -> AsyncIterator[tuple[roost.LinkCode, asyncio.Task[str]]]:
    """A new device that shows a code."""
    shown: asyncio.Future[roost.LinkCode] = asyncio.get_running_loop().create_future()
    linking = asyncio.create_task(
        roost.link(
            lambda code, _: shown.set_result(code),
            server=town.node.address,
            device_name=device,
            folder=town.home(device),
        )
    )
    try:
        yield await shown, linking
    finally:
        linking.cancel()
        await asyncio.gather(linking, return_exceptions=True)


@story
async def test_a_linked_device_reads_writes_and_knows_whose_signature_to_believe(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        events = alice.events()
        await alice.devices.list()
        async with waiting(town, "laptop") as (code, linking):
            request = await alice.devices.link(f" {code.text.lower()} ")
            assert (request.name, len(await alice.devices.list())) == ("laptop", 1), "nothing happens before the yes"
            await request.confirm()
            assert await linking == alice.account
        assert (await wait_for(events, roost.DeviceAdded)).name == "laptop"
        async with town.connect("alice", "laptop") as laptop:
            await laptop.wait_online()
            found = await laptop.devices.list()
            assert [(one.name, one.primary, one.current, one.signed) for one in found] == [
                ("phone", True, False, True),
                ("laptop", False, True, True),
            ]
            await (await bob.send(alice.account, "to both")).sent()
            assert await texts(laptop.events(), 1) == ["to both"]
            assert not laptop.devices.can_sign


@story
async def test_a_code_is_used_once_and_a_wrong_one_finds_nobody(town: Town) -> None:
    async with town.people("alice", "eve") as [alice, eve]:
        with pytest.raises(roost.LinkError) as raised:
            await alice.devices.link(roost.LinkCode.generate().text)
        assert raised.value.code == Code.LINK_UNKNOWN
        async with waiting(town, "laptop") as (code, linking):
            request = await alice.devices.link(code.text)
            with pytest.raises(roost.LinkError) as raised:
                await eve.devices.link(code.text)
            assert raised.value.code == Code.LINK_UNKNOWN
            await request.confirm()
            await linking
            with pytest.raises(roost.LinkError):
                await alice.devices.link(code.text)


@story
async def test_a_device_that_the_person_declines_is_told_so_and_leaves_nothing_behind(town: Town) -> None:
    async with town.people("alice") as [alice], waiting(town, "laptop") as (code, linking):
        (await alice.devices.link(code.text)).reject()
        with pytest.raises(roost.LinkError, match="declined"):
            await linking
        assert len(await alice.devices.list()) == 1
        assert list(town.home("laptop").glob("*.db")) == []


@story
async def test_a_new_device_that_leaves_before_the_yes_is_not_added(town: Town) -> None:
    async with town.people("alice") as [alice]:
        async with waiting(town, "laptop") as (code, _):
            request = await alice.devices.link(code.text)
        with pytest.raises(roost.LinkError):
            await request.confirm()
        assert len(await alice.devices.list()) == 1


@story
async def test_a_computer_that_is_a_device_already_declines(town: Town) -> None:
    async with town.people("alice") as [alice], waiting(town, "phone") as (code, linking):
        request = await alice.devices.link(code.text)
        with pytest.raises(roost.LinkError, match="already"):
            await request.confirm()
        with pytest.raises(roost.AccountInUseError, match="already"):
            await linking
        assert len(await alice.devices.list()) == 1


@story
async def test_only_the_primary_links_renames_and_revokes_and_a_linked_one_can_leave(town: Town) -> None:
    async with town.people("alice/phone", "alice/laptop", "alice/tablet") as [phone, laptop, tablet]:
        names = {one.name: one.device for one in await phone.devices.list()}
        for refused in (
            laptop.devices.link(roost.LinkCode.generate().text),
            laptop.devices.rename(names["tablet"], "x"),
        ):
            with pytest.raises(roost.LinkError, match="Only the primary"):
                await refused
        with pytest.raises(roost.RefusedError) as raised:
            await laptop.devices.revoke(names["tablet"])
        assert raised.value.code == Code.NOT_PRIMARY
        with pytest.raises(roost.LinkError, match="cannot be removed"):
            await phone.devices.revoke(names["phone"])
        await phone.devices.rename(names["tablet"], "kitchen")
        assert [one.name for one in await laptop.devices.list()] == ["phone", "laptop", "kitchen"]
        events = tablet.events()
        await phone.devices.revoke(names["tablet"])
        stopped = await wait_for(
            events, roost.ConnectionChanged, lambda event: event.state is roost.ConnectionState.STOPPED
        )
        assert stopped.code == Code.DEVICE_REVOKED
        await laptop.devices.revoke(names["laptop"])
        assert [one.name for one in await phone.devices.list()] == ["phone"]


@story
async def test_a_code_by_mail_adds_no_device_and_a_recovery_is_seen_by_everyone(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        before = await bob.devices.of(alice.account)
        stolen = {
            "server": town.node.address,
            "code": lambda request: town.node.code_for(request.account),
            "folder": town.home("stolen"),
        }
        with pytest.raises(roost.RefusedError) as raised:
            await roost.register(alice.account, **stolen)  # type: ignore[arg-type]
        assert raised.value.code == Code.LINK_NEEDED
        assert len(await alice.devices.list()) == 1
        events = alice.events()
        await roost.register(alice.account, recover=True, **stolen)  # type: ignore[arg-type]
        stopped = await wait_for(
            events, roost.ConnectionChanged, lambda event: event.state is roost.ConnectionState.STOPPED
        )
        assert stopped.code == Code.DEVICE_REVOKED
        after = await bob.devices.of(alice.account)
        assert after.changed
        assert after.identity != before.identity


@story
async def test_the_command_with_which_a_linked_device_leaves_says_that_it_has(town: Town) -> None:
    async with town.people("alice") as [alice]:
        await town.register("alice", "laptop")
        [device] = [one.device for one in await alice.devices.list() if not one.current]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "roost", "devices", "revoke", device.hex()[:8], cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "ROOST_HOME": str(town.home("laptop")), "PYTHONUTF8": "1"},
        )  # fmt: skip
        out, err = await process.communicate()
        assert (process.returncode, out.decode(), err.decode()) == (
            0,
            "Removed laptop. What was said stays on this computer.\n",
            "",
        )
        assert [one.name for one in await alice.devices.list()] == ["phone"]
