"""What nodes of the messenger say to each other: every message of its table, and the rows of a shard that moves."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import msgspec

from actors.messages import message_table
from actors.placement.moves import Rows
from cluster.table import MessageCodec, Passport
from runtime import Runtime, SeededRandomness, SeededScheduler, VirtualClock
from storage import StorageError, Table
from storage.memory_engine import MemoryEngine
from tests.fuzz.link_targets import heard_words
from tests.fuzz.store_targets import answered, come_to_rest, questions
from tests.fuzz.target import Target, check_sentence
from tests.storage.desk import Desk, Move
from tests.storage.test_handover import lived_in

if TYPE_CHECKING:
    from storage import Row

MOVING = 1
"""The shard whose rows come."""


def messenger_words(data: bytes) -> None:
    """The plaintext of a link that is up, between nodes of the messenger.

    Input: frames as they stand in the plaintext.
    """
    heard_words(data, message_table())


def messenger_message(data: bytes) -> None:
    """One message as its receiver decodes it; what a node has understood it can say again.

    Input: two bytes for the number of its type, then the message.
    """
    codec = message_codec()
    try:
        message = codec.decode(int.from_bytes(data[:2], "big"), msgspec.Raw(data[2:]))
    except (KeyError, ValueError, TypeError, RecursionError):
        return  # these a node counts as unreadable
    again = codec.decode(int.from_bytes(data[:2], "big"), msgspec.Raw(codec.encode(message)))
    assert again == message or _same(again, message)


def _same(one: Any, other: Any) -> bool:
    """Whether both say the same, where a value is not equal to itself, as a NaN is not."""
    return repr(one) == repr(other)


@cache
def message_codec() -> MessageCodec:
    """What decodes and encodes them on a node."""
    runtime = Runtime(
        clock=VirtualClock(), randomness=SeededRandomness(1), scheduler=SeededScheduler(1), node="a", incarnation=5
    )
    return MessageCodec(message_table(), Passport(runtime.foreign, runtime.node, runtime.incarnation))


def shard_rows(data: bytes) -> None:
    """All that a peer sends as a shard that moves here: taken, or refused as a whole; then asked everything.

    Input: `Rows` as they cross, MessagePack of [[table, key, value], ...].
    """
    try:
        rows: list[Row] = message_codec().decode(_ROWS, msgspec.Raw(data)).rows
    except (ValueError, RecursionError):
        return
    desk = Desk(MemoryEngine(), owned=())
    half = len(rows) // 2
    steps = [partial(desk.store.import_rows, MOVING, "peer", b"T", part) for part in (rows[:half], rows[half:])]
    for step in (*steps, partial(desk.store.import_complete, MOVING, b"T")):
        error = desk.ask(step)
        if error is not None:
            assert isinstance(error, StorageError)
            check_sentence(str(error))
            break
    else:
        desk.epochs |= desk.store.take_ownership([MOVING])
        come_to_rest(desk)
        for ask in questions(desk, [MOVING]):
            answered(desk, ask)
        desk.store.move()
        for _ in range(2):
            desk.store.maintain()
            come_to_rest(desk)
        return
    assert MOVING not in desk.store.holdings()
    assert desk.ask(partial(desk.store.discard_arrival, MOVING)) is None
    for _ in range(3):
        desk.store.maintain()
        come_to_rest(desk)
    left = [table.name for table in Table if table is not Table.META and desk.engine.scan(table, b"", b"\xff" * 500, 9)]
    assert not left, f"refused, and there are rows in {left}"


_ROWS = message_table().tag_of(Rows, 1)


@cache
def honest_rows() -> bytes:
    """The rows of a shard in which something of every kind waits."""
    move = Move(lived_in(), Desk(MemoryEngine(), owned=()), MOVING, size_bytes=1 << 20)
    rows: list[Row] = []
    while some := move.rows():
        rows += some
    return message_codec().encode(Rows(rows))


CLUSTER_TARGETS = (
    Target("messenger_words", messenger_words, "as node_words, with every message that the messenger sends"),
    Target("messenger_message", messenger_message, "a message that can be said again, or it counts as unreadable"),
    Target("shard_rows", shard_rows, "a shard that answers everything, or StorageError and nothing is left of it"),
)
