"""Promise 4: one sequence in a conversation, the same on every device, and each sender's messages in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roost.changes import Queued, Received
from simulation.witness import Checker

if TYPE_CHECKING:
    from roost.changes import Change
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from storage.records import Accepted

__all__ = ["Order"]


class Order(Checker):
    """Seqs have no gap and no repetition, devices see them rise, and nobody's words are turned round."""

    name = "promise 4: order"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._next_seq: dict[str, int] = {}
        self._written: dict[bytes, int] = {}
        self._accepted: dict[tuple[bytes, str], int] = {}
        self._shown: dict[tuple[bytes, str], int] = {}

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """The next seq, and the next of its sender's messages."""
        conversation, seq = record.conversation, record.seq
        expected = self._next_seq.get(conversation, 1)
        if seq != expected:
            self.breaks(f"{conversation} got seq {seq} where {expected} was next")
        self._next_seq[conversation] = seq + 1
        if not record.producer:
            return
        place = self._written.get(record.client_id)
        if place is None:
            self.breaks(f"{conversation} {seq} was accepted before its own device had stored it")
            return
        stream = (record.producer, conversation)
        if place < self._accepted.get(stream, 0):
            self.breaks(f"{conversation} {seq} of {record.sender} was accepted behind what was written after it")
        self._accepted[stream] = place

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """What a device stores has risen, and is what everybody knows under that seq."""
        if isinstance(change, Queued):
            self._written[change.client_id] = len(self._written) + 1
        elif isinstance(change, Received):
            stream = (device.id, change.conversation)
            before = self._shown.get(stream, 0)
            supplied = (device.id, change.conversation, change.seq) in self.witness.audience.supplied
            if change.seq <= before and not supplied:
                self.breaks(f"{device} got {change.conversation} {change.seq} behind {before}")
            self._shown[stream] = max(before, change.seq)
            record = self.witness.accepted.get((change.conversation, change.seq))
            if record is None or record.message_id != change.message_id:
                self.breaks(f"{device} knows another message as {change.conversation} {change.seq}")
