"""A stage for made-up stories: a world that stands still, whose witness is told whatever a test likes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.queue.api import NoticeBody
from protocol import AccountId, ClientId, DeviceId, MessageId, direct_conversation, encode_message, shard_of
from protocol.messages import NOTICE_EXPIRED, Deliver, Message, Sent
from roost.changes import Accepted as Ticked
from roost.changes import NoticeStored, Queued, Received
from roost.session import Phase
from simulation import IDLE, Scenario, World
from storage import MESSAGE
from storage.records import NOTICE, Accepted, Acked, Entries, Removed

if TYPE_CHECKING:
    from pathlib import Path

    from simulation.device import SimulatedDevice

__all__ = ["CHAT", "HOME", "Stage"]

ANN, BOB = AccountId("ann"), AccountId("bob")
CHAT: Final = direct_conversation(ANN, BOB)
HOME: Final = shard_of(ANN)
"""As if the chat lived with Ann: so what is for Bob is an entry of its own."""


class Stage:
    """Ann and Bob have a device each and know each other; nothing happens but what a test tells.

    Args:
        folder: Where the devices' databases lie.

    Attributes:
        ann: Ann's device, which writes.
        bob: Bob's device, which reads.
        text: What the next message says.
    """

    def __init__(self, folder: Path) -> None:
        self.world = World(1, Scenario(people=(IDLE, IDLE), nodes=1, seals=False), [], folder)
        self.witness = self.world.witness
        (self.node,) = self.world.nodes
        self.ann, self.bob = self.world.devices
        self.ann.registered = self.bob.registered = True
        for device in (self.ann, self.bob):
            self.witness.audience.note(device.account, frozenset({device.id}))
        self.ann.epoch = bytes(8)
        self.node.boot()

    def close(self) -> None:
        """Let go of the devices' databases."""
        for device in self.world.devices:
            device.store.close()

    @property
    def broken(self) -> set[str]:
        """Names of the invariants that do not hold."""
        return {error.invariant for error in self.witness.broken}

    # What happens to message `number` of Ann, which is to get seq `seq`; its entry stands at position 100 + seq.

    def writes(self, number: int = 1, text: bytes = b"hello") -> None:
        """Ann's device stores it in its outbox."""
        self.stores(self.ann, Queued(CHAT, _client_id(number), number, text, 0, 0, 0))

    def accepts(self, number: int = 1, seq: int = 1, **changed: Any) -> None:
        """The server has it on its disk."""
        record = Accepted(
            CHAT,
            self.ann.id,
            bytes(8),
            number,
            _client_id(number),
            seq,
            message_id(seq),
            ANN,
            [(BOB, [self.bob.id])],
            0,
            0,
            0,
            encode_message(self.message(seq)),
        )
        record = msgspec.structs.replace(record, **changed)
        self.witness.durable(self.node, seq, HOME, record)

    def queues(self, seq: int = 1, position: int = 0) -> None:
        """Bob's shard has taken its part."""
        body = encode_message(self.message(seq))
        entries = Entries(HOME, seq, [(BOB, [self.bob.id])], MESSAGE, CHAT, seq, ANN, 0, 0, body)
        self.witness.durable(self.node, position or 100 + seq, shard_of(BOB), entries)

    def ticks(self, number: int = 1, seq: int = 1) -> None:
        """Ann is told that it was accepted."""
        self.witness.told(self.ann.id, Sent(CHAT, number, seq, MessageId(message_id(seq)), 0))
        self.stores(self.ann, Ticked(CHAT, _client_id(number), seq, MessageId(message_id(seq)), 0))

    def delivers(self, seq: int = 1, position: int = 0, text: bytes = b"hello") -> None:
        """Bob is sent it."""
        self.witness.told(self.bob.id, Deliver(position or 100 + seq, self.message(seq, text)))

    def receives(self, seq: int = 1, text: bytes = b"hello") -> None:
        """Bob's device has it on its own disk."""
        id_ = MessageId(message_id(seq))
        self.stores(self.bob, Received(CHAT, seq, ANN, DeviceId(self.ann.id), id_, 0, 0, text))

    def acks(self, seq: int = 1) -> None:
        """The server lets its entry go."""
        self.witness.durable(self.node, 200 + seq, shard_of(BOB), Acked(self.bob.id, 100 + seq, BOB))

    def goes_well(self, number: int = 1, seq: int = 1) -> None:
        """All of that, in its order."""
        self.writes(number)
        self.accepts(number, seq)
        self.ticks(number, seq)
        self.queues(seq)
        self.delivers(seq)
        self.receives(seq)
        self.acks(seq)

    def expires(self, seq: int = 1, told: bool = True) -> None:
        """Its entry is removed, with a notice for Ann or without."""
        body = msgspec.msgpack.encode(NoticeBody(CHAT, seq, BOB, self.bob.id, NOTICE_EXPIRED))
        targets = [(str(ANN), [bytes(self.ann.id)])] if told else []
        removed = Removed(self.bob.id, BOB, [100 + seq], NOTICE_EXPIRED, [(ANN, CHAT, seq)], targets, [body])
        self.witness.durable(self.node, 300 + seq, shard_of(BOB), removed)
        if told:
            notice = Entries(shard_of(BOB), 300 + seq, targets, NOTICE, CHAT, seq, BOB, 0, 0, body)
            self.witness.durable(self.node, 400 + seq, shard_of(ANN), notice)

    def hears(self, seq: int = 1) -> None:
        """Ann's device stores the notice."""
        self.stores(self.ann, NoticeStored(CHAT, seq, BOB, DeviceId(self.bob.id), NOTICE_EXPIRED))

    def stores(self, device: SimulatedDevice, change: Any) -> None:
        """A device commits something."""
        device._remember(change)
        self.witness.committed(device, change)

    def message(self, seq: int, text: bytes = b"hello") -> Message:
        """The message as it goes over the wire."""
        return Message(CHAT, seq, ANN, DeviceId(self.ann.id), MessageId(message_id(seq)), 0, 0, text)

    # What stands behind the story.

    def waits(self, duration_s: float) -> None:
        """Time passes."""
        self.world._pass(duration_s)

    def connects(self, device: SimulatedDevice, foreground: bool = True) -> None:
        """A device has a session that is ready."""
        device.running = True
        device._open_session(foreground)
        assert device.session is not None
        device.session.phase = Phase.READY


def message_id(seq: int) -> bytes:
    """The server's id of the message with this seq."""
    return seq.to_bytes(16, "big")


def _client_id(number: int) -> ClientId:
    return ClientId(number.to_bytes(16, "big"))
