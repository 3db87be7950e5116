"""A store beside its plain twin: opening, crashing, and the order in which calls must complete."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from hypothesis.stateful import RuleBasedStateMachine

from storage import (
    Accepted,
    Batch,
    BehindFailureError,
    Committed,
    Engine,
    Entries,
    FencedError,
    ManualCommitter,
    MemoryEngine,
    Owned,
    Prepared,
    Record,
    Store,
    StoreLimits,
    Table,
)
from storage.memory_engine import MemoryPrepared
from storage.records import decode_record, key_position
from tests.storage.plain import SHARDS, Plain, shard_of

if TYPE_CHECKING:
    from collections.abc import Callable

CONVERSATIONS = ("x0", "y1", "z2")
DEVICES = {f"{account}{number}".encode(): account for account in ("a0", "b1", "c2", "d0") for number in (1, 2)}
ACCOUNTS = sorted(set(DEVICES.values()))
KEYS = (b"k", b"k1", b"l")
NOUNS = (
    frozenset({Table.META, Table.JOURNAL, Table.OUTBOX}),
    frozenset({Table.INBOX, Table.BODIES}),
    frozenset({Table.DIRECTORY}),
)
LIMITS = StoreLimits(
    commit_patience_s=0.002,
    commit_company=3,
    commit_records_max=4,
    trim_records_max=2,
    hot_window_bytes_max=2_000,
    hot_window_s_max=10,
)


def devices_of(account: str) -> list[bytes]:
    return [device for device, owner in DEVICES.items() if owner == account]


class WatchedCommitter(ManualCommitter):
    """Remembers the last batch, for the test to know what was in flight at a crash."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.batch = Batch()

    def submit(self, batch: Batch, done: Callable[[Exception | None], None]) -> None:
        self.batch = batch
        super().submit(batch, done)


class Twin(RuleBasedStateMachine):
    """A store, its plain twin, and the calls that are under way, in order; rules come on top."""

    def make_engine(self) -> Engine:
        return MemoryEngine()

    def reopened(self, inflight: Prepared | None, nouns: tuple[bool, bool, bool]) -> Engine:
        """Return the engine after a crash that let the chosen nouns of the batch in flight through."""
        assert isinstance(self.engine, MemoryEngine)
        if isinstance(inflight, MemoryPrepared):
            through = [table for chosen, noun in zip(nouns, NOUNS, strict=True) if chosen for table in noun]
            inflight.tear(through)
            self.survived(inflight.batch, nouns)
        return self.engine.crash()

    def survived(self, batch: Batch, nouns: tuple[bool, bool, bool]) -> None:
        """Take into the plain store what became durable without anybody being told."""
        if nouns[0]:
            for key, value in batch.appends:
                shard, record = decode_record(value)
                self.plain.journal.append((key_position(key), shard, record))
                self.last_position = key_position(key)
        if nouns[2]:
            for table, key in batch.deletes:
                if table is Table.DIRECTORY:
                    self.plain.directory.pop(key, None)
            for table, key, value in batch.puts:
                if table is Table.DIRECTORY and key in KEYS:
                    self.plain.directory[key] = value

    def __init__(self) -> None:
        super().__init__()
        self.plain = Plain()
        self.now_ms = 1_000
        self.calls: deque[object] = deque()
        self.call_number = 0
        self.last_position = 0
        self.failing = False
        self.seqs: dict[str, int] = {}
        self.lost: set[str] = set()
        self.sources: dict[tuple[int, int], int] = {}
        self.lost_sources: set[tuple[int, int]] = set()
        self.limits = LIMITS
        self.engine = self.make_engine()

    def open(self) -> None:
        self.timers: deque[Any] = deque()
        self.calls.clear()
        self.committer = WatchedCommitter(self.engine)
        self.store = Store.open(
            self.engine, self.committer, self.schedule, lambda: self.now_ms, self.limits, "node", shard_of
        )
        self.store.subscribe(self.on_committed)
        self.epochs: dict[int, int] = {}

    def schedule(self, delay_s: float, function: Any) -> None:
        self.timers.append(function)

    def own_all(self) -> None:
        for shard in range(SHARDS):
            self.take(shard)

    def take(self, shard: int) -> None:
        self.calls.append(Owned)
        self.epochs.update(self.store.take_ownership([shard]))

    # Calls and completions, in order.

    def call(self, what: str) -> tuple[int, str]:
        self.call_number += 1
        self.calls.append((self.call_number, what))
        return self.call_number, what

    def completes(self, token: object) -> None:
        assert self.calls.popleft() == token, "completions come in the order of the calls"

    def on_committed(self, batch: list[Committed]) -> None:
        for committed in batch:
            self.completes(Owned if type(committed.record) is Owned else committed.token)
            if committed.error is None:
                assert committed.position > self.last_position, "positions rise"
                self.last_position = committed.position
                self.plain.journal.append((committed.position, committed.shard, committed.record))
            else:
                self.on_refused(committed)

    def on_refused(self, committed: Committed) -> None:
        record, error = committed.record, committed.error
        assert self.failing or isinstance(error, FencedError | BehindFailureError), f"nothing fails unasked: {error}"
        if isinstance(record, Accepted):
            self.lost.add(record.conversation)
        elif isinstance(record, Entries):
            self.lost_sources.add((committed.shard, record.source))
        elif isinstance(record, Owned) and self.epochs.get(committed.shard) == record.epoch:
            del self.epochs[committed.shard]

    def append(self, shard: int, record: Record) -> None:
        if shard not in self.epochs:
            self.take(shard)
        self.store.append(shard, self.epochs[shard], record, self.call(type(record).__name__))
