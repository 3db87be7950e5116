"""Asks what somebody shall be called on our devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from roost.errors import RoostError
from roost.own_state import VALUE_LENGTH_MAX
from roost.plain import one_line

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from protocol import AccountId
    from roost.client import Client

__all__ = ["NameScreen"]

_HELP: Final = "Only your own devices show it. Enter gives the name, an empty one takes it back, Esc goes back."


class NameScreen(ModalScreen[bool]):
    """A small window with one question; gives back whether the name was changed.

    Args:
        client: the account.
        account: who is to be named.
        name: what we call them now; empty for nothing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(self, client: Client, account: AccountId, name: str) -> None:
        super().__init__()
        self._client = client
        self._account = account
        self._name_now = name

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        with Vertical(id="contact-name"):
            yield Static(f"What do you call {one_line(self._account)}?", classes="title", markup=False)
            yield Input(one_line(self._name_now), placeholder="no name", id="called", max_length=VALUE_LENGTH_MAX)
            yield Static(_HELP, id="answer", markup=False)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the name, or say what is wrong with it."""
        event.stop()
        try:
            await self._client.state.name(self._account, event.value)
        except RoostError as error:
            answer = self.query_one("#answer", Static)
            answer.update(one_line(error.sentence))
            answer.add_class("refused")
            return
        self.dismiss(True)

    def action_cancel(self) -> None:
        """Leave everything as it is."""
        self.dismiss(False)
