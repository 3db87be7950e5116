"""Whom a message has reached, in a small window."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from roost.plain import date_and_time, one_line, shown
from roost.terminal.palette import FAINT, READ
from roost.terminal.shortened import shortened

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from roost.group import MessageInfo
    from roost.history import StoredMessage
    from roost.terminal.names import Names

__all__ = ["InfoScreen", "info_text"]

_QUOTED_WIDTH: Final = 36


def info_text(info: MessageInfo, names: Names) -> Text:
    """Return who has read a message, who has received it, and who has not, each under its own heading."""
    text = Text()
    for heading, style, accounts in (
        ("✓✓ Read by", READ, info.read),
        ("✓✓ Delivered to", "", info.delivered),
        ("Not delivered yet to", FAINT, info.waiting),
    ):
        if accounts:
            text.append(f"{heading} {len(accounts)}\n", style=f"bold {style}")
            text.append("".join(f"   {name}\n" for name in sorted(map(names.full, accounts), key=str.casefold)))
    text.rstrip()
    return text if text else Text("There is nobody else.", style=FAINT)


class InfoScreen(ModalScreen[None]):
    """The window; it shows what was known when it was opened.

    Args:
        message: which message.
        info: whom it has reached.
        names: what people are called.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,i", "close", "Close")]

    def __init__(self, message: StoredMessage, info: MessageInfo, names: Names) -> None:
        super().__init__()
        self._message = message
        self._info = info
        self._names = names

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        said = shortened(one_line(shown(self._message.content)), _QUOTED_WIDTH)
        when = f"{self._names.of(self._message.sender)}, {date_and_time(self._message.time_ms)}"
        with Vertical(classes="window"):
            yield Static(said, classes="title", markup=False)
            with VerticalScroll():
                yield Static(Text.assemble((f"{when}\n\n", FAINT), info_text(self._info, self._names)), markup=False)

    def action_close(self) -> None:
        """Leave."""
        self.dismiss(None)
