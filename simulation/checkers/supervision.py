"""Supervision: what ends brings down only those who depend on it, and all that is to live for ever runs again soon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actors.placement.api import PLACEMENT
from runtime import NORMAL, SHUTDOWN
from simulation.witness import Checker
from supervisors import DynamicSupervisor, KeyedSupervisor, Supervisor

if TYPE_CHECKING:
    from runtime import Actor, Pid, Reason
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from simulation.world import World

__all__ = ["RESTART_S_MAX", "Supervision"]

RESTART_S_MAX: Final = 5.0
"""A restart needs no disk and no network, so a moment is enough for it; the rest is for supervisors that give up, too,
and have their own supervisor start everybody again."""

WINDOW_SLACK_S: Final = 1.0
"""A supervisor counts a restart when it hears of the end, and by its node's clock: a little later than it is seen."""

Role = tuple[str, ...]
"""The place of a permanent process in the tree: () is the root, ("shards", "7", "queues") a supervisor in a shard."""

ROOT: Final[Role] = ()
ORDER_OF_NODE: Final = ("cluster", "journal", "shards", "placement", "connections")
OF_CLUSTERS: Final = ("cluster", "placement")
"""Who lives in a node of a cluster alone."""

ORDER_OF_CLUSTER: Final = ("membership", "groups", "links")
"""None of them depends on another."""

ORDER_OF_SHARD: Final = ("shard", "accounts", "conversations", "queues", "presences", "rendezvous")


@dataclass
class _Tree:
    """The processes of one life of a node.

    Attributes:
        life: Which life.
        roles: Living permanent processes: their places.
        living: The same the other way round.
        down: Places whose process has ended and does not run again yet: since when.
        killed: Processes that the weather has killed.
        failures: By supervisor: when a child of it ended by itself, or did not start.
        gave_up: Places of supervisors that have ended because of too many restarts.
    """

    life: int
    roles: dict[Pid, Role] = field(default_factory=dict)
    living: dict[Role, Pid] = field(default_factory=dict)
    down: dict[Role, float] = field(default_factory=dict)
    killed: set[Pid] = field(default_factory=set)
    failures: dict[Pid, list[float]] = field(default_factory=dict)
    gave_up: set[Role] = field(default_factory=set)

    def role_of(self, node: SimulatedNode, actor: Actor) -> Role | None:
        """The place of a process that is to live for ever; None for all the others."""
        for name in actor.process._names:
            if name in ("journal", "placement"):
                return (str(name),)
            if isinstance(name, str) and name.startswith("cluster."):
                return ("cluster", name.removeprefix("cluster."))
            if isinstance(name, tuple) and name[0] == "shard":
                return ("shards", str(name[1]), "shard")
        if isinstance(actor, KeyedSupervisor):
            return _room(node, actor)
        if isinstance(actor, DynamicSupervisor):
            return ("connections",)
        if isinstance(actor, Supervisor):
            name = next((spec.name for spec in actor._specs), None)
            if isinstance(name, tuple):
                return ("shards", str(name[1]))
            if name == "cluster.membership":
                return ("cluster",)
            return ROOT if actor.process.parent is None else ("shards",)
        return None

    def forget_moved(self, node: SimulatedNode) -> None:
        """A shard that lives elsewhere now is missed nowhere here."""
        for role in [role for role in self.down if _has_moved(node, role)]:
            del self.down[role]


def _room(node: SimulatedNode, supervisor: KeyedSupervisor[Any]) -> Role | None:
    """The place of the supervisor of a room."""
    for shard, household in node.router._households.items():
        for room in ORDER_OF_SHARD[1:]:
            if getattr(household, room) is supervisor:
                return ("shards", str(shard), room)
    return None


def _has_moved(node: SimulatedNode, role: Role) -> bool:
    """Whether a place belongs to a shard that does not live on this node any more, or is on its way out.

    One whose move was given up meanwhile is back in the books before the last of its processes has been stopped.
    """
    if len(role) < 2 or role[0] != "shards":
        return False
    shard = int(role[1])
    if shard not in node.router._households:
        return True
    placement = node.runtime.whereis(PLACEMENT)
    actor = None if placement is None or placement._process is None else placement._process._actor
    residents = getattr(actor, "_residents", None)
    return residents is not None and shard in residents._stopping


def _rest_for_one(role: Role) -> tuple[tuple[Role, ...], tuple[Role, ...]]:
    """Those on whom a process depends, and those who depend on it: its elder and its younger siblings."""
    if not role or len(role) == 2:
        return (), ()
    order = ORDER_OF_NODE if len(role) == 1 else ORDER_OF_SHARD
    place = order.index(role[-1])
    siblings = tuple((*role[:-1], name) for name in order)
    return siblings[:place], siblings[place + 1 :]


def _is_asked_to_stop(supervisor: Actor | None, pid: Pid) -> bool:
    """Whether somebody has asked a supervisor to stop a child, as placements do with shards.

    One whose children do not depend on each other stops none for any other reason. Whoever has asked may have crashed
    since, and its successor knows nothing of it.
    """
    if not isinstance(supervisor, Supervisor) or supervisor._flags.strategy != "one_for_one":
        return False
    stopping = supervisor._stopping
    return stopping is not None and pid in stopping._waiting.values()


def _name(role: Role) -> str:
    return "/".join(role) or "the root"


