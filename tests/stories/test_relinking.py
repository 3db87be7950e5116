"""Who was removed comes back with a new code, on the same computer, and finds there what was said before."""

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
from tests.stories.town import story, text_of, texts, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.stories.town import Town

SETTINGS = {"rates": {"code_requests_per_hour": 20}}
ROOT: Final = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@asynccontextmanager
async def removed(town: Town, alice: roost.Client, device: str) -> AsyncIterator[roost.Client]:
    """A device of alice's from now on, and none any more behind this."""
    await town.register("alice", device)
    async with town.connect("alice", device) as client:
        await client.wait_online()
        yield client
        await alice.devices.revoke(client.device)


async def roost_command(town: Town, device: str, *words: str) -> tuple[int, str]:
    """Run a command on a device; its exit code, and what it complains of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "roost", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "ROOST_HOME": str(town.home(device)), "PYTHONUTF8": "1"},
    )  # fmt: skip
    _, complained = await process.communicate()
    assert process.returncode is not None
    return process.returncode, complained.decode()


@story
async def test_a_removed_device_is_linked_again_and_goes_on_where_it_was(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        async with removed(town, alice, "laptop") as laptop:
            events = laptop.events()
            group = await alice.groups.create("Club")
            await wait_for(events, roost.GroupChanged)
            await (await bob.send(alice.account, "before")).sent()
            assert await texts(events, 1) == ["before"]
            await (await laptop.send(bob.account, "from the laptop")).sent()
            old = laptop.device
        await (await bob.send(alice.account, "while it was none")).sent()
        await alice.groups.rename(group, "Reading")
        await alice.state.name(bob.account, "Bobby")
        await town.register("alice", "laptop")
        async with town.connect("alice", "laptop") as laptop:
            events = laptop.events()
            await laptop.wait_online()
            assert laptop.device != old
            assert not laptop.devices.can_sign
            assert [(one.name, one.current) for one in await laptop.devices.list()] == [
                ("phone", False), ("laptop", True),
            ]  # fmt: skip
            assert [text_of(one) for one in await laptop.history(bob.account)] == ["before", "from the laptop"]
            await wait_for(events, roost.GroupChanged, lambda event: event.group.name == "Reading")
            named = await wait_for(events, roost.StateChanged, lambda event: event.kind == "name")
            assert named.value == "Bobby"
            await (await bob.send(alice.account, "after")).sent()
            assert await texts(events, 1) == ["after"]
            await (await laptop.send(bob.account, "from the laptop again")).delivered()
            assert [text_of(one) for one in await laptop.history(bob.account)][-2:] == [
                "after",
                "from the laptop again",
            ]
        assert [text_of(one) for one in await bob.history(alice.account)] == [
            "before", "from the laptop", "while it was none", "after", "from the laptop again",
        ]  # fmt: skip


@story
async def test_who_was_removed_is_told_the_way_back_and_where_the_history_is(town: Town) -> None:
    way = f"with its history it becomes a device again by: roost link --server {town.node.address}"
    async with town.people("alice") as [alice]:
        async with removed(town, alice, "laptop") as laptop:
            events = laptop.events()
        stopped = await wait_for(
            events, roost.ConnectionChanged, lambda event: event.state is roost.ConnectionState.STOPPED
        )
        assert stopped.code == Code.DEVICE_REVOKED
        assert way in stopped.sentence
        code, complained = await roost_command(town, "laptop", "settings")
        assert (code, way in complained) == (1, True)


@story
async def test_a_link_that_comes_to_nothing_takes_nothing_away(town: Town) -> None:
    async with town.people("alice", "bob") as [alice, bob]:
        async with removed(town, alice, "laptop") as laptop:
            await (await bob.send(alice.account, "kept")).sent()
            assert await texts(laptop.events(), 1) == ["kept"]
        shown: asyncio.Future[roost.LinkCode] = asyncio.get_running_loop().create_future()
        linking = asyncio.create_task(
            roost.link(lambda code, _: shown.set_result(code), server=town.node.address, folder=town.home("laptop"))
        )
        request = await alice.devices.link((await shown).text)
        alice.devices.pass_on(request._sponsor.offer())  # it prepares itself for what does not come
        await alice.devices.next_payload()
        request.reject()
        with pytest.raises(roost.LinkError):
            await linking
        async with town.connect("alice", "laptop") as laptop:
            assert [text_of(one) for one in await laptop.history(bob.account)] == ["kept"]
            with pytest.raises(roost.StoppedError):
                await laptop.wait_online()
        await town.register("alice", "laptop")
        async with town.connect("alice", "laptop") as laptop:
            await laptop.wait_online()
            assert [text_of(one) for one in await laptop.history(bob.account)] == ["kept"]


@story
async def test_a_device_that_is_one_is_not_linked_again(town: Town) -> None:
    async with town.people("alice") as [alice]:
        await town.register("alice", "laptop")
        before = [one.device for one in await alice.devices.list()]
        with pytest.raises(roost.LinkError, match="is a device of that account already"):
            await town.register("alice", "laptop")
        assert [one.device for one in await alice.devices.list()] == before
        async with town.connect("alice", "laptop") as laptop:
            await laptop.wait_online()
            with pytest.raises(roost.LinkError, match="a program has it open"):
                await town.register("alice", "laptop")


@story
async def test_who_tried_to_register_first_is_linked_and_takes_itself_for_no_primary(town: Town) -> None:
    async with town.people("alice") as [alice]:
        for known in (False, True):  # as a newcomer, and as a linked device that should not have been asked
            with pytest.raises(roost.RefusedError) as raised:
                await roost.register(
                    alice.account,
                    server=town.node.address,
                    code=lambda request: town.node.code_for(request.account),
                    folder=town.home("laptop"),
                )
            assert raised.value.code == Code.LINK_NEEDED
            if not known:
                await town.register("alice", "laptop")
            async with town.connect("alice", "laptop") as laptop:
                await laptop.wait_online()
                assert not laptop.devices.can_sign
