"""The supervision tree of the messenger: who lives in a shard, and which shards live on a node.

The one place, with `slices`, that knows the inside of every room: it makes the actors that the supervisors start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from actors.accounts.actor import AccountActor
from actors.accounts.api import AccountLimits
from actors.connection.actor import ConnectionActor
from actors.conversation.actor import ConversationActor
from actors.linking.actor import RendezvousActor
from actors.linking.api import LinkLimits
from actors.notices.actor import CollectorActor
from actors.notices.api import collecting_group
from actors.placement.actor import PlacementActor
from actors.placement.api import PLACEMENT, MoveLimits
from actors.placement.estate import Estate
from actors.placement.residents import SHARDS_SUPERVISOR
from actors.presence.actor import PresenceActor
from actors.presence.load import LoadActor
from actors.queue.actor import QueueActor
from actors.router.api import Household, Router
from actors.shard.absent import Absent
from actors.shard.actor import ShardActor
from actors.shard.api import Disk, PaceLimits
from actors.shard.journal import JournalActor
from actors.tally import Tally
from protocol import ServerWire
from protocol.ids import SHARDS
from supervisors import ChildSpec, KeyedSupervisor, Supervisor, SupervisorFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from actors.accounts.api import AccountLimits, CodeSender, RateLimiter
    from actors.connection.api import Admission, ConnectionLimits, Luggage, Origin, Siblings, Transport
    from actors.conversation.api import ConversationLimits
    from actors.presence.api import PresenceLimits
    from actors.queue.api import QueueLimits
    from protocol import AccountId, DeviceId, Ulid
    from runtime import Actor
    from storage import Store

__all__ = ["Cluster", "MessengerLimits", "Parts", "connection_maker", "messenger_children"]

CHILDREN_MAX = 1_000_000
MAILBOX_MAX = 4_096
RENDEZVOUS_MAX = 64
"""Of each shard: 4,096 new devices may wait at once in all, for a minute each."""


class MessengerLimits(NamedTuple):
    """Each room's slice of the settings."""

    conversation: ConversationLimits
    queue: QueueLimits
    account: AccountLimits
    presence: PresenceLimits
    sweep_interval_s: float
    link: LinkLimits = LinkLimits()
    pace: PaceLimits = PaceLimits()


class Parts(NamedTuple):
    """Who plays each part; the simulator's own tests give a part to one with a planted fault."""

    account: type[AccountActor] = AccountActor
    conversation: type[ConversationActor] = ConversationActor
    queue: type[QueueActor] = QueueActor
    collector: type[CollectorActor] = CollectorActor
    presence: type[PresenceActor] = PresenceActor
    shard: type[ShardActor] = ShardActor
    shard_supervisor: type[Supervisor] = Supervisor
    placement: type[PlacementActor] = PlacementActor


class Cluster(NamedTuple):
    """What a node that is not alone needs to know.

    Attributes:
        weights: The nodes, this one among them, and what share of the shards each should have.
        warn: Tells the operator: an event, and what belongs to it.
        move_limits: The bounds of each move of a shard.
    """

    weights: Mapping[str, float]
    warn: Callable[..., object]
    move_limits: MoveLimits = MoveLimits()


