"""One message: a bubble with its time and ticks, ours on the right; what it answers above it, reactions below.

What was done to the chat itself stands between the messages, as a quiet line: its timer, who came to a group and left.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rich.align import Align
from rich.cells import cell_len
from rich.constrain import Constrain
from rich.padding import Padding
from rich.text import Text as RichText
from textual.message import Message
from textual.widgets import Static

from protocol import AccountId
from roost.content import Text, TimerSet
from roost.group import GroupChange
from roost.history import MessageState
from roost.plain import clock_time, one_line, shown
from roost.terminal.names import colour_of
from roost.terminal.palette import FAILED, FAINT
from roost.terminal.shortened import shortened
from roost.terminal.ticks import counts, tick

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from roost.history import Quote, StoredMessage
    from roost.terminal.names import Names

__all__ = ["DaySeparator", "MessageView", "is_quiet"]

_WIDTH_SHARE: Final = 0.82
_OWN: Final = "on #21433a"
_OTHER: Final = "on #222c34"


def is_quiet(message: StoredMessage) -> bool:
    """Whether a message is about the chat, and nobody's words."""
    return isinstance(message.content, TimerSet | GroupChange)


class _Bubble:
    """Rich's view of a message, which knows the width only when it is drawn."""

    def __init__(self, message: StoredMessage, names: Names, *, named: bool) -> None:
        self._own = message.state is not MessageState.RECEIVED
        self._message = message
        self._names = names
        self._named = named

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(12, int(options.max_width * _WIDTH_SHARE))
        message, names = self._message, self._names
        if is_quiet(message):
            yield Align(Constrain(_quiet_line(message, names), width), "center")
            return
        text = RichText(overflow="fold", no_wrap=False)
        if self._named:
            sender = shortened(names.of(message.sender), width - 2)
            text.append(f"{sender}\n", style=f"bold {colour_of(message.sender)}")
        text.append_text(_body(message, names, console, width - 2))
        bubble = Constrain(Padding(text, (0, 1), style=_OWN if self._own else _OTHER, expand=False), width)
        yield Align(bubble, "right" if self._own else "left")


def _quiet_line(message: StoredMessage, names: Names) -> RichText:
    content, sender = message.content, names.of(message.sender)
    if isinstance(content, GroupChange):
        named = replace(content, account=AccountId(names.of(content.account)))
        return RichText(f"{sender} {shown(named)}", style=f"italic {FAINT}", justify="center")
    return RichText(f"◔ {sender}: {shown(content)}", style=f"italic {FAINT}", justify="center")


def _body(message: StoredMessage, names: Names, console: Console, width: int) -> RichText:
    text = RichText(overflow="fold", no_wrap=False)
    content = message.content
    if isinstance(content, Text) and content.forwarded:
        text.append("Forwarded\n", style=f"italic {FAINT}")
    if message.quote is not None:
        text.append(f"{_quoted(message.quote, names, width)}\n", style=FAINT)
    text.append(shown(content), style="" if isinstance(content, Text) else "italic")
    tail = _tail(message)
    lines = text.split("\n", allow_blank=True)[-1].wrap(console, width)
    used = cell_len(lines[-1].plain.rstrip()) if lines else 0
    # Time and ticks stay together: on a line of their own, if the last one has no room for all of them.
    text.append("  " if used + 2 + tail.cell_len <= width else "\n").append_text(tail)
    if message.reactions:
        text.append(f"\n{_reactions(message)}")
    for sentence in (message.sentence, *message.not_delivered):
        if sentence:
            text.append(f"\n{sentence}", style=FAILED)
    return text


def _tail(message: StoredMessage) -> RichText:
    """When it was written, what became of it since, and how far it has come."""
    sign, style = tick(message.state)
    lead = ("edited " if message.edited else "") + ("◔ " if message.disappears_s else "")
    tail = RichText(f"{lead}{clock_time(message.time_ms)}", style=FAINT)
    if sign:
        tail.append(f" {sign}", style=style)
    if count := counts(message):
        tail.append(f" {count}", style=FAINT)
    return tail


def _quoted(quote: Quote, names: Names, width: int) -> str:
    if quote.sender is None or quote.content is None:
        return shortened("▏a message that is not here", width)
    return shortened(f"▏{names.of(quote.sender)}: {one_line(shown(quote.content))}", width)


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

    def __init__(self, message: StoredMessage, names: Names, *, named: bool) -> None:
        self.message = message
        self._names = names
        self._named = named
        super().__init__(_Bubble(message, names, named=named), markup=False, classes="message")

    def on_click(self) -> None:
        """Let this message be picked."""
        self.post_message(self.Clicked(self.message.key))

    def show(self, message: StoredMessage, names: Names, *, named: bool) -> None:
        """Show the message as it is now; drawn anew only if something of it has changed.

        Args:
            message: what to show.
            names: what people are called.
            named: whether who wrote it stands above it.
        """
        if (message, names, named) != (self.message, self._names, self._named):
            self.message, self._names, self._named = message, names, named
            self.update(_Bubble(message, names, named=named))


class DaySeparator(Static):
    """The day that the messages below it were written on."""

    def __init__(self, day: str) -> None:
        self.day = day
        super().__init__(day, markup=False, classes="day")
