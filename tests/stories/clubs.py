"""What stories about groups share: people who are in one, and what they hear."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import roost
from tests.stories.town import text_of, wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from roost import ChangeKind
    from tests.stories.town import Town


async def said(events: roost.EventStream) -> str:
    """The next text."""
    return text_of(await wait_for(events, roost.MessageReceived, lambda event: isinstance(event.content, roost.Text)))


async def change(events: roost.EventStream, kind: ChangeKind) -> tuple[str, roost.GroupChange]:
    """The next change of a kind, and who made it."""
    event = await wait_for(events, roost.MessageReceived, lambda event: getattr(event.content, "kind", None) == kind)
    assert isinstance(event.content, roost.GroupChange)
    return event.sender, event.content


async def shown(client: roost.Client, conversation: str) -> list[str]:
    """The history of a group in a few words."""
    return [
        f"{message.sender.partition('.')[0]}: "
        + (message.content.text if isinstance(message.content, roost.Text) else message.content.kind.name.lower())
        for message in await client.history(conversation)
        if isinstance(message.content, roost.Text | roost.GroupChange)
    ]


@asynccontextmanager
async def club(town: Town, *names: str) -> AsyncIterator[tuple[roost.Group, list[roost.Client]]]:
    """People who are all in one group, which the first of them has made."""
    async with town.people(*names) as people:
        owner, *others = people
        group = await owner.groups.create("Club")
        link = await owner.groups.create_invite(group, uses=max(1, len(others)))
        for other in others:
            await other.groups.join(link)
        yield group, people
