"""Groups: who gets what was said when they were members, nobody else does, and what is told of it is so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from actors.directory_keys import groups_key
from actors.groups.api import decode_group
from protocol import is_group
from protocol.messages import CHANGE, MEMBER, Deliver, Group, GroupReceipt, TypingBy
from simulation.witness import Checker
from storage import Table

if TYPE_CHECKING:
    from simulation.device import SimulatedDevice
    from simulation.node import SimulatedNode
    from simulation.witness import Witness
    from simulation.world import World
    from storage.records import Accepted

__all__ = ["Membership"]


class Membership(Checker):
    """A group's messages reach the devices of those who are members at their seq, and nobody else's."""

    name = "groups: nobody gets what was said before they joined or after they left"

    def __init__(self, witness: Witness) -> None:
        super().__init__(witness)
        self._stays: dict[tuple[str, str], list[list[int]]] = {}

    def grouped(self, record: Accepted, before: Any, after: Any) -> None:
        """What was accepted in a group, and what the group is before and after it."""
        conversation, seq = record.conversation, record.seq
        for account in after.members.keys() - before.members.keys():
            self._stays.setdefault((conversation, account), []).append([seq, 1 << 62])
        for account in before.members.keys() - after.members.keys():
            self._stays[conversation, account][-1][1] = seq
        self._meant(record, before, after)
        if record.state:
            written = decode_group(record.state)
            if (written.version, written.members, written.name) != (after.version, after.members, after.name):
                self.breaks(f"{conversation} {seq} was written with another group than its changes make")
        if not record.flags & CHANGE and before.role(record.sender) is None:
            self.breaks(f"{conversation} {seq} was said by {record.sender}, who is no member")
        if not record.flags & CHANGE and before.announcement and before.role(record.sender) == MEMBER:
            self.breaks(f"{conversation} {seq} was said by {record.sender}, where only admins write")

    def _meant(self, record: Accepted, before: Any, after: Any) -> None:
        meant = {device for _, devices in record.targets for device in devices}
        for device in self.witness.devices.values():
            belongs = device.account in before.members or device.account in after.members
            if not belongs and device.id in meant:
                self.breaks(f"{record.conversation} {record.seq} was meant for {device}, who is no member")
            wanted = belongs and device in self.witness.audience.expected(record, device.account)
            if wanted and device.id not in meant and not self.witness.audience.passes_by(record, device):
                self.breaks(f"{record.conversation} {record.seq} was not meant for {device}, who is a member")

    def told(self, device: SimulatedDevice, frame: Any) -> None:
        """What leaves a server for a device."""
        if isinstance(frame, Deliver) and frame.position and is_group(frame.message.conversation):
            message = frame.message
            stays = self._stays.get((message.conversation, device.account), [])
            if not any(first <= message.seq <= last for first, last in stays):
                self.breaks(f"{device} was sent {message.conversation} {message.seq}, but belonged to it {stays}")
        elif isinstance(frame, GroupReceipt):
            self._counts(device, frame)
        elif isinstance(frame, Group):
            self._described(device, frame)
        elif isinstance(frame, TypingBy) and is_group(frame.conversation):
            self._typing(device, frame)

    def _typing(self, device: SimulatedDevice, frame: TypingBy) -> None:
        stays = self._stays.get((frame.conversation, device.account))
        if not stays or device.account == frame.account:
            self.breaks(f"{device} heard that {frame.account} types in {frame.conversation}")

    def _described(self, device: SimulatedDevice, frame: Group) -> None:
        state = self.witness.group_versions.get((frame.conversation, frame.version))
        if state is None:
            self.breaks(f"{device} heard of version {frame.version} of {frame.conversation}, which is not durable")
        elif {member.account for member in frame.members} != set(state.members):
            self.breaks(f"{device} heard of other members of {frame.conversation} than version {frame.version} has")
        elif device.account not in state.members:
            self.breaks(f"{device} was told who is in {frame.conversation}, and is not")

    def _counts(self, device: SimulatedDevice, frame: GroupReceipt) -> None:
        """No step says more than is durable of each message in it."""
        conversation = frame.conversation
        others = [
            (stays[0][0], *self.witness.highest_marks(conversation, account))
            for (group, account), stays in self._stays.items()
            if group == conversation and account != device.account
        ]
        first = frame.behind + 1
        for step in frame.steps:
            # Who has left while the receipt was on its way is counted in it; so is whoever has ever been a member here.
            for seq in (first, step.up_to):
                delivered = sum(joined <= seq <= mark for joined, mark, _, _ in others)
                read = sum(joined <= seq <= shown for joined, _, _, shown in others)
                if step.delivered > delivered or step.read > read:
                    self.breaks(f"{device} heard that {step} have {frame.conversation} {seq}: {delivered}, {read} do")
            first = step.up_to + 1

    def unrest(self, world: World) -> list[str]:
        """Accounts that do not know yet which groups they belong to."""
        found: list[str] = []
        for person in world.people:
            home = world.home(person.account)
            known = _known(home, person.account) if home is not None else set()
            real = {group for group, state in self.witness.groups.items() if person.account in state.members}
            if known != real:
                found.append(f"{person.account} knows of the groups {sorted(known)}, and belongs to {sorted(real)}")
        return found


def _known(home: SimulatedNode, account: Any) -> set[str]:
    value = home.disk._tables[Table.DIRECTORY].values.get(groups_key(account))
    return set(msgspec.msgpack.decode(value[1:])) if value is not None else set()
