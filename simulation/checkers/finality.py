"""What is final: a message that is refused for good, and a session that never connects again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.groups.api import NOBODY
from protocol import is_group
from roost.changes import Failed, Queued
from roost.events import ConnectionChanged, ConnectionState
from simulation.witness import Checker

if TYPE_CHECKING:
    from actors.groups.api import GroupState
    from roost.changes import Change
    from roost.events import Event
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from storage.records import Accepted

__all__ = ["Finality"]


class Finality(Checker):
    """Everybody here may write to everybody, small things and of valid age: only a removed device is turned away.

    So is who is no member of a group, or is to listen there: durably, at some time since they wrote.
    """

    name = "nobody is turned away for good without a cause"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._failed: set[bytes] = set()
        self._accepted: set[bytes] = set()
        self._groups: dict[str, list[GroupState]] = {}  # each as it was on the disk, one after another
        self._written_at: dict[bytes, int] = {}  # by client id: its place among those when it was written

    def grouped(self, record: Accepted, before: GroupState, after: GroupState) -> None:
        """A group is on the disk as it is now."""
        if after is not before:
            self._groups.setdefault(record.conversation, [NOBODY]).append(after)

    def accepted(self, node: SimulatedNode, position: int, record: Accepted) -> None:
        """What was refused for good stays refused: its person may have written it again."""
        self._accepted.add(record.client_id)
        if record.client_id in self._failed:
            self.breaks(f"{record.conversation} {record.seq} was accepted, and its device was told that it never is")

    def committed(self, device: SimulatedDevice, change: Change) -> None:
        """A message fails only with its device, and never when others have it."""
        if isinstance(change, Queued):
            self._written_at[change.client_id] = len(self._groups.get(change.conversation, [NOBODY])) - 1
        elif isinstance(change, Failed):
            self._failed.add(change.client_id)
            if change.client_id in self._accepted:
                self.breaks(f"{device} was told that a message in {change.conversation} is refused, and it is accepted")
            elif not device.doomed and not self._was_barred(device, change):
                self.breaks(f"a message of {device} in {change.conversation} was refused for good: {change.sentence}")

    def _was_barred(self, device: SimulatedDevice, failed: Failed) -> bool:
        """Whether the disk has had a group that says so since the message was written."""
        if not is_group(failed.conversation):
            return False
        states = self._groups.get(failed.conversation, [NOBODY])[self._written_at[failed.client_id] :]
        return any(state.may_write(device.account) == failed.code for state in states)

    def published(self, device: SimulatedDevice, event: Event) -> None:
        """A session stops only when its device was removed."""
        if isinstance(event, ConnectionChanged) and event.state is ConnectionState.STOPPED and not device.doomed:
            self.breaks(f"{device} stopped for good: {event.sentence}")
