"""What a screen says of its own messages in a group is compared with what the devices of the other members have."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from actors.groups.api import NOBODY, Member
from actors.receipts.api import RECENT_SEQS
from protocol import AccountId, ClientId, ConversationId, DeviceId, MessageId, encode_message
from protocol.messages import MEMBER, Message, Step
from roost.changes import Accepted, MarksChanged, ProgressStored, Queued, Received
from roost.content import encode_text
from simulation.checkers.counts import CountsAreTrue
from tests.simulation.stage import Stage, message_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from roost.changes import Change
    from simulation.device import SimulatedDevice

ANN, BOB = AccountId("ann"), AccountId("bob")
GROUP: Final = ConversationId("#7RT7VA50MQTGTCJ52AJ70S6SAH")
ID: Final = MessageId(message_id(1))
TEXT: Final = encode_text("hello")


class Counting(Stage):
    """Ann and Bob are in a group, and Ann has written there."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ann.running = True
        self.belong({ANN: 0, BOB: 0})
        client_id = ClientId((1).to_bytes(16, "big"))
        self.keeps(self.ann, Queued(GROUP, client_id, 1, TEXT, 0, 0, 0))
        body = encode_message(Message(GROUP, 1, ANN, DeviceId(self.ann.id), ID, 0, 0, TEXT))
        self.accepts(conversation=GROUP, body=body)
        self.keeps(self.ann, Accepted(GROUP, client_id, 1, ID, 0))

    def belong(self, joined: dict[AccountId, int]) -> None:
        members = {str(account): Member(MEMBER, seq) for account, seq in joined.items()}
        self.witness.groups[GROUP] = msgspec.structs.replace(NOBODY, members=members)

    def keeps(self, device: SimulatedDevice, change: Change) -> None:
        """A device commits something to its real database."""
        device.store.apply([change])
        self.stores(device, change)

    def gets(self) -> None:
        """Bob has it."""
        self.keeps(self.bob, Received(GROUP, 1, ANN, DeviceId(self.ann.id), ID, 0, 0, TEXT))

    def reads(self) -> None:
        """Bob has read it."""
        self.keeps(self.bob, MarksChanged(GROUP, 1, 1, 0, 0))

    def tells(self, members: int, delivered: int, read: int) -> None:
        """Ann is told how far it has come."""
        self.keeps(self.ann, ProgressStored(GROUP, 0, (Step(1, members, delivered, read),)))

    def asked(self) -> list[str]:
        (checker,) = (checker for checker in self.witness.checkers if isinstance(checker, CountsAreTrue))
        return checker.unrest(self.world)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Counting]:
    with closing(Counting(tmp_path)) as stage:
        yield stage


def test_counts_that_are_never_told_are_missing(stage: Counting) -> None:
    (story,) = stage.asked()
    assert story.startswith(f"{stage.ann} sees Progress(members=0, delivered=0, read=0) of {GROUP} 1, not 1, 0, 0")


def test_what_was_delivered_and_read_is_missing_until_it_is_told(stage: Counting) -> None:
    stage.tells(1, 0, 0)
    assert stage.asked() == []
    stage.gets()
    assert len(stage.asked()) == 1
    stage.tells(1, 1, 0)
    assert stage.asked() == []
    stage.reads()
    assert len(stage.asked()) == 1
    stage.tells(1, 1, 1)
    assert stage.asked() == []


def test_more_than_is_so_is_objected_to(stage: Counting) -> None:
    stage.gets()
    stage.tells(1, 1, 1)
    assert len(stage.asked()) == 1


def test_nobody_is_missing_who_joined_later_or_has_left(stage: Counting) -> None:
    stage.belong({ANN: 0, BOB: 2})
    assert stage.asked() == []
    stage.belong({ANN: 0})
    assert stage.asked() == []


def test_what_somebody_hides_is_not_missing(stage: Counting) -> None:
    stage.gets()
    stage.reads()
    stage.tells(1, 1, 0)
    assert len(stage.asked()) == 1
    stage.world.people[1].secretive = True
    assert stage.asked() == []


def test_what_is_too_old_to_be_told_of_is_not_missing(stage: Counting) -> None:
    (checker,) = (checker for checker in stage.witness.checkers if isinstance(checker, CountsAreTrue))
    checker._last_seqs[GROUP] = 1 + RECENT_SEQS
    assert stage.asked() == []
