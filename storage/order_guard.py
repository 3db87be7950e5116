"""After a failed commit: nothing may become durable that was built on top of what failed.

A conversation numbers its messages before they are durable, and a target shard moves its cursor so. When a commit
fails, later appends of the same writer may be on their way already; if they passed, a seq or an entry would be
missing for good. They are refused until the writer goes back to what failed, or is loaded anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.errors import BehindFailureError
from storage.records import Accepted, Entries

if TYPE_CHECKING:
    from storage.records import Record


class OrderGuard:
    """Remembers what has to come first again; empty, and false, unless a commit failed."""

    __slots__ = ("_conversations", "_sources")

    def __init__(self) -> None:
        self._conversations: dict[str, int] = {}
        self._sources: dict[tuple[int, int], int] = {}

    def __bool__(self) -> bool:
        return bool(self._conversations or self._sources)

    def failed(self, shard: int, record: Record) -> None:
        """Note a record that was not stored."""
        if type(record) is Accepted:
            seq = self._conversations.get(record.conversation, record.seq)
            self._conversations[record.conversation] = min(seq, record.seq)
        elif type(record) is Entries:
            key = (shard, record.source)
            self._sources[key] = min(self._sources.get(key, record.source_position), record.source_position)

    def check(self, shard: int, record: Record) -> BehindFailureError | None:
        """Return why a record must wait; None lets it pass."""
        if type(record) is Accepted:
            seq = self._conversations.get(record.conversation)
            if seq is not None and record.seq > seq:
                return BehindFailureError(record.conversation, seq)
            self.conversation_loaded(record.conversation)
        elif type(record) is Entries:
            position = self._sources.get((shard, record.source))
            if position is not None and record.source_position > position:
                return BehindFailureError(f"source shard {record.source}", position)
            self._sources.pop((shard, record.source), None)
        return None

    def conversation_loaded(self, conversation: str) -> None:
        """Note that a conversation starts from its durable state."""
        self._conversations.pop(conversation, None)

    def shard_loaded(self, shard: int) -> None:
        """Note that a target shard starts from its durable cursors."""
        for key in [key for key in self._sources if key[0] == shard]:
            del self._sources[key]
