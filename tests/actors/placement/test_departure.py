"""One end of a move: a shard's copy goes out in rounds while it runs, and is given up when it stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.placement.api import PLACEMENT, MoveCode, MoveLimits
from actors.placement.departure import CHANGES_FEW, ROUNDS_MAX, DepartureActor
from actors.placement.moves import (
    AllRows,
    Complete,
    Declined,
    Departed,
    NotMoved,
    Offer,
    Piece,
    Rows,
    RowsDurable,
    Vacate,
    Vacated,
    Welcome,
)
from runtime import KILLED, SHUTDOWN, Actor, InlineTasks, Runtime, SeededScheduler, VirtualClock
from storage import EngineError, Table
from storage.changes import CHANGES_MAX
from storage.export import AGAIN
from storage.meta import ROWS_KEY
from tests.storage.desk import PHONE, Desk, entry_for, message

if TYPE_CHECKING:
    from runtime import Message

SHARD, TRANSFER, TIMEOUT_S = 1, b"T1".ljust(16), 5.0
LIMITS = MoveLimits(TIMEOUT_S)


class Ear(Actor):
    """Stands for a placement or an arrival, and does nothing by itself."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def handle_cast(self, message: Message) -> None:
        self.heard.append(message)

    def of(self, kind: type) -> list[Any]:
        return [heard for heard in self.heard if isinstance(heard, kind)]


