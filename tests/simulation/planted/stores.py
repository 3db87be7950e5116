"""Bugs of the store: positions, moves, trims, fences and the order of reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from simulation import Scenario, Sizes
from simulation.trap import TrappedStore
from storage.body_counts import BodyCounts
from storage.engine import Table
from storage.inbox_writer import InboxWriter
from storage.journal import Journal
from storage.memtable import Memtable
from storage.meta import read_meta
from storage.mover import Mover
from storage.records import Acked, decode_record, key_position, position_key
from tests.simulation.planted.bug import DELETED, EMPTY, FENCED, LOST, NUMBERS, ONCE, ORDER, RESTART, RESTS, Bug, rough

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.group import Step
    from storage.memtable import DeviceQueue
    from storage.mover import Effect
    from storage.records import Record

__all__ = ["BUGS"]

REPLAY_RECORDS_MAX: Final = 1_000_000


class PositionsCountedAnew(TrappedStore):
    """Counts the records of a replay instead of reading their positions, which have gaps where commits failed."""

    __slots__ = ()

    def _replay(self) -> None:
        memtable = self._memtable
        read_meta(self._engine, memtable)
        position = last = memtable.head
        for key, value in self._engine.scan(Table.JOURNAL, position_key(position + 1), b"\xff" * 9, REPLAY_RECORDS_MAX):
            position, last = position + 1, key_position(key)
            memtable.apply(position, *decode_record(value))
        memtable.settle_outbox()
        journal = self._journal
        journal.durable_position, journal.next_position = last, last + 1
        journal.appended_bytes = last - memtable.head
        journal.hot.append((last, journal.appended_bytes, self._now_ms()))


class NothingParked(Mover):
    """Trims what some target shard has yet to take."""

    __slots__ = ()

    def _park_work(self, cut: int) -> Iterator[Effect]:
        return iter(())


class TrimBeforeTaken(TrappedStore):
    """The store with that mover."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._mover.__class__ = NothingParked


class TrimsFirst(Mover):
    """Writes the snapshots when the journal is trimmed already."""

    __slots__ = ()

    def _move_work(self, cut: int) -> Iterator[Effect]:
        yield from self._inbox_work(cut)
        yield from self._park_work(cut)
        yield from self._settle_work()
        if cut > self._memtable.head:
            yield self._end_slice()
            yield self._head(cut)
            yield self._end_slice()
            yield from self._trim_work(cut)
        yield from self._snapshot_work(cut)


class TrimBeforeSnapshot(TrappedStore):
    """The store with that mover."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._mover.__class__ = TrimsFirst


class FirstAckForAll(Memtable):
    """An entry is one object for all devices of an account, and so the first ack forgets it for all."""

    __slots__ = ()

    def apply(self, position: int, shard: int, record: Record) -> None:
        if isinstance(record, Acked):
            queue = self.device(shard, record.device)
            gone = {entry.position for entry in queue.entries if entry.position <= record.up_to}
            for other in self.devices.values():
                other.entries = [entry for entry in other.entries if entry.position not in gone]
        super().apply(position, shard, record)


class AckForgetsForAll(TrappedStore):
    """The store with that memtable."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._memtable.__class__ = FirstAckForAll


class LosesTheLatest(InboxWriter):
    """When entries were moved, forgets with them those that came while the commit was in flight."""

    __slots__ = ()

    def _entered(self, device: bytes, queue: DeviceQueue, position: int) -> None:
        queue.entries.clear()
        super()._entered(device, queue, position)


class EntryLostInMove(TrappedStore):
    """The store with that writer."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._mover._inbox_writer.__class__ = LosesTheLatest


class ForgetsOthers(BodyCounts):
    """Drops a body with the first device that lets go of it."""

    __slots__ = ()

    def _take_off(self, key: bytes, gone: int) -> None:
        self._write(key, 0)


class BodyDroppedEarly(TrappedStore):
    """The store with those counts."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._mover._inbox_writer.counts.__class__ = ForgetsOthers


class Unfenced(Journal):
    """Takes records under any epoch."""

    __slots__ = ()

    def append(self, shard: int, epoch: int, record: Record, token: object = None) -> None:
        super().append(shard, self._owned.get(shard, epoch), record, token)


class OldOwnerWrites(TrappedStore):
    """The store with that journal."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._journal.__class__ = Unfenced


class ReadsFirst(Journal):
    """Lets reads go before the appends that wait for the next commit."""

    __slots__ = ()

    def submit(self, step: Step) -> None:
        super().submit(step)
        if self._group.steps and self._group.steps[-1][1] is step and not step.writes:
            self._group.steps.insert(0, (0, self._group.steps.pop()[1]))


class ReadsBehindCommit(TrappedStore):
    """The store with that journal."""

    __slots__ = ()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._journal.__class__ = ReadsFirst


def _planted(store: type[TrappedStore]) -> Scenario:
    return Scenario(store=store)


MOVES_OFTEN: Final = Sizes(hot_window_bytes=4_096, hot_window_s=0.5, move_operations=8)

BUGS: Final = {
    "position renumbered after a crash": Bug(
        Scenario(store=PositionsCountedAnew, faults=rough(commit_fails=8.0)), RESTART, LOST, ONCE, ORDER, RESTS
    ),
    "trim before every target took it": Bug(
        Scenario(store=TrimBeforeTaken, sizes=MOVES_OFTEN, faults=rough(shard_is_taken_over=6.0)),
        LOST,
        ORDER,
        EMPTY,
        RESTS,
    ),
    "trim before the snapshot": Bug(
        Scenario(store=TrimBeforeSnapshot, sizes=MOVES_OFTEN, faults=rough(node_dies=8.0)), ORDER, ONCE, NUMBERS, RESTS
    ),
    "ack of the first device forgetting for all": Bug(_planted(AckForgetsForAll), LOST, ORDER, DELETED, RESTART, RESTS),
    "entry lost in the move to the inbox": Bug(_planted(EntryLostInMove), LOST, ORDER, DELETED, RESTART, EMPTY, RESTS),
    "body dropped with its first device": Bug(
        Scenario(store=BodyDroppedEarly, sizes=MOVES_OFTEN), RESTART, LOST, DELETED, EMPTY, RESTS
    ),
    "old owner still writing": Bug(Scenario(store=OldOwnerWrites, faults=rough(shard_is_taken_over=6.0)), FENCED),
    "restart reading behind an in-flight commit": Bug(_planted(ReadsBehindCommit), ORDER, ONCE, NUMBERS, LOST),
}
