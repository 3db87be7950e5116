"""Who types at this moment, and how that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from roost.terminal.shortened import shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocol import AccountId, ConversationId
    from roost.events import TypingChanged

__all__ = ["Typists", "typing_words"]

_NAMED_MAX: Final = 2
_NAME_WIDTH_MAX: Final = 14


class Typists:
    """Who types in which conversation, as far as we are told."""

    __slots__ = ("_by_conversation",)

    def __init__(self) -> None:
        self._by_conversation: dict[ConversationId, dict[AccountId, None]] = {}

    def take(self, event: TypingChanged) -> None:
        """Somebody began or stopped."""
        typing = self._by_conversation.setdefault(event.conversation, {})
        if event.active:
            typing[event.account] = None
        else:
            typing.pop(event.account, None)

    def of(self, conversation: ConversationId | None) -> tuple[AccountId, ...]:
        """Return who types there, the first to begin first."""
        return tuple(self._by_conversation.get(conversation, ())) if conversation is not None else ()

    def forget(self, conversation: ConversationId) -> None:
        """Nobody tells any more who types there."""
        self._by_conversation.pop(conversation, None)

    def clear(self) -> None:
        """Nobody tells any more who types."""
        self._by_conversation.clear()


def typing_words(names: Sequence[str], *, in_group: bool) -> str:
    """Return the words for those who type; with one other person there is no need to say who."""
    if not names or not in_group:
        return "typing…" if names else ""
    if len(names) > _NAMED_MAX:
        return f"{len(names)} people are typing…"
    named = " and ".join(shortened(name, _NAME_WIDTH_MAX) for name in names)
    return f"{named} {'is' if len(names) == 1 else 'are'} typing…"
