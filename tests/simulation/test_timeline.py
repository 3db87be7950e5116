"""A timeline follows the messages that a story names, whatever the words in which it names them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from actors.groups.api import NOBODY, Member
from protocol.messages import MEMBER, GroupReceipt, Receipt, Step
from roost.changes import MarksChanged
from simulation import Scenario, Violation, replay
from simulation.checkers.delivery import ShownOnce
from simulation.checkers.order import Order
from simulation.timeline import Recorder, timeline
from simulation.witness import HEARD
from tests.simulation.hasty import HASTY
from tests.simulation.planted.catalogue import PLANTED
from tests.simulation.stage import CHAT, Stage
from tests.simulation.test_notices_of_groups import GROUP, GroupStage

if TYPE_CHECKING:
    from pathlib import Path

STEPS: Final = (
    "writes it, as number 1",
    "node0 accepts number 1 of ann1, durably at 1, for bob1",
    "✓ is told to ann1: number 1 is 1",
    "stores its ✓",
    "it is queued for bob1 at 101",
    "is sent to bob1 at 101, time 1",
    "bob1 stores it",
    "it is forgotten for bob1: acked",
)
"""Written, accepted and durable, told, queued, delivered, stored, acked: in this order."""


class RecordedStage(Stage):
    """A stage with somebody who writes everything down."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.recorder = Recorder(self.witness)
        self.witness.listen([self.recorder])

    def told_of(self, story: str) -> list[str]:
        """The timeline of a violation with this story, without the times."""
        return list(timeline(self.world, self.recorder, Violation(1, "an invariant", story)))


class RecordedGroupStage(GroupStage, RecordedStage):
    """The same with a group, of which a message is lost with a notice."""


def _stands_in_order(steps: tuple[str, ...], lines: list[str]) -> None:
    left = iter(lines)
    for step in steps:
        assert any(step in line for line in left), f"{step!r} is not in its place in {lines}"


@pytest.mark.parametrize(
    "story",
    [
        f"{CHAT} 1 never came to bob1, and nobody was told",
        f"ann1 was told that number 1 of {CHAT} is 1",
        f"{CHAT} got seq 1 where 2 was next",
        f"a send of ann was accepted twice in {CHAT}, the second as 1",
        f"position 101 of b'x' stands for None and for (0, '{CHAT}', 1, '', b'')",
    ],
)
def test_a_message_is_followed_through_every_step_in_whatever_words_it_is_named(story: str, tmp_path: Path) -> None:
    stage = RecordedStage(tmp_path)
    stage.goes_well()
    stage.goes_well(2, 2)
    lines = stage.told_of(story)
    _stands_in_order(STEPS, lines)
    assert not any(f"{CHAT} 2" in line for line in lines)


def test_what_is_accepted_twice_is_followed_under_both_seqs(tmp_path: Path) -> None:
    stage = RecordedStage(tmp_path)
    stage.goes_well()
    stage.accepts(1, 2)
    story = next(error.story for error in stage.witness.broken if error.invariant == ShownOnce.name)
    lines = stage.told_of(story)
    _stands_in_order(STEPS, lines)
    assert any(f"{CHAT} 2: node0 accepts number 1" in line for line in lines)


def test_a_seq_out_of_turn_is_followed_under_the_words_of_its_checker(tmp_path: Path) -> None:
    stage = RecordedStage(tmp_path)
    stage.goes_well(1, 3)
    story = next(error.story for error in stage.witness.broken if error.invariant == Order.name)
    _stands_in_order(("writes it", "accepts number 1", "is queued for", "acked"), stage.told_of(story))


def test_a_message_of_a_group_is_followed_and_its_notice_too(tmp_path: Path) -> None:
    stage = RecordedGroupStage(tmp_path)
    lines = stage.told_of(f"{GROUP} 1 never came to bob1, and the group told nobody")
    steps = ("writes it", "accepts number 1 of ann1", "is queued for bob1", "ann2 stores it", "acked")
    _stands_in_order(steps, lines)
    _stands_in_order(("it is removed for bob1: expired", "a notice of it is queued for"), lines)
    assert all(f"{GROUP} 1: " in line for line in lines if "~~~" not in line and ": " in line)


def test_how_far_somebody_is_belongs_to_a_story_of_it_and_to_no_other(tmp_path: Path) -> None:
    stage = RecordedStage(tmp_path)
    stage.goes_well()
    stage.witness.told(stage.ann.id, Receipt(CHAT, stage.bob.account, 1, 0))
    stage.stores(stage.bob, MarksChanged(CHAT, 1, 0, 0, 0))
    marks = ("bob1 is at (1, 0)",)
    _stands_in_order(("ann1 is told: bob is at (1, 0)", *marks), stage.told_of(f"ann1 heard that bob has {CHAT} 1"))
    _stands_in_order(marks, stage.told_of(f"the server has delivered 1 of bob in {CHAT}, their devices 0"))
    assert not any(marks[0] in line for line in stage.told_of(f"{CHAT} 1 was not meant for bob1"))


def test_how_far_a_group_is_belongs_to_a_story_of_it(tmp_path: Path) -> None:
    stage = RecordedGroupStage(tmp_path)
    stage.witness.groups[GROUP] = msgspec.structs.replace(NOBODY, members={"ann": Member(MEMBER, 0)})
    step = Step(1, 1, 1, 0)
    stage.witness.told(stage.ann.id, GroupReceipt(GROUP, 0, [step]))
    lines = stage.told_of(f"ann1 heard that {step} have {GROUP} 1: 0, 0 do")
    _stands_in_order(("accepts number 1", "ann1 is told behind 0: 1 have and 0 have read up to 1"), lines)


def test_every_kind_of_moment_that_is_written_down_is_one_that_a_witness_tells_of() -> None:
    assert {name for name in vars(Recorder) if not name.startswith("_")} <= {"name", *HEARD}


@pytest.mark.slow
def test_a_bug_of_a_group_is_told_with_what_happened_to_its_message() -> None:
    bug = PLANTED["targets of a group kept over a leave"]
    for seed in range(1, 31):
        found = replay(seed, bug.scenario)
        violation = found.outcome.violation
        if violation is not None and violation.invariant in bug.invariants:
            break
    else:
        raise AssertionError("the bug was not found")
    _stands_in_order(("writes it, as number", "accepts number"), [it for it in found.timeline if "#" in it])


@pytest.mark.slow
def test_a_timeline_stands_in_the_order_of_time_and_is_told_of_failures_only() -> None:
    assert replay(2, Scenario()).timeline == ()
    found = replay(2, HASTY)
    assert found.outcome.violation is not None
    times = [float(line.split()[0]) for line in found.timeline if not line.startswith("(")]
    assert times == sorted(times)
