"""A conversation whose members' shards are at nodes that are away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.accounts.api import Subscribe
from protocol import AccountId, shard_of
from protocol.messages import Sent
from runtime import KILLED
from tests.actors.office import Office

if TYPE_CHECKING:
    from runtime import Message, Pid
    from runtime.signals import Kind, Signal

WAIT_S = 30.0


class Line:
    """To node b, without room at first; a port of the runtime, see `runtime.Distribution`."""

    def __init__(self) -> None:
        self.incarnations = {"b": 1}
        self.has_room = False
        self.told: list[Message] = []

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        if self.has_room:
            self.told.append(message)
        return self.has_room

    def carry(self, node: str, signal: Signal) -> bool:
        return True


def test_a_member_whose_node_has_no_room_on_its_link_is_asked_again() -> None:
    """Otherwise the conversation would wait for its word as long as the link holds."""
    office, line = Office(), Line()  # the chat lives with ann
    office.employ("ann", "phone")
    phone = office.attach("ann", "phone")
    office.runtime.foreign.attach(line)
    office.router.leave(shard_of(AccountId("cyd")))
    office.router.places[shard_of(AccountId("cyd"))] = "b"
    office.submit(phone, "ann", "phone", "cyd", 1, "hello")
    office.wait(5.0)
    assert not line.told
    line.has_room = True
    office.wait(5.0)
    assert [type(message) for message in line.told].count(Subscribe) == 1


def test_a_conversation_waits_for_a_member_who_is_away_without_more_and_more_timers() -> None:
    office = Office()
    office.employ("ann", "phone")
    office.employ("cyd", "desk")
    phone = office.attach("ann", "phone")
    router, shard = office.router, shard_of(AccountId("cyd"))
    household = router._households[shard]
    office.runtime.exit(router.account(AccountId("cyd")), KILLED)
    router.leave(shard)
    office.settle()
    timers = office.runtime.statistics().timers
    office.submit(phone, "ann", "phone", "cyd", 1, "hello")
    office.wait(WAIT_S)
    assert office.runtime.statistics().timers <= timers + 3
    router.settle(shard, household)
    office.wait(2.0)
    assert [frame.seq for frame in phone.all(Sent)] == [1]
