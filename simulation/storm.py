"""Many seeds over all processors: runs them in processes of their own, and folds what they report into one summary.

A run that breaks an invariant ends with a `Violation`, and the others go on. What is kept does not grow with the number
of seeds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from simulation.coverage import SOMETIMES, SOMETIMES_BETWEEN_NODES, Coverage
from simulation.witness import InvariantError
from simulation.world import ACCEPTED_MIN, DEATHS_MIN, FAULTS_MIN, Report, Scenario, run

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from types import FrameType

    from simulation.plan import Plan

__all__ = ["Outcome", "Summary", "Violation", "attempt", "storm"]

RUN_CPU_S_MAX: Final = 180.0
"""Seconds of processor time that no run takes: beyond them something turns in circles."""

VIOLATIONS_KEPT_MAX: Final = 20
SEEDS_KEPT_MAX: Final = 20
RUNS_PER_PROCESS_MAX: Final = 500
"""After so many runs a process makes room for a fresh one, so that what libraries cache cannot pile up."""

SEEDS_ENOUGH: Final = 100
CLUSTERS_ENOUGH: Final = 60
"""So many seeds, and so many clusters among them, reach everything that is to be reached."""

COUNTED: Final = {
    "promise 1": "lost",
    "promise 2": "lost",
    "promise 5": "lost",
    "promise 3": "twice",
    "promise 4": "order",
}
"""By the number of the promise that an invariant keeps: as what a violation of it counts in the last line."""


@dataclass(frozen=True)
class Violation:
    """A run that broke an invariant.

    Attributes:
        seed: Its seed.
        invariant: Which one; of an exception from within, its kind.
        story: How it was seen.
        time_s: When, in simulated seconds; 0 if that is not known.
    """

    seed: int
    invariant: str
    story: str
    time_s: float = 0.0

    @classmethod
    def of(cls, seed: int, error: Exception) -> Violation:
        """What an error says that ended a run."""
        if isinstance(error, InvariantError):
            return cls(seed, error.invariant, error.story, error.time_s)
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}, line {where.lineno}, in {where.name}"
        return cls(seed, f"nothing raises {type(error).__name__} by itself", f"{error} ({place})")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its report, or its violation."""

    seed: int
    report: Report | None
    violation: Violation | None


@dataclass
class Summary:
    """What many runs came to.

    Attributes:
        seeds: How many ran.
        clusters: In how many of them nodes were one cluster.
        simulated_s: How long their worlds lived, together.
        faults: How often anything went wrong.
        accepted: Messages accepted.
        delivered: Entries that devices took home.
        broken: By what was broken ("lost", "twice", "order" or "else"): in how many runs.
        coverage: What struck, and what was reached.
        violations: The first ones.
        meagre: The first of the seeds that prove less than a seed should (`Report.is_meagre`).
        meagre_count: How many these are.
    """

    seeds: int = 0
    clusters: int = 0
    simulated_s: float = 0.0
    faults: int = 0
    accepted: int = 0
    delivered: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    coverage: Coverage = field(default_factory=Coverage)
    violations: list[Violation] = field(default_factory=list)
    meagre: list[int] = field(default_factory=list)
    meagre_count: int = 0

    def add(self, outcome: Outcome) -> None:
        """Count another run."""
        self.seeds += 1
        report, violation = outcome.report, outcome.violation
        if report is not None:
            self.simulated_s += report.simulated_s
            self.faults += report.faults
            self.clusters += bool(report.nodes)
            self.accepted += report.accepted
            self.delivered += report.delivered
            self.coverage.add(report.coverage)
            if report.is_meagre:
                self.meagre_count += 1
                self.meagre = [*self.meagre, outcome.seed][:SEEDS_KEPT_MAX]
        if violation is not None:
            self.simulated_s += violation.time_s
            self.broken[COUNTED.get(violation.invariant.partition(":")[0], "else")] += 1
            if len(self.violations) < VIOLATIONS_KEPT_MAX:
                self.violations.append(violation)

    @property
    def all_is_well(self) -> bool:
        """Whether every invariant held in every run."""
        return not self.broken

    def gaps(self, scenario: Scenario) -> list[str]:
        """The faults that never struck, and the rare branches that were not reached."""
        coverage, faults = self.coverage, scenario.faults
        found = coverage.missing(SOMETIMES, faults.mean)
        return found + coverage.missing(SOMETIMES_BETWEEN_NODES, faults.between) if self.clusters else found

    def proves_too_little(self, scenario: Scenario) -> bool:
        """Whether there are gaps though there were seeds, or clusters, enough."""
        coverage, faults = self.coverage, scenario.faults
        return bool(
            (self.seeds >= SEEDS_ENOUGH and coverage.missing(SOMETIMES, faults.mean))
            or (self.clusters >= CLUSTERS_ENOUGH and coverage.missing(SOMETIMES_BETWEEN_NODES, faults.between))
        )

    def doubts(self, scenario: Scenario) -> list[str]:
        """What speaks against these runs as a proof, line by line."""
        lines = [f"  never: {name}" for name in self.gaps(scenario)]
        if self.proves_too_little(scenario):
            lines.append(
                f"this proves too little: {SEEDS_ENOUGH} seeds, or {CLUSTERS_ENOUGH} clusters, reach all of that"
            )
        if self.meagre_count:
            few = f"fewer than {ACCEPTED_MIN} messages, {FAULTS_MIN} faults or {DEATHS_MIN} deaths of a node"
            lines.append(f"meagre seeds, with {few}: {self.meagre_count} (seed {', '.join(map(str, self.meagre))})")
        return lines

    def __str__(self) -> str:
        broken = self.broken
        line = (
            f"seeds {self.seeds}, clusters {self.clusters}, simulated hours {self.simulated_s / 3600:.1f}, "
            f"faults {self.faults}, "
            f"accepted {self.accepted}, delivered {self.delivered}, "
            f"lost {broken['lost']}, shown twice {broken['twice']}, out of order {broken['order']}"
        )
        return line + (f", broken otherwise {broken['else']}" if broken["else"] else "")


