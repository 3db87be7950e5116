"""One world under one seed: nodes, people with devices, the network between them, and the weather over all of it.

A run has four parts, and sometimes a fifth. Everybody registers; the storm, in which people live and the plan's faults
strike; the calm, in which nothing goes wrong any more and everything has to come to rest within `CALM_S_MAX`; the bill,
in which every checker looks at what is left; and in some seeds a night: everybody leaves, and what served them alone
has to go within `NIGHT_S_MAX`.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field
from itertools import count, permutations
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.tree import Parts
from protocol import shard_of
from roost.session import Phase, Session
from roost.store import Store
from runtime import Foreign, Runtime
from simulation.agenda import Agenda, chance_of
from simulation.checkers import all_checkers
from simulation.cluster_node import ClusterNode
from simulation.coverage import Coverage
from simulation.faults import Fault, Faults, strike
from simulation.lines import Exchange
from simulation.network import Network
from simulation.settlement import settle
from simulation.trap import TrappedStore
from simulation.witness import InvariantError, Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode, Sizes
    from simulation.people import Habit, Person

__all__ = ["CALM_S_MAX", "Report", "Scenario", "World", "run"]

CALM_S_MAX: Final = 300.0
"""When nothing goes wrong any more, everything has come to rest within so many simulated seconds: a heartbeat that is
missed twice, a back-off of a minute, and a minute more for each quota of a full reader that its senders held back."""

TALK_S_MAX: Final = 600.0
NIGHT_S_MAX: Final = 700.0
"""When everybody has gone, all that served them alone is gone within so many simulated seconds: a code that nobody used
keeps its account in memory for ten minutes, a conversation retires after two idle periods of two."""

NIGHTS: Final = 0.125
"""Part of the seeds that have a night, for it costs as much as the day."""

CLUSTERS: Final = 0.125
"""Part of the seeds whose nodes are one cluster, for such a world costs as much as three others."""

SEALING: Final = 0.5
"""Part of the seeds in which people seal what they write to one other, for each device on its own."""

PRIMARIES: Final = 0.5
"""Part of the seeds in which each account has a primary device, which links the others and signs their list."""

REGISTRATION_S_MAX: Final = 150.0
SAMPLE_S: Final = 1.0
SETTLED: Final = "everything comes to rest when the faults stop"
LOOK_S: Final = 0.5


ACCEPTED_MIN: Final = 500
FAULTS_MIN: Final = 20
DEATHS_MIN: Final = 2
"""What a seed is: so many messages accepted, faults that struck, and deaths of a node; with fewer it is meagre."""


@dataclass(frozen=True)
class Scenario:
    """What a world is made of; what is left open, the seed decides.

    Attributes:
        people: Who lives in it: habits of the people at each node. None lets the seed choose.
        nodes: How many nodes; 0 lets the seed choose.
        sizes: The limits of the nodes; None lets the seed choose.
        accepted_min: People go on talking behind the storm until so many messages were accepted.
        faults: How bad the weather is.
        parts: The classes of the actors.
        silent: Accounts of people who do nothing.
        runtime: The class of the nodes' runtimes.
        store: The class of the nodes' stores.
        session: The class of the devices' sessions.
        database: The class of their databases.
        has_night: Whether everybody leaves in the end; None lets the seed choose.
        cluster: Whether the nodes are those of one cluster, 3 to 7 of them unless `nodes` says how many. None lets the
            seed choose, unless `nodes` says how many are alone.
        foreign: The class of what ties the nodes' runtimes together.
        seals: Whether people seal what they write to one other. None lets the seed choose.
        has_primaries: Whether each account has a primary device, which links the others. None lets the seed choose.
    """

    people: tuple[Habit, ...] | None = None
    nodes: int = 0
    sizes: Sizes | None = None
    accepted_min: int = ACCEPTED_MIN
    faults: Faults = field(default_factory=Faults)
    parts: Parts = field(default_factory=Parts)
    silent: tuple[str, ...] = ()
    runtime: type[Runtime] = Runtime
    store: type[TrappedStore] = TrappedStore
    session: type[Session] = Session
    database: type[Store] = Store
    has_night: bool | None = None
    cluster: bool | None = None
    foreign: type[Foreign] = Foreign
    seals: bool | None = None
    has_primaries: bool | None = None

    def is_cluster(self, seed: int) -> bool:
        """Whether the nodes of a seed's world are those of one cluster."""
        if self.cluster is not None or self.nodes:
            return bool(self.cluster)
        return chance_of(seed, "is a cluster").random() < CLUSTERS


