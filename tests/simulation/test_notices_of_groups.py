"""What a group tells in one notice is looked for on the sender's devices, for each device that the notice names."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from actors.groups.api import NOBODY, Member
from actors.notices.api import Missed, encode_missed, target_of
from actors.queue.api import NoticeBody
from protocol import AccountId, ClientId, ConversationId, DeviceId, MessageId, encode_message, shard_of
from protocol.messages import MEMBER, NOTICE_EXPIRED, NOTICE_OVER_QUOTA, Message
from roost.changes import Accepted, NoticeStored, Queued, Received
from simulation.checkers.delivery import NothingIsLost
from simulation.device import SimulatedDevice
from storage import MESSAGE
from storage.records import NOTICE, Acked, Entries, Removed, Target
from tests.simulation.stage import HOME, Stage, message_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ANN, BOB = AccountId("ann"), AccountId("bob")
GROUP: Final = ConversationId("#7RT7VA50MQTGTCJ52AJ70S6SAH")
READERS, TELLERS = shard_of(BOB), shard_of(GROUP)
NOTICE_POSITION: Final = 130


class GroupStage(Stage):
    """Ann and Bob have two devices each, and a group; Ann has written, and nobody of Bob's was there to get it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.ann2, self.bob2 = self._second(self.ann), self._second(self.bob)
        members = {str(account): Member(MEMBER, 0) for account in (ANN, BOB)}
        self.witness.groups[GROUP] = msgspec.structs.replace(NOBODY, members=members)
        self._said()
        self._missed()
        self._told()

    def _second(self, first: SimulatedDevice) -> SimulatedDevice:
        device = SimulatedDevice(self.world, first.account, f"{first.account}2", first.nodes, first.path.parent)
        self.world.devices.append(device)
        device.registered = True
        self.witness.audience.note(first.account, frozenset({first.id, device.id}))
        return device

    def _said(self) -> None:
        """Ann's second device gets what her first one says."""
        id_ = MessageId(message_id(1))
        message = Message(GROUP, 1, ANN, DeviceId(self.ann.id), id_, 0, 0, b"hello")
        client_id = ClientId((1).to_bytes(16, "big"))
        targets: list[Target] = [(ANN, [self.ann2.id]), (BOB, [self.bob.id, self.bob2.id])]
        self.stores(self.ann, Queued(GROUP, client_id, 1, b"hello", 0, 0, 0))
        self.accepts(conversation=GROUP, targets=targets, body=encode_message(message))
        self.stores(self.ann, Accepted(GROUP, client_id, 1, id_, 0))
        entries = Entries(HOME, 1, targets[1:], MESSAGE, GROUP, 1, ANN, 0, 0, encode_message(message))
        self.witness.durable(self.node, 101, READERS, entries)
        self.stores(self.ann2, Received(GROUP, 1, ANN, DeviceId(self.ann.id), id_, 0, 0, b"hello"))
        self.witness.durable(self.node, 102, HOME, Acked(self.ann2.id, 1, ANN))

    def _missed(self) -> None:
        """It expires for both devices of Bob, which is written down at the group."""
        for position, device in ((111, self.bob), (112, self.bob2)):
            body = encode_missed(Missed(ANN, 1, BOB, device.id, NOTICE_EXPIRED))
            target, notices = target_of(GROUP), [(str(ANN), str(GROUP), 1)]
            removed = Removed(device.id, BOB, [101], NOTICE_EXPIRED, notices, [target], [body], 1)
            self.witness.durable(self.node, position, READERS, removed)
            entries = Entries(READERS, position, [target], NOTICE, GROUP, 1, BOB, 1, 0, body)
            self.witness.durable(self.node, position, TELLERS, entries)

    def _told(self) -> None:
        """The group tells it to both devices of Ann, in one notice."""
        others = [(str(BOB), bytes(self.bob2.id), NOTICE_EXPIRED)]
        body = msgspec.msgpack.encode(NoticeBody(GROUP, 1, BOB, self.bob.id, NOTICE_EXPIRED, others))
        targets: list[Target] = [(ANN, [self.ann.id, self.ann2.id])]
        notices = [(str(ANN), str(GROUP), 1)]
        told = Removed(GROUP.encode(), GROUP, [111, 112], NOTICE_EXPIRED, notices, targets, [body])
        self.witness.durable(self.node, 120, TELLERS, told)
        entries = Entries(TELLERS, 120, targets, NOTICE, GROUP, 1, BOB, 0, 0, body)
        self.witness.durable(self.node, NOTICE_POSITION, HOME, entries)

    def hears_of(self, listener: SimulatedDevice, *devices: SimulatedDevice) -> None:
        """A device of Ann stores that devices of Bob did not get it."""
        for device in devices:
            self.stores(listener, NoticeStored(GROUP, 1, BOB, DeviceId(device.id), NOTICE_EXPIRED))

    def has_no_room(self, listener: SimulatedDevice) -> None:
        """A device of Ann lets twice its quota wait: the notice goes, and nobody is told of that."""
        removed = Removed(listener.id, ANN, [NOTICE_POSITION], NOTICE_OVER_QUOTA, [], [], [])
        self.witness.durable(self.node, 140, HOME, removed)

    def lost(self) -> list[str]:
        """What is objected to at rest."""
        (checker,) = (checker for checker in self.witness.checkers if isinstance(checker, NothingIsLost))
        checker.calm(self.world)
        return [error.story for error in self.witness.broken]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[GroupStage]:
    with closing(GroupStage(tmp_path)) as stage:
        yield stage


def test_a_notice_that_all_devices_of_the_sender_store_is_no_objection(stage: GroupStage) -> None:
    for listener in (stage.ann, stage.ann2):
        stage.hears_of(listener, stage.bob, stage.bob2)
    assert stage.lost() == []


def test_a_device_without_room_for_a_notice_is_owed_nothing_of_all_that_it_names(stage: GroupStage) -> None:
    stage.hears_of(stage.ann, stage.bob, stage.bob2)
    stage.has_no_room(stage.ann2)
    assert stage.lost() == []


def test_a_device_with_room_for_a_notice_is_owed_each_device_that_it_names(stage: GroupStage) -> None:
    stage.hears_of(stage.ann, stage.bob)
    stage.has_no_room(stage.ann2)
    assert stage.lost() == [f"ann1 was never told that {GROUP} 1 did not come to bob2"]


def test_a_notice_that_nobody_let_go_is_missed_for_each_device_that_it_names(stage: GroupStage) -> None:
    stage.hears_of(stage.ann, stage.bob, stage.bob2)
    assert stage.lost() == [
        f"ann2 was never told that {GROUP} 1 did not come to {device}" for device in ("bob1", "bob2")
    ]
