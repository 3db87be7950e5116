"""`roostctl verify`: the real actors, storage and client under many seeds of simulated weather."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from ctl.progress import Advance
from simulation import SOMETIMES, SOMETIMES_BETWEEN_NODES, Summary, inquest, storm

if TYPE_CHECKING:
    from simulation import Scenario

__all__ = ["verify"]


def verify(first: int, seeds: int, jobs: int, scenario: Scenario) -> int:
    """Run seeds until all have run or one has broken an invariant, and print what they came to.

    Args:
        first: The first seed.
        seeds: How many.
        jobs: How many at once; 0 for one a processor.
        scenario: What is simulated.

    Returns:
        0 if every invariant held; 1 if one did not, or if seeds enough to reach every rare branch left one out; 130 if
        somebody pressed Ctrl-C.
    """
    print(
        f"{seeds} simulated worlds, seeds {first} to {first + seeds - 1}: nodes, devices, disks and network", flush=True
    )
    summary, status = Summary(), 0
    try:
        with (
            closing(storm(range(first, first + seeds), scenario, jobs)) as outcomes,
            Advance("seeds", seeds) as advance,
        ):
            for outcome in outcomes:
                summary.add(outcome)
                advance.at(summary.seeds, f"{summary.faults} faults, accepted {summary.accepted}")
                if outcome.violation is not None:
                    break
        for violation in summary.violations:
            status = 1
            for line in inquest(violation, scenario):
                print(line, flush=True)
            print()
    except KeyboardInterrupt:
        status = 130
    _tell_weather(summary, scenario)
    print(summary, flush=True)
    return status or int(summary.proves_too_little(scenario))


def _tell_weather(summary: Summary, scenario: Scenario) -> None:
    names = (*SOMETIMES, *(SOMETIMES_BETWEEN_NODES if summary.clusters else ()))
    for kind, times in sorted(summary.coverage.faults.items()):
        print(f"  {times:8} x {kind}")
    print(f"{len(names) - len(summary.coverage.missing(names))} of {len(names)} rare branches were reached")
    for line in summary.doubts(scenario):
        print(line)
