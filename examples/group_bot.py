"""A bot that joins a group by an invite, welcomes whoever comes, and rolls dice.

python examples/group_bot.py ACCOUNT LINK
"""

import asyncio
import random
import sys

import roost
from roost import ChangeKind, GroupChange, MessageReceived, Text


async def main(account: str, link: str) -> None:
    """Join, and answer until Ctrl-C."""
    async with roost.connect(account, foreground=False, power=roost.Power.MAINS) as bot:
        await bot.wait_online()
        events = bot.events()
        group = await bot.groups.join(link)
        await bot.send(group.conversation, "I roll dice. Say: dice")
        async for event in events:
            match event:
                case MessageReceived(conversation=where, sender=who, content=GroupChange(ChangeKind.JOINED)):
                    if who != bot.account:
                        await bot.send(where, f"Welcome, {who}!")
                case MessageReceived(sender=who, content=Text("dice")) if who != bot.account:
                    await bot.reply(event, f"{who} has a {random.randint(1, 6)}.")


asyncio.run(main(*sys.argv[1:]))
