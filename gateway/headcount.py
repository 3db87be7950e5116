"""How many connections the workers of a host have together, in memory that they share."""

from __future__ import annotations

import mmap
import struct
from typing import Final, NamedTuple

__all__ = ["Headcount", "Heads", "headcounts"]

_PAIR: Final = struct.Struct("=II")


class Heads(NamedTuple):
    """Connections in all, and those of them that have not logged in."""

    connections: int
    strangers: int


class Headcount:
    """One worker's view: it notes its own, and sees everybody's.

    Args:
        memory: A pair of numbers for each worker.
        worker: Which one this is, from 0 on.
    """

    __slots__ = ("_memory", "_place")

    def __init__(self, memory: mmap.mmap, worker: int) -> None:
        self._memory = memory
        self._place = worker * _PAIR.size

    def note(self, connections: int, strangers: int) -> None:
        """So many are with this worker now."""
        _PAIR.pack_into(self._memory, self._place, connections, strangers)

    def total(self) -> Heads:
        """So many are with all of them; of two that come in at once to different workers one may be one too many."""
        pairs = [*_PAIR.iter_unpack(self._memory[:])]
        return Heads(sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs))


def headcounts(workers: int) -> list[Headcount]:
    """One for each worker; to be made before the first fork. What a dead worker has noted stands until the next one.

    Args:
        workers: How many.
    """
    memory = mmap.mmap(-1, workers * _PAIR.size)
    return [Headcount(memory, worker) for worker in range(workers)]
