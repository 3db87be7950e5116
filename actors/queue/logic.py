"""The queue of one device: what is waiting, what is on its way, what may be forgotten. Pure.

Entries live in the store; the queue holds those on their way (`unacked`) and counts the rest. It is either `live`
(everything that waits is on its way, so a new entry goes straight out) or `behind` (entries wait in the store and are
read in pages as the window opens).

State is mutated in place: an entry passes here twice, in and out (0.5 µs both ways; copying the list would make a
queue of n entries cost n squared).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol.messages import POWER_MAINS, POWER_SAVING
from storage.records import MESSAGE

if TYPE_CHECKING:
    from actors.queue.api import QueueLimits
    from storage import Entry

__all__ = ["Forgotten", "Page", "QueueState", "Unacked", "delay_s"]

ISOLATE_AFTER: Final = 3
SUSPICION_S: Final = 3_600.0
SAVING_FACTOR: Final = 6
HELD_COUNT_MAX: Final = 128


def delay_s(foreground: bool, power: int, limits: QueueLimits) -> float:
    """How long what is not urgent may wait for a device in this state."""
    if foreground or power == POWER_MAINS:
        return 0.0
    return limits.background_delay_s * (SAVING_FACTOR if power == POWER_SAVING else 1)


class Unacked(NamedTuple):
    """An entry on its way to the device."""

    position: int
    size_bytes: int
    kind: int
    conversation: str
    seq: int
    sender: str


class Forgotten(NamedTuple):
    """What an ack lets go: how many, and how far each conversation has thereby been delivered."""

    entries_count: int
    marks: dict[str, int]


class Page(NamedTuple):
    """Entries that were read for delivery, in the session that asked for them."""

    session: bytes
    entries: list[Entry]


class QueueState:
    """State of one queue.

    Attributes:
        count: Entries waiting, those on their way included.
        size_bytes: Their bytes.
        tail: Highest position that is known to wait.
        sent_up_to: Highest position that this session was sent.
        acked_up_to: Highest position that the device has acknowledged.
        attempts: Connections that broke while the oldest entry was on its way and unacknowledged.
    """

    __slots__ = (
        "_limits",
        "_suspect",
        "_unacked_bytes",
        "acked_up_to",
        "attempts",
        "count",
        "own_account",
        "read_up_to",
        "sent_up_to",
        "size_bytes",
        "tail",
        "unacked",
    )

    def __init__(self, own_account: str, count: int, size_bytes: int, tail: int, limits: QueueLimits) -> None:
        self.own_account = own_account
        self.count = count
        self.size_bytes = size_bytes
        self.tail = tail
        self.read_up_to = 0
        self.sent_up_to = 0
        self.acked_up_to = 0
        self.attempts = 0
        self.unacked: list[Unacked] = []
        self._unacked_bytes = 0
        self._suspect = 0
        self._limits = limits

    @property
    def live(self) -> bool:
        """Everything that waits is on its way."""
        return self.read_up_to >= self.tail

    @property
    def window_open(self) -> bool:
        """Whether more may go out: by bytes, or one at a time while an entry is suspected of being poison."""
        if self.attempts >= ISOLATE_AFTER:
            return not self.unacked
        return self._unacked_bytes < self._limits.window_bytes

    @property
    def page_size_bytes(self) -> int:
        """How many bytes the next page may have."""
        return max(1, self._limits.window_bytes - self._unacked_bytes)

    @property
    def page_count(self) -> int:
        """How many entries the next page may have."""
        return 1 if self.attempts >= ISOLATE_AFTER else 128

    @property
    def holds_much(self) -> bool:
        """Whether so much waits that it is not to wait longer: a full window, a page, or half of a small quota."""
        limits = self._limits
        held, held_bytes = self.count - len(self.unacked), self.size_bytes - self._unacked_bytes
        return held >= min(HELD_COUNT_MAX, limits.entries_max // 2) or held_bytes >= min(
            limits.window_bytes, limits.size_bytes_max // 2
        )

    def admit(self, entry: Entry) -> bool:
        """Count an entry that is durable now; False if it is here already."""
        if entry.position <= self.tail:
            return False
        self.tail = entry.position
        self.count += 1
        self.size_bytes += entry.size_bytes
        return True

    def knows(self, position: int) -> bool:
        """Whether this entry has been read from the store already, before word of it came, or acknowledged even."""
        return position <= self.read_up_to or position <= self.acked_up_to

    def refuses(self, entry: Entry) -> bool:
        """Whether an entry that was admitted just now is one too many.

        A notice is what a sender was promised, so it has a quota of its own on top: as much again.
        """
        quotas = 1 if entry.kind == MESSAGE else 2
        limits = self._limits
        return self.count > quotas * limits.entries_max or self.size_bytes > quotas * limits.size_bytes_max

    def stay_s(self, *, overtaken: bool, revoked: bool) -> float:
        """How long its process stays for a device that is away.

        Args:
            overtaken: Whether so much came for it that it may as well begin anew with what the store has. Else each
                member of a hot group who has just left keeps a process that counts (12 % of the CPU, `--only hot`).
            revoked: Whether it was removed.
        """
        if revoked:
            return self._limits.resume_window_s
        if self.attempts:
            return SUSPICION_S
        return 0.0 if overtaken else self._limits.resume_window_s

    def has_room(self) -> bool:
        """Whether a queue that was full takes messages again: at seven eighths, so that it is not full at once."""
        limits = self._limits
        return 8 * self.count <= 7 * limits.entries_max and 8 * self.size_bytes <= 7 * limits.size_bytes_max

    def pass_on(self, entry: Entry) -> bool:
        """Admit and send an entry in one step, if all that waits is on its way and there is room; else change nothing.

        Most entries find their queue so, and the steps one by one take twice as long.
        """
        position, size_bytes, limits = entry.position, entry.size_bytes, self._limits
        if (
            position <= self.tail
            or self.read_up_to != self.tail
            or self.count >= limits.entries_max
            or self.size_bytes + size_bytes > limits.size_bytes_max
            or self._unacked_bytes >= limits.window_bytes
            or self.attempts >= ISOLATE_AFTER
        ):
            return False
        self.tail = position
        self.count += 1
        self.size_bytes += size_bytes
        self._note_sent(entry, size_bytes)
        return True

    def send(self, entry: Entry) -> None:
        """Note that an entry goes out now."""
        self._note_sent(entry, entry.size_bytes)

    def _note_sent(self, entry: Entry, size_bytes: int) -> None:
        position = entry.position
        self.unacked.append(Unacked(position, size_bytes, entry.kind, entry.conversation, entry.seq, entry.sender))
        self._unacked_bytes += size_bytes
        self.read_up_to = position
        if position > self.sent_up_to:
            self.sent_up_to = position

    def acknowledge(self, up_to: int) -> Forgotten | None:
        """Forget what the device has; None if it was never sent that far."""
        if up_to > self.sent_up_to:
            return None
        count = acked_bytes = 0
        marks: dict[str, int] = {}
        for position, size_bytes, kind, conversation, seq, sender in self.unacked:
            if position > up_to:
                break
            count += 1
            acked_bytes += size_bytes
            if kind == MESSAGE and sender != self.own_account:
                marks[conversation] = seq
        if count:
            del self.unacked[:count]
            self.count -= count
            self.size_bytes -= acked_bytes
            self._unacked_bytes -= acked_bytes
            self.attempts = self._suspect = 0
        if up_to > self.acked_up_to:
            self.acked_up_to = up_to
        return Forgotten(count, marks)

    def remove(self, entries: list[Entry]) -> None:
        """Entries go for a reason of ours."""
        positions = {entry.position for entry in entries}
        self.count -= len(entries)
        self.size_bytes -= sum(entry.size_bytes for entry in entries)
        self._unacked_bytes -= sum(entry.size_bytes for entry in self.unacked if entry.position in positions)
        self.unacked = [entry for entry in self.unacked if entry.position not in positions]
        if self._suspect in positions:
            self.attempts = self._suspect = 0

    def detach(self, broken: bool) -> None:
        """The connection is gone; what was on its way is remembered until the next one comes, for a resumption.

        Args:
            broken: Whether it broke, rather than being closed by the client or by another login: then this counts as
                an attempt at the oldest entry on its way.
        """
        if broken and self.unacked:
            oldest = self.unacked[0].position
            self.attempts = self.attempts + 1 if oldest == self._suspect else 1
            self._suspect = oldest

    def resume(self, received_up_to: int) -> Forgotten | None:
        """The same session goes on: what the device has committed is acknowledged; None if it cannot have been."""
        forgotten = self.acknowledge(received_up_to)
        if forgotten is not None:
            self._rewind(self.sent_up_to)
        return forgotten

    def begin(self) -> None:
        """A new session: nothing was sent to it yet."""
        self._rewind(0)

    def _rewind(self, sent_up_to: int) -> None:
        self.unacked.clear()
        self._unacked_bytes = 0
        self.read_up_to = 0
        self.sent_up_to = sent_up_to

    def all_read(self) -> None:
        """The store has nothing more."""
        self.read_up_to = self.tail

    def is_poison(self, position: int) -> bool:
        """Whether this entry has broken as many connections as one may."""
        return position == self._suspect and self.attempts >= self._limits.attempts_max
