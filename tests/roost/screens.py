"""What stories about the terminal client share: the client under Textual's pilot, and what is on its screen."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from roost.terminal import RoostApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from textual.pilot import Pilot

    import roost
    from protocol import ConversationId


def screen_lines(app: RoostApp) -> list[str]:
    """The lines of the screen."""
    return ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]


async def until(pilot: Pilot[None], holds: Callable[[str], bool]) -> str:
    """Wait until the screen shows something, and return it."""
    text = ""
    try:
        while True:
            await pilot.pause()
            text = "\n".join(screen_lines(pilot.app))  # type: ignore[arg-type]
            if holds(text):
                return text
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        print(text)  # the deadline has passed: show what was there instead
        raise


@asynccontextmanager
async def terminal(
    client: roost.Client, conversation: ConversationId | None = None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[None]]:
    app = RoostApp(client, conversation)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield pilot
