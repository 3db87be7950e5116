"""After a failure: what a person needs who is to understand it, and the lines that show it again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simulation.plan import Plan
from simulation.recipe import recipe
from simulation.shrink import ATTEMPTS_MAX, Shrunk, shrink
from simulation.storm import Outcome, Violation
from simulation.timeline import Recorder, timeline
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulation.world import Scenario

__all__ = ["Replay", "inquest", "replay"]


@dataclass(frozen=True)
class Replay:
    """A run that was watched.

    Attributes:
        outcome: How it ended.
        people: Who lived in it.
        timeline: The story of the messages that its violation speaks of.
        lines: Its log.
    """

    outcome: Outcome
    people: tuple[str, ...]
    timeline: tuple[str, ...]
    lines: tuple[str, ...]


def replay(seed: int, scenario: Scenario, plan: Plan | None = None) -> Replay:
    """Run a seed, and watch it.

    Args:
        seed: Which one.
        scenario: What its world is made of.
        plan: What goes wrong; None for what the seed draws.
    """
    plan = plan or Plan.drawn(seed, scenario)
    with tempfile.TemporaryDirectory(prefix="roost-weather-") as folder:
        world = World(seed, plan.scenario(scenario), plan.faults, Path(folder))
        recorder = Recorder(world.witness)
        world.witness.listen([recorder])
        violation = None
        report = None
        try:
            report = world.run()
        except Exception as error:  # whatever it is, it is what the run came to
            violation = Violation.of(seed, error)
        story = tuple(timeline(world, recorder, violation)) if violation is not None else ()
        people = tuple(str(person.account) for person in world.people)
        return Replay(Outcome(seed, report, violation), people, story, tuple(world.lines))


def inquest(
    violation: Violation, scenario: Scenario, plan: Plan | None = None, attempts_max: int = ATTEMPTS_MAX
) -> Iterator[str]:
    """Tell what broke, as lines: the invariant, the shortest plan, the timeline, and how to see it again.

    Args:
        violation: What broke, and under which seed.
        scenario: What its world was made of.
        plan: What went wrong; None for what the seed draws.
        attempts_max: How many runs may be spent on a shorter plan.
    """
    yield f"seed {violation.seed} broke: {violation.invariant}"
    yield f"  {violation.story}"
    seen = replay(violation.seed, scenario, plan)
    again = seen.outcome.violation
    if again is None or again.invariant != violation.invariant:
        yield "The same seed did not break it again: something in it depends on more than the seed, and that is a bug."
        return
    shrunk = shrink(violation, scenario, seen.people, plan, attempts_max)
    yield from _findings(shrunk, replay(violation.seed, scenario, shrunk.plan))
    yield ""
    yield "to see it again:"
    yield from recipe(violation.seed, scenario, shrunk.plan)


def _findings(shrunk: Shrunk, seen: Replay) -> Iterator[str]:
    plan, violation = shrunk.plan, shrunk.violation
    count = len(plan.faults)
    yield ""
    yield (
        f"the shortest plan that still breaks it, of {shrunk.attempts} tried: {count} fault{'s' * (count != 1)} "
        f"in a storm of {plan.storm_s:g} s"
        + (f", and talk up to {plan.accepted_min} messages" if plan.accepted_min else "")
    )
    for fault in plan.faults:
        yield f"  {fault.time_s:8.3f} s into the storm: {fault.kind}"
    if plan.silent:
        yield f"  and {', '.join(plan.silent)} do nothing"
    yield f"with it, at {violation.time_s:.3f} s: {violation.story}"
    yield ""
    yield "timeline, in simulated seconds:"
    yield from seen.timeline or ("  (the story names no message)",)
