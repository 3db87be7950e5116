"""What a node refuses of the rows that another one sends it."""

from __future__ import annotations

from functools import partial

import pytest

from storage import MemoryEngine, Row, StoreLimits, Table, TransferError
from storage.bodies import body_key, encode_reference
from storage.directory import snapshot_key
from storage.inbox import Summary, entries_prefix, entry_key, summary_key
from storage.meta import POSITION_KEY, cursor_key, epoch_key
from storage.outbox import outbox_key
from storage.records import NUMBER_MAX, Entry, encode_entry, position_key
from tests.storage.desk import PHONE, TABLET, Desk
from tests.storage.plain import shard_of
from tests.storage.test_handover import empty, rows_of

WAITING = Entry(5, 0, "talk0", 1, "ann2", 0, 0, b"body")
ENTRY, REFERENCE = encode_entry(WAITING), encode_reference(1, WAITING)
REFERRING = Summary(1, 1, 68, 5, 5, refers=True).encode()
BODY = (Table.BODIES, body_key(1, 5), ENTRY)
SUMMARY = Summary(1, 1, 68, 5, 5).encode()
PREFIX = entries_prefix(PHONE)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ((9, b"key", b"value"), "table 9"),
        ((Table.JOURNAL, position_key(1), b"value"), "table 1"),
        ((Table.DIRECTORY, b"shard0/a", b"value"), "another shard"),
        ((Table.DIRECTORY, b"node", b"value"), "another shard"),
        ((Table.DIRECTORY, snapshot_key("talk0", shard_of), b"value"), "another shard"),
        ((Table.DIRECTORY, b"\x00odd", b"value"), "another shard"),
        ((Table.DIRECTORY, b"\x00c\xff", b"value"), "another shard"),
        ((Table.DIRECTORY, b"", b"value"), "0 bytes"),
        ((Table.DIRECTORY, b"shard1" + bytes(500), b"value"), "506 bytes"),
        ((Table.DIRECTORY, b"shard1/a", bytes(2_000)), "bytes came at once"),
        ((Table.META, b"head", position_key(1)), "none that a shard has"),
        ((Table.META, epoch_key(0), position_key(1)), "none that a shard has"),
        ((Table.META, cursor_key(0, 1), position_key(1)), "none that a shard has"),
        ((Table.META, epoch_key(1), b"junk"), "cannot be read"),
        ((Table.META, POSITION_KEY, position_key(NUMBER_MAX)), "above every position"),
        ((Table.META, b"rows", position_key(7)), "1 rows came of 7"),
        ((Table.INBOX, entry_key(PREFIX, 5), ENTRY), "does not announce"),
        ((Table.INBOX, summary_key(PHONE), b"junk"), "cannot be read"),
        ((Table.INBOX, summary_key(PHONE), Summary(1, 1, 68, 5, 5, is_lone=True).encode()), "in place of an entry"),
        ((Table.INBOX, summary_key(PHONE), Summary(0, 1, 68, 5, 5).encode()), "no queue of this shard"),
        ((Table.INBOX, summary_key(PHONE) + b"?", SUMMARY), "no queue of this shard"),
        ((Table.INBOX, b"x" + bytes(20), SUMMARY), "no queue of this shard"),
        ((Table.INBOX, b"s", SUMMARY), "no queue of this shard"),
        ((Table.INBOX, summary_key(PHONE), Summary(1, 0, 0, 0, 0).encode()), "lacks"),
        ((Table.INBOX, summary_key(PHONE), Summary(1, 1, 68, 5, 11).encode()), "above 10"),
        ((Table.BODIES, body_key(0, 5), ENTRY), "another key than its own"),
        ((Table.BODIES, body_key(1, 6), ENTRY), "another key than its own"),
        ((Table.BODIES, b"\x01", ENTRY), "cannot be read"),
        ((Table.BODIES, body_key(1, 5), b"junk"), "cannot be read"),
        ((Table.OUTBOX, outbox_key(0, 5), b"value"), "cannot be read"),
        ((Table.OUTBOX, b"\x01", b"value"), "cannot be read"),
    ],
)
def test_a_row_that_is_none_of_the_shard_ends_the_transfer_with_a_sentence(row: Row, sentence: str) -> None:
    target = Desk(MemoryEngine(), StoreLimits(import_bytes_max=1_000), owned=())
    tell = partial(target.store.import_rows, 1, "node", b"T")
    assert target.ask(partial(tell, [(Table.META, POSITION_KEY, position_key(10))])) is None
    error = target.ask(partial(tell, [row]))
    assert isinstance(error, TransferError)
    assert sentence in str(error)
    assert rows_of(target, 1) == {}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([(Table.INBOX, summary_key(PHONE), SUMMARY), (Table.INBOX, summary_key(TABLET), SUMMARY)], "1 are announced"),
        (
            [(Table.INBOX, summary_key(PHONE), SUMMARY), (Table.INBOX, entry_key(entries_prefix(TABLET), 5), ENTRY)],
            "does not announce",
        ),
        ([(Table.INBOX, summary_key(PHONE), SUMMARY), (Table.INBOX, entry_key(PREFIX, 6), ENTRY)], "does not announce"),
        ([(Table.INBOX, summary_key(PHONE), SUMMARY), (Table.INBOX, entry_key(PREFIX, 5), b"junk")], "cannot be read"),
        ([(Table.META, b"rows", position_key(2)), (Table.DIRECTORY, b"shard1", b"")], "behind the last one"),
        ([BODY, BODY], "or twice"),
        ([(Table.INBOX, summary_key(PHONE), REFERRING), (Table.INBOX, entry_key(PREFIX, 5), REFERENCE)], "not come"),
        (
            [BODY, (Table.INBOX, summary_key(PHONE), REFERRING), (Table.INBOX, entry_key(PREFIX, 5), REFERENCE[:-1])],
            "not come",
        ),
        (
            [BODY, (Table.INBOX, summary_key(PHONE), SUMMARY), (Table.INBOX, entry_key(PREFIX, 5), REFERENCE)],
            "not come",
        ),
    ],
)
def test_rows_that_do_not_belong_together_end_the_transfer_with_a_sentence(rows: list[Row], sentence: str) -> None:
    target = empty()
    begin = [(Table.META, POSITION_KEY, position_key(10)), (Table.META, epoch_key(1), position_key(1))]
    tell = partial(target.store.import_rows, 1, "node", b"T")
    assert target.ask(partial(tell, begin)) is None
    error = target.ask(partial(tell, rows))
    assert isinstance(error, TransferError)
    assert sentence in str(error)
