"""A shard whose ownership the disk has not noted."""

from __future__ import annotations

from actors.placement.api import PLACEMENT, Unowned
from protocol import AccountId, shard_of
from runtime import KILLED
from tests.actors.office import Office, Visitor


def test_a_shard_that_starts_again_says_so_if_what_it_writes_would_be_refused() -> None:
    """Found by the simulator (seed 1037 of a cluster): it had crashed over the news, and ran on, fenced for ever."""
    office = Office()
    placement, shard = Visitor(), shard_of(AccountId("ann"))
    office.runtime.start(placement, name=PLACEMENT)
    for fenced in (False, True):
        if fenced:
            office.store.fence(shard)
        office.runtime.exit(office.router.shard(shard), KILLED)
        office.settle()
        assert placement.all(Unowned) == ([Unowned(shard, 1)] if fenced else [])
