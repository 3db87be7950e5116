"""The store: journal, inbox and directory of one node behind one door, on the loop thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import msgspec

from storage.directory import Directory
from storage.engine import Batch, Engine, EngineStatistics, Table
from storage.errors import StorageError
from storage.group import Failed, raise_it
from storage.inbox import Inbox
from storage.journal import Journal
from storage.limits import RefusalReason, StoreLimits
from storage.memtable import Memtable, OutboxRecord
from storage.meta import check_schema, read_meta
from storage.mover import Mover
from storage.outbox import Outbox
from storage.queues import Queues, QueueView
from storage.records import decode_record, key_position, position_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from storage.committer import Committer
    from storage.conversation_view import ConversationView
    from storage.group import Committed
    from storage.records import Entry, Record

REPLAY_PAGE_RECORDS = 4_096
SHARD_CACHE_ACCOUNTS = 65_536
FULL_SHARE_DIVISOR = 8
RESERVE_BYTES_MAX = 256 << 20


class ShardView(msgspec.Struct, frozen=True):
    """What a shard starts from.

    Attributes:
        epoch: The epoch that owns it; 0 if nobody ever did.
        cursors: By source shard: the highest source position taken here. What comes at or below it again is a
            duplicate.
        outbox: Position and record of what some other shard has yet to take, in order.
        outbox_complete: False when there is more behind `outbox`; `Store.read_outbox` goes on.
    """

    epoch: int
    cursors: dict[int, int]
    outbox: list[tuple[int, OutboxRecord]]
    outbox_complete: bool


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """Figures of a store, for operators.

    Attributes:
        durable_position: The highest durable position.
        pending_bytes: Records on their way to the disk.
        hot_bytes: Records in the hot journal.
        hot_devices: Devices that the hot journal says something of.
        hot_conversations: Conversations with records since their snapshot.
        hot_outbox: Hot records that some shard has yet to take.
        commits: Groups that became durable.
        failures: Groups that failed.
        moves: Moves that came to their end.
        moved_entries: Entries written to the inbox.
        engine: How full the engine is.
    """

    durable_position: int
    pending_bytes: int
    hot_bytes: int
    hot_devices: int
    hot_conversations: int
    hot_outbox: int
    commits: int
    failures: int
    moves: int
    moved_entries: int
    engine: EngineStatistics


class _Read:
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


class Store:
    """One node's disk. Requests complete by callback, behind every append made before them.

    A read with nothing before it in the order completes before the call returns. One that cannot be read calls `failed`
    with a `StorageError` instead of `completed`; where nobody gave a `failed`, the error is raised.

    Attributes:
        directory: Accounts, devices, groups by key.
    """

    __slots__ = (
        "_committer",
        "_engine",
        "_inbox",
        "_journal",
        "_limits",
        "_memtable",
        "_mover",
        "_node",
        "_now_ms",
        "_outbox",
        "_queues",
        "_refusal",
        "directory",
    )

    def __init__(
        self,
        engine: Engine,
        committer: Committer,
        schedule: Callable[[float, Callable[[], None]], object],
        now_ms: Callable[[], int],
        limits: StoreLimits,
        node: str,
        shard_of: Callable[[str], int],
    ) -> None:
        self._engine = engine
        self._committer = committer
        self._now_ms = now_ms
        self._limits = limits
        self._node = node
        # shard_of hashes (0.6 us); the same few accounts come again and again (0.06 us).
        self._memtable = Memtable(lru_cache(SHARD_CACHE_ACCOUNTS)(shard_of))
        self._journal = Journal(self._memtable, committer, schedule, now_ms, limits)
        self._inbox = Inbox(engine)
        self._outbox = Outbox(engine, self._memtable)
        self._queues = Queues(self._memtable, self._inbox)
        self._mover = Mover(engine, self._journal, self._memtable, self._inbox, self._outbox, limits, now_ms)
        self.directory = Directory(engine, self._journal)
        self._refusal: RefusalReason | None = None
        self._journal.on_settled = self._look_at_room

    @classmethod
    def open(
        cls,
        engine: Engine,
        committer: Committer,
        schedule: Callable[[float, Callable[[], None]], object],
        now_ms: Callable[[], int],
        limits: StoreLimits,
        node: str,
        shard_of: Callable[[str], int],
    ) -> Self:
        """Open a store and replay its hot journal; returns when that is done.

        Args:
            engine: Where it lies.
            committer: Makes batches durable, over the same engine.
            schedule: Runs a function on the loop after a delay in seconds (0: soon, but not at once).
            now_ms: The wall clock.
            limits: Every bound.
            node: The name of this node, for ownership records.
            shard_of: The shard of an account.

        Raises:
            StoreVersionError: A newer Roost wrote it.
            StoreCorruptError: A record cannot be read back.
            EngineError: The disk failed.
        """
        check_schema(engine)
        store = cls(engine, committer, schedule, now_ms, limits, node, shard_of)
        store._replay()
        store._look_at_room()
        return store

    def take_ownership(self, shards: Iterable[int]) -> dict[int, int]:
        """Take shards: every earlier epoch is fenced from here on, and what is appended next is durable behind this.

        Returns:
            The epoch of each shard, to be carried by its appends.
        """
        return {shard: self._journal.own(shard, self._node) for shard in shards}

    def append(self, shard: int, epoch: int, record: Record, token: object = None) -> None:
        """Append a record; it completes through the subscriber, with an error if it was not stored.

        Args:
            shard: The shard whose record this is.
            epoch: From `take_ownership`; another one completes with `FencedError`.
            record: What happened.
            token: Comes back in the completion.

        Raises:
            RecordError: The record cannot be stored; a fault of the caller.
        """
        self._journal.append(shard, epoch, record, token)

    def subscribe(self, on_committed: Callable[[list[Committed]], None]) -> None:
        """Set the one subscriber: it gets completions in position order, once per group commit.

        A read in the middle of a group completes between two calls: behind the appends before it.
        """
        self._journal.on_committed = on_committed

    def flush(self) -> None:
        """Commit what waits without further patience; for the end of a burst."""
        self._journal.flush()

    @property
    def durable_position(self) -> int:
        """The highest position that is durable."""
        return self._journal.durable_position

    def accepting(self) -> RefusalReason | None:
        """Return None, or why no new messages are taken just now; acks and removals still pass."""
        return self._refusal

    def load_conversation(
        self,
        shard: int,
        conversation: str,
        completed: Callable[[ConversationView], None],
        failed: Failed = raise_it,
    ) -> None:
        """Hand out what a conversation knows of its past; the caller owns the view."""

        def read() -> None:
            self._journal.guard.conversation_loaded(conversation)
            completed(self._mover.fold(conversation))

        self._journal.submit(_Read(read, failed))

    def load_queue(
        self, shard: int, device: bytes, completed: Callable[[QueueView], None], failed: Failed = raise_it
    ) -> None:
        """Hand out count, size and bounds of what waits for a device."""
        self._journal.submit(_Read(lambda: completed(self._queues.view(device)), failed))

    def read_queue(
        self,
        shard: int,
        device: bytes,
        after_position: int,
        limit: int,
        size_bytes_max: int,
        completed: Callable[[list[Entry]], None],
        failed: Failed = raise_it,
    ) -> None:
        """Hand out what waits for a device behind a position, in order.

        Args:
            shard: The shard of the device's account.
            device: The device.
            after_position: Entries behind this one.
            limit: Most entries.
            size_bytes_max: Stop before exceeding this; the first entry comes however large it is.
            completed: Gets the entries.
            failed: Gets the error instead if an entry cannot be read.
        """

        def read() -> None:
            completed(self._queues.read(device, after_position, limit, size_bytes_max))

        self._journal.submit(_Read(read, failed))

    def load_shard(self, shard: int, completed: Callable[[ShardView], None], failed: Failed = raise_it) -> None:
        """Hand out what a shard starts from."""

        def read() -> None:
            self._journal.guard.shard_loaded(shard)
            cursors = {
                source: position for (target, source), position in self._memtable.cursors.items() if target == shard
            }
            limit = self._limits.outbox_records_max
            outbox = self._outbox.read(shard, 0, limit)
            completed(ShardView(self._memtable.epochs.get(shard, 0), cursors, outbox, len(outbox) < limit))

        self._journal.submit(_Read(read, failed))

    def read_outbox(
        self,
        shard: int,
        after_position: int,
        limit: int,
        completed: Callable[[list[tuple[int, OutboxRecord]]], None],
        failed: Failed = raise_it,
    ) -> None:
        """Hand out more of a shard's outbox: up to `limit` records behind a position, in order."""
        self._journal.submit(_Read(lambda: completed(self._outbox.read(shard, after_position, limit)), failed))

    def taken(self, shard: int, position: int, target_shard: int) -> None:
        """Note that a target shard durably took its part of an outbox record; after all did, it is forgotten.

        Not itself durable: after a crash the part is sent again, and the target's cursor drops it.
        """
        self._outbox.taken(shard, position, target_shard)

    def expired(
        self,
        shard: int,
        now_ms: int,
        limit: int,
        completed: Callable[[list[bytes]], None],
        failed: Failed = raise_it,
    ) -> None:
        """Hand out up to `limit` devices of a shard for which an expired entry waits."""
        self._journal.submit(_Read(lambda: completed(self._queues.expired(shard, now_ms, limit)), failed))

    def maintain(self) -> None:
        """Look anew at the room left, and start a move if the hot journal is large or old enough.

        To be called every second or so.
        """
        self._journal.submit(_Read(self._measure_room, raise_it))
        self._mover.maintain()

    def move(self) -> None:
        """Start a move of everything durable, unless one is running."""
        self._mover.move()

    @property
    def moving(self) -> bool:
        """Whether a move is running."""
        return self._mover.running

    def statistics(self) -> StoreStatistics:
        """Return figures for operators."""
        journal, memtable = self._journal, self._memtable
        return StoreStatistics(
            durable_position=journal.durable_position,
            pending_bytes=journal.pending_bytes,
            hot_bytes=self._mover.hot_bytes,
            hot_devices=len(memtable.devices),
            hot_conversations=len(memtable.tails),
            hot_outbox=len(memtable.outbox),
            commits=journal.commits,
            failures=journal.failures,
            moves=self._mover.moves,
            moved_entries=self._mover.moved_entries,
            engine=self._engine.statistics(),
        )

    def close(self, completed: Callable[[], None]) -> None:
        """Commit what waits, refuse the rest, let go of thread and disk, and call back."""
        self._mover.stop()

        def closed() -> None:
            self._committer.close()
            self._engine.close()
            completed()

        self._journal.close(closed)

    def _replay(self) -> None:
        memtable, journal = self._memtable, self._journal
        read_meta(self._engine, memtable)
        position, size_bytes = memtable.head, 0
        while True:
            pairs = self._engine.scan(Table.JOURNAL, position_key(position + 1), b"\xff" * 9, REPLAY_PAGE_RECORDS)
            for key, value in pairs:
                position = key_position(key)
                shard, record = decode_record(value)
                memtable.apply(position, shard, record)
                size_bytes += len(value)
            if len(pairs) < REPLAY_PAGE_RECORDS:
                break
        memtable.settle_outbox()
        journal.durable_position, journal.next_position = position, position + 1
        journal.appended_bytes = size_bytes
        if size_bytes:
            journal.hot.append((position, size_bytes, self._now_ms()))

    def _measure_room(self) -> None:
        """Notice room that was made without any commit of ours, as by an operator."""
        self._engine.measure()
        self._look_at_room()

    def _look_at_room(self) -> None:
        """Decide, once per group, whether new messages are taken: not when nearly full, for acks need room too."""
        engine, limits = self._engine.statistics(), self._limits
        share_bytes = min(engine.size_bytes_max // FULL_SHARE_DIVISOR, RESERVE_BYTES_MAX)
        # A move writes the hot window a second time before it trims; without room for that nothing would ever move.
        reserve_bytes = min(max(share_bytes, 3 * limits.hot_window_bytes_max), engine.size_bytes_max // 2)
        if engine.used_bytes > engine.size_bytes_max - reserve_bytes:
            self._refusal = RefusalReason(True, "The server's store is full; its operator has to give it more room.")
        elif engine.free_space_bytes < limits.free_space_bytes_min:
            self._refusal = RefusalReason(True, "The server's disk is full; its operator has to free some space.")
        elif (
            self._journal.pending_bytes > limits.pending_bytes_max
            or self._mover.hot_bytes > 2 * limits.hot_window_bytes_max
        ):
            self._refusal = RefusalReason(False, "The server's disk is behind; try again in a moment.")
        else:
            self._refusal = None
