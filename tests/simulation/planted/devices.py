"""Bugs around devices that are linked while people write."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.accounts.actor import AccountActor
from actors.accounts.supplements import OwedFound, Supplements
from actors.conversation.actor import ConversationActor
from actors.shard.actor import ShardActor
from actors.shard.latecomers import Latecomers
from actors.tree import Parts
from protocol import shard_of
from protocol.messages import DevicePayload, Done, Send
from roost.changes import Received
from roost.content import decode_content
from roost.outboxes import Outboxes
from roost.own_state import Records, encode_own_state
from roost.session import Session
from roost.store import Store
from simulation import CHATTY, IDLE, Habit, Scenario, Sizes
from tests.simulation.planted.bug import LOST, OWN_STATE, PAYLOAD, Bug, rough

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.conversation.api import Sender
    from protocol import ConversationId
    from roost.changes import Change
    from roost.events import Event
    from roost.outbox import Entry
    from roost.sealing import Sealing
    from storage import ConversationView, ShardView
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
        return [target for target in record.targets if shard_of(target[0]) == self._shard]


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


class SplitInOrder(ConversationActor):
    """The payloads of a bundle go to its devices in the order in which these came, whoever each is for."""

    __slots__ = ()

    def _accept(self, view: ConversationView, sender: Sender, frame: Send) -> None:
        devices = sorted(own.device for own in frame.payloads)
        pairs = zip(devices, frame.payloads, strict=True)
        payloads = [DevicePayload(device, own.payload) for device, own in pairs]
        super()._accept(view, sender, msgspec.structs.replace(frame, payloads=payloads))


class OneForAll(Outboxes):
    """What is sent again, because devices have changed, has one payload for all."""

    __slots__ = ()

    def _sealed(self, sealing: Sealing, conversation: ConversationId, entry: Entry) -> Send:
        if entry.repairs > 1:
            lists = self.audiences.named(conversation)
            return Send(conversation, entry.number, entry.client_id, entry.payload, entry.ttl_s, entry.flags, lists)
        return super()._sealed(sealing, conversation, entry)


class SealsOnce(Session):
    """A session that seals a message only as long as its devices stay the same."""

    __slots__ = ()

    def __init__(self, *args: Any, **kinds: Any) -> None:
        super().__init__(*args, **kinds)
        self._outboxes.__class__ = OneForAll


class LastArrivalWins(Store):
    """What devices share is as whoever was heard last has it."""

    def apply(self, changes: Sequence[Change]) -> list[Event]:
        return super().apply([self._latest(change) for change in changes])

    def _latest(self, change: Change) -> Change:
        if not isinstance(change, Received):
            return change
        content = decode_content(change.payload)
        if not isinstance(content, Records):
            return change
        stamp = self.stamp_seen + 1
        records = tuple(replace(record, stamp=stamp) for record in content.records)
        return replace(change, payload=encode_own_state(Records(records)))


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
    "a bundle split in order": Bug(Scenario(seals=True, parts=Parts(conversation=SplitInOrder)), PAYLOAD),
    "a repaired message sealed no more": Bug(
        Scenario(people=(LINKING,) * 4, seals=True, session=SealsOnce, accepted_min=300), PAYLOAD
    ),
    "own state as it came last": Bug(
        Scenario(people=(CHATTY, IDLE), nodes=1, database=LastArrivalWins, accepted_min=60), OWN_STATE
    ),
}
