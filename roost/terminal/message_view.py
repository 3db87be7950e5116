"""One message: a bubble with its time and ticks, ours on the right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.align import Align
from rich.constrain import Constrain
from rich.padding import Padding
from rich.text import Text as RichText
from textual.widgets import Static

from roost.content import UnknownContent
from roost.history import MessageState
from roost.plain import clock_time, shown
from roost.terminal.palette import FAILED, FAINT, READ

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from roost.history import StoredMessage

__all__ = ["DaySeparator", "MessageView", "tick"]

_WIDTH_SHARE: Final = 0.82
_OWN: Final = "on #21433a"
_OTHER: Final = "on #222c34"


def tick(state: MessageState) -> tuple[str, str]:
    """Return the sign of a message's state and its style; empty for what others wrote."""
    match state:
        case MessageState.PENDING:
            return "◷", FAINT
        case MessageState.SENT:
            return "✓", FAINT
        case MessageState.DELIVERED:
            return "✓✓", FAINT
        case MessageState.READ:
            return "✓✓", READ
        case MessageState.FAILED:
            return "!", f"bold {FAILED}"
        case MessageState.RECEIVED:
            return "", ""


class _Bubble:
    """Rich's view of a message, which knows the width only when it is drawn."""

    def __init__(self, message: StoredMessage) -> None:
        self._own = message.state is not MessageState.RECEIVED
        self._text = _body(message)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(12, int(options.max_width * _WIDTH_SHARE))
        bubble = Constrain(Padding(self._text, (0, 1), style=_OWN if self._own else _OTHER, expand=False), width)
        yield Align(bubble, "right" if self._own else "left")


def _body(message: StoredMessage) -> RichText:
    text = RichText(overflow="fold", no_wrap=False)
    text.append(shown(message.content), style="italic" if isinstance(message.content, UnknownContent) else "")
    sign, style = tick(message.state)
    # No-break spaces keep the time and its tick together on one line.
    text.append(f"  {clock_time(message.time_ms)}", style=FAINT)
    if sign:
        text.append(f"\N{NO-BREAK SPACE}{sign}", style=style)
    for sentence in (message.sentence, *message.not_delivered):
        if sentence:
            text.append(f"\n{sentence}", style=FAILED)
    return text


class MessageView(Static):
    """A message on the screen."""

    def __init__(self, message: StoredMessage) -> None:
        self.message = message
        super().__init__(_Bubble(message), markup=False, classes="message")

    def show(self, message: StoredMessage) -> None:
        """Show the message as it is now; drawn anew only if it has changed."""
        if message != self.message:
            self.message = message
            self.update(_Bubble(message))


class DaySeparator(Static):
    """The day that the messages below it were written on."""

    def __init__(self, day: str) -> None:
        self.day = day
        super().__init__(day, markup=False, classes="day")
