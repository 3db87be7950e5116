"""The shortest plan that still breaks the same invariant: what is left of it is what the failure is about.

Faults are left out by delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
2002), people are silenced one by one, and the end of the storm is moved forward. Each step depends on nothing but the
seed and the attempts before it, so the same failure always shrinks to the same plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from simulation.plan import Plan
from simulation.storm import Violation, attempt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.faults import Fault
    from simulation.world import Scenario

__all__ = ["ATTEMPTS_MAX", "Shrunk", "shrink"]

ATTEMPTS_MAX: Final = 150
END_STEP_S: Final = 1.0
"""The storm's end is not moved by less than this."""


@dataclass(frozen=True)
class Shrunk:
    """What shrinking came to.

    Attributes:
        plan: The shortest plan that was found.
        violation: What it breaks, and how.
        attempts: How many runs that took.
    """

    plan: Plan
    violation: Violation
    attempts: int


def shrink(
    violation: Violation,
    scenario: Scenario,
    people: Sequence[str] = (),
    plan: Plan | None = None,
    attempts_max: int = ATTEMPTS_MAX,
) -> Shrunk:
    """Make a failing run shorter.

    Args:
        violation: What it broke.
        scenario: What its world is made of.
        people: Accounts that may be silenced.
        plan: What went wrong; None for what the seed draws.
        attempts_max: How many runs may be spent.
    """
    shrinker = _Shrinker(violation, scenario, plan or Plan.drawn(violation.seed, scenario), attempts_max)
    shrinker.end_earlier()
    shrinker.leave_out_faults()
    shrinker.silence(people)
    shrinker.end_earlier()
    shrinker.leave_out_faults()
    return Shrunk(shrinker.plan, shrinker.violation, shrinker.attempts)


class _Shrinker:
    """The shortest plan so far, and what it still breaks."""

    def __init__(self, violation: Violation, scenario: Scenario, plan: Plan, attempts_max: int) -> None:
        self.plan = plan
        self.violation = violation
        self.attempts = 0
        self._scenario = scenario
        self._attempts_max = attempts_max

    def _fails(self, plan: Plan) -> bool:
        """Try a plan, and keep it if it breaks the same invariant."""
        if self.attempts >= self._attempts_max or plan == self.plan:
            return False
        self.attempts += 1
        found = attempt(self.violation.seed, self._scenario, plan).violation
        if found is None or found.invariant != self.violation.invariant:
            return False
        self.plan, self.violation = plan, found
        return True

    def end_earlier(self) -> None:
        """Let nobody talk behind the storm, and move its end forward by halving steps; faults behind it go with it."""
        self._fails(replace(self.plan, accepted_min=0))
        step_s = self.plan.storm_s / 2
        while step_s >= END_STEP_S:
            end_s = round(self.plan.storm_s - step_s, 1)
            faults = tuple(fault for fault in self.plan.faults if fault.time_s <= end_s)
            if end_s <= 0 or not self._fails(replace(self.plan, storm_s=end_s, accepted_min=0, faults=faults)):
                step_s /= 2

    def leave_out_faults(self) -> None:
        """Leave out as many faults as possible, larger groups first (ddmin)."""
        self._fails(replace(self.plan, faults=()))
        parts = 2
        while len(self.plan.faults) >= 2 and parts <= len(self.plan.faults):
            if self._leave_out_one_of(_split(self.plan.faults, parts)):
                parts = max(parts - 1, 2)
            elif parts == len(self.plan.faults):
                return
            else:
                parts = min(2 * parts, len(self.plan.faults))

    def _leave_out_one_of(self, groups: list[tuple[Fault, ...]]) -> bool:
        for left_out in range(len(groups)):
            rest = tuple(fault for index, group in enumerate(groups) if index != left_out for fault in group)
            if self._fails(replace(self.plan, faults=rest)):
                return True
        return False

    def silence(self, people: Sequence[str]) -> None:
        """Let as few people as possible do anything."""
        for account in people:
            if account not in self.plan.silent:
                self._fails(replace(self.plan, silent=(*self.plan.silent, account)))


def _split(faults: tuple[Fault, ...], parts: int) -> list[tuple[Fault, ...]]:
    """As many groups of about the same length, in order."""
    ends = [len(faults) * part // parts for part in range(parts + 1)]
    return [faults[start:end] for start, end in pairwise(ends)]
