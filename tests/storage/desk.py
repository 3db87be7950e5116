"""A store on a desk: timers, clock and commits move only when the test says so."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from storage import (
    Accepted,
    Committed,
    ConversationView,
    Engine,
    Entries,
    Entry,
    ManualCommitter,
    MemoryEngine,
    QueueView,
    Record,
    Row,
    ShardView,
    Store,
    StoreLimits,
)
from tests.storage.plain import SHARDS, directory_shard, shard_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Value = TypeVar("Value")
PHONE = b"phone".ljust(16)
TABLET = b"tablet".ljust(16)


class Desk:
    """One store, owned whole, with everything that completed."""

    def __init__(
        self,
        engine: Engine | None = None,
        limits: StoreLimits | None = None,
        shard_of: Callable[[str], int] = shard_of,
        owned: Iterable[int] = range(SHARDS),
    ) -> None:
        self.engine = engine if engine is not None else MemoryEngine()
        self.committer = ManualCommitter(self.engine)
        self.timers: deque[tuple[float, Callable[[], None]]] = deque()
        self.now_ms = 1_000_000
        self.told: list[Committed] = []
        self.groups: list[int] = []
        self.store = Store.open(
            self.engine,
            self.committer,
            self.schedule,
            lambda: self.now_ms,
            limits or StoreLimits(),
            "node",
            shard_of,
            directory_shard,
        )
        self.store.subscribe(self.on_committed)
        self.epochs = self.store.take_ownership(owned)
        self.run()
        self.told.clear()
        self.groups.clear()

    def schedule(self, delay_s: float, function: Callable[[], None]) -> None:
        self.timers.append((delay_s, function))

    def on_committed(self, committed: list[Committed]) -> None:
        self.told.extend(committed)
        self.groups.append(len(committed))

    def append(self, shard: int, record: Record, token: object = None) -> None:
        self.store.append(shard, self.epochs[shard], record, token)

    def tick(self) -> None:
        """Let every timer fire that is armed now."""
        for _ in range(len(self.timers)):
            self.timers.popleft()[1]()

    def run(self) -> None:
        """Fire timers and commit until nothing is left."""
        while self.timers or self.committer.waiting:
            self.tick()
            self.committer.step()

    def view(self, device: bytes = PHONE) -> QueueView:
        view: QueueView = self.ask(partial(self.store.load_queue, 1, device))
        return view

    def read(
        self, device: bytes = PHONE, after: int = 0, limit: int = 10_000, size_bytes_max: int = 1 << 30
    ) -> list[Entry]:
        return self.ask(partial(self.store.read_queue, 1, device, after, limit, size_bytes_max))

    def shard(self, shard: int) -> ShardView:
        view: ShardView = self.ask(partial(self.store.load_shard, shard))
        return view

    def conversation(self, name: str = "talk0") -> ConversationView:
        view: ConversationView = self.ask(partial(self.store.load_conversation, 0, name))
        return view

    def ask(self, request: Callable[[Callable[[Value], None]], None]) -> Value:
        """Run a request to its end and return what it handed out."""
        answers: list[Value] = []
        request(answers.append)
        self.run()
        (answer,) = answers
        return answer


class Move:
    """A shard on its way from one desk to another, a step at a time; at once the last round, or the first of many."""

    def __init__(
        self,
        source: Desk,
        target: Desk,
        shard: int,
        transfer: bytes = b"T1",
        size_bytes: int = 400,
        *,
        live: bool = False,
    ) -> None:
        self.source = source
        self.target = target
        self.shard = shard
        self.transfer = transfer
        self.size_bytes = size_bytes
        if not live:
            source.store.fence(shard)
        self.export = source.store.export_shard(shard)

    def go_on(self, *, stop: bool) -> None:
        """Begin another round, the last one if the shard is stopped for it."""
        if stop:
            self.source.store.fence(self.shard)
        self.export.go_on()

    def rows(self) -> list[Row]:
        """Read the next rows."""
        return self.source.ask(partial(self.source.store.read_export, self.export, self.size_bytes))

    def write(self, rows: list[Row]) -> Exception | None:
        error: Exception | None = self.target.ask(
            partial(self.target.store.import_rows, self.shard, "node", self.transfer, rows)
        )
        return error

    def copy(self) -> None:
        """Copy all rows."""
        while rows := self.rows():
            assert self.write(rows) is None

    def complete(self) -> Exception | None:
        error: Exception | None = self.target.ask(partial(self.target.store.import_complete, self.shard, self.transfer))
        return error

    def release(self) -> Exception | None:
        error: Exception | None = self.source.ask(
            partial(self.source.store.release, self.shard, "target", self.transfer)
        )
        return error

    def run(self, rounds: int = 0) -> None:
        """Go all the way: after so many rounds in which the shard works, the last one."""
        self.copy()
        for left in reversed(range(rounds)):
            self.go_on(stop=not left)
            self.copy()
        assert self.complete() is None
        assert self.release() is None
        self.target.epochs.update(self.target.store.take_ownership([self.shard]))
        self.target.run()


def entry_for(device: bytes, number: int, body: bytes = b"body", expires_ms: int = 0, account: str = "bob1") -> Entries:
    """An entry of shard 1 that came from shard 0."""
    return Entries(0, number, [(account, [device])], 0, "talk0", number, "ann2", expires_ms, 0, body)


def group_entry(number: int, *devices: bytes, body: bytes = bytes(1_200), expires_ms: int = 0) -> Entries:
    """An entry of shard 1 for several devices, large enough for its body to be stored once."""
    return Entries(0, number, [("bob1", list(devices))], 0, "#talk0", number, "ann2", expires_ms, 0, body)


def message(seq: int, *targets: tuple[str, bytes], conversation: str = "talk0", number: int | None = None) -> Accepted:
    """A message of shard 0."""
    ids = seq.to_bytes(16, "big")
    people = [(account, [device]) for account, device in targets]
    return Accepted(
        conversation, PHONE, b"epoch--1", number or seq, ids, seq, ids, "ann2", people, 0, 0, 1_000, b"hello"
    )
