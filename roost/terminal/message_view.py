"""One message: a bubble with its time and ticks, ours on the right; what it answers above it, reactions below."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from rich.align import Align
from rich.constrain import Constrain
from rich.padding import Padding
from rich.text import Text as RichText
from textual.message import Message
from textual.widgets import Static

from roost.content import Text, TimerSet
from roost.history import MessageState
from roost.plain import clock_time, one_line, shown
from roost.terminal.palette import FAILED, FAINT, READ
from roost.terminal.shortened import shortened

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from roost.history import Quote, StoredMessage

__all__ = ["DaySeparator", "MessageView", "tick"]

NBSP: Final = "\N{NO-BREAK SPACE}"
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
        self._message = message

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(12, int(options.max_width * _WIDTH_SHARE))
        text = _body(self._message, width - 2)
        if isinstance(self._message.content, TimerSet):
            yield Align(Constrain(text, width), "center")
            return
        bubble = Constrain(Padding(text, (0, 1), style=_OWN if self._own else _OTHER, expand=False), width)
        yield Align(bubble, "right" if self._own else "left")


def _body(message: StoredMessage, width: int) -> RichText:
    text = RichText(overflow="fold", no_wrap=False)
    content = message.content
    if isinstance(content, TimerSet):
        return text.append(f"◔ {one_line(message.sender)}: {shown(content)}", style=f"italic {FAINT}")
    if isinstance(content, Text) and content.forwarded:
        text.append("Forwarded\n", style=f"italic {FAINT}")
    if message.quote is not None:
        text.append(f"{_quoted(message.quote, width)}\n", style=FAINT)
    text.append(shown(content), style="" if isinstance(content, Text) else "italic")
    sign, style = tick(message.state)
    # No-break spaces keep the time and its tick together on one line.
    lead = ("edited " if message.edited else "") + ("◔ " if message.disappears_s else "")
    text.append(f"  {lead.replace(' ', NBSP)}{clock_time(message.time_ms)}", style=FAINT)
    if sign:
        text.append(f"{NBSP}{sign}", style=style)
    if message.reactions:
        text.append(f"\n{_reactions(message)}")
    for sentence in (message.sentence, *message.not_delivered):
        if sentence:
            text.append(f"\n{sentence}", style=FAILED)
    return text


def _quoted(quote: Quote, width: int) -> str:
    if quote.sender is None or quote.content is None:
        return shortened("▏a message that is not here", width)
    return shortened(f"▏{one_line(quote.sender)}: {one_line(shown(quote.content))}", width)


def _reactions(message: StoredMessage) -> str:
    counts = Counter(one_line(one.emoji) for one in message.reactions)
    return "  ".join(f"{emoji} {count}" if count > 1 else emoji for emoji, count in counts.items())


class MessageView(Static):
    """A message on the screen; a click picks it."""

    class Clicked(Message):
        """Somebody has clicked on this message."""

        def __init__(self, key: str) -> None:
            self.key = key
            super().__init__()

    def __init__(self, message: StoredMessage) -> None:
        self.message = message
        super().__init__(_Bubble(message), markup=False, classes="message")

    def on_click(self) -> None:
        """Let this message be picked."""
        self.post_message(self.Clicked(self.message.key))

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
