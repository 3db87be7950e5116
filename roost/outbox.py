"""The unsent messages of one conversation: numbering, the window, and what each answer means.

The server accepts exactly the next number of (device, epoch, conversation) and refuses any other, so a
refused send consumes no number and everything behind it is numbered anew. This is Kafka's idempotent
producer with a window of 32.

The server remembers the last 32 sends of a producer with their client ids, and what goes out is never 32
or more above what has no answer, so it recognises every true retry. If it knows a number but not the
message ("number reused", "already accepted"), another life of this database used the number: it was restored
from a copy. Then nothing of ours is taken for sent; it is sent again under a new epoch, because a message
twice is better than a tick that lies.

Two facts about a message decide what an answer proves:

- `unanswered`: it was transmitted on this connection and waits for its answer; any other answer is stale.
- `uncertain`: an earlier transmission (before a reconnect, a crash or a silence) was never answered, so
  the server may have the message although we do not know. "Not now" does not settle it: that may be said by a
  connection that does not reach the conversation. Nor does the answer to one of several copies on a connection
  (the first was waited for too long): the server may take the next one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Final

from protocol import Code
from roost.backoff import jittered_s

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from protocol import ClientId
    from protocol.messages import Refused
    from roost.ports import Randomness

__all__ = ["ANSWER_WAIT_S", "WINDOW_DEFAULT", "Entry", "Outbox", "Outcome"]

WINDOW_DEFAULT: Final = 32
ANSWER_WAIT_S: Final = 10.0
_ANSWER_WAIT_S_MAX: Final = 60.0
_RETRY_DELAY_MS_MIN: Final = 200
_RETRY_DELAY_MS_MAX: Final = 60_000
_GAPS_BEFORE_PAUSE: Final = 3


class Outcome(Enum):
    """What an answer meant for the message it named."""

    STALE = auto()
    """Nothing: the message is gone, or no answer about it is expected."""
    RETRY = auto()
    """It will be transmitted again by itself."""
    FAILED = auto()
    """The server will never take it."""
    DOUBTFUL = auto()
    """It would not take this copy, but another one is on its way: only a new connection tells."""
    EPOCH_LOST = auto()
    """The server's numbers are not ours: this database was restored or the server's was."""


@dataclass(slots=True)
class Entry:
    """One message waiting for its ✓."""

    client_id: ClientId
    number: int
    payload: bytes
    ttl_s: int
    flags: int
    uncertain: bool = False
    number_transmitted: int = 0
    unanswered: bool = False
    copies: int = 0  # that went out on this connection and have no answer, as far as refusals tell
    transmitted_at_s: float = 0.0
    answer_wait_s: float = ANSWER_WAIT_S
    refusals: int = 0
    repairs: int = 0
    delayed_by: int = 0

    @property
    def in_flight(self) -> bool:
        """Whether a transmission under its present number waits for an answer."""
        return self.unanswered and self.number_transmitted == self.number


class Outbox:
    """The messages of one conversation that wait for their ✓, in the order of typing."""

    __slots__ = ("_entries", "_paused_until_s", "_window", "next_number")

    def __init__(self, next_number: int = 1, window: int = WINDOW_DEFAULT) -> None:
        """Start empty.

        Args:
            next_number: the number that the next message gets.
            window: how many messages may wait for their answer at once.
        """
        self.next_number = next_number
        self._window = window
        self._entries: dict[ClientId, Entry] = {}
        self._paused_until_s = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def set_window(self, window: int) -> None:
        """Take over the window the server announced; never above 32, which its memory of sends covers."""
        self._window = max(1, min(window, WINDOW_DEFAULT))

    def add(self, client_id: ClientId, payload: bytes, ttl_s: int, flags: int) -> Entry:
        """Append a message and return it with its number."""
        entry = Entry(client_id, self.next_number, payload, ttl_s, flags)
        self.next_number += 1
        self._entries[client_id] = entry
        return entry

    def restore(self, entry: Entry) -> None:
        """Append a message read from disk: in a life before the crash or the copy it may have been sent."""
        entry.uncertain = True
        self._entries[entry.client_id] = entry

    def due(self, now_s: float, *, only_uncertain: bool = False) -> list[Entry]:
        """Return what to transmit now, in order, and count it as transmitted.

        Args:
            now_s: the present time.
            only_uncertain: leave alone what the server certainly does not have (an epoch is being closed).
        """
        if now_s < self._paused_until_s:
            return []
        self._paused_until_s = 0.0
        due: list[Entry] = []
        for entry in self._in_window(only_uncertain=only_uncertain):
            overdue = entry.unanswered and now_s >= entry.transmitted_at_s + entry.answer_wait_s
            if entry.unanswered and not overdue:
                if not entry.in_flight:
                    break  # the answer to its former number comes first, and nothing may overtake it
                continue
            self._transmit(entry, now_s, overdue=overdue)
            due.append(entry)
        return due

    def _in_window(self, *, only_uncertain: bool) -> Iterator[Entry]:
        entries: Iterable[Entry] = self._entries.values()
        if only_uncertain:
            entries = (entry for entry in entries if entry.uncertain or entry.unanswered)
        remaining = iter(entries)
        first = next(remaining, None)
        if first is None:
            return iter(())
        # By number, not by count: however many were answered behind the first, the server has to know it still.
        beyond = first.number + self._window
        return chain((first,), takewhile(lambda entry: entry.number < beyond, remaining))

    def _transmit(self, entry: Entry, now_s: float, *, overdue: bool) -> None:
        if overdue:
            entry.uncertain = True
            entry.answer_wait_s = min(entry.answer_wait_s * 2, _ANSWER_WAIT_S_MAX)
        entry.unanswered = True
        entry.copies += 1
        entry.number_transmitted = entry.number
        entry.transmitted_at_s = now_s

    def sent(self, number: int) -> Entry | None:
        """Take out and return the message that the server accepted under `number`; None if long known."""
        for entry in self._entries.values():
            if entry.number == number:
                return self._entries.pop(entry.client_id) if entry.number_transmitted == number else None
        return None

    def refused(
        self, answer: Refused, now_s: float, randomness: Randomness, *, repaired: bool = False
    ) -> tuple[Outcome, Entry | None]:
        """Say what a refusal means; a failed message is taken out.

        Args:
            answer: the refusal, naming a message of this conversation.
            now_s: the present time.
            randomness: spreads the retries.
            repaired: whether it was made for other devices than there are, and we know now for which.
        """
        entry = self._entries.get(answer.client_id)
        if entry is None or not entry.unanswered:
            return Outcome.STALE, None
        entry.unanswered = False
        entry.copies -= 1
        outcome = self._again(entry, now_s, randomness) if repaired else self._judged(entry, answer, now_s, randomness)
        # A refusal for now came from a door, perhaps, which knows of no earlier transmission.
        if answer.retry_after_ms < 0 and not entry.copies:
            entry.uncertain = False
        if outcome is Outcome.FAILED:
            if entry.copies:
                return Outcome.DOUBTFUL, entry
            self._remove_and_renumber(entry)
        return outcome, entry

    def _judged(self, entry: Entry, answer: Refused, now_s: float, randomness: Randomness) -> Outcome:
        if answer.code in (Code.NUMBER_REUSED, Code.ALREADY_ACCEPTED, Code.EPOCH_UNKNOWN):
            return Outcome.EPOCH_LOST
        if answer.code == Code.NUMBER_GAP:
            if answer.expected < next(iter(self._entries.values())).number:
                return Outcome.EPOCH_LOST  # the server forgot sends that it had confirmed
            entry.refusals += 1
            if entry.refusals > _GAPS_BEFORE_PAUSE:
                self._pause(entry, 0, now_s, randomness)
            return Outcome.RETRY
        if answer.retry_after_ms >= 0:
            entry.refusals += 1
            self._pause(entry, answer.retry_after_ms, now_s, randomness)
            return Outcome.RETRY
        return Outcome.FAILED

    def _again(self, entry: Entry, now_s: float, randomness: Randomness) -> Outcome:
        """Make it for the right devices and send it at once; if these change again and again, less and less often."""
        entry.repairs += 1
        if entry.repairs > 1:
            entry.refusals += 1
            self._pause(entry, 0, now_s, randomness)
        return Outcome.RETRY

    def _pause(self, entry: Entry, retry_after_ms: int, now_s: float, randomness: Randomness) -> None:
        backoff_ms = min(_RETRY_DELAY_MS_MIN * 2 ** min(entry.refusals - 1, 16), _RETRY_DELAY_MS_MAX)
        delay_s = jittered_s(max(retry_after_ms, backoff_ms), randomness)
        self._paused_until_s = max(self._paused_until_s, now_s + delay_s)

    def _remove_and_renumber(self, failed: Entry) -> None:
        del self._entries[failed.client_id]
        for entry in self._entries.values():
            if entry.number > failed.number:
                entry.number -= 1
        self.next_number -= 1

    def numbers(self) -> tuple[tuple[ClientId, int], ...]:
        """Return each waiting message with its present number."""
        return tuple((entry.client_id, entry.number) for entry in self._entries.values())

    @property
    def settled(self) -> bool:
        """Whether the server certainly has none of these messages."""
        return not any(entry.unanswered or entry.uncertain for entry in self._entries.values())

    @property
    def is_uncertain(self) -> bool:
        """Whether the server may have one of these messages, although we do not know."""
        return any(entry.uncertain for entry in self._entries.values())

    @property
    def is_ambiguous(self) -> bool:
        """Whether an answer may be about an earlier copy of a message than the last one on this connection."""
        return any(entry.copies and not entry.unanswered for entry in self._entries.values())

    def renew(self) -> None:
        """Number from 1 for a new epoch."""
        self._paused_until_s = 0.0
        self.next_number = 1
        for entry in self._entries.values():
            entry.number = self.next_number
            entry.number_transmitted = 0
            self.next_number += 1

    def disconnected(self) -> None:
        """Expect no more answers on the old connection; what was unanswered stays uncertain."""
        self._paused_until_s = 0.0
        for entry in self._entries.values():
            entry.uncertain = entry.uncertain or entry.unanswered
            entry.unanswered = False
            entry.copies = 0
            if not entry.uncertain:  # else a slow server would be asked twice on every connection, and settle nothing
                entry.answer_wait_s = ANSWER_WAIT_S

    def next_deadline_s(self) -> float | None:
        """Return when `due` should be asked again although nothing arrived; None if never.

        A pause counts until `due` has seen its end, for time goes on between the two questions.
        """
        deadlines = [
            entry.transmitted_at_s + entry.answer_wait_s for entry in self._entries.values() if entry.unanswered
        ]
        if self._entries and self._paused_until_s:
            deadlines.append(self._paused_until_s)
        return min(deadlines, default=None)
