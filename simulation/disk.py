"""The simulated disk: the memory engine under commits that take their time, fail and tear, and reads that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.directory_keys import account_key
from protocol import AccountId
from storage import Batch, EngineError, ManualCommitter, MemoryEngine, Table
from storage.records import Record, decode_record, key_position

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection

    from simulation.agenda import Agenda
    from simulation.coverage import Coverage
    from storage.committer import Done

__all__ = ["COMMIT_FATES", "DiskCommitter", "SimulatedDisk"]

ACCOUNTS: Final = account_key(AccountId(""))
NOUNS: Final = ((Table.META, Table.JOURNAL, Table.OUTBOX), (Table.INBOX, Table.BODIES), (Table.DIRECTORY,))
"""The tables of the journal, the inbox and the directory, as `storage.engine` has them."""
COMMIT_FATES: Final = ("lost", "kept", "torn")
"""What becomes of a commit that is in flight when its node dies."""


class SimulatedDisk(MemoryEngine):
    """What a node's disk holds, and what goes wrong with it.

    Args:
        durable: Is told of each journal record in the instant of its commit: position, shard, record.
        moved: Is told of each device whose entries a commit puts into the inbox, of each put into the outbox, and of
            each body that several devices share.
        listed: Is told of each account that a commit writes, as it is written.
        survivor: The disk of the node's former life.

    Attributes:
        reads_to_fail: How many of the next reads fail.
        read_failed: Is called at each that does.
    """

    __slots__ = ("_durable", "_listed", "_moved", "read_failed", "reads_to_fail")

    def __init__(
        self,
        durable: Callable[[int, int, Record], None],
        moved: Callable[[Table, bytes], None],
        listed: Callable[[bytes], None],
        survivor: MemoryEngine | None = None,
    ) -> None:
        super().__init__()
        self._durable = durable
        self._moved = moved
        self._listed = listed
        self.reads_to_fail = 0
        self.read_failed: Callable[[], None] = _nobody_asks
        if survivor is not None:
            self._tables = survivor._tables

    def apply(self, batch: Batch, tables: Collection[Table] = tuple(Table)) -> None:
        """Make a batch durable, and tell."""
        super().apply(batch, tables)
        if Table.JOURNAL in tables:
            for key, value in batch.appends:
                self._durable(key_position(key), *decode_record(value))
        for table, key, value in batch.puts:
            if table in tables and table == Table.DIRECTORY and key.startswith(ACCOUNTS):
                self._listed(value)
            if table in tables and table in (Table.INBOX, Table.OUTBOX, Table.BODIES):
                self._moved(table, key)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Read, or fail."""
        self._fail_sometimes()
        return super().get(table, key)

    def scan(
        self, table: Table, start: bytes, stop: bytes, limit: int, reverse: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Read, or fail."""
        self._fail_sometimes()
        return super().scan(table, start, stop, limit, reverse)

    def _fail_sometimes(self) -> None:
        if self.reads_to_fail:
            self.reads_to_fail -= 1
            self.read_failed()
            raise EngineError("the disk could not be read")

    def reopened(self) -> SimulatedDisk:
        """What the node's next life finds."""
        return SimulatedDisk(self._durable, self._moved, self._listed, self.crash())


class DiskCommitter(ManualCommitter):
    """Commits after as long as the disk takes.

    Args:
        engine: The disk.
        agenda: Time.
        chance: Its part of the seed.
        coverage: Where it notes what it has done.
        settled: Called after each commit, when all were told.

    Attributes:
        latency_s: Shortest and longest time of a commit.
        commits_to_fail: How many of the next commits fail.
        commit_failed: Is called at each that does.
        interrupts: Is called once, in the middle of the next commit.
    """

    __slots__ = (
        "_agenda",
        "_chance",
        "_coverage",
        "_serial",
        "_settled",
        "commit_failed",
        "commits_to_fail",
        "interrupts",
        "latency_s",
    )

    def __init__(
        self,
        engine: SimulatedDisk,
        agenda: Agenda,
        chance: random.Random,
        coverage: Coverage,
        settled: Callable[[], None],
    ) -> None:
        super().__init__(engine)
        self._agenda = agenda
        self._chance = chance
        self._coverage = coverage
        self._settled = settled
        self._serial = 0
        self.commit_failed: Callable[[], None] = _nobody_asks
        self.calm_down()

    def calm_down(self) -> None:
        """Be quick, and fail no more."""
        self.latency_s = (0.0002, 0.004)
        self.commits_to_fail = 0
        self.interrupts: Callable[[], None] | None = None

    def submit(self, batch: Batch, done: Done) -> None:
        """Begin a commit; it ends by itself."""
        super().submit(batch, done)
        self._serial += 1
        serial = self._serial
        latency_s = self._chance.uniform(*self.latency_s)
        self._agenda.after(latency_s, lambda: self._finish(serial))
        if self.interrupts is not None:
            self._agenda.after(latency_s / 2, self.interrupts)
            self.interrupts = None

    def _finish(self, serial: int) -> None:
        if serial != self._serial or not self.waiting:
            return
        if self.commits_to_fail:
            self.commits_to_fail -= 1
            self.commit_failed()
            self.fail(EngineError("the disk refused a commit"))
        else:
            self.step()
        self._settled()

    def die(self, engine: SimulatedDisk, fate: str) -> None:
        """The process ends with a commit in flight, perhaps.

        Args:
            engine: The disk.
            fate: One of `COMMIT_FATES`.
        """
        self._serial += 1
        prepared = self.crash()
        if prepared is None:
            return
        chance = self._chance
        tables = {
            "lost": (),
            "kept": tuple(Table),
            "torn": _torn(chance),
        }[fate]
        if tables:
            prepared.tear(tables)  # type: ignore[attr-defined]  # the memory engine's
        self._coverage.reached(
            {
                "lost": "a commit in flight is lost with its node",
                "kept": "a commit in flight outlives its node, untold",
                "torn": "a commit in flight is torn between tables",
            }[fate]
        )


def _nobody_asks() -> None:
    """No fault lies in wait."""


def _torn(chance: random.Random) -> tuple[Table, ...]:
    """The tables of some of the nouns; each noun comes through whole, or not at all."""
    return tuple(table for noun in NOUNS if chance.random() < 0.5 for table in noun)
