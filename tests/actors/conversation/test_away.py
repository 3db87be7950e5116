"""A conversation whose members' shards are at nodes that are away."""

from __future__ import annotations

from actors.router.api import shard_number
from protocol import AccountId
from protocol.messages import Sent
from runtime import KILLED
from tests.actors.office import Office

WAIT_S = 30.0


def test_a_conversation_waits_for_members_that_are_away_without_more_and_more_timers() -> None:
    office = Office()
    office.employ("ann", "phone")
    office.employ("bob", "desk")
    phone = office.attach("ann", "phone")
    router, shards = office.router, {shard_number(AccountId(name)) for name in ("ann", "bob")}
    households = {shard: router._households[shard] for shard in shards}
    for name in ("ann", "bob"):
        office.runtime.exit(router.account(AccountId(name)), KILLED)
    for shard in shards:
        router.leave(shard)
    office.settle()
    timers = office.runtime.statistics().timers
    office.submit(phone, "ann", "phone", "bob", 1, "hello")
    office.wait(WAIT_S)
    assert office.runtime.statistics().timers <= timers + 2 + len(shards)
    for shard, household in households.items():
        router.settle(shard, household)
    office.wait(2.0)
    assert [frame.seq for frame in phone.all(Sent)] == [1]