class Supervision(Checker):
    """Follows every process of every node from its start to its end, and asks who has ended it."""

    name = "supervision restarts what it should, and nothing else"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._trees: dict[str, _Tree] = {}

    def _tree(self, node: SimulatedNode) -> _Tree:
        tree = self._trees.get(node.name)
        if tree is None or tree.life != node.life:
            tree = self._trees[node.name] = _Tree(node.life)
        return tree

    def started(self, node: SimulatedNode, pid: Pid, actor: Actor) -> None:
        """Whoever starts finds nobody running who depends on it: they are started behind it."""
        tree = self._tree(node)
        role = tree.role_of(node, actor)
        if role is None:
            return
        if role in tree.living:
            self.breaks(f"{node.name} {_name(role)} runs twice")
        _, younger = _rest_for_one(role)
        for other in younger:
            if other in tree.living:
                self.breaks(f"{node.name} {_name(role)} was started again, and {_name(other)} was not")
        tree.roles[pid] = role
        tree.living[role] = pid
        tree.down.pop(role, None)
        if role in tree.gave_up:
            tree.gave_up.discard(role)
            self.witness.world.coverage.reached("a supervisor gives up and its own one restarts it")

    def killed(self, node: SimulatedNode, pid: Pid) -> None:
        """The weather needs no explanation."""
        self._tree(node).killed.add(pid)

    def crashed(self, node: SimulatedNode, actor: Actor) -> None:
        """Who crashes in its `init` never ran: a failure of its supervisor, and of those who were to start with it."""
        tree = self._tree(node)
        role = tree.role_of(node, actor)
        if role is None or role in tree.living:
            return
        parent = actor.process.parent
        while parent is not None:
            tree.failures.setdefault(parent, []).append(self.witness.world.agenda.now_s)
            above = parent._process
            parent = None if above is None or parent in tree.roles else above.parent

    def ended(self, node: SimulatedNode, pid: Pid, actor: Actor, reason: Reason) -> None:
        """Whoever ends does so by itself, or because somebody on whom it depends has."""
        if not node.up:
            return
        tree = self._tree(node)
        role = tree.roles.pop(pid, None)
        now_s = self.witness.world.agenda.now_s
        if role is not None:
            tree.living.pop(role, None)
            if _has_moved(node, role):
                return
            tree.down[role] = now_s
        parent = actor.process.parent
        if self._is_stopped(tree, pid, parent, role):
            return
        if parent is not None:
            tree.failures.setdefault(parent, []).append(now_s)
        what = f"{node.name} {type(actor).__name__ if role is None else _name(role)}"
        if role is not None and reason == NORMAL:
            self.breaks(f"{what} ended as if its work were done")
        elif role is not None and reason == SHUTDOWN and isinstance(actor, Supervisor):
            self._gave_up(tree, pid, actor, role, what)
        elif reason.name == "shutdown" or (reason.name == "killed" and pid not in tree.killed):
            self.breaks(f"{what} was stopped ({reason}), and nobody on whom it depends has ended")

    def _is_stopped(self, tree: _Tree, pid: Pid, parent: Pid | None, role: Role | None) -> bool:
        """Whether its supervisor has a reason to stop it, or is gone."""
        if parent is None:
            return False
        process = parent._process
        if process is None:
            return True
        above = process._actor
        if isinstance(above, Supervisor | DynamicSupervisor) and getattr(above, "_final", None) is not None:
            return True
        if _is_asked_to_stop(above, pid):
            return True
        elder, _ = _rest_for_one(role) if role is not None else ((), ())
        return any(other in tree.down for other in elder)

    def _gave_up(self, tree: _Tree, pid: Pid, supervisor: Supervisor, role: Role, what: str) -> None:
        flags = supervisor._flags
        begin_s = self.witness.world.agenda.now_s - flags.period_s - WINDOW_SLACK_S
        failures = sum(failed_s >= begin_s for failed_s in tree.failures.get(pid, ()))
        if failures <= flags.intensity:
            self.breaks(f"{what} gave up after {failures} restarts in {flags.period_s} s; it has {flags.intensity}")
        tree.gave_up.add(role)

    def sampled(self, world: World) -> None:
        """Nobody is missed for long."""
        for node in world.nodes:
            if node.up and world.agenda.now_s - node.frozen_until_s > RESTART_S_MAX:
                self._tree(node).forget_moved(node)
                for role, since_s in self._tree(node).down.items():
                    if world.agenda.now_s - since_s > RESTART_S_MAX:
                        self.breaks(f"{node.name} {_name(role)} ended and does not run again after {RESTART_S_MAX} s")

    def calm(self, world: World) -> None:
        """Everybody who is to live for ever lives."""
        for node in world.nodes:
            living = self._tree(node).living
            for role in permanent_roles(node):
                pid = living.get(role)
                if pid is None or not node.runtime.is_alive(pid):
                    self.breaks(f"{node.name} {_name(role)} does not run")


def permanent_roles(node: SimulatedNode) -> list[Role]:
    """The places of the processes that always run on a node."""
    shards: list[Role] = [("shards", str(shard)) for shard in node.shards]
    cluster: list[Role] = [("cluster", name) for name in ORDER_OF_CLUSTER]
    is_cluster = node.world.is_cluster
    return [
        ROOT,
        *(cluster if is_cluster else ()),
        *((name,) for name in ORDER_OF_NODE if is_cluster or name not in OF_CLUSTERS),
        *shards,
        *((*shard, name) for shard in shards for name in ORDER_OF_SHARD),
    ]
