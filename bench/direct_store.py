"""A store that the bench writes itself, before a node is started on it; and a look at one that a node has."""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import lmdb

from protocol import shard_of
from protocol.ids import SHARDS
from storage import LmdbEngine, ManualCommitter, Store, StoreLimits
from storage.engine import Table
from storage.inbox import ENTRY_PREFIX, LONE_SIZE_BYTES, SUMMARY_PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from lmdb import Transaction, _Database

    from storage import Committed

STORE_SIZE_BYTES_MAX = 1 << 34
GROUP = 1_000


class DirectStore:
    """A store without a node. Commits run on this very thread, when `run` is called.

    Args:
        folder: The data folder that the node will get.
        on_committed: Gets the completions of appends.
        owned: The shards that it takes.
    """

    def __init__(
        self,
        folder: Path,
        on_committed: Callable[[list[Committed]], None] | None = None,
        owned: Iterable[int] = range(SHARDS),
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._due: deque[Callable[[], None]] = deque()
        engine = LmdbEngine(folder, STORE_SIZE_BYTES_MAX)
        self._committer = ManualCommitter(engine)
        limits = StoreLimits(commit_records_max=GROUP * 10, move_operations_max=GROUP * 20, trim_records_max=1 << 20)
        self.store = Store.open(engine, self._committer, self._schedule, _now_ms, limits, "bench", shard_of)
        self.store.subscribe(on_committed or _ignore)
        self.epochs = self.store.take_ownership(owned)
        self.run()

    def _schedule(self, _: float, function: Callable[[], None]) -> None:
        self._due.append(function)

    def run(self) -> None:
        """Commit until nothing waits."""
        while self._due or self._committer.waiting:
            while self._due:
                self._due.popleft()()
            self._committer.step()

    def move(self) -> None:
        """Move what waits to the inbox."""
        self.run()
        self.store.move()
        self.run()

    def close(self) -> None:
        """Let go of the folder."""
        self.store.close(lambda: None)
        self.run()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ignore(_: object) -> None:
    """What cannot fail here needs no answer."""


@contextmanager
def _table(folder: Path, table: Table) -> Iterator[tuple[Transaction[bytes], _Database]]:
    """A table of a folder, read past a node that runs; only right while that is at rest."""
    environment = lmdb.open(str(folder), readonly=True, lock=False, max_dbs=len(Table))
    try:
        database = environment.open_db(table.name.lower().encode(), create=False)
        with environment.begin(db=database) as transaction:
            yield transaction, database
    finally:
        environment.close()


def inbox_entries(folder: Path) -> int:
    """How many entries the inbox of a folder holds.

    Args:
        folder: The data folder; the node on it, if any, is at rest.
    """
    with _table(folder, Table.INBOX) as (transaction, _):
        return sum(_holds_entry(key, value) for key, value in transaction.cursor())


def _holds_entry(key: bytes, value: bytes) -> bool:
    """Whether a row of the inbox is an entry, or a summary with one."""
    return key.startswith(ENTRY_PREFIX) or (key.startswith(SUMMARY_PREFIX) and len(value) == LONE_SIZE_BYTES)


def page_bytes(folder: Path, table: Table) -> int:
    """What the pages of a table take, branches and overflow included.

    Args:
        folder: The data folder; the node on it, if any, is at rest.
        table: Which.
    """
    with _table(folder, table) as (transaction, database):
        stat = transaction.stat(database)
        return stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])