class Move:
    """A departure whose other side is played by the test; placement and arrival are on its own node."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.scheduler, self.clock = SeededScheduler(1), VirtualClock()
        self.runtime = Runtime(node="a", clock=self.clock, scheduler=self.scheduler, tasks=InlineTasks())
        self.placement, self.arrival = Ear(), Ear()
        placement = self.runtime.start(self.placement, name=PLACEMENT)
        self.arrival_pid = self.runtime.start(self.arrival)
        departure = DepartureActor(self.desk.store, SHARD, "a", TRANSFER, placement, LIMITS)
        self.departure = self.runtime.start(departure)
        self.scheduler.run_for(0.01)

    def settle(self) -> None:
        self.desk.run()
        self.scheduler.run_until_idle()
        self.desk.run()
        self.scheduler.run_until_idle()

    def says(self, message: Message) -> None:
        self.runtime.cast(self.departure, message)
        self.settle()

    def takes_rows(self) -> list[Any]:
        """The other side writes all that comes until nothing more does; the rows."""
        rows: list[Any] = []
        while messages := self.arrival.of(Rows) + self.arrival.of(Piece):
            self.arrival.heard.clear()
            for came in messages:
                rows += came.rows if isinstance(came, Rows) else [came]
                self.says(RowsDurable())
        return rows

    def takes_message(self) -> list[Any]:
        """The other side writes what came first; its rows."""
        first = self.arrival.heard.pop(0)
        self.says(RowsDurable())
        rows: list[Any] = first.rows
        return rows

    def fills(self, count: int, body: bytes = b"body") -> None:
        for number in range(1, count + 1):
            self.desk.append(1, entry_for(PHONE, number, body))
        self.desk.run()

    @property
    def is_over(self) -> bool:
        return not self.runtime.is_alive(self.departure)

    def refusal(self) -> NotMoved:
        (not_moved,) = self.placement.of(NotMoved)
        assert self.is_over
        assert isinstance(not_moved, NotMoved)
        return not_moved


def test_a_shard_is_stopped_when_all_is_copied_and_gone_when_the_rest_is() -> None:
    move = Move()
    move.fills(3)
    assert move.placement.of(Offer)
    move.says(Welcome(move.arrival_pid))
    assert not move.placement.of(Vacate), "it runs while it is copied"
    assert len(move.takes_rows()) == 6
    assert move.placement.of(Vacate) == [Vacate(SHARD, move.departure)]
    move.desk.append(1, entry_for(PHONE, 4))
    move.desk.run()
    move.says(Vacated())
    (entry,) = [row for row in move.takes_rows() if row[0] == Table.INBOX and row[1][:1] == b"e"]
    assert entry[2].endswith(b"body")
    assert move.arrival.of(AllRows) == [AllRows()]
    move.says(Complete())
    (departed,) = move.placement.of(Departed)
    assert departed.shard == SHARD
    assert move.is_over
    assert move.desk.store.gone()[SHARD].transfer == TRANSFER


def test_a_shard_in_which_much_happens_is_copied_in_more_rounds_but_not_in_endless_ones() -> None:
    move = Move()
    move.fills(3)
    move.says(Welcome(move.arrival_pid))
    rounds = 0
    while not move.placement.of(Vacate):
        changes = move.desk.store._memtable.watches[SHARD]
        for number in range(CHANGES_FEW + 1):
            changes.note_key(b"shard1/%d" % number)
        rounds += sum(row[:2] == (Table.META, ROWS_KEY) for row in move.takes_message())
    assert rounds == ROUNDS_MAX


def test_what_is_on_its_way_to_a_slow_disk_is_bounded_whatever_waits() -> None:
    move = Move()
    move.fills(50, bytes(LIMITS.page_size_bytes // 2))
    move.says(Welcome(move.arrival_pid))
    for _ in range(3):
        move.settle()
    sent = move.arrival.of(Rows)
    assert len(sent) == LIMITS.in_flight_max
    assert (
        sum(len(value) for rows in sent for _, _, value in rows.rows) <= LIMITS.in_flight_max * LIMITS.page_size_bytes
    )
    move.desk.append(1, entry_for(PHONE, 99))
    move.desk.run()
    assert move.desk.told[-1].error is None, "people go on meanwhile"


@pytest.mark.parametrize("steps", range(4))
def test_a_move_that_gets_no_further_is_given_up_wherever_it_stands(steps: int) -> None:
    move = Move()
    move.fills(3)
    if steps > 0:
        move.says(Welcome(move.arrival_pid))
    if steps > 1:
        move.takes_rows()
    if steps > 2:
        move.says(Vacated())
    move.scheduler.run_for(TIMEOUT_S - 0.1)
    assert not move.is_over
    move.scheduler.run_for(0.2)
    refusal = move.refusal()
    assert refusal.code == MoveCode.STALLED
    assert refusal.sentence == "Nothing has moved for 5 s; see the log and the disk of a; ask again."
    assert move.desk.store._memtable.watches == {}
    assert move.desk.store.holdings().keys() >= {SHARD}


def test_a_move_that_gets_on_slowly_is_not_given_up_and_neither_is_one_that_is_decided() -> None:
    move = Move()
    move.fills(20, bytes(LIMITS.page_size_bytes))
    move.says(Welcome(move.arrival_pid))
    for _ in range(3):
        move.scheduler.run_for(TIMEOUT_S - 0.1)
        move.says(RowsDurable())
    assert not move.is_over
    move.takes_rows()
    move.says(Vacated())
    move.takes_rows()
    move.runtime.cast(move.departure, Complete())
    move.scheduler.run_for(3 * TIMEOUT_S)
    assert not move.is_over, "its own disk has the word now"
    assert not move.placement.of(NotMoved)
    move.settle()
    assert move.placement.of(Departed)


def test_why_a_move_was_given_up_is_told_with_a_code_and_a_sentence() -> None:
    move = Move()
    move.says(Declined("a has no room."))
    assert move.refusal() == NotMoved(SHARD, MoveCode.DECLINED, "a has no room.")

    move = Move()
    move.says(Welcome(move.arrival_pid))
    move.runtime.exit(move.arrival_pid, SHUTDOWN)
    move.settle()
    assert move.refusal().code == MoveCode.LOST

    move = Move()
    move.says(Welcome(move.arrival_pid))
    for number in range(CHANGES_MAX + 1):
        move.desk.store._memtable.watches[SHARD].note_key(b"%d" % number)
    move.takes_rows()
    move.says(Vacated())
    refusal = move.refusal()
    assert refusal.code == MoveCode.OVERRUN
    assert "takes less than people write" in refusal.sentence

    move = Move()
    move.says(Welcome(move.arrival_pid))
    move.takes_rows()
    move.says(Vacated())
    move.takes_rows()
    move.runtime.cast(move.departure, Complete())
    move.scheduler.run_until_idle()
    move.desk.tick()
    assert move.desk.committer.fail(EngineError("no room for it"))
    move.settle()
    assert move.refusal().code == MoveCode.NOT_RELEASED

    move = Move()
    move.says(Welcome(move.arrival_pid))
    move.takes_rows()
    move.desk.append(0, message(1, ("ann2", PHONE)))  # the fence comes behind it
    move.runtime.cast(move.departure, Vacated())
    move.scheduler.run_until_idle()
    move.desk.run()
    move.desk.append(0, message(2, ("ann2", PHONE)))  # and what is read then behind this
    move.scheduler.run_until_idle()
    move.desk.store.take_ownership([SHARD])
    move.settle()
    move.takes_rows()
    assert move.refusal().code == MoveCode.UNREADABLE


def test_what_its_processes_wrote_last_is_not_refused() -> None:
    """Others go by a list of devices as soon as it is handed to the disk, and pass a device by that is not in it."""
    move = Move()
    move.says(Welcome(move.arrival_pid))
    move.takes_rows()
    written: list[bool] = []
    move.desk.store.directory.put(b"shard1/ann", b"without her laptop", written.append)
    move.runtime.cast(move.departure, Vacated())
    move.scheduler.run_until_idle()
    move.settle()
    assert written == [True]
    rows = [(row[0] & ~AGAIN, *row[1:]) for row in move.takes_rows()]
    assert (Table.DIRECTORY, b"shard1/ann", b"without her laptop") in rows
    late: list[bool] = []
    move.desk.store.directory.put(b"shard1/ann", b"as before", late.append)
    move.settle()
    assert late == [False]


def test_a_departure_that_is_killed_leaves_a_log_that_ends_with_the_next_one() -> None:
    move = Move()
    move.says(Welcome(move.arrival_pid))
    move.runtime.exit(move.departure, KILLED)
    move.settle()
    watched = move.desk.store._memtable.watches[SHARD]
    placement = move.runtime.whereis(PLACEMENT)
    assert placement is not None
    move.departure = move.runtime.start(DepartureActor(move.desk.store, SHARD, "a", b"T2".ljust(16), placement, LIMITS))
    move.says(Welcome(move.arrival_pid))
    assert move.desk.store._memtable.watches[SHARD] is not watched


def test_a_row_larger_than_a_message_goes_in_pieces_also_when_it_comes_again() -> None:
    move = Move()
    move.desk.store.directory.put(b"shard1/large", bytes(3 * LIMITS.page_size_bytes), lambda _: None)
    move.desk.run()
    move.says(Welcome(move.arrival_pid))
    pieces = [piece for piece in move.takes_rows() if isinstance(piece, Piece)]
    assert [piece.is_last for piece in pieces] == [False, False, True]
    move.desk.store.directory.put(b"shard1/large", bytes(2 * LIMITS.page_size_bytes), lambda _: None)
    move.desk.run()
    move.says(Vacated())
    rows = move.takes_rows()
    assert [piece.is_last for piece in rows if isinstance(piece, Piece)] == [False, True]
    assert all(row[0] & ~AGAIN == 0 for row in rows if not isinstance(row, Piece))
