"""A node of a simulated cluster: what a lone one is, and its links to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.messages import message_table
from actors.placement.api import PLACEMENT, MoveLimits
from actors.tree import Cluster
from cluster import Identity, NodeDown, NodeRefused, NodeUp, Peer, cluster_supervisor
from protocol import shard_of
from simulation.agenda import chance_of
from simulation.couriers import COURIER, Courier, register_parcels
from simulation.lines import NodeNetwork
from simulation.node import SimulatedNode, Sizes
from supervisors import ChildSpec

if TYPE_CHECKING:
    from actors.tree import Parts
    from cluster import NodeChange
    from runtime import Actor, Pid, Reason
    from simulation.world import World

__all__ = ["ClusterNode"]

COURIER_REST_S: Final = (0.1, 5.0)


class ClusterNode(SimulatedNode):
    """A node, its links and its courier.

    Args:
        world: Where it stands.
        name: Its name, and its address in the cluster.
        sizes: Its limits.
        parts: The classes of its actors.

    Attributes:
        linked: The nodes to which it is linked, each with its life, as it was told.
    """

    def __init__(self, world: World, name: str, sizes: Sizes, parts: Parts) -> None:
        super().__init__(world, name, (), sizes, parts)
        self._lives = chance_of(world.seed, f"lives of {name}")
        self.node_network = NodeNetwork(world.exchange, name)
        self.linked: dict[str, int] = {}
        self._known: dict[str, int] = {}

    @property
    def shards(self) -> tuple[int, ...]:
        """The shards that its disk gives it, and has not given away."""
        return tuple(sorted(self.store.holdings())) if self.life else ()

    def cluster(self) -> Cluster:
        """The others, all alike."""
        sizes, weights = self.sizes, dict.fromkeys((node.name for node in self.world.nodes), 1.0)
        moves = MoveLimits(page_size_bytes=sizes.copy_page_bytes, in_flight_max=sizes.copy_pages_max)
        return Cluster(weights, self._warned, moves)

    def _warned(self, event: str, **about: object) -> None:
        """An operator is told of something; a shard that is on some disk was not lost, whatever its node believes."""
        shard = about.get("shard")
        on_disks = {held for node in self.world.nodes for held in (*node.shards, *node.store.arrivals())}
        self.world.log(f"{self.name} warns: {event} {about}")
        if event != "shard_lost" or shard not in on_disks:
            self.witness.breaks("no operator is warned", f"{self.name}: {event} {about}")

    def incarnation(self) -> int:
        """A life that it never had."""
        return self._lives.randrange(1, 1 << 53)

    def children(self) -> list[ChildSpec]:
        """The links first: without them the others are out of reach, but nobody else needs them to start."""
        world, runtime = self.world, self.runtime
        table = message_table()
        register_parcels(table)
        peers = {
            node.name: Peer(node.name, node.static_key.public, node.name) for node in world.nodes if node is not self
        }
        me = Identity(self.name, runtime.incarnation, self.static_key, peers)
        self.linked = {}
        self.node_network = NodeNetwork(world.exchange, self.name)
        links = ChildSpec(
            "cluster",
            lambda: cluster_supervisor(runtime, me, table, self.node_network, observer=self._changed),
            kind="supervisor",
        )
        runtime.start(Courier(self), name=COURIER)
        return [links, *super().children()]

    def die(self, fate: str, told: bool) -> None:
        """End as SIGKILL, or a power cut, ends a process."""
        if self.up:
            self._note_moves()
            self.node_network.vanish(told)
        super().die(fate, told)

    def freeze(self, duration_s: float) -> None:
        """Do nothing for a while; what other nodes say waits, too."""
        for end in self.world.exchange.ends_of(self.name):
            end.other.pipe.paused = True
        super().freeze(duration_s)

    def thaw(self) -> None:
        """Read on."""
        super().thaw()
        for end in self.world.exchange.ends_of(self.name):
            end.taken(0)

    def _changed(self, change: NodeChange) -> None:
        """A link has come up or gone down."""
        if not self.up:
            return
        world, name = self.world, change.node
        if isinstance(change, NodeUp):
            world.log(f"LIFE {self.name} is linked to {name}")
            before = self._known.get(name)
            if before is not None:
                same = before == change.incarnation
                world.coverage.reached("a link comes up again" if same else "a node is linked in another life")
            self.linked[name] = self._known[name] = change.incarnation
            self.linked_at_s[name] = world.agenda.now_s
        elif isinstance(change, NodeDown):
            world.log(f"LIFE {self.name} has lost {name}: {change.code.name}")
            world.coverage.reached(f"a link ends: {change.code.name}")
            del self.linked[name]
            self._note_what_is_under_way(name)
        elif isinstance(change, NodeRefused):
            world.witness.breaks("nodes of a cluster believe each other", f"{self.name}: {change.sentence}")

    def _placement(self) -> Any:
        """The actor that knows who has which shard; None if it does not live."""
        pid = self.runtime.whereis(PLACEMENT)
        return None if pid is None or pid._process is None else pid._process._actor

    def _note_moves(self) -> None:
        """This node dies."""
        placement = self._placement()
        if placement is not None and placement._leaving:
            self.world.coverage.reached("a node dies while a shard leaves it")
        if placement is not None and placement._copies.brought:
            self.world.coverage.reached("a node dies while a shard comes to it")

    def _note_what_is_under_way(self, name: str) -> None:
        """The link to another node has ended."""
        placement = self._placement()
        if placement is not None and any(leaving.to == name for leaving in placement._leaving.values()):
            self.world.coverage.reached("a link ends while a shard moves over it")
        for process in self.runtime._processes.values():
            writers = getattr(getattr(process._actor, "_session", None), "writers", None)
            for conversation, count in () if writers is None else writers.in_flight.items():
                if count and self.router.places.get(shard_of(conversation)) == name:
                    self.world.coverage.reached("a node is lost while it owes a tick")

    def _send_another_courier(self) -> None:
        """Let somebody else carry parcels soon."""
        life = self.life

        def send() -> None:
            if self.life == life and self.runtime.is_alive(self.root):
                self.runtime.start(Courier(self), name=COURIER)

        self.world.agenda.after(self._lives.uniform(*COURIER_REST_S), send)

    def _ended(self, pid: Pid, actor: Actor, reason: Reason) -> None:
        super()._ended(pid, actor, reason)
        if isinstance(actor, Courier) and self.up:
            self._send_another_courier()
