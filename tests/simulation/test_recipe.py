"""What a failure prints shows the very same run again, in a process that knows nothing but those lines."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from actors.shard.api import PaceLimits
from actors.tree import Parts
from simulation import CHATTY, FLAPPING, Faults, Habit, Plan, Scenario, Sizes, replay
from simulation.__main__ import main
from simulation.recipe import recipe
from tests.simulation.hasty import HASTY, HastyConversation

OWN = Habit("hermit", write_every_s=5.0, acts={"open": 2.0}, ttls_s=(0, 3))

SCENARIOS = {
    "nodes": Scenario(nodes=2),
    "people": Scenario(people=(CHATTY, FLAPPING)),
    "one person": Scenario(people=(replace(CHATTY, devices=3),)),
    "a habit of one's own": Scenario(people=(OWN, CHATTY)),
    "sizes": Scenario(sizes=Sizes(entries_max=20, pace=PaceLimits(targets_min=2))),
    "sizes as they come": Scenario(sizes=Sizes()),
    "parts": Scenario(parts=Parts(conversation=HastyConversation)),
    "a night": Scenario(has_night=True),
    "no night": Scenario(has_night=False),
    "no cluster": Scenario(cluster=False),
    "a cluster of four": Scenario(cluster=True, nodes=4),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_printed_lines_make_the_same_scenario(name: str) -> None:
    scenario = replace(SCENARIOS[name], accepted_min=7, silent=("ann",), faults=Faults(storm_s=9.0))
    plan = Plan.drawn(3, scenario)
    lines = list(recipe(3, scenario, plan))
    head = lines[: lines.index("seen = replay(3, scenario, plan)")]
    space: dict[str, object] = {}
    exec("\n".join(head), space)
    again, planned = space["scenario"], space["plan"]
    assert isinstance(again, Scenario)
    assert planned == plan
    assert plan.scenario(again) == replace(plan.scenario(scenario), faults=replace(Faults(), storm_s=9.0))


@pytest.mark.parametrize(("cluster", "option"), [(None, []), (True, ["--cluster"])])
def test_a_world_that_the_seed_alone_decides_is_a_command(cluster: bool | None, option: list[str]) -> None:
    scenario = Scenario(cluster=cluster, accepted_min=0, faults=Faults(storm_s=2.0))
    plan = Plan.drawn(2, scenario)
    (line,) = recipe(2, scenario, plan)
    words = shlex.split(line)
    assert words == ["python", "-m", "simulation", "--seed", "2", *option, "--timeline", "--plan", str(plan)]


def test_the_command_runs_the_world_that_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = Scenario(accepted_min=0, faults=Faults(storm_s=2.0, mean={}, deaths_min=0, count_min=0))
    report = replay(2, scenario).outcome.report
    (line,) = recipe(2, scenario, Plan.drawn(2, scenario))
    assert main(shlex.split(line)[3:]) == 0
    assert report is not None
    assert f"log {report.digest}" in capsys.readouterr().out


def test_the_program_runs_the_world_that_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = replace(HASTY, people=(CHATTY, OWN), nodes=1, sizes=Sizes(entries_max=20))
    seen = replay(2, scenario)
    assert seen.outcome.violation is not None
    exec("\n".join(recipe(2, scenario, Plan.drawn(2, scenario))), {})
    assert capsys.readouterr().out.splitlines() == [str(seen.outcome.violation), *seen.timeline]
