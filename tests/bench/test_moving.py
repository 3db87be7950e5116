from __future__ import annotations

from itertools import islice

import pytest

from bench.moving import Book, people_in, writers_through
from protocol import AccountId, direct_conversation, shard_of


@pytest.mark.parametrize(
    ("seqs", "faults"),
    [
        ([1, 2, 3], 0),
        ([1, 3], 1),  # one is lost
        ([1, 2, 2, 3], 1),  # one came twice
        ([1, 3, 2], 1),  # one came before an earlier one
        ([1, 2, 3, 4], 1),  # one that nobody wrote
        ([], 3),
    ],
)
def test_a_book_counts_what_is_lost_doubled_and_turned_round(seqs: list[int], faults: int) -> None:
    book = Book()
    book.expect("a:b", 2)
    book.expect("a:b")
    for seq in seqs:
        book.show("a:b", seq)
    assert book.broken() == faults


def test_readers_live_in_the_shard_and_writers_only_meet_them_there() -> None:
    (reader,) = islice(people_in(17), 1)
    assert shard_of(reader.account) == 17
    for writer in islice(writers_through(17, reader), 3):
        assert shard_of(writer) != 17
        assert shard_of(direct_conversation(reader.account, AccountId(writer))) == 17
