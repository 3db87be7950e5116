"""The node's delivery statistics."""

from __future__ import annotations

from actors.tally import Tally
from protocol.messages import NOTICE_EXPIRED, NOTICE_OVER_QUOTA, NOTICE_POISON, NOTICE_REVOKED


def test_every_reason_of_a_notice_has_its_count() -> None:
    tally = Tally()
    tally.accepted, tally.delivered = 3, 2
    for reason in (NOTICE_EXPIRED, NOTICE_OVER_QUOTA, NOTICE_REVOKED, NOTICE_POISON, NOTICE_POISON):
        tally.remove(reason)
    assert tally.figures() == {
        "accepted": 3,
        "delivered": 2,
        "expired": 1,
        "over_quota": 1,
        "revoked": 1,
        "poison": 2,
        "mass_blocks": 0,
    }
