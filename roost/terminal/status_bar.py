"""The top line: who we are, and how the connection stands."""

from __future__ import annotations

import time
from typing import Final

from rich.text import Text
from textual.widgets import Static

from roost.events import ConnectionChanged, ConnectionState
from roost.plain import one_line
from roost.terminal.palette import FAILED, FAINT, PRESENT, WARNING

__all__ = ["StatusBar"]

_SIGNS: Final = {
    ConnectionState.ONLINE: ("●", PRESENT),
    ConnectionState.CONNECTING: ("◌", WARNING),
    ConnectionState.OFFLINE: ("○", WARNING),
    ConnectionState.STOPPED: ("■", FAILED),
}


class StatusBar(Static):
    """Account and connection on one line, with the seconds until the next attempt while offline."""

    def __init__(self, account: str, server: str) -> None:
        super().__init__(markup=False, id="status")
        self._account = account
        self._server = server
        self._connection = ConnectionChanged(ConnectionState.CONNECTING)
        self._retry_at_s = 0.0

    def on_mount(self) -> None:
        """Count down while offline."""
        self.set_interval(1.0, self._count_down)

    def on_resize(self) -> None:
        """Lay the line out anew."""
        self._draw()

    def show(self, connection: ConnectionChanged) -> None:
        """Show how the connection stands now."""
        # A failed attempt says why; the next attempt should not wipe that away within the same second.
        if connection.state is ConnectionState.CONNECTING and self._connection.state is ConnectionState.OFFLINE:
            connection = ConnectionChanged(ConnectionState.CONNECTING, self._connection.sentence)
        self._connection = connection
        self._retry_at_s = time.monotonic() + connection.retry_in_s
        self._draw()

    def _count_down(self) -> None:
        if self._connection.state is ConnectionState.OFFLINE:
            self._draw()

    def _draw(self) -> None:
        width = max(20, self.size.width - 2)
        left = Text.assemble(("roost ", f"bold {PRESENT}"), (self._account, "bold"))
        sign, style = _SIGNS[self._connection.state]
        right = Text.assemble((f"{sign} ", style), (self._words(), style if style != PRESENT else FAINT))
        room = width - left.cell_len - 2
        right.truncate(max(8, room), overflow="ellipsis")
        left.append(" " * max(1, width - left.cell_len - right.cell_len))
        self.update(left + right)

    def _words(self) -> str:
        sentence = one_line(self._connection.sentence)
        match self._connection.state:
            case ConnectionState.ONLINE:
                return self._server
            case ConnectionState.CONNECTING:
                return f"connecting · {sentence}" if sentence else f"connecting to {self._server}"
            case ConnectionState.OFFLINE:
                seconds = max(1, round(self._retry_at_s - time.monotonic()))
                return f"offline, again in {seconds} s · {sentence}"
            case ConnectionState.STOPPED:
                return sentence
