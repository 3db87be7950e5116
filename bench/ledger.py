"""The books of a crash run: what got its ✓, what was shown where, and whether the two agree.

Messages are named (stream, number): a stream is what one device writes to one person, numbered from 1. The numbers
come in order, so the books keep runs with gaps instead of every message: a run of a million costs what one of ten does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Counts", "Ledger"]


class Counts(NamedTuple):
    """How a run went.

    Attributes:
        accepted: Messages that got their ✓.
        delivered: Of these, the ones that every device shows which should.
        lost: Of these, the ones that some device does not show.
        shown_twice: Showings of what the same device had shown before.
        out_of_order: Showings before an earlier one of the same writer or conversation, and messages that two devices
            see at different places of their conversation.
    """

    accepted: int
    delivered: int
    lost: int
    shown_twice: int
    out_of_order: int

    @property
    def all_is_well(self) -> bool:
        """Whether every promise was kept."""
        return not (self.lost or self.shown_twice or self.out_of_order)

    def __str__(self) -> str:
        return (
            f"accepted {self.accepted}, delivered {self.delivered}, lost {self.lost}, "
            f"shown twice {self.shown_twice}, out of order {self.out_of_order}"
        )


@dataclass(slots=True)
class _Run:
    """Numbers from 1, with gaps."""

    next: int = 1
    missing: set[int] = field(default_factory=set)

    def __contains__(self, number: int) -> bool:
        return number < self.next and number not in self.missing

    def add(self, number: int) -> bool:
        """Add a new number; False if a higher one was there before it."""
        if number < self.next:
            self.missing.discard(number)
            return False
        self.missing.update(range(self.next, number))
        self.next = number + 1
        return True

    def lacking(self, other: _Run) -> set[int]:
        """What is there and not in the other."""
        behind = set(range(other.next, self.next)) | other.missing
        return {number for number in behind if number in self}


class Ledger:
    """The books.

    Args:
        readers: Stream -> the devices that are to show it.
    """

    def __init__(self, readers: dict[str, frozenset[str]]) -> None:
        self._readers = readers
        self._accepted = {stream: _Run() for stream in readers}
        self._shown = {(stream, device): _Run() for stream, devices in readers.items() for device in devices}
        self._latest: dict[tuple[str, str], int] = {}
        self._places: dict[tuple[str, int], tuple[int, int]] = {}
        self._shown_twice = 0
        self._out_of_order = 0

    def accept(self, stream: str, number: int, seq: int) -> None:
        """A message got its ✓.

        Args:
            stream: What it belongs to.
            number: Its number there.
            seq: Its place in the conversation, as the writer was told; 0 if it was not told.
        """
        run = self._accepted[stream]
        if number not in run:
            run.add(number)
            self._agree(stream, number, seq)

    def show(self, device: str, conversation: str, stream: str, number: int, seq: int) -> None:
        """A device shows a message.

        Args:
            device: Which one.
            conversation: Where it shows it.
            stream: What it belongs to.
            number: Its number there.
            seq: Its place in the conversation, as the reader was told.
        """
        run = self._shown[stream, device]
        if number in run:
            self._shown_twice += 1
            return
        latest = self._latest.get((device, conversation), 0)
        self._latest[device, conversation] = max(latest, seq)
        if not run.add(number) or seq <= latest:
            self._out_of_order += 1
        self._agree(stream, number, seq)

    def _agree(self, stream: str, number: int, seq: int) -> None:
        """Everyone who is told a message's place is told the same."""
        known, witnesses = self._places.pop((stream, number), (seq, 0))
        if seq and known and seq != known:
            self._out_of_order += 1
        if witnesses < len(self._readers[stream]):  # the writer is one more
            self._places[stream, number] = (known or seq, witnesses + 1)

    def latest(self, stream: str) -> int:
        """The highest number of a stream that got its ✓; 0 if none did."""
        return self._accepted[stream].next - 1

    def waiting(self) -> int:
        """Messages with a ✓ that some device does not show yet."""
        return sum(len(self._lost(stream)) for stream in self._readers)

    def _lost(self, stream: str) -> set[int]:
        accepted = self._accepted[stream]
        return set().union(*(accepted.lacking(self._shown[stream, device]) for device in self._readers[stream]))

    def counts(self) -> Counts:
        """How it went so far."""
        accepted = sum(run.next - 1 - len(run.missing) for run in self._accepted.values())
        lost = self.waiting()
        return Counts(accepted, accepted - lost, lost, self._shown_twice, self._out_of_order)
