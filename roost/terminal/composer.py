"""Where a message is typed: Enter sends, Ctrl+J begins a new line, and it grows with the text."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

if TYPE_CHECKING:
    from textual import events

__all__ = ["WRITE", "Composer"]

WRITE: Final = "Write a message"
"""What stands in an empty composer into which one may write."""


class Composer(TextArea):
    """A text field that sends."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+j", "new_line", "New line", show=False),
        Binding("alt+enter", "new_line", "New line", show=False),
    ]

    class Submitted(Message):
        """Enter was pressed on this text."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class LeftUpwards(Message):
        """The cursor was moved up out of an empty text."""

    def __init__(self) -> None:
        super().__init__(soft_wrap=True, tab_behavior="focus", compact=True, placeholder=WRITE, id="composer")

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.prevent_default()
            event.stop()
            text = self.text.strip()
            if text:
                self.post_message(self.Submitted(text))
            return
        if event.key == "up" and not self.text:
            event.prevent_default()
            event.stop()
            self.post_message(self.LeftUpwards())
            return
        await super()._on_key(event)

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")
