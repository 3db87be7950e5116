"""The terminal client: conversations on the left, the open chat on the right; keyboard first, mouse welcome.

Reading order: `app` (the screen and what the keys do), `conversation_list`, `chat_pane` (header, scrollback, composer),
`scrollback`, `message_view` (one message), `message_actions` (what is done with a picked one), `composer`; the windows
`new_chat`, `name_screen`, `device_screen`, `group_screen`, `message_info` and `choice`; `status_bar` and `key_help`.
Words and signs are made apart from the widgets: `names`, `ticks`, `typists`, `standing`, `group_rights` (what a role
allows) and `shortened`; the look is in ``roost.tcss`` and `palette`.

Invariants: what is shown comes from the local history, never from memory of what was typed, so a tick on the screen
is a tick on disk. Nothing of a message is interpreted: no markup, no escape sequence, no direction override. A chat
counts as read only while somebody looks at its end.
"""

from __future__ import annotations

import asyncio

from roost.opening import connect
from roost.terminal.app import RoostApp

__all__ = ["RoostApp", "run_terminal"]


def run_terminal(account: str | None, server: str | None, to: str | None) -> int:
    """Open the terminal client and return the exit code when it is left.

    Args:
        account: which account; None for the only one.
        server: which server; None for the only one.
        to: with whom to open a chat at once; None for the latest.

    Raises:
        RoostError: the account cannot be opened, or `to` is no address.
    """
    return asyncio.run(_run(account, server, to))


async def _run(account: str | None, server: str | None, to: str | None) -> int:
    async with connect(account, server=server) as client:
        app = RoostApp(client, None if to is None else client.conversation_with(to))
        await app.run_async()
        return app.return_code or 0
