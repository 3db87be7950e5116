"""A group: what goes into one commit, in the order of the calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeAlias

import msgspec

from storage.errors import StorageError
from storage.records import Record, position_key

if TYPE_CHECKING:
    from storage.engine import Batch

Failed: TypeAlias = Callable[[StorageError], None]
"""Hears that a read found nothing readable."""

Done: TypeAlias = Callable[[Exception | None], None]
"""Hears the end of a change: None when it is durable, else why it is not."""


def raise_it(error: StorageError) -> NoReturn:
    """What becomes of a read that fails where nobody said who should hear of it."""
    raise error


# gc=False: one of these lives per append until its commit, and nothing it holds points back at it.
class Committed(msgspec.Struct, gc=False):
    """The completion of one append.

    Attributes:
        shard: The shard of the record.
        position: Its position; 0 for an append that never got one.
        record: The record as appended.
        token: What the caller gave along.
        error: None when the record is durable, else why it is not and will not be.
    """

    shard: int
    position: int
    record: Record
    token: object
    error: Exception | None = None


class Step(Protocol):
    """Something that happens between two appends: a read, a write to another noun, a slice of a move."""

    @property
    def writes(self) -> bool:
        """Whether `prepare` may add to the batch."""
        ...

    @property
    def droppable(self) -> bool:
        """Whether a group that failed is tried again without this step."""
        ...

    def prepare(self, batch: Batch) -> None:
        """Evaluate, and add to the group's batch; no commit is in flight.

        Runs again when the group is tried again, and before the completion of a read whose group failed.
        """

    def complete(self, error: Exception | None) -> None:
        """The group is durable, or (for what writes) failed with this error; all before the step has completed."""


class Read:
    """A read that takes its place in the order and is evaluated when its turn comes."""

    __slots__ = ("_failed", "_function")

    writes = False
    droppable = False

    def __init__(self, function: Callable[[], None], failed: Failed) -> None:
        self._function = function
        self._failed = failed

    def prepare(self, batch: Batch) -> None:
        """Nothing to store."""

    def complete(self, error: Exception | None) -> None:
        """Read now: everything before is durable or failed."""
        try:
            self._function()
        except StorageError as unreadable:
            self._failed(unreadable)


class Change:
    """A change that takes its place in the order.

    Args:
        write: Adds to the group's batch.
        done: Gets None when the change is durable, else why it is not.
        droppable: Whether a group that failed is tried again without it.
    """

    __slots__ = ("_done", "_write", "droppable")

    writes = True

    def __init__(self, write: Callable[[Batch], None], done: Done, droppable: bool = True) -> None:
        self._write = write
        self._done = done
        self.droppable = droppable

    def prepare(self, batch: Batch) -> None:
        """Write."""
        self._write(batch)

    def complete(self, error: Exception | None) -> None:
        """Tell."""
        self._done(error)


class Group:
    """Records, and steps at their place between them.

    Attributes:
        records: In position order.
        values: The records as stored.
        steps: Each with the number of records before it.
        size_bytes: Of the values.
        opened_ms: When the first member came for which somebody waits; 0 before that.
        is_urgent: Whether there is one.
    """

    __slots__ = ("is_urgent", "opened_ms", "records", "size_bytes", "steps", "values")

    def __init__(self, opened_ms: int = 0) -> None:
        self.records: list[Committed] = []
        self.values: list[bytes] = []
        self.steps: list[tuple[int, Step]] = []
        self.size_bytes = 0
        self.opened_ms = opened_ms
        self.is_urgent = False

    def __bool__(self) -> bool:
        return bool(self.records or self.steps)

    def add_step(self, step: Step) -> None:
        """Put a step behind everything so far."""
        self.steps.append((len(self.records), step))

    def split(self, count: int) -> Group:
        """Cut off and return what lies behind the first `count` records."""
        rest = Group(self.opened_ms)
        rest.is_urgent = self.is_urgent
        rest.records, self.records = self.records[count:], self.records[:count]
        rest.values, self.values = self.values[count:], self.values[:count]
        rest.steps = [(index - count, step) for index, step in self.steps if index > count]
        self.steps = [(index, step) for index, step in self.steps if index <= count]
        rest.size_bytes = sum(map(len, rest.values))
        self.size_bytes -= rest.size_bytes
        return rest

    def appends(self) -> list[tuple[bytes, bytes]]:
        """Return the journal keys and values of the records."""
        if not self.records:
            return []
        first, last = self.records[0].position, self.records[-1].position
        if last - first + 1 == len(self.records):
            keys = map(position_key, range(first, last + 1))
        else:  # in the middle of the group an arrival raised the positions
            keys = map(position_key, [committed.position for committed in self.records])
        return list(zip(keys, self.values, strict=True))

    def drop(self) -> list[Step]:
        """Take out and return the droppable steps."""
        dropped = [step for _, step in self.steps if step.droppable]
        self.steps = [(index, step) for index, step in self.steps if not step.droppable]
        return dropped

    def runs(self) -> list[tuple[list[Committed], Step | None]]:
        """Return the records between the steps: each run with the step behind it; the last one has none."""
        if not self.steps:
            return [(self.records, None)]
        runs: list[tuple[list[Committed], Step | None]] = []
        done = 0
        for index, step in self.steps:
            runs.append((self.records[done:index], step))
            done = index
        runs.append((self.records[done:], None))
        return runs
