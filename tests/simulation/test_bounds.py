"""Each bound can be overstepped and is then objected to by its name; what is left at night is told."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from protocol import encode_message
from roost.outboxes import PENDING_MAX
from roost.session import Session
from runtime import Actor
from simulation.checkers.bounds import (
    BACKLOG_MAX,
    CONNECTIONS_OF_DEVICE_MAX,
    DIRECTORY_VALUE_BYTES_MAX,
    HELPERS_MAX,
    HOT_SLACK_BYTES,
    KEYS_OF_NODE_MAX,
    MAILBOX_MAX,
    OWED,
    PENDING_BYTES_MAX,
    PRODUCER_BYTES_MAX,
    SHARDS_MOVING_MAX,
    TIMERS_OF_PROCESS_MAX,
    TIMERS_OF_SHARD,
    Bounds,
)
from simulation.checkers.emptiness import NothingIsLeft
from simulation.node import CONNECTION_LIMITS
from storage import MESSAGE, Table
from storage.records import Acked, Entries
from tests.simulation.stage import CHAT, HOME, Stage
from tests.simulation.test_checkers import ANN, BOB, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANY: Final = 1_000


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with closing(Stage(tmp_path)) as stage:
        stage.waits(0.5)
        stage.witness.sample()
        assert stage.broken == set()
        yield stage


class Backlogged(Session):
    """Never takes what came."""

    __slots__ = ()

    @property
    def backlog(self) -> int:
        return BACKLOG_MAX + 1


class Hoarding(Session):
    """Takes whatever is written, sent or not."""

    __slots__ = ()

    @property
    def pending(self) -> int:
        return PENDING_MAX + 1


class Stashing(Actor):
    """Never loads."""

    def __init__(self) -> None:
        self._stash = ["more"] * (MAILBOX_MAX + 1)


class Eager(Actor):
    """A connection that passes on whatever it is told, answered or not."""

    def __init__(self) -> None:
        self._session = self.writers = self
        self.in_flight = {CHAT: CONNECTION_LIMITS.window + 1}


class Winding(Actor):
    """Sets timers and never looks at them."""

    def init(self) -> None:
        for number in range(MANY * TIMERS_OF_PROCESS_MAX):
            self.process.send_after(1_000.0 + number, "ring")


def _entries(stage: Stage, size_bytes: int) -> Entries:
    body = encode_message(stage.message(1, b"x" * size_bytes))
    return Entries(HOME, 1, [(BOB, [stage.bob.id])], MESSAGE, CHAT, 1, ANN, 0, 0, body)


def _backlog(stage: Stage) -> None:
    stage.connects(stage.bob)
    stage.bob.session.__class__ = Backlogged


def _outbox(stage: Stage) -> None:
    stage.connects(stage.bob)
    stage.bob.session.__class__ = Hoarding


def _connections(stage: Stage) -> None:
    for _ in range(CONNECTIONS_OF_DEVICE_MAX * len(stage.world.devices) + 1):
        stage.node.connections.start_actor(Actor)


def _shards(stage: Stage) -> None:
    for shard in [shard for shard in range(MANY) if shard not in stage.node.shards][: SHARDS_MOVING_MAX + 1]:
        stage.node.runtime.start(Actor(), name=("shard", shard))


def _processes(stage: Stage) -> None:
    for _ in range(MANY):
        stage.node.runtime.start(Actor())


def _timers(stage: Stage) -> None:
    stage.node.runtime.start(Winding())


def _in_flight(stage: Stage) -> None:
    stage.node.runtime.start(Eager())


def _stash(stage: Stage) -> None:
    stage.node.runtime.start(Stashing())


def _pending(stage: Stage) -> None:
    shard = stage.node.shards[0]
    store = stage.node.store
    store.append(shard, store._journal._owned[shard], _entries(stage, PENDING_BYTES_MAX + 1))


def _hot(stage: Stage) -> None:
    put(stage, _entries(stage, 2 * stage.node.sizes.hot_window_bytes + HOT_SLACK_BYTES))


def _directory(stage: Stage, *rows: tuple[bytes, bytes]) -> None:
    stage.node.disk._tables[Table.DIRECTORY].values.update(rows)


def _owed(stage: Stage) -> None:
    _directory(stage, (OWED + b"bob", b"all"))


def _keys(stage: Stage) -> None:
    _directory(stage, *((b"key%d" % number, b"") for number in range(MANY + KEYS_OF_NODE_MAX)))


def _value(stage: Stage) -> None:
    _directory(stage, (b"key", b"x" * (DIRECTORY_VALUE_BYTES_MAX + 2 * PRODUCER_BYTES_MAX + 1)))


OVERSTEPPED: Final[dict[str, Callable[[Stage], None]]] = {
    "backlog of bob1": _backlog,
    "outbox of bob1": _outbox,
    "connections of node0": _connections,
    "shards that come to node0 or leave it": _shards,
    "processes of node0": _processes,
    "timers of node0": _timers,
    "sends in flight of": _in_flight,
    "what waits for": _stash,
    "bytes on their way to the disk of node0": _pending,
    "bytes in the hot journal of node0": _hot,
    "messages owed at node0": _owed,
    "keys in the directory of node0": _keys,
    "bytes of a value in the directory of node0": _value,
}


@pytest.mark.parametrize("what", OVERSTEPPED)
def test_what_grows_over_its_bound_is_objected_to_by_its_name(stage: Stage, what: str) -> None:
    OVERSTEPPED[what](stage)
    stage.witness.broken.clear()
    stage.witness.sample()
    stories = [error.story for error in stage.witness.broken if error.invariant == Bounds.name]
    assert any(story.startswith(what) for story in stories), stories


def remains(stage: Stage, kind: type[Bounds | NothingIsLeft]) -> list[str]:
    (checker,) = (checker for checker in stage.witness.checkers if isinstance(checker, kind))
    return checker.remains(stage.world)


def test_a_socket_that_is_open_at_night_is_told(stage: Stage) -> None:
    assert remains(stage, Bounds) == []
    stage.world.network.connect("ann1", stage.ann, lambda _: None)  # type: ignore[arg-type]  # it is never called
    assert remains(stage, Bounds) == ["a socket of ann1 is open"]


def test_a_process_and_timers_that_nobody_needs_at_night_are_told(stage: Stage) -> None:
    stage.node.runtime.start(Actor())
    assert remains(stage, Bounds) == ["node0 has 1 processes that nobody needs"]
    stage.node.runtime.start(Winding())
    most = TIMERS_OF_SHARD * len(stage.node.shards) + HELPERS_MAX
    told = remains(stage, Bounds)
    assert told[0] == "node0 has 2 processes that nobody needs"
    assert told[1].endswith(f"timers, more than {most}")


def test_what_the_hot_journal_keeps_at_night_is_told_until_it_is_acknowledged_and_trimmed(stage: Stage) -> None:
    stage.waits(60.0)
    assert remains(stage, NothingIsLeft) == []
    put(stage, _entries(stage, 10))
    told = " ".join(remains(stage, NothingIsLeft))
    assert "bytes in the hot journal" in told
    assert "1 devices in the hot journal" in told
    assert "keys in JOURNAL" in told
    stage.waits(60.0)
    assert remains(stage, NothingIsLeft) != []
    stage.writes()
    stage.accepts()
    stage.receives()
    (position,) = stage.witness.waiting[stage.bob.id]
    put(stage, Acked(stage.bob.id, position, BOB))
    stage.waits(60.0)
    assert remains(stage, NothingIsLeft) == []


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (Table.JOURNAL, b"1"),
        (Table.OUTBOX, b"1"),
        (Table.BODIES, b"1"),
        *((Table.INBOX, key) for key in (b"e1", b"n1")),
    ],
)
def test_each_table_that_keeps_something_at_night_is_told(stage: Stage, table: Table, key: bytes) -> None:
    stage.waits(60.0)
    stage.node.disk._tables[table].values[key] = b""
    assert remains(stage, NothingIsLeft) == [f"node0 keeps 1 keys in {table.name}"]
