"""Groups on the command line, and the bot of the examples: real processes, a real node."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import roost
from tests.stories.clubs import club, said
from tests.stories.town import story

if TYPE_CHECKING:
    from tests.stories.town import Town

pytestmark = pytest.mark.slow
ROOT: Final = Path(__file__).parents[2]
BOT: Final = ROOT / "examples" / "group_bot.py"
LINES_MAX: Final = 30


async def start(town: Town, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, cwd=ROOT,
        env={**os.environ, "ROOST_HOME": str(town.home("phone")), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
    )  # fmt: skip


class Shell:
    """The command line of a computer on which everybody in town has an account."""

    def __init__(self, town: Town) -> None:
        self.town = town

    async def fails(self, name: str, *words: str, code: int = 1, typed: str = "") -> str:
        """Run `roost group` as somebody; what it complains of."""
        process = await start(self.town, "-m", "roost", "group", "--account", self.town.address(name), *words)
        _, complained = await process.communicate(typed.encode())
        assert process.returncode == code, complained.decode()
        return complained.decode()

    async def run(self, name: str, *words: str, command: str = "group") -> str:
        """Run a command as somebody; what it prints."""
        process = await start(self.town, "-m", "roost", command, "--account", self.town.address(name), *words)
        printed, complained = await process.communicate()
        assert process.returncode == 0, complained.decode()
        return printed.decode().strip()


@story
async def test_a_group_is_made_joined_and_written_to_with_commands_alone(town: Town) -> None:
    await town.register("alice")
    await town.register("bob")
    shell, bob = Shell(town), town.address("bob")
    made = await shell.run("alice", "create", "Book club")
    group = re.search(r"#[0-9A-Z]{26}", made)
    assert group is not None
    assert "Book club" in made
    link = await shell.run("alice", "invite", "book club", "--hours", "1")
    assert "You are in Book club now" in await shell.run("bob", "join", link)
    assert await shell.run("bob", "#Book club", "hello all", command="send") == "✓"
    heard = await shell.run("alice", "--json", "--count", "2", command="listen")
    joined, hello = (json.loads(line) for line in heard.splitlines())
    assert (joined["group"], joined["note"], joined["change"]["kind"]) == ("Book club", "joined", "joined")
    assert (hello["from"], hello["text"], hello["conversation"]) == (bob, "hello all", group[0])


@story
async def test_a_group_is_looked_after_with_commands_alone(town: Town) -> None:
    async with club(town, "alice", "bob"):
        pass
    shell, bob = Shell(town), town.address("bob")
    await shell.run("alice", "role", "Club", bob, "admin")
    await shell.run("bob", "rename", "Club", "Reading")
    assert await shell.run("alice", "announce", "Reading", "on") == "Only admins write in Reading."
    assert (await shell.run("bob", "list")).endswith("Reading  (admin, 2 members)")
    assert f"admin   {bob}" in await shell.run("alice", "info", "Reading")
    assert "You have left Reading" in await shell.run("bob", "leave", "Reading")
    assert "left" in await shell.run("bob", "info", "Reading")
    assert "named the group Reading" in await shell.run("bob", "#reading", command="history")
    assert await shell.run("alice", "dissolve", "Reading", "--yes") == "Reading is no more."


@story
async def test_bad_arguments_are_said_in_a_sentence_and_change_nothing(town: Town) -> None:
    await town.register("alice")
    shell = Shell(town)
    await shell.run("alice", "create", "Club")
    assert "no group called 'nothing'" in await shell.fails("alice", "info", "nothing")
    assert "no invite to a group" in await shell.fails("alice", "join", "roost://group/what")
    assert "That name cannot be shown" in await shell.fails("alice", "rename", "Club", "\u202e")
    assert "not an address" in await shell.fails("alice", "remove", "Club", "no address!")
    assert "30 days" in await shell.fails("alice", "invite", "Club", "--uses", "0")
    assert "30 days" in await shell.fails("alice", "invite", "Club", "--hours", "10000")
    assert "was not dissolved" in await shell.fails("alice", "dissolve", "Club", typed="no\n")
    assert "invalid choice" in await shell.fails("alice", "role", "Club", "bob", "king", code=2)
    assert (await shell.run("alice", "list")).endswith("Club  (owner, 1 members)")


@story
async def test_only_the_invite_that_is_meant_is_revoked_and_whatever_is_none_is_said(town: Town) -> None:
    async with club(town, "alice", "bob") as (group, [alice, _]):
        links = [(await alice.groups.create_invite(group)).text for _ in range(17)]  # so that two ids begin alike
        other = await alice.groups.create("Elsewhere")
        elsewhere = (await alice.groups.create_invite(other)).text
    shell = Shell(town)
    ids = re.findall(r"invite  ([0-9a-f]{8})", await shell.run("alice", "info", "Club"))
    alike = next(one[0] for one in ids if sum(other[0] == one[0] for other in ids) > 1)
    for wrong, sentence in (
        ("", "No invite of Club begins with ''"),
        (" ", "No invite of Club begins with ''"),
        ("zz", "No invite of Club begins with 'zz'. Give its link, or the beginning of its id as in: roost group info"),
        (links[0][:-1], "no invite to a group, or not the whole of one"),
        (elsewhere, "leads to another group"),
        (alike, "More than one invite of Club begins with"),
    ):
        assert sentence in await shell.fails("alice", "revoke", "Club", wrong)
    assert "Only admins of a group see and revoke its invites" in await shell.fails("bob", "revoke", "Club", "ab12")
    assert await shell.run("alice", "revoke", "Club", ids[0]) == "The invite lets nobody in any more."
    assert await shell.run("alice", "revoke", "Club", links[0]) == "The invite lets nobody in any more."
    left = re.findall(r"invite  ([0-9a-f]{8})", await shell.run("alice", "info", "Club"))
    gone = {ids[0], roost.InviteLink.parse(links[0]).invite.hex()[:8]}
    assert set(left) == set(ids) - gone


@story
async def test_who_is_no_member_cannot_be_removed_and_who_is_can(town: Town) -> None:
    async with club(town, "alice", "bob"):
        pass
    shell, bob = Shell(town), town.address("bob")
    assert "typo is no member of Club, so nobody was removed" in await shell.fails("alice", "remove", "Club", "typo")
    assert await shell.run("alice", "remove", "Club", bob.upper()) == f"{bob} is not in the group any more."
    assert f"{bob} is no member of Club" in await shell.fails("alice", "remove", "Club", bob)


@story
async def test_the_bot_of_the_examples_welcomes_people_and_rolls_dice(town: Town) -> None:
    assert len(BOT.read_text().splitlines()) <= LINES_MAX
    await town.register("bot")
    async with town.people("alice", "bob") as [alice, bob]:
        events = alice.events()
        group = await alice.groups.create("Games")
        link = await alice.groups.create_invite(group, uses=2)
        bot = await start(town, str(BOT), town.address("bot"), link.text)
        try:
            assert await said(events) == "I roll dice. Say: dice"
            await bob.groups.join(link)
            assert await said(events) == f"Welcome, {bob.account}!"
            await bob.send(group.conversation, "dice")
            assert await said(events) == "dice"
            assert re.fullmatch(rf"{bob.account} has a [1-6]\.", await said(events))
            answer = (await alice.history(group.conversation))[-1]
            assert answer.quote is not None
            assert answer.quote.content == roost.Text("dice")
        finally:
            bot.terminate()
            await bot.communicate()
