"""The mover: takes what still waits out of the hot journal, slice by slice, then trims the journal.

A move has a cut, and goes through everything that the records up to the cut left behind: entries to the inbox,
conversation tails to snapshots, untaken outbox records to their table. Only when all of that is durable the journal's
head moves to the cut, and the records are deleted with it or behind it. Each slice rides on the next group commit; a
slice that fails ends the move, and the next one starts from what is there. Whatever a crash leaves behind is a prefix
of a move, and replaying the journal over it changes nothing: entries at or below an inbox's tail are known there, seqs
below a snapshot's next seq are folded, outbox positions at or below the parked one are in the table.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from storage.conversation_view import ConversationView
from storage.directory import snapshot_key
from storage.engine import Batch, Engine, Table
from storage.errors import StoreCorruptError
from storage.inbox_writer import InboxWriter
from storage.meta import write_meta, write_parked
from storage.records import key_position, position_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.inbox import Inbox
    from storage.journal import Journal
    from storage.limits import StoreLimits
    from storage.memtable import Memtable, OutboxJob, Tail
    from storage.outbox import Outbox

Effect: TypeAlias = "Callable[[], object]"
"""What a slice does to the memtable once it is durable."""

SLICE_PAUSE_S: Final = 0.003
"""Between two slices, if the first shared its commit with records: not each of their commits carries one (1.5 ms).
A chat beside a hot group: 99 of 100 within 8 to 10 ms instead of 10 to 12 (`--only hot`, in turns)."""
SNAPSHOT_OPERATIONS: Final = 32
"""A snapshot (read, fold, encode: 70 us) counts as much as this many entries (2 us)."""


class _Slice:
    """One step of a move: as much work as one commit may carry."""

    __slots__ = ("_effects", "_mover", "_work")

    writes = True
    droppable = True

    def __init__(self, mover: Mover, work: Iterator[Effect]) -> None:
        self._mover = mover
        self._work = work
        self._effects: list[Effect] = []

    def prepare(self, batch: Batch) -> None:
        """Do work until the slice is full."""
        self._effects = self._mover.fill(batch, self._work)

    def complete(self, error: Exception | None) -> None:
        """Let the memtable go of what is durable elsewhere."""
        if error is None:
            for effect in self._effects:
                effect()
        self._mover.slice_done(self._work, error)


class Mover:
    """Moves what waits and trims the journal.

    Args:
        engine: Where everything is.
        journal: Whose order the slices join.
        memtable: What is hot.
        inbox: Reads of the inbox.
        outbox: Both halves of the outbox.
        limits: Window and slice sizes.
        now_ms: The wall clock.
        schedule: Runs a function on the loop after a delay in seconds.

    Attributes:
        moves: Moves that came to their end.
        moved_entries: Entries written to the inbox.
    """

    __slots__ = (
        "_batch",
        "_budget",
        "_damage",
        "_ended",
        "_engine",
        "_held",
        "_inbox",
        "_inbox_writer",
        "_is_beside_records",
        "_is_untrimmed",
        "_journal",
        "_limits",
        "_memtable",
        "_now_ms",
        "_outbox",
        "_schedule",
        "_stopped",
        "_trimmed_bytes",
        "_work",
        "moves",
    )

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        memtable: Memtable,
        inbox: Inbox,
        outbox: Outbox,
        limits: StoreLimits,
        now_ms: Callable[[], int],
        schedule: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._memtable = memtable
        self._outbox = outbox
        self._limits = limits
        self._now_ms = now_ms
        self._schedule = schedule
        self._inbox = inbox
        self._inbox_writer = InboxWriter(engine, memtable, inbox)
        self._batch = Batch()
        self._budget = 0
        self._is_beside_records = False
        self._is_untrimmed = False
        self._damage = ""
        self._work: Iterator[Effect] | None = None
        self._ended = False
        self._held = 0
        self._stopped = False
        self._trimmed_bytes = 0
        self.moves = 0

    @property
    def running(self) -> bool:
        """Whether a move is running."""
        return self._work is not None

    @property
    def moved_entries(self) -> int:
        """Entries written to the inbox."""
        return self._inbox_writer.moved_entries

    @property
    def hot_bytes(self) -> int:
        """Bytes of records in the hot journal."""
        return self._journal.appended_bytes - self._trimmed_bytes

    def maintain(self) -> None:
        """Start a move if the window is large or old, or if something small is due."""
        if not self._may_start:
            return
        cut = self._due_cut()
        if cut is not None:
            self._start(self._move_work(cut))
        elif self._memtable.rechecks:
            self._start(self._inbox_work(self._memtable.head))
        elif self._outbox.taken_later:
            self._start(self._settle_work())
        elif self._is_untrimmed:
            self._start(self._trim_work(self._memtable.head))

    def move(self) -> None:
        """Start a move of everything durable, unless one is running."""
        if self._may_start:
            self._start(self._move_work(self._journal.durable_position))

    @property
    def _may_start(self) -> bool:
        return self._work is None and not self._stopped and not self._held

    def hold(self) -> None:
        """End the move that is running, and start none until `let_go`: what it would write next may be gone by then."""
        self._held += 1
        self._work = None

    def let_go(self) -> None:
        """Moves may start again."""
        self._held -= 1

    def stop(self) -> None:
        """Start nothing more; the next open goes on where this ended."""
        self._stopped = True
        self._work = None

    def recover(self, shards: set[int]) -> None:
        """Find what a move has left behind that a crash ended; before anything else, and after the replay.

        Args:
            shards: Those that are held here.
        """
        self._is_untrimmed = bool(self._engine.scan(Table.JOURNAL, b"", position_key(self._memtable.head + 1), 1))
        self._inbox_writer.counts.recover(self._memtable, self._inbox, shards)

    def forget_shard(self, shard: int) -> None:
        """Forget what was found out of a shard that has gone."""
        self._inbox_writer.counts.forget_shard(shard)
        self._inbox.forget_shard(shard)

    def fold(self, conversation: str, *, lazily: bool = False) -> ConversationView:
        """Return a conversation's view: its snapshot, and what came since."""
        stored = self._engine.get(Table.DIRECTORY, self._snapshot_key(conversation))
        view = ConversationView.decode(stored, lazily=lazily)
        tail = self._memtable.tails.get(conversation)
        if tail is not None:
            for record in tail.records:
                view.apply(record)
        return view

    def snapshot(self, conversation: str) -> tuple[bytes, bytes]:
        """Return key and value of a conversation's snapshot as it would be written now."""
        return self._snapshot_key(conversation), self.fold(conversation, lazily=True).encode()

    def _snapshot_key(self, conversation: str) -> bytes:
        return snapshot_key(conversation, self._memtable.shard_of)

    def fill(self, batch: Batch, work: Iterator[Effect]) -> list[Effect]:
        """Do the work of one slice into a batch; return what follows once it is durable."""
        effects: list[Effect] = []
        if work is not self._work:
            return effects
        self._batch, self._budget = batch, self._limits.move_operations_max
        self._is_beside_records = bool(batch.appends)
        self._inbox_writer.begin(batch)
        while self._budget > 0:
            effect = next(work, None)
            if effect is None:
                self._ended = True
                break
            effects.append(effect)
            self._budget -= self._inbox_writer.operations()
        effects.append(self._inbox_writer.end())
        return effects

    def slice_done(self, work: Iterator[Effect], error: Exception | None) -> None:
        """Go on with the next slice, or end the move.

        Raises:
            StoreCorruptError: What ended it is damage, which no other try will mend; said once, for it is tried again.
        """
        if work is not self._work:
            return
        if error is not None:
            self._work = None
            if isinstance(error, StoreCorruptError) and str(error) != self._damage:
                self._damage = str(error)
                raise error
        elif self._ended:
            self._work = None
            self.moves += 1
        elif self._is_beside_records and self.hot_bytes <= self._limits.hot_window_bytes_max:
            self._schedule(SLICE_PAUSE_S, partial(self._go_on, work))
        else:
            self._go_on(work)

    def _go_on(self, work: Iterator[Effect]) -> None:
        if work is self._work:
            self._journal.submit(_Slice(self, work))

    def _start(self, work: Iterator[Effect]) -> None:
        self._work, self._ended = work, False
        self._journal.submit(_Slice(self, work))

    def _due_cut(self) -> int | None:
        """Return up to where to move now; None while the window is small and young."""
        hot = self._journal.hot
        if not hot:
            return None
        size_bytes_max = self._limits.hot_window_bytes_max
        if self.hot_bytes > size_bytes_max * 3 // 4:
            total_bytes = self._journal.appended_bytes
            return next(position for position, so_far, _ in hot if total_bytes - so_far <= size_bytes_max // 2)
        age_ms_max = int(self._limits.hot_window_s_max * 1000)
        now_ms = self._now_ms()
        # Whatever is far from now is old: a calendar that was set back would keep the window until it has caught up.
        if abs(now_ms - hot[0][2]) >= age_ms_max:
            # What is younger than half the window stays: most of it is about to be acked.
            young_ms = age_ms_max // 2
            return next(
                (position for position, _, at_ms in reversed(hot) if abs(now_ms - at_ms) >= young_ms), hot[0][0]
            )
        return None

    def _move_work(self, cut: int) -> Iterator[Effect]:
        yield from self._inbox_work(cut)
        yield from self._snapshot_work(cut)
        yield from self._park_work(cut)
        yield from self._settle_work()
        if cut <= self._memtable.head:
            return
        yield self._end_slice()
        yield self._head(cut)
        yield from self._trim_work(cut)

    def _end_slice(self) -> Effect:
        """End the slice here: what follows needs all before it to be durable."""
        self._budget = 0
        return _nothing

    def _inbox_work(self, cut: int) -> Iterator[Effect]:
        self._memtable.rechecks = False
        # In the order of the keys: neighbours share pages (a put costs 1.2 us instead of 15).
        yield from self._inbox_writer.move(sorted(self._memtable.devices), cut)
        for effect in self._inbox_writer.settle(cut):
            self._budget -= 1
            yield effect

    def _snapshot_work(self, cut: int) -> Iterator[Effect]:
        for conversation, tail in sorted(self._memtable.tails.items()):
            if tail.first_position > cut:
                continue
            self._batch.puts.append((Table.DIRECTORY, *self.snapshot(conversation)))
            self._budget -= SNAPSHOT_OPERATIONS
            yield partial(self._folded, conversation, tail, len(tail.records), self._journal.durable_position)

    def _folded(self, conversation: str, tail: Tail, count: int, position: int) -> None:
        tail.forget(count)
        tail.first_position = position + 1
        if not tail.records:
            del self._memtable.tails[conversation]

    def _park_work(self, cut: int) -> Iterator[Effect]:
        for position in sorted(position for position in self._memtable.outbox if position <= cut):
            job = self._memtable.outbox.get(position)
            if job is None:
                continue
            self._outbox.park(self._batch, position, job)
            write_parked(self._batch, position)
            self._budget -= 2
            yield partial(self._parked, position, job, job.remaining)

    def _parked(self, position: int, job: OutboxJob, written: int) -> None:
        self._memtable.parked = max(self._memtable.parked, position)
        remaining = job.remaining if self._memtable.outbox.pop(position, None) is not None else 0
        for target in _bits(written & ~remaining):
            self._outbox.taken(job.shard, position, target)

    def _settle_work(self) -> Iterator[Effect]:
        for (shard, position), taken in sorted(self._outbox.taken_later.items()):
            self._outbox.settle(self._batch, shard, position, taken)
            self._budget -= 2
            yield partial(self._settled, (shard, position), taken)

    def _settled(self, key: tuple[int, int], taken: int) -> None:
        if self._outbox.taken_later.get(key) == taken:
            del self._outbox.taken_later[key]

    def _head(self, cut: int) -> Effect:
        memtable = self._memtable
        write_meta(self._batch, memtable, cut)
        epochs = {shard: memtable.epochs[shard] for shard in memtable.dirty_epochs}
        cursors = {cursor: memtable.cursors[cursor] for cursor in memtable.dirty_cursors}
        return partial(self._headed, cut, epochs, cursors)

    def _headed(self, cut: int, epochs: dict[int, int], cursors: dict[tuple[int, int], int]) -> None:
        memtable, hot = self._memtable, self._journal.hot
        memtable.head = cut
        self._is_untrimmed = True
        memtable.shared -= {position for position in memtable.shared if position <= cut}
        memtable.dirty_epochs -= {shard for shard, epoch in epochs.items() if memtable.epochs[shard] == epoch}
        memtable.dirty_cursors -= {key for key, position in cursors.items() if memtable.cursors[key] == position}
        covered = [mark for mark in hot if mark[0] <= cut]
        if covered:
            self._trimmed_bytes = covered[-1][1]
            del hot[: len(covered)]

    def _trim_work(self, cut: int) -> Iterator[Effect]:
        following = self._first_position(0, cut)
        while following is not None:
            first, last = following, min(following + self._limits.trim_records_max - 1, cut)
            self._batch.delete_ranges.append((Table.JOURNAL, b"", position_key(last + 1)))
            self._budget -= last + 1 - first
            following = self._first_position(last + 1, cut)
            yield _nothing if following is None else self._end_slice()
        yield partial(self._trimmed, cut)

    def _first_position(self, start: int, cut: int) -> int | None:
        """Of the records that are in the journal, in this range."""
        pairs = self._engine.scan(Table.JOURNAL, position_key(start), position_key(cut + 1), 1)
        return key_position(pairs[0][0]) if pairs else None

    def _trimmed(self, cut: int) -> None:
        self._is_untrimmed = cut < self._memtable.head


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _nothing() -> None:
    """A slice that changes nothing in the memtable."""
