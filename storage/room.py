"""The room that is left: whether a store takes new messages just now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.errors import EngineFullError
from storage.limits import RefusalReason

if TYPE_CHECKING:
    from storage.engine import Engine
    from storage.journal import Journal
    from storage.limits import StoreLimits
    from storage.mover import Mover

FULL_SHARE_DIVISOR: Final = 8
RESERVE_BYTES_MAX: Final = 256 << 20


class Room:
    """Looks at what is left, once per group.

    Args:
        engine: The disk.
        journal: What waits for it.
        mover: What is hot.
        limits: Every bound.

    Attributes:
        refusal: Why no new messages are taken, or None.
    """

    __slots__ = ("_engine", "_journal", "_limits", "_mover", "refusal")

    def __init__(self, engine: Engine, journal: Journal, mover: Mover, limits: StoreLimits) -> None:
        self._engine = engine
        self._journal = journal
        self._mover = mover
        self._limits = limits
        self.refusal: RefusalReason | None = None

    def measure(self) -> None:
        """Notice room that was made without any commit of ours, as by an operator."""
        self._engine.measure()
        self.look()

    def check_guest(self) -> None:
        """Check that there is room for a shard of another node.

        Raises:
            EngineFullError: What is left is kept for this node's own acks.
        """
        if self.refusal is not None and self.refusal.full:
            raise EngineFullError("what is left is for this node's own", self._engine.statistics().size_bytes_max)

    def look(self) -> None:
        """Decide whether new messages are taken: not when nearly full, for acks need room too."""
        engine, limits = self._engine.statistics(), self._limits
        share_bytes = min(engine.size_bytes_max // FULL_SHARE_DIVISOR, RESERVE_BYTES_MAX)
        # A move writes the hot window a second time before it trims; without room for that nothing would ever move.
        reserve_bytes = min(max(share_bytes, 3 * limits.hot_window_bytes_max), engine.size_bytes_max // 2)
        if engine.used_bytes > engine.size_bytes_max - reserve_bytes:
            self.refusal = RefusalReason(True, "The server's store is full; its operator has to give it more room.")
        elif engine.free_space_bytes < limits.free_space_bytes_min:
            self.refusal = RefusalReason(True, "The server's disk is full; its operator has to free some space.")
        elif (
            self._journal.pending_bytes > limits.pending_bytes_max
            or self._mover.hot_bytes > 2 * limits.hot_window_bytes_max
        ):
            self.refusal = RefusalReason(False, "The server's disk is behind; try again in a moment.")
        else:
            self.refusal = None
