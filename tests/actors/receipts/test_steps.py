"""Receipts of a group: what is told is never more than is true, and exact where there is room for it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.receipts.steps import RECENT_SEQS, Counts, Standing
from protocol.limits import RECEIPT_STEPS_MAX


def standings(last_seq: int, size: int) -> st.SearchStrategy[list[Standing]]:
    seqs = st.integers(0, last_seq + 2)
    return st.lists(st.builds(Standing, st.integers(1, last_seq + 2), seqs, seqs), max_size=size)


def truth(seq: int, members: list[Standing]) -> tuple[int, int, int]:
    there = [member for member in members if member.joined <= seq]
    return len(there), sum(it.delivered >= seq for it in there), sum(it.read >= seq for it in there)


@given(st.data(), st.one_of(st.integers(0, 12), st.integers(0, 3 * RECENT_SEQS)))
def test_what_is_told_of_every_recent_message_is_true(data: st.DataObject, last_seq: int) -> None:
    members = data.draw(standings(last_seq, 30))
    viewer = data.draw(st.sampled_from(members)) if members else None
    others = list(members)
    if viewer is not None:
        others.remove(viewer)
    counts = Counts(last_seq, members)
    steps = counts.steps(viewer, True)
    assert len(steps) <= RECEIPT_STEPS_MAX
    assert [step.up_to for step in steps] == sorted({step.up_to for step in steps})
    assert (steps[-1].up_to if steps else 0) == last_seq
    for seq in range(counts.behind + 1, last_seq + 1):
        step = next(step for step in steps if step.up_to >= seq)
        assert (step.members, step.delivered, step.read) == truth(seq, others)


def test_each_of_many_marks_is_told_apart() -> None:
    members = [Standing(1, mark, mark // 2) for mark in range(1_000, 2_024)]
    steps = Counts(2_024, members).steps(None, True)
    assert [step.delivered for step in steps] == list(range(255, -1, -1))


def test_read_by_all_is_as_many_readers_as_members() -> None:
    ann, bob, cat = Standing(1, 9, 9), Standing(2, 9, 9), Standing(3, 9, 5)
    (early, middle, read, late) = Counts(9, [ann, bob, cat]).steps(ann, True)
    assert (early.up_to, early.members) == (1, 0)
    assert (middle.up_to, middle.members, middle.read) == (2, 1, 1)
    assert (read.up_to, read.members, read.delivered, read.read) == (5, 2, 2, 2)
    assert (late.up_to, late.members, late.delivered, late.read) == (9, 2, 2, 1)


def test_who_came_later_is_not_counted_among_those_who_were_to_get_a_message() -> None:
    early, newcomer = Standing(1, 3, 0), Standing(4, 5, 5)
    steps = Counts(5, [early, newcomer]).steps(None, True)
    assert [(step.up_to, step.members, step.delivered, step.read) for step in steps] == [(3, 1, 1, 0), (5, 2, 1, 1)]


def test_who_hides_their_reads_is_told_of_none_nor_where_they_end() -> None:
    hiding = Standing(1, 3, 0)
    (step,) = Counts(3, [hiding, Standing(1, 3, 1), Standing(1, 3, 2)]).steps(hiding, False)
    assert (step.up_to, step.members, step.delivered, step.read) == (3, 2, 2, 0)


def test_an_empty_group_without_a_message_has_nothing_to_tell() -> None:
    assert Counts(0, []).steps(None, True) == []