def messenger_children(
    store: Store,
    epochs: Mapping[int, int],
    router: Router,
    ulid: Ulid,
    code_sender: CodeSender,
    limits: MessengerLimits,
    parts: Parts = Parts(),  # noqa: B008  # immutable
    tally: Tally | None = None,
    cluster: Cluster | None = None,
) -> list[ChildSpec]:
    """The node's children that make the messenger, in the order in which they depend on each other.

    Args:
        store: The node's store, open and replayed.
        epochs: Shard -> ownership epoch, for each shard that this node has when it starts.
        router: Is told where everyone will live.
        ulid: The node's generator of message ids.
        code_sender: How verification codes travel.
        limits: Each room's slice of the settings.
        parts: The classes of the actors.
        tally: Where the node counts what becomes of messages.
        cluster: The others; None for a node that is alone, and has what it has.
    """
    counted = tally or Tally()

    def shard(number: int, epoch: int) -> ChildSpec:
        """One shard: its own process first, for all the others write through it."""
        disk = Disk(store, number, epoch, counted)
        absent = Absent(limits.queue)

        def queue(device: DeviceId, account: AccountId) -> Actor:
            absent.started(device)
            group = collecting_group(device)
            if group is not None:
                return parts.collector(group, disk, router)
            return parts.queue(device, account, disk, router, limits.queue)

        household = Household(
            accounts=_keyed(
                "account", lambda account: parts.account(account, disk, router, limits.account, code_sender)
            ),
            conversations=_keyed(
                "conversation", lambda id_: parts.conversation(id_, disk, router, ulid, limits.conversation)
            ),
            queues=KeyedSupervisor(
                lambda key: queue(*key),
                lambda key: ("queue", key[0]),
                CHILDREN_MAX,
                mailbox_limit=MAILBOX_MAX,
            ),
            presences=_keyed("presence", lambda account: parts.presence(account, disk, router, limits.presence)),
            rendezvous=KeyedSupervisor(
                lambda _: RendezvousActor(limits.link),
                lambda meeting: ("rendezvous", meeting),
                RENDEZVOUS_MAX,
                mailbox_limit=MAILBOX_MAX,
            ),
        )
        router.settle(number, household)
        own = ChildSpec(
            "shard",
            lambda: parts.shard(disk, router, range(SHARDS), limits.sweep_interval_s, limits.pace, absent),
            name=("shard", number),
            mailbox_limit=1_000_000,
        )
        tenants = [
            ChildSpec("accounts", lambda: household.accounts, kind="supervisor"),
            ChildSpec("conversations", lambda: household.conversations, kind="supervisor"),
            ChildSpec("queues", lambda: household.queues, kind="supervisor"),
            ChildSpec("presences", lambda: household.presences, kind="supervisor"),
            ChildSpec("rendezvous", lambda: household.rendezvous, kind="supervisor"),
        ]
        flags = SupervisorFlags("rest_for_one", intensity=5, period_s=10)
        return ChildSpec(("shard", number), lambda: parts.shard_supervisor(flags, [own, *tenants]), kind="supervisor")

    estate = Estate(epochs, shard)
    return [
        ChildSpec("journal", lambda: JournalActor(store, router), name="journal", mailbox_limit=1_000_000),
        ChildSpec(
            "shards",
            lambda: Supervisor(SupervisorFlags("one_for_one", intensity=10, period_s=10), estate.children()),
            name=SHARDS_SUPERVISOR,
            kind="supervisor",
        ),
        *([ChildSpec("load", lambda: LoadActor(limits.presence.load))] if limits.presence.load.shed_lag_s else []),
        *([_placement(parts.placement, cluster, store, router, estate)] if cluster is not None else []),
    ]


def _placement(kind: type[PlacementActor], cluster: Cluster, store: Store, router: Router, estate: Estate) -> ChildSpec:
    return ChildSpec(
        "placement",
        lambda: kind(cluster.weights, store, router, estate, cluster.warn, cluster.move_limits),
        name=PLACEMENT,
        mailbox_limit=1_000_000,
    )


class ConnectionMaker(Protocol):
    """Makes the actor of a connection for a door."""

    def __call__(
        self, transport: Transport, origin: Origin, admission: Admission, luggage: Luggage | None = None
    ) -> ConnectionActor:
        """The actor of a socket; `luggage` is what a sibling knows of it, which has accepted it."""
        ...


def connection_maker(
    make_wire: Callable[[], ServerWire],
    router: Router,
    limiter: RateLimiter,
    limits: ConnectionLimits,
    software: str,
    siblings: Siblings | None = None,
) -> ConnectionMaker:
    """What makes the actor of a connection for a door.

    Args:
        make_wire: Makes the server's end of a wire, with the server's identity.
        router: Where accounts, conversations and queues are found.
        limiter: Rate limits of the node.
        limits: What one connection may do.
        software: Name and version, told to clients.
        siblings: The other workers of this host; None where there are none.
    """

    def connect(
        transport: Transport, origin: Origin, admission: Admission, luggage: Luggage | None = None
    ) -> ConnectionActor:
        wire = make_wire() if luggage is None else ServerWire.imported(luggage.wire)
        return ConnectionActor(transport, wire, router, limiter, limits, software, origin, admission, siblings, luggage)

    return connect


def _keyed(kind: str, start: Any) -> KeyedSupervisor[Any]:
    return KeyedSupervisor(start, lambda key: (kind, key), CHILDREN_MAX, mailbox_limit=MAILBOX_MAX)
