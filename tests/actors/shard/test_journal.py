"""The process that hands each commit to the shards."""

from __future__ import annotations

from actors.router.api import Router
from actors.shard.actor import Commits
from actors.shard.journal import JournalActor
from protocol import AccountId, ConversationId
from runtime import Runtime, SeededScheduler, VirtualClock
from storage import Acked, EngineError, Marked
from tests.actors.office import Visitor
from tests.storage.desk import PHONE, Desk

ACK = Acked(PHONE, 1, AccountId("bob1"))
MARK = Marked(ConversationId("talk1"), AccountId("bob1"), 1, 0, 0)


def test_a_shard_hears_of_an_acknowledgement_only_if_it_did_not_reach_the_disk() -> None:
    desk, scheduler, shard = Desk(), SeededScheduler(0), Visitor()
    runtime = Runtime(clock=VirtualClock(), scheduler=scheduler)
    runtime.start(shard, name=("shard", 1))
    runtime.start(JournalActor(desk.store, Router(runtime)))
    for record in (ACK, MARK, ACK):
        desk.append(1, record)
    desk.run()
    desk.append(1, ACK)
    desk.run()
    scheduler.run_until_idle()
    assert [[each.record for each in commits.committed] for commits in shard.all(Commits)] == [[MARK]]

    desk.append(1, ACK)
    desk.tick()
    error = EngineError("no room for it")
    assert desk.committer.fail(error)
    scheduler.run_until_idle()
    failed = shard.all(Commits)[1]
    assert [(each.record, each.error) for each in failed.committed] == [(ACK, error)]
