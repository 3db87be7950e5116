"""Records and views: what goes to the disk comes back, and what is not ours is said to be so."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Final, TypeAlias

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage import (
    MESSAGE,
    NOTICE,
    Accepted,
    Acked,
    ConversationView,
    Entries,
    Marked,
    Owned,
    Record,
    RecordError,
    Removed,
    StoreCorruptError,
    StoreVersionError,
)
from storage.conversation_view import EPOCHS_PER_DEVICE_MAX, PRODUCERS_MAX, RING_SIZE
from storage.records import SCHEMA_VERSION, decode_record, encode_record
from tests.storage.desk import message
from tests.storage.plain import contents

Folded: TypeAlias = Accepted | Marked

texts, blobs, numbers = st.text(max_size=20), st.binary(max_size=20), st.integers(0, 2**63 - 1)
shards, kinds = st.integers(0, 255), st.sampled_from((MESSAGE, NOTICE))
targets = st.lists(st.tuples(texts, st.lists(blobs, max_size=3)), max_size=3)
records = st.one_of(
    st.builds(
        Accepted, texts, blobs, blobs, numbers, blobs, numbers, blobs, texts, targets, numbers, numbers, numbers, blobs
    ),
    st.builds(Entries, shards, numbers, targets, kinds, texts, numbers, texts, numbers, numbers, blobs),
    st.builds(Acked, blobs, numbers, texts),
    st.builds(Marked, texts, texts, numbers, numbers, numbers),
    st.builds(Removed, blobs, texts, st.lists(numbers), numbers, st.just([]), targets, st.just([])),
    st.builds(Owned, texts, numbers),
)


@given(shard=st.integers(0, 255), record=records)
def test_a_record_comes_back_as_it_was(shard: int, record: Record) -> None:
    assert decode_record(encode_record(shard, record)) == (shard, record)


@given(junk=st.binary(max_size=40))
def test_junk_in_the_journal_is_never_taken_for_a_record(junk: bytes) -> None:
    with contextlib.suppress(StoreCorruptError):
        shard, record = decode_record(bytes((SCHEMA_VERSION, 3)) + junk)
        assert shard == 3
        assert isinstance(record, Accepted | Entries | Acked | Marked | Removed | Owned)


def test_a_record_of_a_newer_version_says_so() -> None:
    value = bytes((SCHEMA_VERSION + 1,)) + encode_record(0, Owned("node", 1))[1:]
    with pytest.raises(StoreVersionError, match=f"schema {SCHEMA_VERSION + 1}"):
        decode_record(value)


@pytest.mark.parametrize("shard", [-1, 256])
def test_a_shard_out_of_range_is_refused(shard: int) -> None:
    with pytest.raises(RecordError, match="shard"):
        encode_record(shard, Owned("node", 1))


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(RecordError):
        encode_record(0, Owned("\ud800", 1))


def test_a_producer_answers_its_last_32_sends_and_no_others() -> None:
    view = ConversationView()
    for seq in range(1, 41):
        view.apply(message(seq))
    (producer,) = view.producers.values()
    assert producer.last == 40
    assert len(producer.ring) == RING_SIZE
    found = producer.find(9)
    assert found is not None
    assert (found.number, found.seq) == (9, 9)
    assert producer.find(8) is None
    assert producer.find(41) is None


def test_applying_a_view_twice_changes_nothing() -> None:
    view = ConversationView()
    history: list[Accepted | Marked] = [message(1), message(2), Marked("talk0", "bob1", 2, 1, 0), message(3)]
    for record in history:
        view.apply(record)
    once = contents(view)
    for record in history:
        view.apply(record)
    assert contents(view) == once
    assert contents(ConversationView.decode(view.encode())) == once


members = st.sampled_from(("ann2", "bob1", "eve3"))
folded = st.lists(
    st.one_of(
        st.integers(1, 5).map(message),
        st.builds(Marked, st.just("talk0"), members, numbers, numbers, numbers),
        st.builds(partial(msgspec.structs.replace, message(6)), parted=st.lists(members, max_size=2)),
    ),
    max_size=5,
)


LEFT: Final = [Marked("talk0", "ann2", 3, 2, 1), msgspec.structs.replace(message(1), parted=["ann2"])]


@example(history=LEFT, start=0)
@given(history=folded, start=st.integers(0, 5))
def test_a_snapshot_over_which_the_last_records_are_folded_once_more_says_the_same(
    history: list[Folded], start: int
) -> None:
    """As after a crash between a snapshot and the trim; who has left stays without marks."""
    numbered = [
        msgspec.structs.replace(record, seq=index, number=index) if isinstance(record, Accepted) else record
        for index, record in enumerate(history, 1)
    ]
    view = ConversationView()
    for record in numbered:
        view.apply(record)
    once = contents(view)
    for record in numbered[start:]:
        view.apply(record)
    assert contents(view) == once


@given(before=folded, after=folded)
def test_a_snapshot_whose_marks_stay_closed_says_the_same(before: list[Folded], after: list[Folded]) -> None:
    view = ConversationView()
    for record in before:
        view.apply(record)
    eager, lazy = (ConversationView.decode(view.encode(), lazily=lazily) for lazily in (False, True))
    for record in after:
        eager.apply(record)
        lazy.apply(record)
    decoded = [ConversationView.decode(it.encode(), lazily=True) for it in (lazy, eager)]
    assert [contents(it) for it in decoded] == [contents(eager)] * 2


def test_watermarks_only_grow() -> None:
    view = ConversationView()
    for delivered, read in ((5, 1), (3, 2), (0, 0)):
        view.apply(Marked("talk0", "bob1", delivered, read, read))
    mark = view.marks["bob1"]
    assert (mark.delivered, mark.read, mark.read_shown) == (5, 2, 2)


def accepted(seq: int, device: bytes, epoch: int) -> Accepted:
    ids = seq.to_bytes(16, "big")
    return Accepted("talk0", device, epoch.to_bytes(8, "big"), 1, ids, seq, ids, "ann2", [], 0, 0, 0, b"")


def test_a_device_keeps_four_epochs_and_the_longest_silent_goes_first() -> None:
    view = ConversationView()
    order = [1, 2, 3, 4, 1, 5]
    for seq, epoch in enumerate(order, 1):
        view.apply(accepted(seq, b"phone", epoch))
    epochs = {int.from_bytes(epoch, "big") for _, epoch in view.producers}
    assert len(epochs) == EPOCHS_PER_DEVICE_MAX
    assert epochs == {1, 3, 4, 5}


def test_a_conversation_keeps_a_stated_number_of_producers() -> None:
    view = ConversationView()
    for seq in range(1, PRODUCERS_MAX + 3):
        view.apply(accepted(seq, seq.to_bytes(16, "big"), 1))
    assert len(view.producers) == PRODUCERS_MAX
    assert min(key[0] for key in view.producers) == (3).to_bytes(16, "big")


def test_a_snapshot_of_a_newer_version_and_a_broken_one_say_so() -> None:
    with pytest.raises(StoreVersionError):
        ConversationView.decode(b"\x02")
    with pytest.raises(StoreCorruptError, match="snapshot"):
        ConversationView.decode(b"\x01junk")
    assert ConversationView.decode(None).next_seq == 1
