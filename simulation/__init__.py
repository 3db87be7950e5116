"""The weather: real actors, real storage and the real client in one thread under one seed, while everything goes wrong.

A world runs some three hundred times faster than life, and a seed and a commit name it exactly.

Read in this order: `agenda` (time, and what happens next), `network` (TCP over bad segments), `disk` (commits that
take, fail and tear), `trap` (crashes in the middle of a callback), `node` (all that node.py starts), `device` (all that
a client runs), `enrolment` and `sponsorship` (how a device becomes one of its account), `envelopes` (payloads for one
device each), `sharing` (what own devices tell each other), `lines`, `couriers` and `cluster_node` (what joins nodes to
a cluster), `people` (who does what), `faults` and `partitions` (what goes wrong, as a typed plan), `witness` (who sees
it all), `checkers/` (what must hold), `coverage` (what was reached), `world` (one run, from registration to the bill),
`plan` (what a run does differently, as a line of text), `storm` (many seeds), `shrink` (the shortest plan that fails),
`timeline` (what happened to a message), `recipe` (how to see a run again), `inquest` (what a person is told of a
failure).

Invariants: nothing here reads a clock, a thread, an unseeded generator or the order of a hash, so a seed and a commit
name a run exactly, in any process on any machine; each part of a world draws from a generator of its own name, so that
leaving a fault out moves no other; no actor, store or client knows that it is simulated.
"""

from simulation.checkers import CHECKERS
from simulation.coverage import SOMETIMES, SOMETIMES_BETWEEN_NODES, Coverage
from simulation.faults import FAULTS, Fault, Faults
from simulation.inquest import Replay, inquest, replay
from simulation.node import Sizes
from simulation.partitions import BETWEEN_NODES
from simulation.people import CHATTY, CLUBBY, FLAPPING, HABITS, IDLE, MOSTLY_OFFLINE, PRIVATE, TIDY, Habit
from simulation.plan import Plan, PlanError
from simulation.shrink import Shrunk, shrink
from simulation.storm import Outcome, Summary, Violation, attempt, storm
from simulation.witness import InvariantError
from simulation.world import CALM_S_MAX, Report, Scenario, World, run

__all__ = [
    "BETWEEN_NODES",
    "CALM_S_MAX",
    "CHATTY",
    "CHECKERS",
    "CLUBBY",
    "FAULTS",
    "FLAPPING",
    "HABITS",
    "IDLE",
    "MOSTLY_OFFLINE",
    "PRIVATE",
    "SOMETIMES",
    "SOMETIMES_BETWEEN_NODES",
    "TIDY",
    "Coverage",
    "Fault",
    "Faults",
    "Habit",
    "InvariantError",
    "Outcome",
    "Plan",
    "PlanError",
    "Replay",
    "Report",
    "Scenario",
    "Shrunk",
    "Sizes",
    "Summary",
    "Violation",
    "World",
    "attempt",
    "inquest",
    "replay",
    "run",
    "shrink",
    "storm",
]
