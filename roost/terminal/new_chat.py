"""Asks with whom to begin a chat, and says at once if nobody has that address; makes groups, and joins them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from protocol import ConversationId, is_group
from roost.errors import NotConnectedError, RoostError
from roost.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import ComposeResult

    from roost.client import Client
    from roost.group import Group

__all__ = ["NewChat"]

_BEGIN: Final = "Enter opens the chat, or joins by the invite; Ctrl+G makes a group of that name. Esc goes back."


class NewChat(ModalScreen[ConversationId | None]):
    """A small window with one question; gives back the conversation, or None.

    Args:
        client: the account.
        title: what it is asked for.
        hint: what the keys do, where only a chat is chosen; without it, groups can be made and joined, too.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel"),
        Binding("ctrl+g", "make_group", "Make a group"),
    ]

    def __init__(self, client: Client, title: str = "New chat", hint: str = "") -> None:
        super().__init__()
        self._client = client
        self._question = title
        self._hint = hint
        self._busy = False

    def compose(self) -> ComposeResult:
        """Lay out the window."""
        what = "address or #group" if self._hint else "address, name of a new group, or invite"
        with Vertical(id="new-chat"):
            yield Static(self._question, classes="title", markup=False)
            yield Input(placeholder=what, id="address", max_length=130)
            yield Static(self._hint or _BEGIN, id="answer", markup=False)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Look the address up and leave with its conversation, or join by the invite."""
        event.stop()
        if "/" in event.value and not self._hint:  # an address has none, a link does
            self._begin("Joining ...", partial(self._client.groups.join, event.value))
            return
        try:
            conversation = self._client.conversation_with(event.value.strip())
            own = self._client.conversation_with(self._client.account)
            if conversation != own and not is_group(conversation):
                await self._client.lookup(event.value)
        except NotConnectedError:
            pass  # offline one may still write; the server judges the address when it is sent
        except RoostError as error:
            self._say(error.sentence, refused=True)
            return
        self.dismiss(conversation)

    def action_make_group(self) -> None:
        """Make a group that is called what was typed."""
        if self._hint:
            return
        name = self.query_one("#address", Input).value.strip().removeprefix("#")
        if not name:
            self._say("Type what the group shall be called, then Ctrl+G.", refused=True)
            return
        self._begin("Making the group ...", partial(self._client.groups.create, name))

    def _begin(self, doing: str, begin: Callable[[], Awaitable[Group]]) -> None:
        if not self._busy:  # a second key must not make a second group
            self._busy = True
            self._say(doing)
            self.run_worker(self._begun(begin), name="new group")

    async def _begun(self, begin: Callable[[], Awaitable[Group]]) -> None:
        try:
            group = await begin()
        except RoostError as error:
            self._say(error.sentence, refused=True)
            self._busy = False
            return
        self.dismiss(group.conversation)

    def _say(self, sentence: str, *, refused: bool = False) -> None:
        answer = self.query_one("#answer", Static)
        answer.update(one_line(sentence))
        answer.set_class(refused, "refused")

    def action_cancel(self) -> None:
        """Leave without a chat."""
        self.dismiss(None)
