"""Asks with whom to begin a chat, and says at once if nobody has that address."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from protocol import ConversationId
from roost.errors import AddressError, NotConnectedError, RoostError
from roost.plain import one_line

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from roost.client import Client

__all__ = ["NewChat"]


class NewChat(ModalScreen[ConversationId | None]):
    """A small window with one question; gives back the conversation, or None.

    Args:
        client: the account.
        title: what it is asked for.
        hint: what the keys do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(
        self, client: Client, title: str = "New chat", hint: str = "Enter opens the chat, Esc goes back."
    ) -> None:
        super().__init__()
        self._client = client
        self._question = title
        self._hint = hint

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        with Vertical(id="new-chat"):
            yield Static(self._question, classes="title", markup=False)
            yield Input(placeholder="address, such as bob", id="address", max_length=130)
            yield Static(self._hint, id="answer", markup=False)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look the address up and leave with its conversation."""
        event.stop()
        answer = self.query_one("#answer", Static)
        try:
            conversation = self._client.conversation_with(event.value)
            if conversation != self._client.conversation_with(self._client.account):
                await self._client.lookup(event.value)
        except NotConnectedError:
            pass  # offline one may still write; the server judges the address when it is sent
        except (AddressError, RoostError) as error:
            answer.update(one_line(error.sentence))
            answer.add_class("refused")
            return
        self.dismiss(conversation)

    def action_cancel(self) -> None:
        """Leave without a chat."""
        self.dismiss(None)