@dataclass
class Report:
    """What happened in one run.

    Attributes:
        seed: Its seed.
        accepted: Messages accepted.
        delivered: Entries that devices took home.
        noticed: Entries that left with a notice instead.
        simulated_s: How long the world lived.
        calm_s: How long it took to come to rest.
        deaths: How often the weather killed a node.
        restarts: How often one was restarted in good order.
        faults: How often anything went wrong.
        nodes: How many nodes it had, if they were a cluster; else 0.
        coverage: What struck, and what was reached.
        digest: SHA-256 of the log: two runs of one seed have the same.
    """

    seed: int
    accepted: int = 0
    delivered: int = 0
    noticed: int = 0
    simulated_s: float = 0.0
    calm_s: float = 0.0
    deaths: int = 0
    restarts: int = 0
    faults: int = 0
    nodes: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    digest: str = ""

    @property
    def is_meagre(self) -> bool:
        """Whether it proves less than a seed should."""
        return self.accepted < ACCEPTED_MIN or self.faults < FAULTS_MIN or self.deaths < DEATHS_MIN


class World:
    """One run.

    Args:
        seed: Decides everything that the scenario leaves open.
        scenario: What the world is made of.
        plan: What goes wrong; None draws it from the seed.
        folder: Where the devices' databases lie.
        keep_lines: Whether the log is kept, not only its digest.

    Attributes:
        lines: The log, if it is kept.
        is_calm: Nothing goes wrong any more, and nobody begins anything.
        has_night: Whether everybody leaves in the end.
        seals: Whether people seal what they write to one other.
        has_primaries: Whether each account has a primary device, which links the others.
        is_cluster: Whether its nodes are those of one cluster.
        exchange: The lines between them.
        crashes: What nodes raised without the simulator's doing.
        busy_shards: Those in which anything happens.
        doors: By account: the nodes to which its devices may connect.
    """

    def __init__(
        self, seed: int, scenario: Scenario, plan: Sequence[Fault] | None, folder: Path, *, keep_lines: bool = True
    ) -> None:
        self.seed = seed
        self.scenario = scenario
        self.plan = scenario.faults.plan(seed, scenario.is_cluster(seed)) if plan is None else list(plan)
        self.agenda = Agenda()
        self.coverage = Coverage()
        self.network = Network(self.agenda, chance_of(seed, "network"), self.coverage)
        self.exchange = Exchange(self.network, lambda: [node.name for node in self.nodes if node.is_frozen])
        self.is_cluster = scenario.is_cluster(seed)
        self._numbers = count(1)
        self.witness = Witness(self)
        self.witness.listen(all_checkers(self.witness))
        self.is_calm = False
        self.has_night = self._chosen(scenario.has_night, "night", NIGHTS)
        self.seals = self._chosen(scenario.seals, "envelopes", SEALING)
        self.has_primaries = self._chosen(scenario.has_primaries, "primaries", PRIMARIES)
        self.lines: list[str] = []
        self._keep_lines = keep_lines
        self._digest = hashlib.sha256()
        self.nodes: list[SimulatedNode] = []
        self.people: list[Person] = []
        self.devices: list[SimulatedDevice] = []
        self.crashes: list[BaseException] = []
        self.busy_shards: tuple[int, ...] = ()
        self.doors: dict[str, tuple[SimulatedNode, ...]] = {}
        settle(self, folder)

    def _chosen(self, said: bool | None, name: str, part: float) -> bool:
        """What the scenario says, or else the seed: true in this part of the seeds."""
        return chance_of(self.seed, name).random() < part if said is None else said

    def home(self, account: str) -> SimulatedNode | None:
        """The node that has an account's shard, where its devices' queues are; None while it is at none."""
        shard = shard_of(account)
        return next((node for node in self.doors[account] if shard in node.shards), None)

    def fresh_number(self) -> int:
        """A number that nobody in this world has had."""
        return next(self._numbers)

    def log(self, line: str) -> None:
        """Write down what happens; the digest of all lines names the run."""
        line = f"{self.agenda.now_s:.6f} {line}"
        if self._keep_lines:
            self.lines.append(line)
        self._digest.update(line.encode())
        self._digest.update(b"\n")

    # The four parts.

    def run(self) -> Report:
        """The whole story.

        Raises:
            InvariantError: An invariant is broken.
            Exception: Whatever an actor or the client raised without the simulator's doing.
        """
        try:
            self._register()
            self._storm()
            calm_s = self._calm()
            self.witness.calm()
            if self.has_night:
                self._night()
                self.witness.check()
        finally:
            for device in self.devices:
                device.close()
        return self._report(calm_s)

    def _register(self) -> None:
        self.agenda.after(SAMPLE_S, self._sample)
        for node in self.nodes:
            node.boot()
        for device in self.devices:
            device.start()
        self._go_on(self._unregistered, REGISTRATION_S_MAX)

    def _sample(self) -> None:
        self.witness.sample()
        self.agenda.after(SAMPLE_S, self._sample)

    def _storm(self) -> None:
        begun_s = self.agenda.now_s
        for fault in self.plan:
            self.agenda.at(begun_s + fault.time_s, lambda fault=fault: strike(self, fault))  # type: ignore[misc]
        for person in self.people:
            if person.account not in self.scenario.silent:
                person.live()
        self._pass(self.scenario.faults.storm_s)
        until_s = self.agenda.now_s + TALK_S_MAX
        while len(self.witness.accepted) < self.scenario.accepted_min and self.agenda.now_s < until_s:
            self._next()

    def _calm(self) -> float:
        """Nothing goes wrong any more; return how long it took to come to rest."""
        self.log("CALM")
        self.is_calm = True
        self.network.heal()
        for node in self.nodes:
            node.calm_down()
        for device in self.devices:
            device.calm_down()
        begun_s = self.agenda.now_s
        self._go_on(self.unrest, CALM_S_MAX)
        for person in self.people:
            person.look_at_everything()
        for device in self.devices:  # a receipt that was lost is healed at the next login
            device.reconnect()
        self._pass(LOOK_S)
        self._go_on(lambda: self.unrest() or self.witness.unrest(), CALM_S_MAX)
        return self.agenda.now_s - begun_s

    def _night(self) -> None:
        """Everybody leaves; whatever was there for them alone goes, too."""
        self.log("NIGHT")
        for device in self.devices:
            device.crash(told=True)
        self._go_on(self.witness.remains, NIGHT_S_MAX)

    def _go_on(self, missing: Callable[[], list[tuple[str, str]]], wait_s: float) -> None:
        """Let time pass until nothing is missing, by invariant; a liveness that takes longer than it may is broken."""
        until_s = self.agenda.now_s + wait_s
        look_s = self.agenda.now_s
        while True:
            if self.agenda.now_s >= look_s:
                look_s = self.agenda.now_s + LOOK_S
                found = missing()
                if not found:
                    return
                if self.agenda.now_s > until_s:
                    stories = "; ".join(story for _, story in found)
                    raise InvariantError(found[0][0], f"not within {wait_s} s: {stories}", self.agenda.now_s)
            self._next()

    def _pass(self, duration_s: float) -> None:
        until_s = self.agenda.now_s + duration_s
        while self.agenda.now_s < until_s:
            self._next()

    def _next(self) -> None:
        self.agenda.run_next()
        if self.witness.broken:
            self.witness.check()
        if self.crashes:
            raise self.crashes[0]

    # At rest.

    def _unregistered(self) -> list[tuple[str, str]]:
        return [("everybody registers", f"{device} has not") for device in self.devices if not device.online]

    def unrest(self) -> list[tuple[str, str]]:
        """What has not come to rest: under the invariant that it will."""
        found = []
        for node in self.nodes:
            if not node.up:
                found.append(f"{node.name} is down")
            elif node.store.statistics().pending_bytes:
                found.append(f"{node.name} has something on its way to the disk")
        for device in self.devices:
            found += self._unrest_of(device)
        homeless = [shard for shard in self.busy_shards if not any(shard in node.shards for node in self.nodes)]
        found += [f"shard {shard} is at no node" for shard in homeless]
        for one, other in permutations(self.nodes, 2):
            if isinstance(one, ClusterNode) and one.linked.get(other.name) != other.runtime.incarnation:
                found.append(f"{one.name} is not linked to {other.name}")
        return [(SETTLED, story) for story in found]

    def _unrest_of(self, device: SimulatedDevice) -> list[str]:
        session = device.session
        if session is None or session.phase is Phase.STOPPED:
            return [] if device.doomed else [f"{device} has stopped"]
        if device.doomed:
            return []
        found = []
        if not device.online:
            found.append(f"{device} is {session.phase.name}")
        if session.pending:
            found.append(f"{device} has {session.pending} unsent")
        if device.pumping:
            found.append(f"{device} is carrying out what was decided")
        if self.witness.waiting.get(device.id):
            found.append(f"{len(self.witness.waiting[device.id])} wait for {device}")
        return found

    def _report(self, calm_s: float) -> Report:
        witness = self.witness
        return Report(
            self.seed,
            accepted=len(witness.accepted),
            delivered=sum(len(device.received) for device in self.devices),
            noticed=len(witness.let_go),
            simulated_s=self.agenda.now_s,
            calm_s=calm_s,
            deaths=self.coverage.faults["node dies"],
            restarts=self.coverage.faults["node restarts in good order"],
            faults=self.coverage.faults.total(),
            nodes=len(self.nodes) if self.is_cluster else 0,
            coverage=self.coverage,
            digest=self._digest.hexdigest(),
        )


def run(seed: int, scenario: Scenario = Scenario(), plan: Sequence[Fault] | None = None) -> Report:  # immutable
    """Run a world under a seed.

    Args:
        seed: Decides everything that is left open.
        scenario: What the world is made of.
        plan: What goes wrong; None draws it from the seed.

    Raises:
        InvariantError: An invariant is broken; the seed is among its notes.
    """
    with tempfile.TemporaryDirectory(prefix="roost-weather-") as folder:
        try:
            return World(seed, scenario, plan, Path(folder), keep_lines=False).run()
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
