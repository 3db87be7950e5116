"""One number that stands for all members of a group and the versions of their device lists. Pure.

The number is the sum of a hash of each (account, version), as an incremental multiset hash is (Clarke and others,
ASIACRYPT 2003): a change costs one subtraction and one addition, whoever knows all pairs can compute it, and it is the
same after every restart although nothing of it is stored. It is there to find out who is behind, and not against
forgery: what a bundle names is compared device by device, and lists are signed.
"""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from protocol.limits import NUMBER_MAX

if TYPE_CHECKING:
    from protocol import AccountId

__all__ = ["Roll"]

CHANGES_REMEMBERED: Final = 64


class Roll:
    """Members and versions, as a number; and what the number was before the last changes."""

    __slots__ = ("_changes", "_versions", "number")

    def __init__(self) -> None:
        self.number = 0
        self._versions: dict[AccountId, int] = {}
        self._changes: deque[tuple[int, AccountId, int]] = deque(maxlen=CHANGES_REMEMBERED)

    def note(self, account: AccountId, version: int) -> None:
        """A member has this version now.

        Args:
            account: Who.
            version: Of its list; 0 for one that is no member, or not any more.
        """
        before = self._versions.get(account, 0)
        if before == version:
            return
        self._changes.append((self.number, account, before))
        if version:
            self._versions[account] = version
        else:
            del self._versions[account]
        self.number = (self.number - _share(account, before) + _share(account, version)) & NUMBER_MAX

    def since(self, number: int) -> dict[AccountId, int] | None:
        """Which versions of the lists that have changed belonged to an earlier number.

        Returns:
            Account -> version, 0 for one that was no member then; None if it is no number that is remembered.
        """
        found: dict[AccountId, int] = {}
        if number == self.number:
            return found
        for before, account, version in reversed(self._changes):
            found[account] = version
            if before == number:
                return found
        return None


def _share(account: AccountId, version: int) -> int:
    if not version:
        return 0
    return int.from_bytes(sha256(f"roost roll\0{account}\0{version}".encode()).digest()[:8], "big") & NUMBER_MAX
