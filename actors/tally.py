"""What happened since the node started: counts, and warnings, for operators; no content."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from protocol.messages import NOTICE_EXPIRED, NOTICE_OVER_QUOTA, NOTICE_POISON, NOTICE_REVOKED

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocol import AccountId

__all__ = ["Tally"]

_REASONS: Final = {
    NOTICE_EXPIRED: "expired",
    NOTICE_OVER_QUOTA: "over_quota",
    NOTICE_REVOKED: "revoked",
    NOTICE_POISON: "poison",
}


class Tally:
    """The node's delivery statistics (F53), and signs of abuse (F194).

    Args:
        warn: Writes a warning to the log: the name of the event, and its fields.

    Attributes:
        accepted: Messages that were answered with a tick.
        delivered: Entries that a device has acknowledged: one a device, so more than messages.
        removed: Entries that went without an ack, by the reason that their senders were told.
        mass_blocks: How often many accounts had blocked one.
    """

    __slots__ = ("_warn", "accepted", "delivered", "mass_blocks", "removed")

    def __init__(self, warn: Callable[..., Any] | None = None) -> None:
        self._warn = warn or _say_nothing
        self.accepted = 0
        self.delivered = 0
        self.removed = dict.fromkeys(_REASONS.values(), 0)
        self.mass_blocks = 0

    def remove(self, reason: int) -> None:
        """Count an entry that goes for a reason of a notice."""
        self.removed[_REASONS[reason]] += 1

    def mass_blocked(self, account: AccountId, accounts: int, window_s: int) -> None:
        """Many different accounts have blocked this one."""
        self.mass_blocks += 1
        fix = "ask what it sends; whoever runs this node decides whether it stays"
        self._warn("mass_blocked", account=account, by_accounts=accounts, within_s=window_s, fix=fix)

    def damaged(self, why: str) -> None:
        """A stored value cannot be read, and whoever looked for it goes on without."""
        self._warn("damaged", why=why)

    def figures(self) -> dict[str, int]:
        """All counts by name, for a log line."""
        counts = {"accepted": self.accepted, "delivered": self.delivered, **self.removed}
        return counts | {"mass_blocks": self.mass_blocks}


def _say_nothing(event: str, **fields: object) -> None:
    """Nobody listens: a test, or a measurement."""
