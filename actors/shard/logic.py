"""Spreading: the durable fan-out from a source shard to the target shards of a record. Pure.

Every record in which a conversation or a queue says something to other accounts is an outbox job of its
source shard. The source sends its jobs to each target shard in position order, every batch chained to the
position before it; the target takes what is new, sees a gap by a broken chain and asks again from its cursor.
So a crash of either side, at any step, neither loses an entry nor doubles one.

A source keeps few jobs in memory for each target. What is more stays on its disk alone, and is read again when the
target has taken what was sent, or asks: so a target may be away for weeks.

State is mutated in place: this runs for every message (0.3 µs a job this way, 1.1 µs with copies).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.records import Accepted, Removed

__all__ = ["Inbound", "Job", "Outbound"]

Job: TypeAlias = "tuple[int, Accepted | Removed]"
"""A journal position and the record that stands there."""

JOBS_MAX: Final = 4_096
"""Jobs in memory for one target."""


class Outbound:
    """What one source shard still has to get across to one target shard.

    Args:
        jobs_max: How many it keeps in memory.

    Attributes:
        is_behind: Whether there may be more on the disk than is known here.
        is_reading: Whether the disk was asked for more.
    """

    __slots__ = ("_jobs", "_jobs_max", "_known_position", "_sent_position", "is_behind", "is_reading")

    def __init__(self, jobs_max: int = JOBS_MAX) -> None:
        self._jobs_max = jobs_max
        self._jobs: deque[Job] = deque()
        self._known_position = 0
        self._sent_position = 0
        self.is_behind = False
        self.is_reading = False

    def __len__(self) -> int:
        return len(self._jobs)

    def send(self, jobs: Sequence[Job]) -> tuple[int, Sequence[Job]]:
        """Remember jobs that go out now.

        Returns:
            The position that they are chained to, and those of them that were not known before: after a restart the
            same job may come from the disk and from a commit.
        """
        if self._jobs and len(self._jobs) + len(jobs) > self._jobs_max:
            self.is_behind = True
        return (self._sent_position, ()) if self.is_behind else self._add(jobs)

    def _add(self, jobs: Sequence[Job]) -> tuple[int, Sequence[Job]]:
        known = self._known_position
        if jobs[0][0] <= known:
            jobs = [job for job in jobs if job[0] > known]
        previous = self._sent_position
        if jobs:
            self._jobs.extend(jobs)
            self._known_position = self._sent_position = jobs[-1][0]
        return previous, jobs

    def forget(self) -> None:
        """The target is away: what it lacks stays on the disk until it asks, and is read again from the beginning.

        So what it took without our having heard of it is sent once more, and it tells us.
        """
        self._jobs.clear()
        self._known_position = self._sent_position = 0
        self.is_behind = True

    def resend(self, cursor: int) -> list[Job]:
        """Everything in memory behind the target's cursor, to be sent chained to that cursor."""
        jobs = [job for job in self._jobs if job[0] > cursor]
        if self._jobs or not self.is_behind:
            self._sent_position = jobs[-1][0] if jobs else cursor
        return jobs

    def taken(self, up_to: int) -> list[int]:
        """The target has these on its own disk: forget them, and return their positions."""
        positions = []
        jobs = self._jobs
        while jobs and jobs[0][0] <= up_to:
            positions.append(jobs.popleft()[0])
        return positions

    def wants(self) -> int | None:
        """The position behind which the disk is to be read now, or None."""
        if not self.is_behind or self.is_reading or self._jobs:
            return None
        self.is_reading = True
        return self._known_position

    def read(self, up_to: int, jobs: Sequence[Job], complete: bool) -> tuple[int, Sequence[Job]]:
        """What was read goes out, as by `send`.

        Args:
            up_to: Position up to which all was read.
            jobs: What of it is for the target.
            complete: Nothing else was on the disk.
        """
        self.is_reading = False
        self.is_behind = not complete
        out = self._add(jobs) if jobs else (self._sent_position, ())
        self._known_position = max(self._known_position, up_to)
        return out


class Inbound:
    """What one target shard took from one source shard: appended so far, and durable so far.

    Attributes:
        appended: Highest source position that was written.
        durable: Highest source position that is on disk.
        told: What the source was told of that.
        attempt: Goes along with each write, so that a late failure is not held against the writes that followed it.
    """

    __slots__ = ("appended", "attempt", "durable", "told")

    def __init__(self, cursor: int = 0) -> None:
        self.appended = cursor
        self.durable = cursor
        self.told = 0  # what was told before a restart may be lost: it is told again
        self.attempt = object()

    def failed(self, attempt: object) -> bool:
        """A write did not reach the disk: back to what did; False if its attempt was given up before."""
        if attempt is not self.attempt:
            return False
        self.attempt = object()
        self.appended = self.durable
        return True

    def take(self, previous: int, jobs: Sequence[Job]) -> Sequence[Job] | None:
        """The jobs of a batch that are new, or None when the chain shows a gap."""
        if previous > self.appended:
            return None
        appended = self.appended
        if jobs[0][0] > appended:
            self.appended = jobs[-1][0]
            return jobs
        fresh = [job for job in jobs if job[0] > appended]
        if fresh:
            self.appended = fresh[-1][0]
        else:
            self.told = min(self.told, jobs[0][0] - 1)  # the source forgot that we told it: tell it again
        return fresh

    def news(self) -> int | None:
        """The durable cursor, if the source has not been told of it."""
        if self.told == self.durable:
            return None
        self.told = self.durable
        return self.durable
