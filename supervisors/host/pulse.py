"""The pulses of a host: memory that all its processes share, in which each counts its beats.

A beat is one write, so whoever watches needs no answer from the watched: a stopped process cannot fill a mailbox.
"""

from __future__ import annotations

import mmap
import os
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

    __slots__ = ("_cells", "_memory", "_token")

    def __init__(self, cells: int) -> None:
        self._cells = cells
        self._memory = mmap.mmap(-1, cells * _CELL_BYTES)
        self._token, token = os.pipe()  # a byte that one process alone can read
        os.set_blocking(self._token, False)
        os.write(token, b"!")
        os.close(token)

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

    def announced(self, cell: int) -> bool:
        """Whether a process of this cell, or one before it, has been ready."""
        return self._memory[cell * _CELL_BYTES + _COUNT.size] != 0

    def announce(self, cell: int) -> bool:
        """Note that the process is ready; whether all but that of the first cell are, and nobody was told before."""
        self._memory[cell * _CELL_BYTES + _COUNT.size] = 1
        if not all(self.announced(other) for other in range(1, self._cells)):
            return False
        try:
            return os.read(self._token, 1) != b""  # two that are ready at the same moment may both come so far
        except BlockingIOError:
            return False
