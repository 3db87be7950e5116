"""The chats on screen: presence and typing are asked for while a chat is open, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.messages import Close, Open, Typing
from roost.events import OnlookersChanged, PresenceChanged, TypingChanged

if TYPE_CHECKING:
    from protocol import AccountId, ConversationId
    from protocol.messages import GroupHere, Presence, TypingBy
    from roost.steps import Step

__all__ = ["OPEN_MAX", "TYPING_REPEAT_S", "TYPING_SHOWN_S", "Chats"]

OPEN_MAX: Final = 16
"""Chats open at once; the one open longest is closed for a further one."""
TYPING_REPEAT_S: Final = 4.0
"""While somebody goes on typing, the server is told again after this long, not at every key."""
TYPING_SHOWN_S: Final = 8.0
"""A typing sign that is not renewed disappears after this long; its end may have been shed."""


class Chats:
    """Which chats are open, who types in them, and what we said of ourselves."""

    __slots__ = ("_open", "_told_typing", "_typing_until_s")

    def __init__(self) -> None:
        self._open: dict[ConversationId, None] = {}
        self._told_typing: dict[ConversationId, float] = {}
        self._typing_until_s: dict[tuple[ConversationId, AccountId], float] = {}

    def open(self, conversation: ConversationId, *, ready: bool, step: Step) -> None:
        """Open a chat; a frame goes out if the session is ready, else at the next login."""
        if conversation in self._open:
            return
        if len(self._open) == OPEN_MAX:
            self.close(next(iter(self._open)), ready=ready, step=step)
        self._open[conversation] = None
        if ready:
            step.frames.append(Open(conversation))

    def close(self, conversation: ConversationId, *, ready: bool, step: Step) -> None:
        """Close a chat; whoever types in it is heard of no more, so every sign of it ends."""
        if conversation not in self._open:
            return
        del self._open[conversation]
        self._told_typing.pop(conversation, None)
        for key in [key for key in self._typing_until_s if key[0] == conversation]:
            del self._typing_until_s[key]
            step.events.append(TypingChanged(*key, False))
        if ready:
            step.frames.append(Close(conversation))

    def ready(self, step: Step) -> None:
        """Open again, after a login, what was open."""
        step.frames.extend(Open(conversation) for conversation in self._open)

    def typing(self, conversation: ConversationId, active: bool, now_s: float, step: Step) -> None:
        """Tell that we type, or stopped; repeated calls cost nothing until it is time to repeat."""
        if conversation not in self._open:
            return  # a server passes it on only from those who have the chat open themselves
        told_at_s = self._told_typing.get(conversation)
        if active and told_at_s is not None and now_s < told_at_s + TYPING_REPEAT_S:
            return
        if not active and told_at_s is None:
            return
        if active:
            self._told_typing[conversation] = now_s
        else:
            del self._told_typing[conversation]
        step.frames.append(Typing(conversation, active))

    def typing_by(self, frame: TypingBy, now_s: float, step: Step) -> None:
        """Show that somebody types, in an open chat only."""
        key = (frame.conversation, frame.account)
        if frame.conversation not in self._open or (key in self._typing_until_s) == frame.active:
            if key in self._typing_until_s:
                self._typing_until_s[key] = now_s + TYPING_SHOWN_S
            return
        if frame.active:
            self._typing_until_s[key] = now_s + TYPING_SHOWN_S
        else:
            del self._typing_until_s[key]
        step.events.append(TypingChanged(frame.conversation, frame.account, frame.active))

    def message_from(self, conversation: ConversationId, account: AccountId, step: Step) -> None:
        """End the typing sign of somebody whose message came."""
        if self._typing_until_s.pop((conversation, account), None) is not None:
            step.events.append(TypingChanged(conversation, account, False))

    @staticmethod
    def presence(frame: Presence, step: Step) -> None:
        """Pass on whether somebody is there."""
        step.events.append(PresenceChanged(frame.account, frame.online, frame.last_seen_ms, frame.devices))

    def here(self, frame: GroupHere, step: Step) -> None:
        """Pass on how many others have an open group open, too."""
        if frame.conversation in self._open:
            step.events.append(OnlookersChanged(frame.conversation, frame.members_count))

    def advance(self, now_s: float, step: Step) -> None:
        """End typing signs that nobody renewed."""
        for key in [key for key, until_s in self._typing_until_s.items() if until_s <= now_s]:
            del self._typing_until_s[key]
            step.events.append(TypingChanged(*key, False))

    def next_deadline_s(self) -> float | None:
        """Return when `advance` has something to do."""
        return min(self._typing_until_s.values(), default=None)

    def disconnected(self, step: Step) -> None:
        """End every typing sign: nobody would tell us when they stop."""
        self._told_typing.clear()
        for key in self._typing_until_s:
            step.events.append(TypingChanged(*key, False))
        self._typing_until_s.clear()