def attempt(seed: int, scenario: Scenario, plan: Plan | None = None) -> Outcome:
    """Run a seed to its report or its violation.

    Args:
        seed: Which one.
        scenario: What the world is made of.
        plan: What goes wrong; None for what the seed draws.
    """
    try:
        if plan is None:
            return Outcome(seed, run(seed, scenario), None)
        return Outcome(seed, run(seed, plan.scenario(scenario), plan.faults), None)
    except Exception as error:  # whatever it is, it ends this run only
        return Outcome(seed, None, Violation.of(seed, error))


def storm(
    seeds: Iterable[int],
    scenario: Scenario = Scenario(),  # noqa: B008  # immutable
    jobs: int = 0,
) -> Generator[Outcome]:
    """Run many seeds, and yield how each ended, the first to end first.

    Leaving the loop, by an exception or Ctrl-C too, ends the processes.

    Args:
        seeds: Which ones; may have no end.
        scenario: What their worlds are made of.
        jobs: How many at once; 0 for one a processor.
    """
    jobs = jobs or len(os.sched_getaffinity(0))
    left = iter(seeds)
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), initializer=_begin, max_tasks_per_child=RUNS_PER_PROCESS_MAX
    )
    running: set[Future[Outcome]] = set()
    try:
        while True:
            with _deaf_to_ctrl_c():
                for seed in islice(left, 2 * jobs - len(running)):
                    running.add(pool.submit(_guarded, seed, scenario))
            if not running:
                return
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            yield from sorted((future.result() for future in ended), key=lambda outcome: outcome.seed)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Start threads and processes within: they inherit it, for Ctrl-C is their parent's affair."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """In a new process: a run that never ends is stopped."""
    signal.signal(signal.SIGPROF, _too_long)


class _TooLong(BaseException):
    """A run has had its time; no actor may take this for a fault of its own."""


def _too_long(number: int, frame: FrameType | None) -> None:
    raise _TooLong


def _guarded(seed: int, scenario: Scenario) -> Outcome:
    """A run, and the end of it if it goes on for ever; by processor time, for a laptop may sleep in the middle."""
    signal.setitimer(signal.ITIMER_PROF, RUN_CPU_S_MAX)
    try:
        return attempt(seed, scenario)
    except _TooLong:
        error = InvariantError("a run ends", f"this one did not within {RUN_CPU_S_MAX:g} s of processor time", 0.0)
        return Outcome(seed, None, Violation.of(seed, error))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
