"""The disk: what a flipped bit, a half-restored copy or another program can leave in the store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from actors.accounts.logic import decode_account, encode_account
from actors.directory_keys import holder_of
from actors.presence.api import decode_last_seen
from actors.queue.api import decode_notice
from protocol import shard_of
from storage import (
    Batch,
    ConversationView,
    Entry,
    MemoryEngine,
    StorageError,
    StoreCorruptError,
    StoreVersionError,
    Table,
)
from storage.bodies import body_key, count_key, decode_reference, encode_count, encode_reference
from storage.directory import snapshot_key
from storage.engine import commit_now
from storage.inbox import LONE_SIZE_BYTES, decode_summary, entries_prefix, entry_key, summary_key
from storage.meta import SCHEMA_KEY, STORE_VERSION
from storage.outbox import outbox_key
from storage.records import decode_entry, decode_record, encode_entry, encode_record, position_key
from tests.fuzz.target import Target, check_sentence
from tests.storage.desk import PHONE, Desk
from tests.storage.plain import SHARDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

UNREADABLE = (StoreCorruptError, StoreVersionError)
META_KEYS = (
    b"schema",
    b"head",
    b"parked",
    b"epoch\x00",
    b"cursor\x00\x01",
    b"epoch",
    b"cursor\x01",
    b"epoch\xff\xff",
    b"gone\x00",
    b"left\x00",
    b"arrival\x01",
)
ROUNDS_MAX = 200
KINDS = 12
"""Of segments; see `_planted`."""


def journal_record(data: bytes) -> None:
    """A value of the journal."""
    try:
        shard, record = decode_record(data)
    except UNREADABLE as error:
        check_sentence(str(error))
        return
    assert decode_record(encode_record(shard, record)) == (shard, record)


def inbox_entry(data: bytes) -> None:
    """An entry of the inbox."""
    try:
        entry = decode_entry(data)
    except UNREADABLE as error:
        check_sentence(str(error))
        return
    assert decode_entry(encode_entry(entry)) == entry


def inbox_reference(data: bytes) -> None:
    """What lies in the inbox for an entry whose body is stored once."""
    try:
        reference = decode_reference(1, data)
    except UNREADABLE as error:
        check_sentence(str(error))
        return
    assert (len(data), len(reference.body_key)) == (6, 9)


def inbox_summary(data: bytes) -> None:
    """The summary of what waits for a device."""
    try:
        summary = decode_summary(data)
    except UNREADABLE as error:
        check_sentence(str(error))
        return
    assert decode_summary(summary.encode()).encode() == summary.encode()


def conversation_snapshot(data: bytes) -> None:
    """The snapshot of a conversation."""
    try:
        view = ConversationView.decode(data)
    except UNREADABLE as error:
        check_sentence(str(error))
        return
    assert ConversationView.decode(view.encode()).encode() == view.encode()
    lazy = ConversationView.decode(data, lazily=True)
    assert ConversationView.decode(lazy.encode()).encode() == view.encode()
    for producer in view.producers.values():
        for sent in producer.ring:
            assert producer.find(sent.number) is sent


def account_record(data: bytes) -> None:
    """An account; and, of the same bytes, a notice, a time last seen, and whose device that is."""
    try:
        account = decode_account(data)
        account.view()
        assert decode_account(encode_account(account)) == account
    except UNREADABLE as error:
        check_sentence(str(error))
    for decode in (decode_notice, decode_last_seen, holder_of):
        try:
            decode(data)
        except UNREADABLE as error:
            check_sentence(str(error))


def whole_store(data: bytes) -> None:
    """A data folder with anything in any table: opened, asked everything, moved, closed.

    Input: segments, each a byte for what it is (see `_planted`), a byte for its length, and the value.
    """
    engine = MemoryEngine()
    batch = Batch(puts=[(Table.META, SCHEMA_KEY, position_key(STORE_VERSION))])
    batch.puts += _planted(data)
    commit_now(engine, batch)
    try:
        desk = Desk(engine, shard_of=_shard_of)
    except StorageError as error:
        check_sentence(str(error))
        return
    for ask in questions(desk):
        answered(desk, ask)
    desk.store.move()
    desk.now_ms += 60_000
    for _ in range(2):
        desk.store.maintain()
        come_to_rest(desk)
    closed: list[bool] = []
    desk.store.close(lambda: closed.append(True))
    come_to_rest(desk)
    assert closed


def _shard_of(name: str) -> int:
    return shard_of(name) % SHARDS


def questions(desk: Desk, shards: Iterable[int] = range(SHARDS)) -> Iterator[Callable[..., None]]:
    """All that the actors of some shards ask."""
    store = desk.store
    for shard in shards:
        yield partial(store.load_shard, shard)
        yield partial(store.read_outbox, shard, 0, 10)
        yield partial(store.expired, shard, 10**15, 10)
    yield partial(store.load_conversation, 0, "talk0")
    yield partial(store.load_queue, 1, PHONE)
    yield partial(store.read_queue, 1, PHONE, 0, 3, 1 << 20)


def answered(desk: Desk, ask: Callable[..., None]) -> None:
    """Whether asked with nothing under way or behind a commit, a question has exactly one answer or one error."""
    for behind in (False, True):
        answers: list[object] = []
        if behind:
            desk.store.directory.put(b"key", b"value", lambda _: None)
        ask(answers.append, answers.append)
        come_to_rest(desk)
        assert len(answers) == 1
        if isinstance(answers[0], Exception):
            assert isinstance(answers[0], StorageError)
            check_sentence(str(answers[0]))


def come_to_rest(desk: Desk) -> None:
    """As `Desk.run`, with an end; a move that meets damage may say so."""
    for _ in range(ROUNDS_MAX):
        if not (desk.timers or desk.committer.waiting):
            return
        for work in (desk.tick, desk.committer.step):
            try:
                work()
            except StoreCorruptError as error:
                check_sentence(str(error))
    raise AssertionError("the store never comes to rest")


def _planted(data: bytes) -> Iterator[tuple[Table, bytes, bytes]]:
    position = 0
    while len(data) >= 2:
        kind, value, data = data[0] % KINDS, data[2 : 2 + data[1]], data[2 + data[1] :]
        position += 1
        match kind:
            case 0:
                yield Table.JOURNAL, position_key(position), value
            case 1:
                yield Table.JOURNAL, value[:8] or b"\x00", value[8:]
            case 2:
                yield Table.INBOX, entry_key(entries_prefix(PHONE), position), value
            case 3:
                yield Table.INBOX, summary_key(PHONE), value
            case 4:
                yield Table.DIRECTORY, snapshot_key("talk0", _shard_of), value
            case 5:
                yield Table.OUTBOX, outbox_key(position % SHARDS, position), value
            case 6:
                yield Table.META, META_KEYS[value[0] % len(META_KEYS)] if value else b"head", value[1:]
            case 7:
                yield Table.INBOX, summary_key(PHONE), value[:LONE_SIZE_BYTES].ljust(LONE_SIZE_BYTES, b"\0")
            case 10:
                yield Table.BODIES, body_key(position % SHARDS, position), value
            case 11 if len(value) > 1:  # how many wait for a body, its size, and it; and the entry that refers to it
                key = body_key(1, position)
                reference = encode_reference(1, Entry(position, 0, "talk0", 1, "ann2", 0, 0, bytes(value[1])))
                yield Table.BODIES, key, value[2:]
                yield Table.INBOX, count_key(key), encode_count(value[0])
                yield Table.INBOX, entry_key(entries_prefix(PHONE), position), reference
            case 9:
                yield Table.INBOX, count_key(body_key(position % SHARDS, position)), value
            case _:
                if len(value) > 2:
                    yield Table(value[0] % len(Table)), value[2 : 3 + value[1]], value[3 + value[1] :]


STORE_TARGETS = (
    Target("journal_record", journal_record, "the record, or StoreCorruptError or StoreVersionError"),
    Target("inbox_entry", inbox_entry, "the entry, or StoreCorruptError"),
    Target("inbox_reference", inbox_reference, "the reference, or StoreCorruptError"),
    Target("inbox_summary", inbox_summary, "the summary, or StoreCorruptError"),
    Target("conversation_snapshot", conversation_snapshot, "a view whose retries are found, or an error as above"),
    Target("account_record", account_record, "the account, notice, time or holder, or an error as above"),
    Target("whole_store", whole_store, "every question has one answer, a value or a StorageError; nothing hangs"),
)
