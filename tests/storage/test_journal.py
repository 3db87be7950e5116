"""The journal: when it commits, what it tells, and what a failure takes with it."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from storage import (
    ABSENT,
    Acked,
    Batch,
    BehindFailureError,
    Committed,
    EngineError,
    EngineFullError,
    FencedError,
    Marked,
    MemoryEngine,
    RecordError,
    Removed,
    StoreClosedError,
    StoreLimits,
    Table,
    ThreadCommitter,
)
from tests.storage.desk import PHONE, TABLET, Desk, entry_for, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage import Prepared

ACK = Acked(PHONE, 1, "bob1")
MARK = Marked("talk1", "bob1", 1, 0, 0)


def test_a_lone_append_waits_its_patience_and_no_longer() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.002))
    desk.append(1, MARK)
    assert not desk.committer.waiting
    assert [delay for delay, _ in desk.timers] == [0.002]
    desk.tick()
    assert desk.committer.waiting
    assert not desk.told
    desk.committer.step()
    assert desk.groups == [1]


def test_appends_collect_while_a_commit_is_in_flight_and_go_together() -> None:
    desk = Desk()
    desk.append(1, MARK)
    desk.tick()
    for _ in range(20):
        desk.append(1, MARK)
    assert desk.groups == []
    desk.committer.step()
    assert desk.committer.waiting, "twenty are company enough: nobody waits"
    desk.run()
    assert desk.groups == [1, 20]


def test_behind_a_large_group_nobody_waits_for_company() -> None:
    desk = Desk()
    for _ in range(20):
        desk.append(1, MARK)
    desk.run()
    desk.append(1, MARK)
    assert [delay for delay, _ in desk.timers] == [0.0]


def test_the_patience_of_a_group_counts_from_its_first_append() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.01))
    desk.append(1, MARK)
    desk.tick()
    desk.append(1, MARK)
    desk.now_ms += 4
    desk.committer.step()
    assert [delay for delay, _ in desk.timers] == [pytest.approx(0.006)]
    desk.tick()
    desk.append(1, MARK)
    desk.now_ms += 50
    desk.committer.step()
    assert desk.committer.waiting, "its patience was over long ago"


def test_acknowledgements_alone_wait_ten_times_as_long_and_go_with_whatever_comes() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.002))
    desk.append(1, ACK)
    desk.append(1, ACK)
    assert [delay for delay, _ in desk.timers] == [0.02], "nobody waits for them"
    desk.append(1, MARK)
    desk.append(1, MARK)
    assert [delay for delay, _ in desk.timers] == [0.02, 0.002], "somebody waits for a mark"
    (_, acks_waited), (_, patience_over) = desk.timers
    desk.timers.clear()
    patience_over()
    desk.committer.step()
    assert desk.groups == [4]
    acks_waited()
    assert not desk.timers
    assert not desk.committer.waiting


def test_acknowledgements_behind_a_commit_wait_for_the_next_one() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.002))
    desk.append(1, MARK)
    desk.tick()
    for _ in range(20):
        desk.append(1, ACK)
    desk.committer.step()
    assert not desk.committer.waiting, "they are many, and yet nobody waits for them"
    assert [delay for delay, _ in desk.timers] == [0.02]
    desk.tick()
    desk.committer.step()
    assert desk.groups == [1, 20]


def test_acknowledgements_that_fill_a_commit_wait_for_nothing_more() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.002, commit_records_max=20))
    desk.append(1, MARK)
    desk.tick()
    for _ in range(20):
        desk.append(1, ACK)
    desk.committer.step()
    assert desk.committer.waiting
    desk.committer.step()
    assert desk.groups == [1, 20]


def test_a_timer_that_was_set_for_earlier_acknowledgements_begins_anew_for_later_ones() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.002))
    desk.append(1, ACK)
    desk.store.flush()
    desk.committer.step()
    desk.append(1, ACK)
    assert len(desk.timers) == 1
    desk.tick()
    assert not desk.committer.waiting
    assert [delay for delay, _ in desk.timers] == [0.02]
    desk.tick()
    desk.committer.step()
    assert desk.groups == [1, 1]


def test_a_read_behind_acknowledgements_alone_waits_for_no_company() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.002))
    desk.append(1, ACK)
    desk.timers.clear()
    desk.store.load_queue(1, PHONE, lambda view: desk.groups.append(-1))
    assert [delay for delay, _ in desk.timers] == [0.0]
    desk.tick()
    desk.committer.step()
    assert desk.groups == [1, -1]


def test_acknowledgements_wait_no_longer_than_their_limit_whatever_a_message_may_wait() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=1.0))
    desk.append(1, ACK)
    assert [delay for delay, _ in desk.timers] == [0.1]


def test_the_timer_of_acknowledgements_changes_nothing_while_a_commit_is_in_flight() -> None:
    desk = Desk(limits=StoreLimits(commit_patience_s=0.002))
    desk.append(1, ACK)
    (_, acks_waited) = desk.timers.popleft()
    desk.append(1, MARK)
    desk.tick()
    desk.append(1, ACK)
    acks_waited()
    assert not desk.timers
    desk.committer.step()
    assert desk.groups == [2]
    desk.run()
    assert desk.groups == [2, 1]


def test_closing_takes_along_the_acknowledgements_behind_a_commit() -> None:
    desk = Desk()
    closed: list[bool] = []
    desk.append(1, MARK)
    desk.tick()
    desk.append(1, ACK)
    desk.store.close(lambda: closed.append(True))
    assert not closed
    desk.committer.step()
    desk.committer.step()
    assert closed
    assert desk.groups == [1, 1]


def test_flush_ends_the_patience() -> None:
    desk = Desk()
    desk.append(1, ACK)
    desk.store.flush()
    assert desk.committer.waiting


def test_a_commit_carries_no_more_than_its_limit_and_the_order_stays() -> None:
    desk = Desk(limits=StoreLimits(commit_records_max=3))
    for number in range(8):
        desk.append(1, ACK, number)
        if number == 4:
            desk.store.load_queue(1, PHONE, lambda view: desk.groups.append(-1))
    desk.run()
    assert [committed.token for committed in desk.told] == list(range(8))
    assert desk.groups == [3, 2, -1, 1, 2]


def test_positions_rise_and_a_failed_one_is_never_used_again() -> None:
    desk = Desk()
    desk.append(1, ACK, "lost")
    desk.tick()
    desk.append(1, ACK, "behind")
    desk.committer.fail(EngineError("the disk broke"))
    desk.append(1, ACK, "stored")
    desk.run()
    lost, behind, stored = desk.told
    assert isinstance(lost.error, EngineError)
    assert isinstance(behind.error, EngineError)
    assert stored.error is None
    assert stored.position > behind.position > lost.position
    assert desk.store.durable_position == stored.position


def test_a_message_built_on_a_failed_one_is_refused_until_the_conversation_is_loaded() -> None:
    desk = Desk()
    desk.append(0, message(1))
    desk.tick()
    desk.committer.fail(EngineError("the disk broke"))
    desk.append(0, message(2))
    desk.append(0, message(1, conversation="other0"))
    desk.run()
    assert isinstance(desk.told[1].error, BehindFailureError)
    assert "talk0" in str(desk.told[1].error)
    assert desk.told[2].error is None
    assert desk.conversation().next_seq == 1
    desk.append(0, message(1))
    desk.append(0, message(2))
    desk.run()
    assert [committed.error for committed in desk.told[3:]] == [None, None]


def test_an_entry_behind_a_failed_one_is_refused_until_its_source_goes_back() -> None:
    desk = Desk()
    desk.append(1, entry_for(PHONE, 5))
    desk.tick()
    desk.committer.fail(EngineError("the disk broke"))
    desk.append(1, entry_for(PHONE, 6))
    desk.append(1, entry_for(PHONE, 5))
    desk.append(1, entry_for(PHONE, 6))
    desk.run()
    assert [committed.error is None for committed in desk.told] == [False, False, True, True]
    assert desk.shard(1).cursors == {0: 6}


def test_a_stale_epoch_is_fenced_and_so_is_one_whose_ownership_failed() -> None:
    desk = Desk()
    stale = desk.epochs[1]
    fresh = desk.store.take_ownership([1])[1]
    desk.store.append(1, stale, ACK, "stale")
    desk.tick()
    desk.committer.fail(EngineError("the disk broke"))
    desk.store.append(1, fresh, ACK, "never owned")
    desk.run()
    errors = {committed.token: committed.error for committed in desk.told}
    assert isinstance(errors["stale"], FencedError)
    assert isinstance(errors["never owned"], FencedError)
    assert desk.store.take_ownership([1])[1] > fresh


def test_a_store_that_closes_stores_what_waits_and_refuses_the_rest() -> None:
    desk = Desk()
    closed: list[bool] = []
    desk.append(1, ACK, "before")
    desk.store.close(lambda: closed.append(True))
    desk.append(1, ACK, "after")
    assert not closed
    desk.run()
    assert [type(committed.error) for committed in desk.told] == [type(None), StoreClosedError]
    assert closed == [True]


def test_a_subscriber_that_raises_costs_nobody_else_the_answer() -> None:
    desk = Desk()
    seen: list[object] = []

    def on_committed(committed: list[Committed]) -> None:
        seen.extend(it.token for it in committed)
        raise RuntimeError("a bug above")

    desk.store.subscribe(on_committed)
    desk.append(1, ACK, 1)
    desk.store.load_queue(1, PHONE, seen.append)
    desk.append(1, ACK, 2)
    with pytest.raises(RuntimeError, match="a bug above"):
        desk.run()
    assert (seen[0], seen[2]) == (1, 2)
    desk.store.subscribe(desk.on_committed)
    desk.append(1, ACK, 3)
    desk.run()
    assert desk.told[-1].token == 3


def test_a_slice_of_a_move_that_does_not_fit_costs_no_message() -> None:
    desk = Desk()
    desk.append(1, entry_for(PHONE, 1))
    desk.run()
    desk.store.move()
    desk.append(1, entry_for(PHONE, 2), "beside the slice")
    desk.tick()
    desk.committer.fail(EngineFullError("no room for the slice", 1))
    assert not desk.store.moving
    desk.run()
    assert [committed.error for committed in desk.told] == [None, None]
    assert desk.view().count == 2


def test_a_failed_write_to_the_directory_says_so_and_a_read_beside_it_reads_what_is_durable() -> None:
    desk = Desk()
    answers: list[object] = []
    desk.store.directory.put(b"k", b"v", answers.append, ABSENT)
    desk.store.directory.get(b"k", answers.append)
    desk.store.directory.take(b"k", answers.append)
    desk.tick()
    desk.committer.fail(EngineError("the disk broke"))
    assert answers == [False, None, None]


def test_a_record_that_cannot_be_stored_is_the_callers_fault_and_takes_no_place() -> None:
    desk = Desk()
    two = [("ann2", "talk0", 1), ("ann2", "talk0", 2)]
    with pytest.raises(RecordError, match="one record per notice"):
        desk.append(1, Removed(PHONE, "bob1", [1, 2], 1, two, [("ann2", [TABLET])], [b"x", b"y"]))
    with pytest.raises(RecordError):
        desk.store.directory.put(b"\x00mine", b"", lambda ok: None)
    desk.append(1, ACK)
    desk.run()
    assert len(desk.told) == 1


class HeldEngine(MemoryEngine):
    """A disk whose sync returns when the test lets it."""

    __slots__ = ("may_sync", "syncing")

    def __init__(self) -> None:
        super().__init__()
        self.syncing = threading.Event()
        self.may_sync = threading.Event()

    def prepare(self, batch: Batch) -> Prepared:  # type: ignore[override]
        prepared = super().prepare(batch)
        engine = self

        class Held:
            def commit(self) -> None:
                engine.syncing.set()
                engine.may_sync.wait(30)
                if not batch.puts:
                    raise ZeroDivisionError("a bug below")
                prepared.commit()

            def abandon(self) -> None:
                prepared.abandon()

        return Held()


def test_done_never_comes_before_the_sync_returned_and_only_through_post() -> None:
    posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
    engine = HeldEngine()
    committer = ThreadCommitter(engine, posted.put)
    done: list[Exception | None] = []

    committer.submit(Batch(puts=[(Table.META, b"k", b"v")]), done.append)
    assert engine.syncing.wait(30)
    assert posted.empty(), "the sync has not returned"
    engine.may_sync.set()
    notify = posted.get(timeout=30)
    assert not done, "only the loop thread tells"
    notify()
    assert done == [None]
    committer.submit(Batch(deletes=[(Table.META, b"k")]), done.append)
    posted.get(timeout=30)()
    assert isinstance(done[1], EngineError), "even a bug in the commit thread is told"
    committer.submit(Batch(deletes=[(Table.META, b"k")]), done.append)
    posted.get(timeout=30)()
    assert isinstance(done[2], EngineError)
    committer.close()
    committer.close()
