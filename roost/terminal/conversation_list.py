"""All conversations, the latest first: who, when, the last words, and how many are unread."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from roost.group import GroupChange
from roost.history import MessageState
from roost.plain import clock_time, day_name, one_line, shown
from roost.terminal.names import Names, group_title
from roost.terminal.palette import FAINT, PRESENT, TYPING, UNREAD
from roost.terminal.shortened import shortened
from roost.terminal.ticks import tick
from roost.terminal.typists import Typists, typing_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol import AccountId, ConversationId
    from roost.history import Chat, StoredMessage

__all__ = ["ConversationList", "chat_prompt"]

_UNREAD_MAX: Final = 99
MUTED: Final = "⊘"


def chat_prompt(
    chat: Chat, account: AccountId, names: Names, width: int, now_ms: int, *, present: bool, typing: Sequence[AccountId]
) -> Text:
    """Return the two lines of a conversation in the list.

    Args:
        chat: what to show.
        account: our own account, whose conversation is the note to self.
        names: what people are called.
        width: cells there are.
        now_ms: the present time, to say when the last message was.
        present: whether the other one is known to be online.
        typing: who types.
    """
    name = _title(chat, account)
    name = f"{name} {MUTED}" if chat.muted else name
    when = _when(chat, now_ms)
    dot = "● " if present else "  "
    name = shortened(name, width - cell_len(when) - 3)
    gap = " " * max(1, width - 2 - cell_len(name) - cell_len(when))
    unread = f" {chat.unread if chat.unread <= _UNREAD_MAX else f'{_UNREAD_MAX}+'} " if chat.unread else ""
    sign, sign_style = tick(chat.latest.state) if chat.latest else ("", "")
    lead = f"{sign} " if sign else ""
    room = max(0, width - 2 - cell_len(lead) - (len(unread) + 1 if unread else 0))
    in_group = chat.other_account is None
    types = shortened(typing_words([names.of(one) for one in typing], in_group=in_group), room)
    words = types or shortened(_last_words(chat.latest, names, in_group=in_group) if chat.latest else "", room)
    text = Text.assemble((dot, PRESENT), (name, "bold" if chat.unread else ""), gap, (when, FAINT), "\n  ")
    text.append("" if typing else lead, style=sign_style)
    text.append(words, style=TYPING if typing else FAINT)
    if unread:
        used = 2 + (0 if typing else cell_len(lead)) + cell_len(words)
        text.append(" " * max(1, width - used - len(unread)))
        text.append(unread, style=FAINT if chat.muted else UNREAD)
    text.no_wrap = True
    return text


def _title(chat: Chat, account: AccountId) -> str:
    if chat.group is not None:
        return group_title(chat.group)
    return "Note to self" if chat.other_account == account else one_line(chat.title)


def _last_words(message: StoredMessage, names: Names, *, in_group: bool) -> str:
    words = one_line(shown(message.content))
    if not in_group or message.state is not MessageState.RECEIVED:
        return words
    return f"{names.of(message.sender)}{'' if isinstance(message.content, GroupChange) else ':'} {words}"


def _when(chat: Chat, now_ms: int) -> str:
    if chat.latest is None:
        return ""
    day = day_name(chat.latest.time_ms, now_ms)
    if day == "Today":
        return clock_time(chat.latest.time_ms)
    return "yesterday" if day == "Yesterday" else " ".join(word[:3] for word in day.split()[:2])


class ConversationList(OptionList):
    """The list; choosing an entry opens its chat."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("a", "wish('archive')", show=False),
        Binding("m", "wish('mute')", show=False),
        Binding("n", "wish('name')", show=False),
        Binding("x", "show_archived", show=False),
    ]

    class Wished(Message):
        """Something is to be done with a conversation."""

        def __init__(self, wish: str, chat: Chat) -> None:
            self.wish = wish
            self.chat = chat
            super().__init__()

    def __init__(self, account: AccountId, typists: Typists) -> None:
        super().__init__(id="conversations", markup=False, compact=True)
        self._account = account
        self._chats: list[Chat] = []
        self._all: list[Chat] = []
        self._with_archived = False
        self._now_ms = 0
        self._chosen: ConversationId | None = None
        self.present: set[ConversationId] = set()
        self._typists = typists
        self._names = Names()

    def show(self, chats: list[Chat], names: Names, now_ms: int, chosen: ConversationId | None) -> None:
        """Show these conversations with one of them chosen."""
        self._all, self._names, self._now_ms = chats, names, now_ms
        self._chats = [chat for chat in chats if self._with_archived or not chat.archived]
        self.redraw(chosen)

    def action_wish(self, wish: str) -> None:
        """Let something be done with the conversation that the cursor is on."""
        if self.highlighted is not None and self.highlighted < len(self._chats):
            self.post_message(self.Wished(wish, self._chats[self.highlighted]))

    def action_show_archived(self) -> None:
        """Show the archived conversations among the others, or not."""
        self._with_archived = not self._with_archived
        self.show(self._all, self._names, self._now_ms, self._chosen)

    def on_resize(self) -> None:
        """Lay the entries out for the new width, which is also that of a list shown again."""
        self.redraw(self._chosen)

    def redraw(self, chosen: ConversationId | None) -> None:
        """Draw the list anew; the cursor stays on the entry it is on, or goes to the chosen one."""
        self._chosen = chosen
        width = max(12, self.scrollable_content_region.width - 2)
        highlighted = self.highlighted
        wanted = self.get_option_at_index(highlighted).id if highlighted is not None and self.has_focus else chosen
        prompts = [
            (
                chat.conversation,
                chat_prompt(
                    chat,
                    self._account,
                    self._names,
                    width,
                    self._now_ms,
                    present=chat.conversation in self.present,
                    typing=self._typists.of(chat.conversation),
                ),
            )
            for chat in self._chats
        ]
        if [option.id for option in self.options] == [identifier for identifier, _ in prompts]:
            for index, (_, prompt) in enumerate(prompts):
                if prompt != self.get_option_at_index(index).prompt:
                    self.replace_option_prompt_at_index(index, prompt)
        else:
            self.set_options(Option(prompt, id=identifier) for identifier, prompt in prompts)
        ids = [identifier for identifier, _ in prompts]
        if ids:
            self.highlighted = ids.index(wanted) if wanted in ids else 0  # type: ignore[arg-type]  # never None then

    def neighbour(self, chosen: ConversationId | None, step: int) -> ConversationId | None:
        """Return the conversation above or below the chosen one, staying at the ends."""
        ids = [chat.conversation for chat in self._chats]
        if not ids:
            return None
        if chosen not in ids:
            return ids[0]
        return ids[min(max(ids.index(chosen) + step, 0), len(ids) - 1)]
