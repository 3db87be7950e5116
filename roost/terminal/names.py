"""What people and groups are called on the screen."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roost.plain import one_line
from roost.terminal.palette import SPEAKERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roost.group import Group

__all__ = ["Names", "colour_of", "group_title"]


@dataclass(frozen=True, slots=True)
class Names:
    """The names that we gave to accounts; who has none is called by the address."""

    given: Mapping[str, str] = field(default_factory=dict)

    def of(self, account: str) -> str:
        """Return what to call an account, on one line."""
        return one_line(self.given.get(account, "")) or one_line(account)

    def full(self, account: str) -> str:
        """Return what to call an account where it matters which one it is."""
        name = self.of(account)
        return name if name == account else f"{name} ({one_line(account)})"


def colour_of(account: str) -> str:
    """Return the colour of what an account writes in a group: the same in every run."""
    return SPEAKERS[zlib.crc32(account.encode()) % len(SPEAKERS)]


def group_title(group: Group) -> str:
    """Return what to call a group. The sign keeps one that is called "bob" apart from bob."""
    name = one_line(group.name)
    return f"#{name}" if name else one_line(group.conversation)
