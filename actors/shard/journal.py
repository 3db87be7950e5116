"""The process that drives the node's store: it hands every group commit, but for durable acks, to its shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.shard.actor import Commits
from runtime import Actor
from storage.records import Acked

if TYPE_CHECKING:
    from actors.router.api import Router
    from storage import Store
    from storage.group import Committed

__all__ = ["JournalActor"]

MAINTENANCE_INTERVAL_S: Final = 0.25


class Maintain:
    """The timer that lets the store move and trim."""


class JournalActor(Actor):
    """Owns the store's completions and its maintenance.

    Args:
        store: The node's store, open and replayed.
        router: Where the shards are found.
    """

    __slots__ = ("_router", "_store")

    def __init__(self, store: Store, router: Router) -> None:
        self._store = store
        self._router = router

    def init(self) -> None:
        """Become the one who hears of commits."""
        pid, cast = self.process.pid, self.process.runtime.cast

        def committed(batch: list[Committed]) -> None:
            cast(pid, batch)

        self._store.subscribe(committed)
        self.process.send_after(MAINTENANCE_INTERVAL_S, Maintain())

    def handle_cast(self, message: list[Committed]) -> None:
        """One group commit: each shard gets its part, in position order, but no acks that became durable."""
        parts: dict[int, list[Committed]] = {}
        for commit in message:
            if commit.error is None and type(commit.record) is Acked:
                continue
            part = parts.get(commit.shard)
            if part is None:
                parts[commit.shard] = [commit]
            else:
                part.append(commit)
        for shard, part in parts.items():
            pid = self._router.live_shard(shard)
            if pid is not None:  # one that restarts loads what was committed
                self.process.cast(pid, Commits(part))

    def handle_info(self, message: Any) -> None:
        """Let the store move what has grown old."""
        if type(message) is Maintain:
            self._store.maintain()
            self.process.send_after(MAINTENANCE_INTERVAL_S, message)
