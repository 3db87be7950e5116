"""What the devices of one person share, over a real node: also what each did while it was alone."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import roost
from tests.stories.town import story, text_of, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stories.town import Town

pytestmark = pytest.mark.slow


async def hears(events: roost.EventStream, subject: str, value: str) -> None:
    """Wait until a record says something."""
    await wait_for(events, roost.StateChanged, lambda event: (event.subject, event.value) == (subject, value))


@story
async def test_changes_on_two_devices_that_were_offline_merge_the_same_way_on_both(town: Town) -> None:
    await town.register("alice", "phone")
    await town.register("alice", "laptop")
    bob, carol = town.address("bob"), town.address("carol")
    async with town.people("bob", "carol"):
        town.node.kill()
        async with town.connect("alice", "phone") as phone:
            await phone.state.name(bob, "Bobby")
            await phone.state.mute(carol)
            await phone.state.change_setting("phone", "was here")
        async with town.connect("alice", "laptop") as laptop:
            await laptop.state.name(bob, "Robert")
            await laptop.state.archive(carol)
            await laptop.state.change_setting("laptop", "was here")
        town.node.start()
    async with town.connect("alice", "phone") as phone, town.connect("alice", "laptop") as laptop:
        on_phone, on_laptop = phone.events(), laptop.events()
        await phone.wait_online()
        await laptop.wait_online()
        await phone.state.change_setting("end of phone", "yes")
        await laptop.state.change_setting("end of laptop", "yes")
        await hears(on_phone, "end of laptop", "yes")
        await hears(on_laptop, "end of phone", "yes")
        assert await phone.state.settings() == await laptop.state.settings()
        names = await phone.state.names()
        assert names == await laptop.state.names()
        assert names[bob] in ("Bobby", "Robert")


@story
async def test_who_knew_of_a_change_when_they_made_theirs_wins(town: Town) -> None:
    async with town.people("alice/phone", "alice/laptop") as [phone, laptop]:
        on_phone, on_laptop = phone.events(), laptop.events()
        for number in range(5):
            await phone.state.change_setting("theme", f"phone {number}")
            await hears(on_laptop, "theme", f"phone {number}")
            await laptop.state.change_setting("theme", f"laptop {number}")
            await hears(on_phone, "theme", f"laptop {number}")
        assert (await phone.state.settings())["theme"] == (await laptop.state.settings())["theme"] == "laptop 4"


@story
async def test_a_new_device_is_told_everything_by_the_others(town: Town) -> None:
    async with town.people("alice/phone", "bob") as [phone, bob]:
        for number in range(40):
            await phone.state.change_setting(f"setting {number}", "on")
        await phone.state.archive(bob.account)
        await town.register("alice", "laptop")
        async with town.connect("alice", "laptop") as laptop:
            await hears(laptop.events(), "setting 9", "on")
            assert await laptop.state.settings() == await phone.state.settings()


@story
async def test_what_is_deleted_or_opened_on_one_device_is_gone_on_the_other_also_if_it_was_away(town: Town) -> None:
    await town.register("bob", "tablet")
    async with town.people("alice", "bob/phone") as [alice, phone]:
        on_phone = phone.events()
        await alice.send(phone.account, "delete me")
        await alice.send(phone.account, "psst", view_once=True)
        deleted = await wait_for(on_phone, roost.MessageReceived)
        opened = await wait_for(on_phone, roost.MessageReceived)
        await phone.delete(deleted)
        assert await phone.open_once(opened) == "psst"
        await phone.state.change_setting("done", "yes")
        async with town.connect("bob", "tablet") as tablet:
            async for _ in tablet.events():  # the queue brings two conversations, each in its own order
                shown = [message.content for message in await tablet.history(alice.account)]
                if (await tablet.state.settings(), shown) == ({"done": "yes"}, [roost.ViewOnce(opened=True)]):
                    break
            with pytest.raises(roost.MessageError):
                await tablet.open_once(opened)


@story
async def test_a_device_restored_from_a_copy_gets_back_what_was_shared_since(town: Town, tmp_path: Path) -> None:
    async with town.people("alice/phone", "bob") as [phone, bob]:
        await town.register("alice", "laptop")
        on_phone = phone.events()
        async with town.connect("alice", "laptop") as laptop:
            on_laptop = laptop.events()
            await phone.send(bob.account, "before the copy")
            await (await bob.send(phone.account, "deleted after the copy")).delivered()
            doomed = await wait_for(on_phone, roost.MessageReceived)
            await wait_for(on_laptop, roost.MessageReceived, lambda message: message.key == doomed.key)
            await laptop.send(bob.account, "one")
        shutil.copytree(town.home("laptop"), tmp_path / "copy")
        async with town.connect("alice", "laptop") as laptop:
            on_laptop = laptop.events()
            await (await laptop.send(bob.account, "two")).sent()
            await phone.state.archive(bob.account)
            await phone.state.mute(bob.account)
            await phone.state.name(bob.account, "Bobby")
            await phone.delete(doomed)
            await wait_for(on_laptop, roost.MessageForgotten)
            await laptop.state.change_setting("theme", "dark")
            await hears(on_phone, "theme", "dark")
        async with roost.connect(phone.account, folder=tmp_path / "copy") as laptop:
            on_laptop = laptop.events()
            await laptop.caught_up()
            assert await laptop.state.names() == {}
            await (await laptop.send(bob.account, "three")).sent()  # now the server says that it is an old copy
            forgotten = await wait_for(on_laptop, roost.MessageForgotten)
            assert forgotten.key == doomed.key
            [chat] = [chat for chat in await laptop.conversations() if chat.conversation == doomed.conversation]
            assert (chat.archived, chat.muted, chat.name) == (True, True, "Bobby")
            assert await laptop.state.settings() == {"theme": "dark"}
            shown = [text_of(message) for message in await laptop.history(bob.account)]
            assert shown == ["before the copy", "one", "three"]
