"""For which lists of devices our messages are made: what the server told last, by conversation.

Nothing is asked for: a message to somebody new says that it knows nothing, is refused with the right lists, and goes
out again under the same number. So a list that has changed costs one refusal, and an unchanged one nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import is_group, members_of
from roost.changes import ListsKnown

if TYPE_CHECKING:
    from protocol import ConversationId
    from protocol.messages import Stale
    from roost.changes import Snapshot
    from roost.steps import Step

__all__ = ["Audiences"]


class Audiences:
    """The lists of every conversation that was ever sent to.

    Args:
        snapshot: what the database holds.
    """

    __slots__ = ("_account", "_lists", "_own_version")

    def __init__(self, snapshot: Snapshot) -> None:
        self._account = snapshot.account
        self._lists = dict(snapshot.lists)
        self._own_version = 0

    def known(self, conversation: ConversationId) -> list[int]:
        """What a message says that is made now; empty if nothing is known of the conversation."""
        lists = self._lists.get(conversation)
        if lists is None:
            return []
        if self._own_version and not is_group(conversation):
            own = members_of(conversation)
            return [
                max(version, self._own_version) if account == self._account else version
                for account, version in zip(dict.fromkeys(own), lists, strict=False)
            ]
        return list(lists)

    def named(self, conversation: ConversationId) -> list[int]:
        """What a message has to say that is made now, known or not."""
        return self.known(conversation) or [0] * self._count(conversation)

    @staticmethod
    def _count(conversation: ConversationId) -> int:
        return 1 if is_group(conversation) else len(set(members_of(conversation)))

    def own(self, version: int) -> None:
        """Our own list has this version, as the server says; 0 from one that does not count."""
        self._own_version = version

    def learn(self, conversation: ConversationId, stale: Stale, step: Step) -> bool:
        """Take over what the server says is right; False if it shows an older list of somebody than it did before.

        Then it has lost something, or hides it: what was known is forgotten, so that a person may try again. What is
        known of our own list from elsewhere does not count here, for this answer may have crossed with that news.
        """
        before = self._lists.get(conversation, ())
        if len(stale.lists) != self._count(conversation):
            return False
        is_older = not is_group(conversation) and any(
            version < known for version, known in zip(stale.lists, before, strict=False)
        )
        self._own_version = 0 if is_older else self._own_version
        self._lists[conversation] = () if is_older else tuple(stale.lists)
        if is_older:
            del self._lists[conversation]
        step.changes.append(ListsKnown(conversation, self._lists.get(conversation, ())))
        return not is_older
