"""What became of the messages since the node started: counts, for operators; no content and no names."""

from __future__ import annotations

from typing import Final

from protocol.messages import NOTICE_EXPIRED, NOTICE_OVER_QUOTA, NOTICE_POISON, NOTICE_REVOKED

__all__ = ["Tally"]

_REASONS: Final = {
    NOTICE_EXPIRED: "expired",
    NOTICE_OVER_QUOTA: "over_quota",
    NOTICE_REVOKED: "revoked",
    NOTICE_POISON: "poison",
}


class Tally:
    """The node's delivery statistics (F53).

    Attributes:
        accepted: Messages that were answered with a tick.
        delivered: Entries that a device has acknowledged: one a device, so more than messages.
        removed: Entries that went without an ack, by the reason that their senders were told.
    """

    __slots__ = ("accepted", "delivered", "removed")

    def __init__(self) -> None:
        self.accepted = 0
        self.delivered = 0
        self.removed = dict.fromkeys(_REASONS.values(), 0)

    def remove(self, reason: int) -> None:
        """Count an entry that goes for a reason of a notice."""
        self.removed[_REASONS[reason]] += 1

    def figures(self) -> dict[str, int]:
        """All counts by name, for a log line."""
        return {"accepted": self.accepted, "delivered": self.delivered, **self.removed}
