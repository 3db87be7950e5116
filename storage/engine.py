"""The engine port: ordered keys, batch commit, range scan. Journal, inbox and directory are written once over it.

A commit has two halves. `prepare` runs on the loop thread and does the work per key; `commit` runs in the commit thread
and does nothing but the sync. Reason, measured: with all of it in the commit thread each put fights a busy loop for the
interpreter lock, and a batch of 1,000 takes 216 ms to become durable; in two halves 10 ms.

Between the two halves the engine is not read. Reads and prepares therefore alternate on one thread, and a read never
sees, nor disturbs, a commit in flight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Table(IntEnum):
    """The key spaces of a store. META, JOURNAL and OUTBOX make the journal, INBOX and BODIES the inbox."""

    META = 0
    JOURNAL = 1
    INBOX = 2
    DIRECTORY = 3
    OUTBOX = 4
    BODIES = 5


@dataclass(slots=True)
class Batch:
    """One atomic commit: deletes of ranges first, then deletes, puts, and appends to the journal.

    Attributes:
        appends: Journal keys and values in key order, all above the highest key present.
        puts: Table, key, value.
        deletes: Table, key; an absent key is no error.
        delete_ranges: Table, first key, first key not deleted.
        directory: What the batch leaves under a directory key (None: nothing), until `seal` makes puts and deletes of
            it; so later steps of a group see what earlier ones did, and one key is written once.
    """

    appends: list[tuple[bytes, bytes]] = field(default_factory=list)
    puts: list[tuple[Table, bytes, bytes]] = field(default_factory=list)
    deletes: list[tuple[Table, bytes]] = field(default_factory=list)
    delete_ranges: list[tuple[Table, bytes, bytes]] = field(default_factory=list)
    directory: dict[bytes, bytes | None] = field(default_factory=dict)

    def add(self, other: Batch) -> None:
        """Put into this batch what another one says of the tables; of the same keys it says nothing yet."""
        self.puts += other.puts
        self.deletes += other.deletes
        self.delete_ranges += other.delete_ranges

    def seal(self) -> None:
        """Turn the directory's state into puts and deletes; the batch is complete then."""
        for key, value in self.directory.items():
            if value is None:
                self.deletes.append((Table.DIRECTORY, key))
            else:
                self.puts.append((Table.DIRECTORY, key, value))
        self.directory.clear()

    def __bool__(self) -> bool:
        return bool(self.appends or self.puts or self.deletes or self.delete_ranges)


@dataclass(frozen=True, slots=True)
class EngineStatistics:
    """How full the engine is.

    Attributes:
        used_bytes: What the stored keys and values take, pages included.
        size_bytes_max: The limit it may grow to.
        map_size_bytes: What is mapped now; equal to the limit where the engine does not grow in steps.
        free_space_bytes: What the file system has left.
        commits: Batches committed since the engine was opened.
    """

    used_bytes: int
    size_bytes_max: int
    map_size_bytes: int
    free_space_bytes: int
    commits: int


class Prepared(Protocol):
    """A batch that is written but not yet durable; at most one exists at a time."""

    def commit(self) -> None:
        """Make the batch durable; the only call of the port that runs in the commit thread.

        Raises:
            EngineFullError: There was no room; nothing of the batch is stored.
            EngineError: The disk failed.
        """

    def abandon(self) -> None:
        """Let go of the batch instead; nothing of it is stored."""


class Engine(Protocol):
    """Ordered keys on a disk. Everything but `Prepared.commit` runs on the loop thread."""

    def prepare(self, batch: Batch) -> Prepared:
        """Write a batch without making it durable.

        Raises:
            EngineFullError: There is no room; nothing of the batch is stored.
            EngineError: The disk failed, or a batch is in flight already.
        """
        ...

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the durable value under a key, or None."""
        ...

    def get_many(self, table: Table, keys: Sequence[bytes]) -> list[bytes | None]:
        """Return the durable value under each of these keys, or None."""
        ...

    def scan(
        self, table: Table, start: bytes, stop: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` keys and values with start <= key < stop, in key order or in reverse."""
        ...

    def statistics(self) -> EngineStatistics:
        """Return how full the engine is, as last measured; cheap enough for once per commit."""
        ...

    def measure(self) -> None:
        """Measure anew how full the engine is; no commit is in flight."""
        ...

    def close(self) -> None:
        """Let go of the disk; a batch that is prepared and not committed is lost."""
        ...


def commit_now(engine: Engine, batch: Batch) -> None:
    """Commit a batch on the calling thread: for opening, tools and tests.

    Raises:
        EngineFullError: There was no room.
        EngineError: The disk failed.
    """
    engine.prepare(batch).commit()


def prefix_stop(prefix: bytes) -> bytes:
    """Return the first key after all keys with this prefix (for a prefix of 0xFF only: a key above all of ours)."""
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return b"\xff" * 64
    return stripped[:-1] + bytes((stripped[-1] + 1,))
