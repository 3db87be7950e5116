"""The simulator for those who write Roost: `python -m simulation --seed 4711`.

One seed, some seeds, or all of them until somebody presses Ctrl-C. What fails is shrunk and told as a timeline. Exit
status: 0 all invariants held; 1 one did not, or seeds enough to reach every rare branch left one out; 2 the arguments
are wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Final

from simulation.faults import Faults
from simulation.inquest import inquest, replay
from simulation.node import Sizes
from simulation.people import CLUBBY, IDLE
from simulation.plan import Plan, PlanError
from simulation.storm import Summary, storm
from simulation.world import Scenario, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simulation.storm import Violation

__all__ = ["main"]

LINE_EVERY_S: Final = 30.0
INQUESTS_MAX: Final = 3
"""Of many failures so many are shrunk and told, one for each invariant."""

CLUBBY_PEOPLE: Final = 4

SEED_MAX: Final = (1 << 63) - 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it.

    Args:
        arguments: The words after the command; None for those of the process.

    Returns:
        The exit status.
    """
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.plan is not None and chosen.seed is None:
        parser.error("--plan says what goes wrong under one seed: name that with --seed.")
    scenario = Scenario(cluster=chosen.cluster or None, people=(CLUBBY,) * CLUBBY_PEOPLE if chosen.groups else None)
    try:
        if chosen.idle_day:
            return _idle_day()
        if chosen.seed is not None:
            plan = None if chosen.plan is None else Plan.parse(chosen.plan, scenario)
            return _one(chosen.seed, scenario, plan, chosen.timeline, chosen.log)
        if chosen.until_stopped:
            first = random.SystemRandom().getrandbits(40)
            return _many(count(first), scenario, chosen.jobs, f"from seed {first} on, until Ctrl-C")
        return _many(chosen.seeds, scenario, chosen.jobs, f"{len(chosen.seeds)} seeds")
    except PlanError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does; nothing more may be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulation", description="Run Roost in simulated weather.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", metavar="N", type=_seed, help="run one seed")
    what.add_argument("--seeds", metavar="A:B", type=_seeds, help="run the seeds from A up to, but without, B")
    what.add_argument("--until-stopped", action="store_true", help="run seed after seed until Ctrl-C")
    what.add_argument("--idle-day", action="store_true", help="measure a mostly idle day of 50 people against life")
    parser.add_argument("--cluster", action="store_true", help="only worlds whose nodes are those of one cluster")
    parser.add_argument(
        "--groups", action="store_true", help="only worlds whose people come and go in groups all the time"
    )
    parser.add_argument("--plan", metavar="TEXT", help="with --seed: what goes wrong, as a failure printed it")
    parser.add_argument("--timeline", action="store_true", help="with --seed: tell a failure, but do not shrink it")
    parser.add_argument("--log", action="store_true", help="with --seed: print everything that happens")
    parser.add_argument("--jobs", metavar="N", type=_jobs, default=0, help="runs at once; default: one a processor")
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) > SEED_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number from 0 on.")
    return int(text)


def _seeds(text: str) -> range:
    first, colon, end = text.partition(":")
    if not colon or not first.isdecimal() or not end.isdecimal() or int(first) >= int(end):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of seeds: write A:B with A less than B, as in 0:1000.")
    return range(int(first), int(end))


def _jobs(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1_024:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs at once: give one from 1 to 1024.")
    return int(text)


def _one(seed: int, scenario: Scenario, plan: Plan | None, only_timeline: bool, log: bool) -> int:
    seen = replay(seed, scenario, plan)
    if log:
        print("\n".join(seen.lines))
    report, violation = seen.outcome.report, seen.outcome.violation
    if violation is None:
        summary = Summary()
        summary.add(seen.outcome)
        assert report is not None, "a run ends in a report or a violation"
        ends = f"deaths of a node {report.deaths}, restarts in good order {report.restarts}"
        print(f"seed {seed}: {ends}, at rest after {report.calm_s:.1f} s, log {report.digest}")
        print(summary)
        return 0
    if only_timeline:
        print(f"seed {seed} broke at {violation.time_s:.3f} s: {violation.invariant}\n  {violation.story}\n")
        print("\n".join(seen.timeline))
    else:
        for line in inquest(violation, scenario, plan):
            print(line, flush=True)
    return 1


def _many(seeds: Iterable[int], scenario: Scenario, jobs: int, greeting: str) -> int:
    summary = Summary()
    told: set[str] = set()
    begin_s = line_s = time.monotonic()
    try:
        with closing(storm(seeds, scenario, jobs)) as outcomes:
            print(greeting, flush=True)
            for outcome in outcomes:
                summary.add(outcome)
                if outcome.violation is not None:
                    _tell(outcome.violation, scenario, told)
                if time.monotonic() - line_s > LINE_EVERY_S:
                    line_s = time.monotonic()
                    print(f"{line_s - begin_s:.0f} s: {summary}", flush=True)
    except KeyboardInterrupt:
        print("stopped")
    for name, times in sorted({**summary.coverage.faults, **summary.coverage.branches}.items()):
        print(f"  {times:8} x {name}")
    for line in summary.doubts(scenario):
        print(line)
    print(summary, flush=True)
    return 0 if summary.all_is_well and not summary.proves_too_little(scenario) else 1


def _tell(violation: Violation, scenario: Scenario, told: set[str]) -> None:
    """Name a violation; of the first of its kind tell all."""
    print(f"seed {violation.seed} broke: {violation.invariant}: {violation.story}", flush=True)
    if violation.invariant not in told and len(told) < INQUESTS_MAX:
        told.add(violation.invariant)
        for line in inquest(violation, scenario):
            print(line, flush=True)


def _idle_day() -> int:
    """How much faster than life a mostly idle day of 50 people is, in CPU time."""
    calm = Faults(storm_s=86_400.0, mean={}, deaths_min=0, count_min=0)
    scenario = Scenario(people=(IDLE,) * 50, nodes=1, sizes=Sizes(), accepted_min=0, faults=calm)
    begin_s = time.process_time()
    report = run(1, scenario)
    spent_s = time.process_time() - begin_s
    print(
        f"a mostly idle day of 50 people: {report.accepted} messages, {report.simulated_s:.0f} simulated seconds in "
        f"{spent_s:.1f} s CPU, {report.simulated_s / spent_s:.0f} x faster than life (must be: 100)"
    )
    return 0 if report.simulated_s / spent_s >= 100 else 1


if __name__ == "__main__":
    sys.exit(main())
