"""How people get an account, what is refused on the way, and what is left of their limits."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import roost
from protocol import Code
from protocol.messages import CodeSent, Drained, Error, FetchMarks, Register, Registered, RequestCode, SetState
from tests.stories.town import story, texts, time_passes, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stories.town import Town

SETTINGS = {
    "registration": {"code_lifetime_s": 1},
    "rates": {"code_requests_per_hour": 4, "code_attempts_max": 3, "marks_burst": 1_000},
}
pytestmark = pytest.mark.slow


async def refusal_with(town: Town, name: str, code: str) -> roost.RefusedError:
    """The refusal of a registration with a code that was sent before, or never."""
    with pytest.raises(roost.RefusedError) as raised:
        await roost.register(town.address(name), server=town.node.address, code=code, folder=town.folder / "wrong")
    return raised.value


@story
async def test_a_wrong_code_and_another_device_are_refused_and_the_right_one_still_works(town: Town) -> None:
    async with town.stranger() as device:
        address = town.address("alice")
        await device.ask(RequestCode(1, address), CodeSent)
        code = town.node.code_for(address)
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        assert (await refusal_with(town, "alice", code)).code == Code.CODE_EXPIRED  # another device's
        assert (await device.ask(Register(2, address, wrong, "Alice", "phone"), Error)).code == Code.CODE_WRONG
        await device.ask(Register(2, address, code, "Alice", "phone"), Registered)
        again = await device.ask(Register(3, address, code, "Alice", "phone"), Error)
        assert again.code == Code.CODE_EXPIRED


@story
async def test_who_registers_again_on_the_same_computer_stays_its_primary_device(town: Town) -> None:
    await town.register("alice")
    await roost.register(  # as after an answer that was lost: the server keeps the first list
        town.address("alice"),
        server=town.node.address,
        code=lambda request: town.node.code_for(request.account),
        device_name="phone",
        folder=town.home("phone"),
    )
    async with town.connect("alice") as alice:
        await alice.wait_online()
        (device,) = await alice.devices.list()
        assert (device.primary, device.signed, device.current) == (True, True, True)
        await town.link(alice, "laptop")
        assert len(await alice.devices.list()) == 2


@story
async def test_after_too_many_wrong_codes_even_the_right_one_is_refused(town: Town) -> None:
    async with town.stranger() as device:
        address = town.address("alice")
        await device.ask(RequestCode(1, address), CodeSent)
        code = town.node.code_for(address)
        answers = [
            (await device.ask(Register(number, address, "no code", "Alice", "phone"), Error)).code
            for number in range(2, 6)
        ]
        assert answers == [Code.CODE_WRONG, Code.CODE_WRONG, Code.CODE_WRONG, Code.CODE_EXPIRED]
        assert (await device.ask(Register(7, address, code, "Alice", "phone"), Error)).code == Code.CODE_EXPIRED
        await device.register(address, town.node.code_for)


@story
async def test_a_code_is_good_for_its_lifetime_only(town: Town) -> None:
    async with town.stranger() as device:
        address = town.address("alice")
        sent = await device.ask(RequestCode(1, address), CodeSent)
        await time_passes(sent.expires_s)
        answer = await device.ask(Register(2, address, town.node.code_for(address), "Alice", "phone"), Error)
        assert answer.code == Code.CODE_EXPIRED
    assert (await refusal_with(town, "nobody", "123456")).code == Code.CODE_EXPIRED


@story
async def test_codes_for_one_address_are_limited_with_the_time_to_wait(town: Town) -> None:
    async with town.stranger() as device:
        for number in range(4):
            await device.ask(RequestCode(number, town.address("alice")), CodeSent)
        error = await device.ask(RequestCode(5, town.address("alice")), Error)
        assert error.code == Code.RATE_LIMITED
        assert 0 < error.retry_after_ms <= 900_001
        await device.ask(RequestCode(6, town.address("bob")), CodeSent)


@story
async def test_what_is_left_of_each_limit_is_told(town: Town) -> None:
    async with town.people("alice") as [alice]:
        before = {limit.operation: limit for limit in await alice.limits()}
        of_account = {"sends", "marks", "typing", "opens", "lookups", "queries", "changes", "groups", "joins"}
        assert set(before) == {*of_account, "logins"}
        for _ in range(5):
            await alice.lookup(alice.account)
        after = {limit.operation: limit for limit in await alice.limits()}
        assert (before["lookups"].remaining, before["lookups"].reset_s) == (100, 0)
        assert after["lookups"].remaining == 95
        assert after["lookups"].reset_s > 0


@story
async def test_addresses_and_names_are_refused_or_normalised(town: Town) -> None:
    async with town.stranger() as device:
        for address in ("", "a b", "-alice", "ålice", "a" * 65, "ali\u200bce", "alice\n", "\u0430lice"):
            error = await device.ask(RequestCode(1, address), Error)
            assert (error.code, error.request) == (Code.ADDRESS_INVALID, 1)
        address = town.address("alice")
        await device.ask(RequestCode(2, f"  {address.upper()} "), CodeSent)
        code = town.node.code_for(address)
        for name in ("", " ", "a" * 65, "ali\u202ece", "ali\u2066ce", "a\x00b", "line\u2028break", "\u200b"):
            error = await device.ask(Register(3, address, code, name, "phone"), Error)
            assert error.code == Code.NAME_INVALID
        registered = await device.ask(Register(4, address.title(), code, " 艾丽丝 👩‍🚀 e\u0301 ", "phone"), Registered)
        device.account = registered.account
        assert registered.account == address
    async with town.people("bob") as [bob]:
        assert (await bob.lookup(address)).display_name == "艾丽丝 👩‍🚀 é"


@story
async def test_a_client_database_restored_from_a_copy_begins_a_new_epoch_and_loses_nothing(
    town: Town, tmp_path: Path
) -> None:
    async with town.people("bob") as [bob]:
        events = bob.events()
        async with town.people("alice") as [alice]:
            await (await alice.send(bob.account, "one")).sent()
        shutil.copytree(town.home("phone"), tmp_path / "copy", ignore=shutil.ignore_patterns("bob*"))
        async with town.connect("alice") as alice:
            for text in ("two", "three"):
                await (await alice.send(bob.account, text)).sent()
        assert await texts(events, 3) == ["one", "two", "three"]
        async with roost.connect(town.address("alice"), folder=tmp_path / "copy") as alice:
            sendings = [await alice.send(bob.account, text) for text in ("four", "five")]
            assert await texts(events, 2) == ["four", "five"]
            for sending in sendings:
                await sending.delivered()
            await (await bob.send(alice.account, "six")).delivered()
            await wait_for(alice.events(), roost.MessageReceived)


@story
async def test_what_costs_others_work_is_limited_by_that_work(town: Town) -> None:
    async with town.raw("eve") as eve:
        await eve.expect(Drained)
        chats = [eve.conversation_with(f"friend{number}") for number in range(600)]
        eve.say(FetchMarks(chats))
        assert (await eve.ask(FetchMarks(chats), Error)).code == Code.RATE_LIMITED
        eve.say(*(SetState(number % 2 == 0, 60) for number in range(300)))
        assert (await eve.expect(Error)).code == Code.RATE_LIMITED


@story
async def test_the_devices_of_an_account_share_its_limits_and_have_their_own_logins(town: Town) -> None:
    async with town.people("alice/phone", "alice/laptop", "bob") as [phone, laptop, bob]:
        await phone.lookup(bob.account)
        shared = {limit.operation: limit.remaining for limit in await laptop.limits()}
        assert (shared["lookups"], shared["logins"]) == (99, 19)
