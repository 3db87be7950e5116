"""Names for processes: any hashable value names at most one living process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import NameTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from .pid import Pid


class Registry:
    """Names to pids. A name goes with its process, in the same step in which the process ends.

    Attributes:
        whereis: The process of a name, if one lives; the dictionary's own method, for each message asks four times.
    """

    __slots__ = ("_pids", "whereis")

    def __init__(self) -> None:
        self._pids: dict[Hashable, Pid] = {}
        self.whereis: Callable[[Hashable], Pid | None] = self._pids.get

    def __len__(self) -> int:
        return len(self._pids)

    def register(self, name: Hashable, pid: Pid) -> None:
        """Give a living process a name.

        Args:
            name: Any hashable value.
            pid: The process.

        Raises:
            NameTakenError: Another process, or this one, holds the name.
        """
        holder = self._pids.get(name)
        if holder is not None:
            raise NameTakenError(name, holder)
        self._pids[name] = pid

    def unregister(self, name: Hashable) -> None:
        """Free a name; free names are no error."""
        self._pids.pop(name, None)

    def forget(self, names: Iterable[Hashable]) -> None:
        """Free the names of a process that ended."""
        for name in names:
            del self._pids[name]

    def names(self) -> tuple[Hashable, ...]:
        """All names, in order of registration."""
        return tuple(self._pids)
