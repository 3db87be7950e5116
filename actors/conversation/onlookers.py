"""Who has a group open: only they are told who types, and how many of them there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from protocol.messages import GroupHere, TypingBy

if TYPE_CHECKING:
    from actors.conversation.membership import Members
    from actors.groups.api import Watch
    from protocol import AccountId, ConversationId
    from runtime import Down, Pid, Process, Ref

__all__ = ["Onlookers", "TellHere"]

ONLOOKERS_MAX: Final = 4_096
TYPING_S_MIN: Final = 2.0
"""One account's typing is passed on no more often than this..."""
TELLINGS_PER_S_MAX: Final = 2_000
"""... and all typing so seldom that it is no more frames than these."""
HERE_S: Final = 2.0


class TellHere:
    """The timer that tells the onlookers how many they are."""


class Onlookers:
    """The connections that have one group open. Kept in memory only: they say again that they look.

    Args:
        process: The process of the conversation.
        conversation: Which one.
        members: Who belongs to it.
    """

    __slots__ = (
        "_conversation",
        "_here",
        "_members",
        "_monitors",
        "_process",
        "_telling",
        "_told",
        "_typed_s",
        "_typing_from_s",
    )

    def __init__(self, process: Process, conversation: ConversationId, members: Members) -> None:
        self._process = process
        self._conversation = conversation
        self._members = members
        self._here: dict[Pid, AccountId] = {}
        self._monitors: dict[Pid, Ref] = {}
        self._told: dict[Pid, int] = {}
        self._typed_s: dict[AccountId, tuple[float, bool]] = {}
        self._typing_from_s = 0.0
        self._telling = False

    def __len__(self) -> int:
        return len(self._here)

    def watch(self, watch: Watch) -> None:
        """Somebody has it open, or says so again."""
        connection, members = watch.connection, self._members
        if connection in self._here or len(self._here) >= ONLOOKERS_MAX:
            return
        if not members.belongs(watch.account) or watch.account not in members.views:
            return
        self._here[connection] = watch.account
        self._monitors[connection] = self._process.monitor(connection)
        self._changed()

    def unwatch(self, connection: Pid) -> None:
        """Somebody has closed it."""
        ref = self._monitors.pop(connection, None)
        if ref is not None:
            self._process.demonitor(ref)
            self._forget(connection)

    def lost(self, down: Down) -> bool:
        """A process has ended; whether it was one of these."""
        if self._monitors.get(down.pid) is not down.ref:
            return False
        del self._monitors[down.pid]
        self._forget(down.pid)
        return True

    def members_changed(self) -> None:
        """Whoever is no member any more looks at nothing."""
        for connection in [it for it, account in self._here.items() if not self._members.belongs(account)]:
            self.unwatch(connection)

    def _forget(self, connection: Pid) -> None:
        del self._here[connection]
        self._told.pop(connection, None)
        self._changed()

    def _changed(self) -> None:
        if not self._telling:
            self._telling = True
            self._process.send_after(HERE_S, TellHere())

    def tell_here(self) -> None:
        """Each onlooker hears how many others there are, if that has changed; who has blocked it is not counted."""
        self._telling = False
        here, views = set(self._here.values()), self._members.views
        self._typed_s = {account: typed for account, typed in self._typed_s.items() if account in here}
        shown = {account for account in here if views[account].online == "everyone"}
        blocking = Counter(viewer for account in shown for viewer in views[account].blocked & here)
        for connection, account in self._here.items():
            count = len(shown) - (account in shown) - blocking[account]
            if self._told.get(connection) != count:
                self._told[connection] = count
                self._process.cast_sheddable(connection, GroupHere(self._conversation, count))

    def types(self, connection: Pid, active: bool) -> None:
        """Whoever has it open on that connection types or stops; the other onlookers hear it, now and then."""
        account = self._here.get(connection)
        if account is None:
            return
        now_s = self._process.runtime.clock.now_s()
        typed_s, was_active = self._typed_s.get(account, (-TYPING_S_MIN, False))
        if (active == was_active and now_s - typed_s < TYPING_S_MIN) or now_s < self._typing_from_s:
            return
        self._typed_s[account] = now_s, active
        self._typing_from_s = now_s + (len(self._here) - 1) / TELLINGS_PER_S_MAX
        frame = TypingBy(self._conversation, account, active)
        blocked = self._members.views[account].blocked
        for other, onlooker in self._here.items():
            if onlooker != account and onlooker not in blocked:
                self._process.cast_sheddable(other, frame)
