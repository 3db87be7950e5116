"""The store: journal, inbox and directory of one node behind one door, on the loop thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from storage.directory import Directory, nobody, shard_of_pair
from storage.engine import Engine, Table
from storage.export import Exporter
from storage.group import Done, Failed, Read, raise_it
from storage.handover import Handover
from storage.inbox import Inbox
from storage.journal import Journal
from storage.memtable import Memtable, OutboxRecord
from storage.meta import check_schema, read_meta, read_residences
from storage.mover import Mover
from storage.outbox import Outbox
from storage.purger import Purger
from storage.queues import Queues, QueueView
from storage.records import decode_record, key_position, position_key
from storage.room import Room
from storage.statistics import StoreStatistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from storage.committer import Committer
    from storage.conversation_view import ConversationView
    from storage.directory import ShardOfPair
    from storage.export import Export, Row
    from storage.group import Committed
    from storage.limits import RefusalReason, StoreLimits
    from storage.records import Entry, Record
    from storage.residence import Arrival, Gone

REPLAY_PAGE_RECORDS = 4_096


class ShardView(msgspec.Struct, frozen=True):
    """What a shard starts from.

    Attributes:
        epoch: The epoch that owns it; 0 if nobody ever did.
        cursors: By source shard: the highest source position taken here. What comes at or below it again is a
            duplicate.
        outbox: Position and record of what some other shard has yet to take, in order.
        outbox_complete: False when there is more behind `outbox`; `Store.read_outbox` goes on.
        devices: Those for which something waits in the hot journal.
    """

    epoch: int
    cursors: dict[int, int]
    outbox: list[tuple[int, OutboxRecord]]
    outbox_complete: bool
    devices: list[bytes]


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
        "_exporter",
        "_handover",
        "_inbox",
        "_journal",
        "_limits",
        "_memtable",
        "_mover",
        "_node",
        "_now_ms",
        "_outbox",
        "_purger",
        "_queues",
        "_residences",
        "_room",
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
        directory_shard: ShardOfPair = nobody,
    ) -> None:
        self._engine = engine
        self._committer = committer
        self._now_ms = now_ms
        self._limits = limits
        self._node = node
        self._residences = read_residences(engine)
        self._memtable = Memtable(shard_of, limits.shared_bytes_min)
        self._journal = Journal(self._memtable, committer, schedule, now_ms, limits)
        self._inbox = Inbox(engine)
        self._outbox = Outbox(engine, self._memtable)
        self._queues = Queues(self._memtable, self._inbox)
        self._mover = Mover(engine, self._journal, self._memtable, self._inbox, self._outbox, limits, now_ms, schedule)
        pair_shard = shard_of_pair(self._memtable.shard_of, directory_shard)
        self.directory = Directory(engine, self._journal, pair_shard, self._memtable.watches)
        self._purger = Purger(engine, self._journal, self._residences, limits, pair_shard)
        self._exporter = Exporter(
            engine,
            self._memtable,
            self._inbox,
            self._queues,
            self._outbox,
            self._journal,
            self._mover.snapshot,
            pair_shard,
        )
        self._room = Room(engine, self._journal, self._mover, limits)
        self._handover = Handover(
            engine,
            self._journal,
            self._memtable,
            self._mover,
            self._outbox,
            self._purger,
            self._residences,
            self._room,
            limits,
            schedule,
            pair_shard,
        )
        self._journal.on_settled = self._room.look

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
        directory_shard: ShardOfPair = nobody,
    ) -> Self:
        """Open a store and replay its hot journal; returns when that is done.

        Args:
            engine: Where it lies.
            committer: Makes batches durable, over the same engine.
            schedule: Runs a function on the loop after a delay in seconds (0: soon, but not at once).
            now_ms: The wall clock.
            limits: Every bound.
            node: The name of this node, for ownership records.
            shard_of: The shard of an account or conversation.
            directory_shard: The shard of a directory's key and value; None for what is the node's own. What it gives
                for a pair never changes. Without it nothing in the directory goes with a shard.

        Raises:
            StoreVersionError: A newer Roost wrote it.
            StoreCorruptError: A record cannot be read back.
            EngineError: The disk failed.
        """
        check_schema(engine)
        store = cls(engine, committer, schedule, now_ms, limits, node, shard_of, directory_shard)
        store._replay()
        store._mover.recover(set(store.holdings()))
        store._room.look()
        store._purger.maintain()
        return store

    def take_ownership(self, shards: Iterable[int], above: int = 0) -> dict[int, int]:
        """Take shards: every earlier epoch is fenced from here on, and what is appended next is durable behind this.

        Args:
            shards: Such as are held here, have arrived complete, or were never here.
            above: An epoch that is known to have been; the new ones are higher.

        Returns:
            The epoch of each shard, to be carried by its appends.

        Raises:
            ShardAwayError: One of them has gone, or its copy is not complete; none is taken then.
        """
        return self._handover.take(shards, self._node, above)

    def takes(self, shard: int, epoch: int) -> bool:
        """Return whether appends under this epoch are taken: nobody owns the shard since, and the disk has noted it."""
        return self._journal.takes(shard, epoch)

    def holdings(self) -> dict[int, int]:
        """Return the shards that this node durably owns and has not released, with their epochs."""
        return self._handover.holdings()

    def gone(self) -> dict[int, Gone]:
        """Return by shard to whom it was released, until it comes back."""
        return dict(self._residences.gone)

    def arrivals(self) -> dict[int, Arrival]:
        """Return by shard the copy that is here and not owned. One that is not complete does not survive a restart."""
        return dict(self._residences.arrivals)

    def settle(self, completed: Callable[[], None]) -> None:
        """Tell when all that was handed in before is durable, or has failed."""
        self._journal.submit(Read(completed, raise_it))

    def fence(self, shard: int) -> None:
        """Refuse every append and directory write of a shard, until somebody takes it; forgotten by a restart.

        Directory writes that are on their way are refused as well.
        """
        self._journal.fence(shard)

    def export_shard(self, shard: int) -> Export:
        """Begin the export of a shard that is held, while it goes on working; nothing is read yet.

        Each round of it, begun by `Export.go_on`, brings what has changed since the one before it began. The last is
        the one that begins when the shard is fenced: with it the copy is whole.
        """
        return self._exporter.export(shard)

    def read_export(
        self, export: Export, size_bytes_max: int, completed: Callable[[list[Row]], None], failed: Failed = raise_it
    ) -> None:
        """Hand out the next rows of a shard, behind every append made before; none at the end of a round.

        Args:
            export: From `export_shard`; one read of it at a time.
            size_bytes_max: Stop before exceeding this with keys and values; one row comes however large it is.
            completed: Gets the rows, to be imported in this order.
            failed: Gets the error instead if something cannot be read, if the shard is no longer held, if somebody owns
                it in the last round, or `ExportOverrunError` if more has changed than may be remembered.
        """
        self._handover.read_export(export, size_bytes_max, completed, failed)

    def end_export(self, export: Export) -> None:
        """Remember no changes for an export any more; what is released, or exported anew, needs no such word."""
        self._exporter.end(export)

    def import_rows(self, shard: int, source: str, transfer: bytes, rows: list[Row], completed: Done) -> None:
        """Store the next rows of a transfer; nobody reads them before `take_ownership`.

        The first rows of a transfer purge what an earlier one has left. After an error, or a restart, the transfer is
        over: its source begins another.

        Args:
            shard: The shard; not held here.
            source: The node that sends it.
            transfer: The transfer's id.
            rows: As they came out of `read_export` there.
            completed: Gets None when they are durable, `TransferError` if they are not what may come, `EngineFullError`
                if there is no room for a guest, else the disk's error. Wait for it: there is no other back-pressure.
        """
        self._handover.import_rows(shard, source, transfer, rows, completed)

    def import_complete(self, shard: int, transfer: bytes, completed: Done) -> None:
        """Say durably that all of a transfer is here; `TransferError` if something is missing. May be said again."""
        self._handover.import_complete(shard, transfer, completed)

    def release(self, shard: int, node: str, transfer: bytes, completed: Done) -> None:
        """Say durably that a shard has gone to another node, and purge its rows in the background.

        It is fenced at once. After an error it is still held, and fenced. To say the same again is no error.
        """
        self._handover.release(shard, node, transfer, completed)

    def discard_arrival(self, shard: int, completed: Done) -> None:
        """Say durably that a copy is void, and purge it in the background; without a copy there is nothing to do."""
        self._handover.discard(shard, completed)

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
        return self._room.refusal

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

        self._journal.submit(Read(read, failed))

    def load_queue(
        self, shard: int, device: bytes, completed: Callable[[QueueView], None], failed: Failed = raise_it
    ) -> None:
        """Hand out count, size and bounds of what waits for a device."""
        self._journal.submit(Read(lambda: completed(self._queues.view(device)), failed))

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

        self._journal.submit(Read(read, failed))

    def load_shard(self, shard: int, completed: Callable[[ShardView], None], failed: Failed = raise_it) -> None:
        """Hand out what a shard starts from."""

        def read() -> None:
            self._journal.guard.shard_loaded(shard)
            cursors = {
                source: position for (target, source), position in self._memtable.cursors.items() if target == shard
            }
            limit = self._limits.outbox_records_max
            outbox = self._outbox.read(shard, 0, limit)
            devices = [it for it, queue in self._memtable.devices.items() if queue.shard == shard and queue.entries]
            completed(ShardView(self._memtable.epochs.get(shard, 0), cursors, outbox, len(outbox) < limit, devices))

        self._journal.submit(Read(read, failed))

    def read_outbox(
        self,
        shard: int,
        after_position: int,
        limit: int,
        completed: Callable[[list[tuple[int, OutboxRecord]]], None],
        failed: Failed = raise_it,
    ) -> None:
        """Hand out more of a shard's outbox: up to `limit` records behind a position, in order."""
        self._journal.submit(Read(lambda: completed(self._outbox.read(shard, after_position, limit)), failed))

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
        self._journal.submit(Read(lambda: completed(self._queues.expired(shard, now_ms, limit)), failed))

    def maintain(self) -> None:
        """Look anew at the room left, start a move if the hot journal is large or old enough, and what purge is due.

        To be called every second or so.
        """
        self._journal.submit(Read(self._room.measure, raise_it))
        self._mover.maintain()
        self._purger.maintain()

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
        self._purger.stop()

        def closed() -> None:
            self._committer.close()
            self._engine.close()
            completed()

        self._journal.close(closed)

    def _replay(self) -> None:
        memtable, journal = self._memtable, self._journal
        read_meta(self._engine, memtable)
        left = self._residences.left
        position, size_bytes = memtable.head, 0
        while True:
            pairs = self._engine.scan(Table.JOURNAL, position_key(position + 1), b"\xff" * 9, REPLAY_PAGE_RECORDS)
            for key, value in pairs:
                position = key_position(key)
                shard, record = decode_record(value)
                if position > left.get(shard, 0):
                    memtable.apply(position, shard, record)
                size_bytes += len(value)
            if len(pairs) < REPLAY_PAGE_RECORDS:
                break
        memtable.settle_outbox()
        journal.durable_position, journal.next_position = position, position + 1
        journal.appended_bytes = size_bytes
        if size_bytes:
            journal.hot.append((position, size_bytes, self._now_ms()))
