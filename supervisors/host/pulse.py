"""The pulses of a host: memory that all its processes share, in which each counts its beats.

A beat is one write, so whoever watches needs no answer from the watched: a stopped process cannot fill a mailbox.
"""

from __future__ import annotations

import mmap
import struct
from typing import Final

__all__ = ["Pulses"]

_COUNT: Final = struct.Struct("=Q")
_CELL_BYTES: Final = 16


class Pulses:
    """A cell for each process that is watched; made before the first fork.

    Args:
        cells: How many.
    """

    __slots__ = ("_memory",)

    def __init__(self, cells: int) -> None:
        self._memory = mmap.mmap(-1, cells * _CELL_BYTES)

    def beat(self, cell: int) -> None:
        """One beat more; only the process that the cell belongs to calls this."""
        _COUNT.pack_into(self._memory, cell * _CELL_BYTES, self.count(cell) + 1)

    def count(self, cell: int) -> int:
        """How many beats there were since the process began; 0: it has not come so far yet."""
        beats: int = _COUNT.unpack_from(self._memory, cell * _CELL_BYTES)[0]
        return beats

    def clear(self, cell: int) -> None:
        """Begin anew, for a process that is about to be started; what was announced stays so."""
        _COUNT.pack_into(self._memory, cell * _CELL_BYTES, 0)

    def announce(self, cell: int) -> bool:
        """Note that the process has told the world that it is there; returns whether this was the first time."""
        place = cell * _CELL_BYTES + _COUNT.size
        first = self._memory[place] == 0
        self._memory[place] = 1
        return first
