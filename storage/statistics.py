"""Figures of a store, for operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.engine import EngineStatistics


@dataclass(frozen=True, slots=True)
class StoreStatistics:
    """Figures of a store, for operators.

    Attributes:
        durable_position: The highest durable position.
        pending_bytes: Records on their way to the disk.
        hot_bytes: Records in the hot journal.
        hot_devices: Devices that the hot journal says something of.
        hot_conversations: Conversations with records since their snapshot.
        hot_outbox: Hot records that some shard has yet to take.
        commits: Groups that became durable.
        failures: Groups that failed.
        moves: Moves that came to their end.
        moved_entries: Entries written to the inbox.
        engine: How full the engine is.
    """

    durable_position: int
    pending_bytes: int
    hot_bytes: int
    hot_devices: int
    hot_conversations: int
    hot_outbox: int
    commits: int
    failures: int
    moves: int
    moved_entries: int
    engine: EngineStatistics
