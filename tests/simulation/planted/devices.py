"""Bugs around devices that are linked while people write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.accounts.actor import AccountActor
from actors.accounts.supplements import OwedFound, Supplements
from actors.conversation.actor import ConversationActor
from actors.router.api import shard_number
from actors.shard.actor import ShardActor
from actors.shard.latecomers import Latecomers
from actors.tree import Parts
from protocol.messages import Done
from simulation import Habit, Scenario, Sizes
from tests.simulation.planted.bug import LOST, Bug, rough

if TYPE_CHECKING:
    from actors.conversation.api import Sender
    from protocol.messages import Send
    from storage import ShardView
    from storage.records import Accepted, Removed, Target

__all__ = ["BUGS"]


class LooksAtNoList(ConversationActor):
    """A conversation goes by the lists that it was told, though others are being written on its own node."""

    __slots__ = ()

    def _consider(self, sender: Sender, frame: Send) -> None:
        self._members.lists_seen = self._router.lists_written
        super()._consider(sender, frame)


class Unconcerned(Latecomers):
    """Finds nobody who came late."""

    __slots__ = ()

    def plain(self, record: Accepted | Removed) -> list[Target] | None:
        return [target for target in record.targets if shard_number(target[0]) == self._shard]


class LatecomersForgotten(ShardActor):
    """A shard takes its part of a message without a look at newer lists."""

    __slots__ = ()

    def _restore(self, view: ShardView) -> None:
        super()._restore(view)
        self._spreading.latecomers = Unconcerned(self.process, self._disk, self._router)


class NamedAlone(Latecomers):
    """Takes an account of which the conversation knew no device for one that has none."""

    __slots__ = ()

    def targets(self, record: Accepted | Removed) -> list[Target]:
        named = {account for account, devices in record.targets if devices}
        return [target for target in super().targets(record) if target[0] in named]


class UnheardForgotten(ShardActor):
    """A shard passes by whoever a group knew by the account alone, for their host was away."""

    __slots__ = ()

    def _restore(self, view: ShardView) -> None:
        super()._restore(view)
        self._spreading.latecomers = NamedAlone(self.process, self._disk, self._router)


class Careless(Supplements):
    """Takes a supplement, says thank you, and loses it."""

    __slots__ = ()

    def found(self, found: OwedFound) -> None:
        for supply in self._waiting.pop(found.key):
            self._owner.process.cast(supply.connection, Done(supply.frame.request))


class SupplementLost(AccountActor):
    """An account forgets what is brought to its devices."""

    __slots__ = ()

    def init(self) -> None:
        super().init()
        self._supplements = Careless(self)


LINKING: Final = Habit(
    "linking devices", write_every_s=0.7, act_every_s=4.0, acts={"open": 2, "link a device": 1}, links_max=4
)
_APART: Final = rough(two_nodes_lose_sight_of_each_other=40, a_node_is_heard_no_more=10)


def _cluster(parts: Parts) -> Scenario:
    return Scenario(
        people=(LINKING,) * 4, nodes=3, cluster=True, faults=_APART, parts=parts, sizes=Sizes(), accepted_min=200
    )


BUGS: Final = {
    "lists being written not looked at": Bug(
        Scenario(people=(LINKING,) * 4, parts=Parts(conversation=LooksAtNoList), accepted_min=300), LOST
    ),
    "a device linked elsewhere passed by": Bug(_cluster(Parts(shard=LatecomersForgotten)), LOST),
    "a member who was away passed by": Bug(
        Scenario(
            cluster=True,
            sizes=Sizes(),
            faults=rough(node_dies=6, the_cluster_is_partitioned=20, actor_is_killed=60),
            parts=Parts(shard=UnheardForgotten),
        ),
        LOST,
    ),
    "a supplement lost": Bug(_cluster(Parts(account=SupplementLost)), LOST),
}
