"""A world whose nodes share services, a record of who ran what, and what must hold of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cluster import Singletons, Whereabouts
from cluster.election import PATIENCE_S, Election, State
from cluster.singletons import SINGLETONS
from cluster.whereabouts import process_name
from runtime import SHUTDOWN, Actor
from supervisors import ChildSpec, Supervisor, SupervisorFlags
from tests.cluster.world import World

if TYPE_CHECKING:
    from cluster import LinkLimits
    from runtime import Named, Pid, Reason

SERVICES = ("sweeper", "archivist", "auditor")
ONE_RUNS_WITHIN_S = PATIENCE_S + 0.25
"""After this long in which no link changed, and the service neither started nor stopped, exactly one runs."""
TWO_RUN_AT_MOST_S = 0.25
"""After this long, and what a service takes to stop, two never run."""
NEWS_TAKE_AT_MOST_S = 4.0
"""After this long a link over which nothing comes is down, and what was last heard over it counts no more."""

Part = tuple[frozenset[tuple[str, int]], frozenset[tuple[str, str]]]
"""A connected part: its nodes, each with its life, and the links among them."""


class Service(Actor):
    """Writes its start and stop down; does not start where it is cursed, and takes its time to stop."""

    def __init__(self, office: Office, name: str) -> None:
        self.office = office
        self.name = name

    def init(self) -> None:
        self.process.trap_exit = self.office.stop_takes_s > 0
        self.office.record(self, "starts")
        if (self.process.pid.node, self.name) in self.office.cursed:
            raise ValueError("it cannot run here")

    def handle_info(self, message: object) -> None:
        if message == "now":
            self.process.stop(SHUTDOWN)
        else:
            self.process.send_after(self.office.stop_takes_s, "now")

    def terminate(self, reason: Reason) -> None:
        if reason == SHUTDOWN:
            self.office.told_to_stop(self)
        self.office.record(self, "stops")


class Office(World):
    """A world in which each node also runs the services' supervisor."""

    def __init__(
        self,
        seed: int = 0,
        nodes: str = "abc",
        *,
        services: tuple[str, ...] = SERVICES,
        election: type[Election] = Election,
        limits: LinkLimits | None = None,
        start: bool = True,
    ) -> None:
        self.services = services
        self.election = election
        self.whereabouts: dict[str, Whereabouts] = {}
        self.offices: dict[str, Pid] = {}
        self.cursed: set[tuple[str, str]] = set()
        self.stop_takes_s = 0.0
        self.history: list[tuple[float, str, str, str]] = []
        self.parts_since_s: dict[Part, float] = {}
        self.changed_s: dict[str, float] = {}
        self.stopped: set[str] = set()
        self.killed_s = -math.inf
        self.faults: list[str] = []
        super().__init__(seed, nodes, limits=limits, start=start)

    def bear(self, node: str) -> None:
        super().bear(node)
        self.whereabouts[node] = Whereabouts()
        flags = SupervisorFlags(intensity=1000)
        spec = ChildSpec("singletons", lambda: self.supervisor(node), name=SINGLETONS, kind="supervisor", adopts=True)
        self.offices[node] = self.runtimes[node].start(Supervisor(flags, [spec]))

    def supervisor(self, node: str) -> Singletons:
        specs = [ChildSpec(service, lambda service=service: Service(self, service)) for service in self.services]  # type: ignore[misc]
        return Singletons(specs, whereabouts=self.whereabouts[node], election=self.election)

    def stop(self, node: str) -> None:
        """Stop a node's services in the orderly way."""
        self.stopped.add(node)
        self.runtimes[node].exit(self.offices[node], SHUTDOWN)

    def kill(self, node: str, *, silently: bool = False) -> None:
        super().kill(node, silently=silently)
        self.killed_s = self.clock.now_s()

    def record(self, service: Service, what: str) -> None:
        self.history.append((self.clock.now_s(), service.process.pid.node, service.name, what))
        self.changed_s[service.name] = self.clock.now_s()

    def told_to_stop(self, service: Service) -> None:
        """A service may be told so only because another runs, or did, if nobody could know of its end yet."""
        node, now_s = service.process.pid.node, self.clock.now_s()
        is_known = now_s - max(self.killed_s, self.changed_s[service.name]) > NEWS_TAKE_AT_MOST_S + self.stop_takes_s
        if is_known and node not in self.stopped and not set(self.running(service.name)) - {node}:
            self.faults.append(f"{service.name} ran well on {node}, and was stopped (seed {self.seed})")

    def running(self, service: str) -> list[str]:
        """The nodes on which a service runs."""
        return [node for node, runtime in self.runtimes.items() if runtime.whereis(process_name(service)) is not None]

    def place(self, node: str, service: str) -> Named | None:
        """Where a node finds a service."""
        return self.whereabouts[node].singleton(service)

    def places(self) -> dict[str, list[str]]:
        """Who runs each service."""
        return {service: self.running(service) for service in self.services}

    def spent(self, node: str, service: str) -> bool:
        """Whether a node has given a service up."""
        states: dict[str, State] = self.actor(node, SINGLETONS)._election.mine.states
        return states[service] is State.SPENT

    def parts(self) -> list[Part]:
        """The connected parts of the cluster as it is now."""
        rest, found = set(self.runtimes), []
        while rest:
            part, waiting = set(), [min(rest)]
            while waiting:
                node = waiting.pop()
                part.add(node)
                waiting += [other for other in self.neighbours(node) if other not in part]
            rest -= part
            lives = frozenset((node, self.runtimes[node].incarnation) for node in part)
            found.append((lives, frozenset((node, other) for node in part for other in self.neighbours(node))))
        return found

    def neighbours(self, node: str) -> list[str]:
        return [
            other
            for other in self.runtimes
            if other != node and self.are_linked(node, other) and self.are_linked(other, node)
        ]

    def is_calm(self, part: Part) -> bool:
        """Whether every link of these nodes works, and both ends know of it."""
        believed = {(node, other) for node, _ in part[0] for other in self.runtimes[node].foreign.linked}
        return believed == part[1] and not any(self.is_blocked(*link) for link in part[1])

    def watch(self, duration_s: float) -> None:
        """Let time pass, and look now and then whether all is as promised."""
        until_s = self.clock.now_s() + duration_s
        while self.clock.now_s() < until_s:
            self.wait(0.125)
            self.look()

    def look(self) -> None:
        """What must hold at any time."""
        assert not self.faults
        now_s = self.clock.now_s()
        self.parts_since_s = {part: self.parts_since_s.get(part, now_s) for part in self.parts() if self.is_calm(part)}
        for part, since_s in self.parts_since_s.items():
            nodes = {node for node, _ in part[0]}
            for service in self.services:
                at = [node for node in self.running(service) if node in nodes]
                calm_s = now_s - max(since_s, self.changed_s.get(service, 0.0))
                calm_s -= self.stop_takes_s
                if calm_s > TWO_RUN_AT_MOST_S:
                    assert len(at) <= 1, f"{service} runs on {at}, which are linked (seed {self.seed})"
                if calm_s > ONE_RUNS_WITHIN_S:
                    self.check_settled(service, at, nodes)

    def check_settled(self, service: str, at: list[str], nodes: set[str]) -> None:
        """One runs, and all know where; or everybody has given it up, and knows that."""
        if not at:
            assert all(self.spent(node, service) for node in nodes), f"{service} runs nowhere (seed {self.seed})"
        for node in nodes:
            (known,) = (place for place in self.whereabouts[node].places() if place.service == service)
            assert known.is_abandoned is not bool(at)
            assert [known.at.node] == at if known.at else not at, f"{node} looks for {service} elsewhere"
