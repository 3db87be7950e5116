"""The handover of a shard, from one node's store to another's: fence, export, import, release, take.

Each change of residence is one word in META, so a crash finds it said or not said. The word that a shard has gone also
says up to which position the journal's records of it are void: a replay passes over them, whatever became of the shard
since. No mover's slice is under way when that word is written, for it would go on writing what is gone.

Changes to a copy of a shard are made one after the other: each begins when the one before it is durable, so that the
word of something is never durable before the thing.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from storage import meta
from storage.errors import ShardAwayError, StorageError, TransferError
from storage.group import Change, Read
from storage.import_check import ImportCheck, begins
from storage.residence import Arrival, Gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from storage.directory import ShardOfPair
    from storage.engine import Batch, Engine
    from storage.export import Export, Row
    from storage.group import Done, Failed
    from storage.journal import Journal
    from storage.limits import StoreLimits
    from storage.memtable import Memtable
    from storage.mover import Mover
    from storage.outbox import Outbox
    from storage.purger import Purger
    from storage.residence import Residences
    from storage.room import Room

EPOCHS_A_STAY: Final = 1 << 20
"""Each start of a node is an epoch, each move this many: no copy from before a move catches up by being started."""


class _Landing:
    """A transfer that is coming in during this life of the store."""

    __slots__ = ("check", "transfer")

    def __init__(self, transfer: bytes, check: ImportCheck) -> None:
        self.transfer = transfer
        self.check = check


class Handover:
    """What a store knows and does about shards that come and go.

    Args:
        engine: The tables.
        journal: Whose order everything joins.
        memtable: What is hot.
        mover: Held while a shard leaves.
        outbox: Both halves of the outbox.
        purger: Takes away what is nobody's.
        residences: What META says.
        room: Whether there is any for a shard of another node.
        limits: Every bound.
        schedule: Runs a function on the loop after a delay in seconds.
        shard_of_pair: The shard of a pair in the directory.
    """

    check: ClassVar[type[ImportCheck]] = ImportCheck

    __slots__ = (
        "_changes",
        "_engine",
        "_journal",
        "_landings",
        "_limits",
        "_memtable",
        "_mover",
        "_outbox",
        "_purger",
        "_releasing",
        "_residences",
        "_room",
        "_schedule",
        "_shard_of_pair",
    )

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        memtable: Memtable,
        mover: Mover,
        outbox: Outbox,
        purger: Purger,
        residences: Residences,
        room: Room,
        limits: StoreLimits,
        schedule: Callable[[float, Callable[[], None]], object],
        shard_of_pair: ShardOfPair,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._memtable = memtable
        self._mover = mover
        self._outbox = outbox
        self._purger = purger
        self._residences = residences
        self._room = room
        self._limits = limits
        self._schedule = schedule
        self._shard_of_pair = shard_of_pair
        self._releasing: set[int] = set()
        self._landings: dict[int, _Landing] = {}
        self._changes: dict[int, deque[Callable[[], None]]] = {}

    def holdings(self) -> dict[int, int]:
        """Return the shards that are held, with their epochs."""
        away = self._residences.gone.keys() | self._residences.arrivals.keys()
        return {shard: epoch for shard, epoch in self._memtable.epochs.items() if shard not in away}

    def take(self, shards: Iterable[int], node: str, above: int) -> dict[int, int]:
        """Take shards that are held, that have arrived, or that nobody ever had here.

        Raises:
            ShardAwayError: One of them is none of these; none was taken.
        """
        shards = list(shards)
        for shard in shards:
            reason = self._why_away(shard)
            if reason:
                raise ShardAwayError(shard, reason)
        return {shard: self._own(shard, node, above) for shard in shards}

    def _why_away(self, shard: int) -> str:
        residences = self._residences
        if shard in self._releasing or shard in self._changes:
            return "a change of where it lives is on its way to the disk; wait for its end"
        if shard in residences.arrivals:
            return "" if residences.arrivals[shard].complete else "its copy is not complete"
        if shard in residences.gone:
            return f"it has gone to {residences.gone[shard].node}"
        return "what is left of a copy is being purged; ask again soon" if shard in residences.purging else ""

    def _own(self, shard: int, node: str, above: int) -> int:
        arrival = self._residences.arrivals.get(shard)
        if arrival is None:
            return self._journal.own(shard, node, above)
        self._journal.skip_to(self._residences.position_min)
        epoch = self._journal.own(shard, node, max(arrival.epoch | EPOCHS_A_STAY - 1, above))
        # In the group of the record, and behind it: neither is durable without the other.
        write = partial(meta.write_held, shard=shard, arrival=arrival)
        self._journal.submit(Change(write, partial(self._held, shard, arrival), droppable=False))
        return epoch

    def _held(self, shard: int, arrival: Arrival, error: Exception | None) -> None:
        if error is None and self._residences.arrivals.get(shard) is arrival:
            del self._residences.arrivals[shard]
            self._residences.gone.pop(shard, None)
            self._landings.pop(shard, None)
            self._memtable.cursors.update({(shard, source): at for source, at in arrival.cursors.items()})

    def read_export(
        self, export: Export, size_bytes_max: int, completed: Callable[[list[Row]], None], failed: Failed
    ) -> None:
        """Hand out the next rows of an export; none at its end."""

        def read() -> None:
            shard = export.shard
            if shard not in self.holdings():
                raise ShardAwayError(shard, "only a shard that is held can be exported")
            rows = export.take(size_bytes_max)
            if export.is_last and self._journal.owns(shard):
                raise ShardAwayError(shard, "its export was in the last round when somebody took it")
            if rows or export.ended:
                completed(rows)
            else:  # a read with nothing before it is evaluated at once: let others have their turn
                self._schedule(0.0, lambda: self._journal.submit(Read(read, failed)))

        self._journal.submit(Read(read, failed))

    def release(self, shard: int, node: str, transfer: bytes, completed: Done) -> None:
        """Say durably that a shard has gone to another node."""
        gone = self._residences.gone.get(shard)
        if gone is not None and (gone.node, gone.transfer) == (node, transfer):
            self._tell(completed, None)
        elif shard in self._releasing or shard not in self.holdings():
            self._tell(completed, ShardAwayError(shard, "only a shard that is held can be released, and once"))
        else:
            self._journal.fence(shard)
            self._releasing.add(shard)
            self._mover.hold()
            gone, left = Gone(node, transfer, self._journal.epoch_given(shard)), self._journal.next_position - 1

            def write(batch: Batch) -> None:
                sources = [source for target, source in self._memtable.cursors if target == shard]
                meta.write_gone(batch, shard, gone, left, sources)

            self._journal.submit(Change(write, partial(self._released, shard, gone, left, completed)))

    def _released(self, shard: int, gone: Gone, left: int, completed: Done, error: Exception | None) -> None:
        self._releasing.discard(shard)
        self._mover.let_go()
        if error is None:
            self._residences.gone[shard] = gone
            self._residences.left[shard] = left
            self._residences.purging.add(shard)
            self._memtable.forget_shard(shard)
            self._outbox.forget_shard(shard)
            self._mover.forget_shard(shard)
            self._journal.guard.shard_loaded(shard)
            self._purger.maintain()
        completed(error)

    def import_rows(self, shard: int, source: str, transfer: bytes, rows: list[Row], completed: Done) -> None:
        """Write rows of a transfer; its first ones begin it."""
        self._change(shard, completed, partial(self._import, shard, source, transfer, rows))

    def import_complete(self, shard: int, transfer: bytes, completed: Done) -> None:
        """Say durably that all of a transfer is here."""
        self._change(shard, completed, partial(self._complete, shard, transfer))

    def discard(self, shard: int, completed: Done) -> None:
        """Say durably that a copy is void, and purge it in the background."""
        self._change(shard, completed, partial(self._discard, shard))

    def _change(self, shard: int, completed: Done, change: Callable[[Done], None]) -> None:
        """Make a change to the copy of a shard when all before it have come to their end."""
        waiting = self._changes.setdefault(shard, deque())

        def ended(error: Exception | None) -> None:
            waiting.popleft()
            if not waiting:
                del self._changes[shard]
            try:
                completed(error)
            finally:
                if waiting:
                    waiting[0]()

        def begin() -> None:
            if self._journal.owns(shard) or shard in self.holdings():
                self._tell(ended, TransferError(shard, "this node holds it itself"))
                return
            try:
                change(ended)
            except StorageError as error:
                self._tell(ended, error)

        waiting.append(begin)
        if len(waiting) == 1:
            begin()

    def _import(self, shard: int, source: str, transfer: bytes, rows: list[Row], done: Done) -> None:
        self._room.check_guest()
        size_bytes = sum([len(key) + len(value) for _, key, value in rows])
        if size_bytes > self._limits.import_bytes_max:
            raise TransferError(shard, f"{size_bytes} bytes came at once, {self._limits.import_bytes_max} may")
        if begins(rows):
            self._begin(shard, source, transfer, partial(self._begun, shard, transfer, rows, done))
        else:
            self._write(shard, transfer, rows, done)

    def _begin(self, shard: int, source: str, transfer: bytes, done: Done) -> None:
        """Make room for a transfer, and say durably that it is coming; what came before it is purged first."""
        self._landings.pop(shard, None)
        arrival = Arrival(source, transfer)

        def said(error: Exception | None) -> None:
            if error is None:
                self._residences.arrivals[shard] = arrival
                self._landings[shard] = _Landing(transfer, self.check(shard, self._shard_of_pair, self._engine))
            done(error)

        def clean(error: Exception | None) -> None:
            if error is None:
                self._journal.submit(Change(partial(meta.write_arrival, shard=shard, arrival=arrival), said))
            else:
                done(error)

        def void(error: Exception | None) -> None:
            if error is None:
                self._purger.when_clean(shard, clean)
            else:
                done(error)

        self._discard(shard, void)

    def _begun(self, shard: int, transfer: bytes, rows: list[Row], done: Done, error: Exception | None) -> None:
        if error is not None:
            done(error)
            return
        try:
            self._write(shard, transfer, rows, done)
        except StorageError as bad:
            done(bad)

    def _write(self, shard: int, transfer: bytes, rows: list[Row], done: Done) -> None:
        landing = self._landing(shard, transfer)
        del self._landings[shard]  # until these rows are durable: what would come behind a failure has a hole

        def written(error: Exception | None) -> None:
            if error is None:
                self._landings[shard] = landing
            done(error)

        def check() -> None:
            checked = landing.check.rows(rows)
            self._residences.position = max(self._residences.position, landing.check.position)

            def write(batch: Batch) -> None:
                batch.add(checked)
                meta.write_position(batch, self._residences.position)

            self._journal.submit(Change(write, written))

        self._journal.submit(Read(check, done))

    def _landing(self, shard: int, transfer: bytes) -> _Landing:
        landing = self._landings.get(shard)
        if landing is None or landing.transfer != transfer:
            raise TransferError(shard, "rows came of a transfer whose beginning is not here")
        return landing

    def _complete(self, shard: int, transfer: bytes, done: Done) -> None:
        known = self._residences.arrivals.get(shard)
        if known is not None and known.complete and known.transfer == transfer:
            self._tell(done, None)
            return
        check = self._landing(shard, transfer).check
        check.end()
        source = self._residences.arrivals[shard].source
        arrival = Arrival(source, transfer, True, check.epoch, check.cursors)

        def said(error: Exception | None) -> None:
            if error is None:
                self._residences.arrivals[shard] = arrival
                del self._landings[shard]
            done(error)

        self._journal.submit(Change(partial(meta.write_arrival, shard=shard, arrival=arrival), said))

    def _discard(self, shard: int, done: Done) -> None:
        if shard not in self._residences.arrivals:
            self._tell(done, None)
            return

        def said(error: Exception | None) -> None:
            if error is None:
                del self._residences.arrivals[shard]
                self._landings.pop(shard, None)
                self._residences.purging.add(shard)
                self._purger.maintain()
            done(error)

        self._journal.submit(Change(partial(meta.write_void, shard=shard), said))

    def _tell(self, done: Done, error: Exception | None) -> None:
        """Complete what needs no disk at its place in the order."""

        def tell() -> None:
            done(error)

        self._journal.submit(Read(tell, _unheard))


def _unheard(error: StorageError) -> None:
    """A word to a caller reads nothing that could fail."""
    raise error
