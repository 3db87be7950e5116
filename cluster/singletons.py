"""A supervisor that spans nodes: of each of its services exactly one runs in every connected part of the cluster.

Every node runs one with the same services; `cluster.election` decides who runs what, here it is done. A service runs
under a supervisor of its own, which restarts it in place; when that gives up, another node has its turn. Between nodes
go `Meet`, which makes two supervisors neighbours, and `Tell`, all that one knows, when it has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from cluster.codes import LinkCode
from cluster.election import SERVICES_MAX, Card, Election, Start, State, is_service_name
from cluster.membership import MEMBERSHIP, NodeChange, NodeDown, NodeUp, Subscribe, Unsubscribe
from cluster.whereabouts import SingletonPlace, Whereabouts, process_name
from runtime import SHUTDOWN, Actor, Down, Exit, Kind, Named, Pid, StartError
from supervisors import (
    INFINITY,
    ChildInfo,
    ChildNotFoundError,
    ChildSpec,
    SpecError,
    Supervisor,
    SupervisorFlags,
    UnknownRequestError,
    WhichChildren,
)
from supervisors.stopping import Group, Stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cluster.table import MessageTable
    from runtime import From, Message, Reason, Ref

__all__ = ["SINGLETONS", "RetrySingleton", "Singletons", "register_singleton_messages", "singletons_spec"]

SINGLETONS: Final = "cluster.singletons"
"""The name under which the supervisor is registered."""
RETRY_S: Final = 0.5
_SUBSCRIBE: Final = "subscribe"
_LOOK: Final = "look"
_CATCH_UP: Final = "catch up"
_CERTAIN: Final = frozenset({LinkCode.SILENT, LinkCode.STALLED, LinkCode.CLOSING})
"""Ends of a link after which the node is not back at once."""


@dataclass(frozen=True, slots=True)
class RetrySingleton:
    """A call: let this node run a service again although it has not held here; answered with None, or the error.

    Attributes:
        service: Its name.
    """

    service: str


@dataclass(frozen=True, slots=True)
class Meet:
    """A supervisor of another node is there."""

    sender: Pid


@dataclass(frozen=True, slots=True)
class Tell:
    """All that a supervisor of another node knows."""

    sender: Pid
    cards: list[Card]


def register_singleton_messages(table: MessageTable) -> None:
    """Let the supervisors of all nodes talk to each other; two of the highest numbers are theirs."""
    for tag, kind in enumerate((Meet, Tell), 65_531):
        if table.type_of(tag) is not kind:
            table.register(kind, tag)


def singletons_spec(
    services: Iterable[ChildSpec], *, whereabouts: Whereabouts | None = None, weight: float = 1.0
) -> ChildSpec:
    """The child spec of the supervisor, for a tree that starts after that of `cluster_supervisor`.

    Args:
        services: As for `Singletons`.
        whereabouts: Where it writes down who runs where.
        weight: The share of services that this node should get.

    Raises:
        SpecError: A service is not as it must be.
    """
    specs = tuple(services)

    def start() -> Singletons:
        return Singletons(specs, whereabouts=whereabouts, weight=weight)

    start()
    return ChildSpec("singletons", start, kind="supervisor", name=SINGLETONS, adopts=True)


class Singletons(Actor):
    """Runs those services that are this node's to run.

    A subscriber (`Subscribe`, `Unsubscribe`) is told of every service as a SingletonPlace, and of every change; one
    that must not miss anything monitors this actor, and subscribes again when it has ended.

    Args:
        services: Specs of permanent children, in start order; the id is the service's name, and it has no other. The
            same on every node, or nearly: a service runs where it is in the list.
        whereabouts: Where to write down who runs where.
        weight: The share of services that this node should get.
        intensity: How many restarts a period may see before a service is left to other nodes.
        period_s: The period, in seconds.
        election: Who decides.

    Raises:
        SpecError: A service is not as it must be.
    """

    __slots__ = (
        "_election",
        "_final",
        "_flags",
        "_leftovers",
        "_make_election",
        "_membership",
        "_monitors",
        "_retry",
        "_specs",
        "_stopping",
        "_subscribers",
        "_supervisors",
        "_timer",
        "_told",
        "_weight",
        "_whereabouts",
    )

    def __init__(
        self,
        services: Iterable[ChildSpec],
        *,
        whereabouts: Whereabouts | None = None,
        weight: float = 1.0,
        intensity: int = 3,
        period_s: float = 5.0,
        election: Callable[[Pid, Iterable[str], float], Election] = Election,
    ) -> None:
        self._flags = SupervisorFlags("one_for_one", intensity, period_s)
        self._specs = _checked(services)
        self._whereabouts = whereabouts or Whereabouts()
        if not 0 < weight < INFINITY:
            raise SpecError("weight", f"must be a number above 0, not {weight!r}")
        self._weight = weight
        self._make_election = election

    def init(self) -> None:
        """Run nothing yet, and look for the others."""
        self.process.trap_exit = True
        self._election = self._make_election(self.process.pid, self._specs, self._weight)
        self._whereabouts.reset(self._specs)
        self._supervisors: dict[str, Pid] = {}
        self._leftovers: dict[Ref, tuple[str, State]] = {}
        self._monitors: dict[Pid, Ref] = {}
        self._told: dict[Pid, int] = {}
        self._subscribers: dict[Pid, Ref] = {}
        self._timer: Ref | None = None
        self._retry: Ref | None = None
        self._final: Reason | None = None
        self._stopping: Stopping | None = None
        for service in self._specs:
            self._settle(service, State.IDLE)
        self._subscribe()
        self.process.defer()

    def handle_cast(self, message: Message) -> None:
        """What the supervisors of other nodes say, or who wants to hear of changes."""
        match message:
            case Meet(sender):
                self._meet(sender)
            case Tell(sender, cards):
                self._meet(sender)
                self._election.hear(cards)
                if {card.life: card.version for card in cards} == self._election.versions():
                    self._told[sender] = self._election.edition
            case Subscribe(pid) if pid not in self._subscribers:
                self._subscribers[pid] = self.process.monitor(pid)
                for place in self._whereabouts.places():
                    self.process.send(pid, place)
            case Subscribe():
                pass
            case Unsubscribe(pid):
                ref = self._subscribers.pop(pid, None)
                if ref is not None:
                    self.process.demonitor(ref)
            case _:
                self.process.ignore(message)
        self.process.defer()

    def handle_call(self, request: Message, caller: From) -> None:
        """A supervisor can always be asked for its children; and be told to try one again."""
        match request:
            case WhichChildren():
                self.process.reply(caller, tuple(map(self._info, self._specs)))
            case RetrySingleton(service) if service in self._specs:
                if self._state(service) is State.SPENT and self._final is None:
                    self._election.put(service, State.IDLE)
                    self.process.defer()
                self.process.reply(caller, None)
            case RetrySingleton(service):
                self.process.reply(caller, ChildNotFoundError(service))
            case _:
                self.process.reply(caller, UnknownRequestError(type(request).__name__))

    def handle_info(self, message: Message) -> None:
        """A node is up or down, a process has ended, it is time to decide, or this supervisor itself is to end."""
        if self._stopping is not None and self._stopping.handle(message):
            return
        match message:
            case Exit(source, reason) if source in (self.process.parent, self.process.runtime.outside):
                self._shut_down(reason)
            case Exit(source):
                self._supervisor_ended(source)
            case Down():
                self._ended(message)
            case NodeUp(node):
                if not self._say(Named(node, SINGLETONS), Meet(self.process.pid)):
                    self.process.send_after(RETRY_S, message)
            case NodeDown(_, _, code) if code in _CERTAIN:
                self._election.hasten(self._now_s())
            case str() if message == _LOOK:
                self._timer = None
            case str() if message == _CATCH_UP:
                self._retry = None
            case str() if message == _SUBSCRIBE:
                self._subscribe()
            case _ if not isinstance(message, NodeChange):
                self.process.ignore(message)
        self.process.defer()

    def handle_deferred(self) -> None:
        """Decide, and tell who has to know: once for all that a tick has brought."""
        if self._final is None:
            for decision in self._election.decide(self._now_s()):
                if isinstance(decision, Start):
                    self._start(decision.service)
                else:
                    self._stop(decision.service)
            self._wake()
        for service in self._specs:
            self._write_down(service)
        for neighbour in self._monitors:
            self._tell(neighbour)

    # The services.

    def _start(self, service: str) -> None:
        try:
            pid = self.process.start_link(Supervisor(self._flags, [self._specs[service]]))
        except StartError:
            self._election.put(service, State.SPENT)
            return
        self._supervisors[service] = pid
        self._election.put(service, State.RUNNING)

    def _stop(self, service: str) -> None:
        self._election.put(service, State.STOPPING)
        self.process.exit(self._supervisors[service], SHUTDOWN)

    def _supervisor_ended(self, pid: Pid) -> None:
        """One that was not told to end has given up: it, or its node, is not the place for the service."""
        for service, supervisor in tuple(self._supervisors.items()):
            if supervisor == pid:
                del self._supervisors[service]
                was_told = self._state(service) is State.STOPPING and self._final is None
                self._settle(service, State.IDLE if was_told else State.SPENT)

    def _settle(self, service: str, state: State) -> None:
        """A service is in this state as soon as no process of it lives here; one that was orphaned may, for a while."""
        pid = self.process.runtime.whereis(process_name(service))
        if pid is None:
            self._election.put(service, state)
        else:
            self._election.put(service, State.STOPPING)
            self._leftovers[self.process.monitor(pid)] = (service, state)

    def _shut_down(self, reason: Reason) -> None:
        """Stop the services from the right; others take each as soon as it has stopped."""
        if self._final is not None:
            return
        self._final = reason
        for service in self._specs:
            runs = service in self._supervisors or self._state(service) is State.STOPPING
            self._election.put(service, State.STOPPING if runs else State.SPENT)
        pids = (self._supervisors.get(service) for service in reversed(self._specs))
        groups = [Group((pid,), INFINITY, awaits_orphans=True) for pid in pids if pid is not None]
        names = (process_name(service) for service in self._specs if service not in self._supervisors)
        orphans = tuple(pid for pid in map(self.process.runtime.whereis, names) if pid is not None)
        groups.append(Group(orphans, INFINITY, is_asked=False, awaits_orphans=True))
        self._stopping = Stopping(self.process, groups, lambda: self.process.stop(reason), self.process.exit)
        self._stopping.begin()

    def _state(self, service: str) -> State:
        return self._election.mine.states[service]

    def _info(self, service: str) -> ChildInfo:
        pid = self._supervisors.get(service)
        return ChildInfo(service, pid, "supervisor", "temporary", "Supervisor", "running" if pid else "stopped", 0)

    # The others.

    def _subscribe(self) -> None:
        membership = Named(self.process.runtime.node, MEMBERSHIP)
        self._membership = self.process.monitor(membership)
        self.process.cast(membership, Subscribe(self.process.pid))

    def _meet(self, life: Pid) -> None:
        if life not in self._monitors:
            self._monitors[life] = self.process.monitor(life)
            self._election.meet(life)

    def _ended(self, down: Down) -> None:
        """Somebody that this supervisor watches has ended, or cannot be heard any more."""
        if down.ref is self._membership:
            self.process.send_after(RETRY_S, _SUBSCRIBE)
        elif down.ref in self._leftovers:
            self._settle(*self._leftovers.pop(down.ref))
        elif self._subscribers.get(down.pid) is down.ref:
            del self._subscribers[down.pid]
        elif self._monitors.get(down.pid) is down.ref:
            del self._monitors[down.pid]
            self._told.pop(down.pid, None)
            self._election.lose(down.pid)
            if down.reason.is_normal:
                self._election.hasten(self._now_s())

    def _tell(self, neighbour: Pid) -> None:
        """Tell all that is known, unless the neighbour knows; one whose link is full is told in a while."""
        edition = self._election.edition
        if self._told.get(neighbour) == edition:
            return
        if self._say(neighbour, Tell(self.process.pid, list(self._election.cards.values()))):
            self._told[neighbour] = edition
        elif self._retry is None:
            self._retry = self.process.send_after(RETRY_S, _CATCH_UP)

    def _say(self, other: Pid, message: Meet | Tell) -> bool:
        """Send what may not be missed: who has no room for it ends, so nobody decides by old news.

        Returns:
            False if the link is full; a link that is down needs nothing said.
        """
        foreign = self.process.runtime.foreign
        return foreign.post(other, Kind.INSISTENT, message) or foreign.unreachable(other) is not None

    def _write_down(self, service: str) -> None:
        owner = self._election.owner(service)
        at = None if owner is None else Named(owner.node, process_name(service))
        place = SingletonPlace(service, at, self._election.is_abandoned(service))
        if self._whereabouts.put(place):
            for pid in self._subscribers:
                self.process.send(pid, place)

    def _wake(self) -> None:
        """Let it be decided again when a service has waited long enough."""
        if self._timer is not None:
            self.process.cancel(self._timer)
            self._timer = None
        now_s = self._now_s()
        due_s = self._election.next_due_s(now_s)
        if due_s is not None:
            self._timer = self.process.send_after(due_s - now_s, _LOOK)

    def _now_s(self) -> float:
        return self.process.runtime.clock.now_s()


def _checked(services: Iterable[ChildSpec]) -> dict[str, ChildSpec]:
    specs: dict[str, ChildSpec] = {}
    for spec in services:
        if not isinstance(spec, ChildSpec):
            raise SpecError("services", f"must be ChildSpecs, not {type(spec).__name__}")
        if not is_service_name(spec.id):
            raise SpecError("id", f"must be 1 to 64 characters of ASCII, for it names a service, not {spec.id!r}")
        if spec.id in specs:
            raise SpecError("id", f"{spec.id!r} stands for two services")
        if spec.restart != "permanent":
            raise SpecError("restart", f"must be permanent, for a service is never done, not {spec.restart!r}")
        if spec.name is not None:
            raise SpecError("name", f"must be left out: {spec.id!r} gets the name that all nodes find it by")
        specs[str(spec.id)] = replace(spec, name=process_name(str(spec.id)))
    if len(specs) > SERVICES_MAX:
        raise SpecError("services", f"must be at most {SERVICES_MAX}, not {len(specs)}")
    return specs
