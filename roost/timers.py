"""After how long the messages of each conversation disappear: the last one who said so, in the order of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.content import TimerSet, decode_content
from roost.events import MessageFailed, MessageQueued, MessageReceived, MessageSent

if TYPE_CHECKING:
    from protocol import ConversationId
    from roost.changes import Snapshot
    from roost.events import Event

__all__ = ["Timers"]


class Timers:
    """The timers of all conversations. What we set ourselves counts from then on, unless the server refuses it."""

    __slots__ = ("_set", "_waiting")

    def __init__(self, snapshot: Snapshot) -> None:
        self._set = dict(snapshot.timers)
        self._waiting: dict[str, tuple[ConversationId, int]] = {}
        for message in snapshot.pending:
            content = decode_content(message.payload)
            if isinstance(content, TimerSet):
                self._waiting[message.client_id.hex()] = (message.conversation, content.seconds)

    def of(self, conversation: ConversationId) -> int:
        """Return after how many seconds a message that is written now disappears; 0 for never."""
        waiting = [seconds for where, seconds in self._waiting.values() if where == conversation]
        return waiting[-1] if waiting else self._set.get(conversation, (0, 0))[1]

    def take(self, event: Event) -> None:
        """Learn from what happened."""
        match event:
            case MessageQueued(conversation, key, TimerSet(seconds)):
                self._waiting[key] = (conversation, seconds)
            case MessageSent(conversation, key, seq) if key in self._waiting:
                self._settle(conversation, seq, self._waiting.pop(key)[1])
            case MessageFailed(_, key):
                self._waiting.pop(key, None)
            case MessageReceived(conversation, _, seq, content=TimerSet(seconds)):
                self._settle(conversation, seq, seconds)
            case _:
                pass

    def _settle(self, conversation: ConversationId, seq: int, seconds: int) -> None:
        if seq > self._set.get(conversation, (0, 0))[0]:
            self._set[conversation] = (seq, seconds)
