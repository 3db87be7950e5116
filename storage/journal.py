"""The journal: appends in position order, group commit, completions in the order of the calls.

While one commit is in flight the next group collects. With nothing in flight a lone append waits a moment for company,
except behind a group that was large already: then the load is such that company comes by itself. Nobody waits for an
acknowledgement: those alone wait ten times as long, 0.1 s at most, for a commit that is made anyway, and then get one.

Everything that is asked of the store is part of a group, so that a request completes behind every append made before
it. Reads are evaluated when no commit is in flight; see `storage.engine`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.engine import Batch
from storage.errors import FencedError, StorageError, StoreClosedError
from storage.group import Committed, Group
from storage.order_guard import OrderGuard
from storage.records import Acked, Owned, encode_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.committer import Committer
    from storage.group import Step
    from storage.limits import StoreLimits
    from storage.memtable import Memtable
    from storage.records import Record

ACK_PATIENCE_FACTOR: Final = 10
ACK_PATIENCE_S_MAX: Final = 0.1


class _Refused:
    """An append that was refused at once; it completes at its place in the order all the same."""

    __slots__ = ("_committed", "_journal")

    writes = False
    droppable = False

    def __init__(self, journal: Journal, committed: Committed) -> None:
        self._journal = journal
        self._committed = committed

    def prepare(self, batch: Batch) -> None:
        """Nothing to store."""

    def complete(self, error: Exception | None) -> None:
        """Tell the subscriber."""
        self._journal.on_committed([self._committed])


class Journal:
    """Group commit over a committer.

    Args:
        memtable: Takes the effect of every record that became durable.
        committer: Makes batches durable.
        schedule: Runs a function on the loop after a delay in seconds.
        now_ms: The wall clock.
        limits: Patience and sizes.
        next_position: The position of the first append.

    Attributes:
        durable_position: The highest position that is durable.
        next_position: The position of the next append; positions of failed appends are not used again.
        on_committed: The subscriber.
        on_settled: Called after each group, when all of it has completed.
        guard: What has to come first after a failed commit.
        hot: Position, total bytes so far and time of each commit in the hot journal, oldest first.
        appended_bytes: Total bytes of durable records since the store was opened, replayed ones included.
        commits: Groups that became durable.
        failures: Groups that failed.
        last_error: Why the last commit failed; None once one succeeds.
    """

    __slots__ = (
        "_ack_patience_s",
        "_ack_timer_for",
        "_callback_error",
        "_closed",
        "_committer",
        "_given",
        "_group",
        "_in_flight",
        "_last_company",
        "_limits",
        "_memtable",
        "_now_ms",
        "_on_closed",
        "_owned",
        "_schedule",
        "_timer_armed",
        "appended_bytes",
        "commits",
        "durable_position",
        "failures",
        "guard",
        "hot",
        "last_error",
        "next_position",
        "on_committed",
        "on_settled",
    )

    def __init__(
        self,
        memtable: Memtable,
        committer: Committer,
        schedule: Callable[[float, Callable[[], None]], object],
        now_ms: Callable[[], int],
        limits: StoreLimits,
        next_position: int = 1,
    ) -> None:
        self._memtable = memtable
        self._committer = committer
        self._schedule = schedule
        self._now_ms = now_ms
        self._limits = limits
        self._ack_patience_s = min(limits.commit_patience_s * ACK_PATIENCE_FACTOR, ACK_PATIENCE_S_MAX)
        self._owned: dict[int, int] = {}
        self._given: dict[int, int] = {}  # an epoch whose ownership failed is not given again
        self._group = Group()
        self._in_flight: Group | None = None
        self._timer_armed = False
        self._ack_timer_for: Group | None = None
        self._last_company = 0
        self._closed = False
        self._on_closed: Callable[[], None] | None = None
        self._callback_error: Exception | None = None
        self.next_position = next_position
        self.durable_position = next_position - 1
        self.guard = OrderGuard()
        self.hot: list[tuple[int, int, int]] = []
        self.appended_bytes = 0
        self.commits = 0
        self.failures = 0
        self.last_error: Exception | None = None
        self.on_committed: Callable[[list[Committed]], None] = _nobody
        self.on_settled: Callable[[], None] = _nothing

    @property
    def pending_bytes(self) -> int:
        """Bytes of records that are not durable yet."""
        return self._group.size_bytes + (self._in_flight.size_bytes if self._in_flight else 0)

    def own(self, shard: int, node: str, above: int = 0) -> int:
        """Append the ownership of a shard; return the epoch that its appends carry from now on: one above all known."""
        epoch = max(self.epoch_given(shard), above) + 1
        self._owned[shard] = self._given[shard] = epoch
        self._append(shard, Owned(node, epoch), None)
        return epoch

    def epoch_given(self, shard: int) -> int:
        """Return the highest epoch that any owner of a shard was given here."""
        return max(self._memtable.epochs.get(shard, 0), self._given.get(shard, 0))

    def owns(self, shard: int) -> bool:
        """Whether somebody may append to a shard."""
        return shard in self._owned

    def takes(self, shard: int, epoch: int) -> bool:
        """Whether what is appended to a shard under this epoch is not refused."""
        return self._owned.get(shard) == epoch

    def fence(self, shard: int) -> None:
        """Refuse every append of a shard until somebody owns it anew."""
        self._owned.pop(shard, None)

    def skip_to(self, position: int) -> None:
        """Give no position up to this one any more."""
        self.next_position = max(self.next_position, position + 1)

    def append(self, shard: int, epoch: int, record: Record, token: object = None) -> None:
        """Append a record; it completes through the subscriber.

        Raises:
            RecordError: The record cannot be stored; a fault of the caller.
        """
        if self._owned.get(shard) != epoch:
            self._refuse(shard, record, token, FencedError(shard, epoch, self._owned.get(shard, 0)))
        elif self._closed:
            self._refuse(shard, record, token, StoreClosedError())
        elif self.guard and (error := self.guard.check(shard, record)) is not None:
            self._refuse(shard, record, token, error)
        else:
            self._append(shard, record, token)

    def submit(self, step: Step) -> None:
        """Put a step at the end of the order; a read with nothing before it completes before this returns."""
        if self._in_flight is None and not self._group and not step.writes:
            step.complete(_evaluated(step))
            return
        self._hurry(at_once=bool(self._group))
        self._group.add_step(step)

    def flush(self) -> None:
        """Commit what waits, without further patience; nothing happens while a commit is in flight."""
        if self._in_flight is None and self._group:
            self._commit()

    def close(self, closed: Callable[[], None]) -> None:
        """Refuse appends from now on, commit what waits, and call back when nothing is in flight."""
        self._closed = True
        self._on_closed = closed
        self.flush()
        self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._on_closed is not None and self._in_flight is None and not self._group:
            closed, self._on_closed = self._on_closed, None
            closed()

    def _append(self, shard: int, record: Record, token: object) -> None:
        value = encode_record(shard, record)
        group = self._group
        if not group.is_urgent:
            if type(record) is not Acked:
                self._hurry()
            elif self._in_flight is None:
                self._arm_for_acks()
        group.records.append(Committed(shard, self.next_position, record, token))
        group.values.append(value)
        group.size_bytes += len(value)
        self.next_position += 1

    def _refuse(self, shard: int, record: Record, token: object, error: Exception) -> None:
        self._hurry()
        self._group.add_step(_Refused(self, Committed(shard, 0, record, token, error)))

    def _hurry(self, *, at_once: bool = False) -> None:
        """Start the patience of a group that gets the first member for which somebody waits.

        Args:
            at_once: Do not wait for company, which what is there already has waited for.
        """
        group = self._group
        if group.is_urgent:
            return
        group.is_urgent = True
        group.opened_ms = self._now_ms()
        if self._in_flight is None:
            large = self._last_company >= self._limits.commit_company
            self._arm(0.0 if large or at_once else self._limits.commit_patience_s)

    def _arm_for_acks(self) -> None:
        """Start the patience of acknowledgements alone; up to twice it, if the timer still runs for earlier ones."""
        if self._ack_timer_for is None:
            self._ack_timer_for = self._group
            self._schedule(self._ack_patience_s, self._acks_have_waited)

    def _acks_have_waited(self) -> None:
        waited, self._ack_timer_for = self._ack_timer_for, None
        if waited is self._group:
            self.flush()
        elif self._group and not self._group.is_urgent and self._in_flight is None:
            self._arm_for_acks()

    def _arm(self, delay_s: float) -> None:
        if not self._timer_armed:
            self._timer_armed = True
            self._schedule(delay_s, self._patience_over)

    def _patience_over(self) -> None:
        self._timer_armed = False
        self.flush()

    def _commit(self) -> None:
        group, limit = self._group, self._limits.commit_records_max
        self._group = group.split(limit) if len(group.records) > limit else Group()
        self._in_flight = group
        self._send(group)

    def _send(self, group: Group) -> None:
        """Build the batch of a group and submit it; a group of reads completes at once."""
        batch = Batch(appends=group.appends())
        try:
            for _, step in group.steps:
                step.prepare(batch)
        except StorageError as error:
            failure = error
            self._schedule(0.0, lambda: self._done(failure))
            return
        batch.seal()
        if batch:
            self._committer.submit(batch, self._done)
        else:
            self._done(None)

    def _done(self, error: Exception | None) -> None:
        """Complete the group in flight, which stays in flight until all of it was told: calls made meanwhile queue."""
        group = self._in_flight
        assert group is not None, "a commit completed that was never sent"
        if error is not None and (dropped := group.drop()):
            # A slice of a move may not cost a message: try again without it.
            for step in dropped:
                self._complete(step, error)
            self._send(group)
            return
        self.last_error = error
        if error is None:
            self._settle(group)
        else:
            self._fail(group, error)
        self._in_flight = None
        self.on_settled()
        self._go_on(len(group.records))
        self._close_if_idle()
        if self._callback_error is not None:
            raised, self._callback_error = self._callback_error, None
            raise raised

    def _go_on(self, company: int) -> None:
        """Commit the next group, now or when its patience is over."""
        self._last_company = company
        if self._in_flight is not None or not self._group:
            return
        group = self._group
        is_full = len(group.records) >= self._limits.commit_records_max
        if not group.is_urgent and not self._closed and not is_full:
            self._arm_for_acks()
            return
        waited_s = max(0, self._now_ms() - group.opened_ms) / 1000  # a calendar may be set back by an hour
        patience_s = self._limits.commit_patience_s
        if self._closed or waited_s >= patience_s or max(company, len(group.records)) >= self._limits.commit_company:
            self._commit()
        else:
            self._arm(patience_s - waited_s)

    def _settle(self, group: Group) -> None:
        """Let a durable group take effect, in order, and tell."""
        self.commits += 1
        if group.records:
            self.appended_bytes += group.size_bytes
            self.hot.append((group.records[-1].position, self.appended_bytes, self._now_ms()))
        apply = self._memtable.apply
        for records, step in group.runs():
            if records:
                for committed in records:
                    apply(committed.position, committed.shard, committed.record)
                self.durable_position = records[-1].position
                self._tell(records)
            if step is not None:
                self._complete(step, None)

    def _fail(self, group: Group, error: Exception) -> None:
        """Fail a group and all that was built on top of it; reads still read, behind the failures."""
        self.failures += 1
        behind, self._group = self._group, Group()
        self._refuse_followers([*group.records, *behind.records], error)
        for failed in (group, behind):
            for records, step in failed.runs():
                if records:
                    # Again, for a load that came before these must not let what comes after them pass.
                    self._refuse_followers(records, error)
                    self._tell(records)
                if step is None:
                    continue
                # A read reads anew: what it read with the group's writes laid over is not so.
                self._complete(step, error if step.writes else _evaluated(step))

    def _refuse_followers(self, records: list[Committed], error: Exception) -> None:
        """Mark records as failed, so that nothing built on them passes."""
        for committed in records:
            committed.error = error
            self.guard.failed(committed.shard, committed.record)
            if type(committed.record) is Owned and self._owned.get(committed.shard) == committed.record.epoch:
                del self._owned[committed.shard]

    def _tell(self, records: list[Committed]) -> None:
        try:
            self.on_committed(records)
        except Exception as error:  # the rest must be told all the same; raised when it was
            self._callback_error = self._callback_error or error

    def _complete(self, step: Step, error: Exception | None) -> None:
        try:
            step.complete(error)
        except Exception as raised:  # the rest must be told all the same; raised when it was
            self._callback_error = self._callback_error or raised


def _evaluated(step: Step) -> StorageError | None:
    """Evaluate a read on what is durable; return why it cannot be."""
    try:
        step.prepare(Batch())
    except StorageError as error:
        return error
    return None


def _nobody(committed: list[Committed]) -> None:
    """Before anyone subscribes, nobody is told."""


def _nothing() -> None:
    """Nothing to do after a commit."""
