"""A small window with a few answers to choose from, and one that shows something once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.events import Key

__all__ = ["Choice", "ShownOnce"]


class Choice(ModalScreen[str | None]):
    """Asks for one of some answers: by number, with the arrows, or with the mouse. Gives back its name, or None.

    Args:
        title: the question.
        answers: name and words of each, at most nine.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(self, title: str, answers: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._question = title
        self._answers = answers

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        with Vertical(classes="window"):
            yield Static(self._question, classes="title", markup=False)
            yield OptionList(
                *(Option(Text(f"{number}  {words}")) for number, (_, words) in enumerate(self._answers, 1)),
                markup=False,
                compact=True,
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Leave with what was chosen."""
        event.stop()
        self.dismiss(self._answers[event.option_index][0])

    def on_key(self, event: Key) -> None:
        """Leave with the answer of a number."""
        if event.key.isdigit() and 0 < int(event.key) <= len(self._answers):
            event.stop()
            self.dismiss(self._answers[int(event.key) - 1][0])

    def action_cancel(self) -> None:
        """Leave without an answer."""
        self.dismiss(None)


class ShownOnce(ModalScreen[None]):
    """Shows a text that is gone when the window is closed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter", "close", "Close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        with Vertical(classes="window"):
            yield Static("Shown once: gone when you close this (Esc).", classes="title", markup=False)
            with VerticalScroll():
                yield Static(self._text, markup=False)

    def action_close(self) -> None:
        """Leave."""
        self.dismiss(None)
