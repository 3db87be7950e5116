"""Every bound of the store in one frozen slice; the node fills it from its settings."""

from __future__ import annotations

from dataclasses import dataclass

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """The bounds of one store.

    Attributes:
        commit_patience_s: How long a lone append waits for company before its commit; acknowledgements alone wait ten
            times as long, 0.1 s at most.
        commit_company: A group of this many records is a good one: its successor does not wait, unless it is
            acknowledgements alone.
        commit_records_max: Most records in one commit; the rest goes into the next.
        pending_bytes_max: Above this much waiting for a commit, new sends are refused as busy.
        hot_window_bytes_max: Largest journal kept hot; a move starts at three quarters of it.
        hot_window_s_max: Oldest record kept hot; a move starts at this age.
        move_operations_max: Most engine operations in one slice of a move.
        trim_records_max: Most journal records deleted by one commit.
        free_space_bytes_min: Below this much free on the file system, new sends are refused as full.
        outbox_records_max: Most outbox records handed out by one load of a shard.
        import_bytes_max: Most bytes of rows in one import.
        shared_bytes_min: A body is stored once for all devices of a shard if that spares at least so much.
    """

    commit_patience_s: float = 0.0015
    commit_company: int = 16
    commit_records_max: int = 2_048
    pending_bytes_max: int = 32 * MEBIBYTE
    hot_window_bytes_max: int = 64 * MEBIBYTE
    hot_window_s_max: float = 30.0
    move_operations_max: int = 512
    trim_records_max: int = 1_000
    free_space_bytes_min: int = 128 * MEBIBYTE
    outbox_records_max: int = 10_000
    import_bytes_max: int = 16 * MEBIBYTE
    shared_bytes_min: int = 1_024


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """Why the store takes no new messages just now; acks, marks and removals still pass, for they make room.

    Attributes:
        full: True when there is no room, False when the disk is merely behind.
        sentence: The reason in words for whoever is refused.
    """

    full: bool
    sentence: str
