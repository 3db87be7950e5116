"""What is final: a message that is refused for good, and a session that never connects again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import Code, is_group
from roost.changes import Failed
from roost.events import ConnectionChanged, ConnectionState
from simulation.witness import Checker

if TYPE_CHECKING:
    from roost.changes import Change
    from roost.events import Event
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from storage.records import Accepted

__all__ = ["Finality"]


_OF_GROUPS = (Code.NOT_MEMBER, Code.ANNOUNCEMENT_ONLY)
"""Why a group turns away who has left it, or is to listen; `membership` holds that nobody else speaks there."""


class Finality(Checker):
    """Everybody here may write to everybody, small things and of valid age: only a removed device is turned away."""

    name = "nobody is turned away for good without a cause"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._failed: set[bytes] = set()
        self._accepted: set[bytes] = set()

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """What was refused for good stays refused: its person may have written it again."""
        self._accepted.add(record.client_id)
        if record.client_id in self._failed:
            self.breaks(f"{record.conversation} {record.seq} was accepted, and its device was told that it never is")

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """A message fails only with its device, and never when others have it."""
        if isinstance(change, Failed):
            self._failed.add(change.client_id)
            if change.client_id in self._accepted:
                self.breaks(f"{device} was told that a message in {change.conversation} is refused, and it is accepted")
            elif not device.doomed and not (is_group(change.conversation) and change.code in _OF_GROUPS):
                self.breaks(f"a message of {device} in {change.conversation} was refused for good: {change.sentence}")

    def published(self, device: SimulatedDevice, event: Event) -> None:
        """A session stops only when its device was removed."""
        if isinstance(event, ConnectionChanged) and event.state is ConnectionState.STOPPED and not device.doomed:
            self.breaks(f"{device} stopped for good: {event.sentence}")
