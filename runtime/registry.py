"""Names for processes: any hashable value names at most one living process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import NameTakenError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from .pid import Pid


class Registry:
    """Names to pids. A name goes with its process, in the same step in which the process ends."""

    __slots__ = ("_pids",)

    def __init__(self) -> None:
        self._pids: dict[Hashable, Pid] = {}

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

    def whereis(self, name: Hashable) -> Pid | None:
        """The process of that name, if one lives."""
        return self._pids.get(name)

    def names(self) -> tuple[Hashable, ...]:
        """All names, in order of registration."""
        return tuple(self._pids)
