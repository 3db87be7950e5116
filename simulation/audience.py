"""For which devices each message is: those of its accounts' lists, as they are durable when it is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from protocol import AccountId, ConversationId, shard_of
from protocol.messages import NOTICE_MISSING

if TYPE_CHECKING:
    from collections.abc import Collection

    from simulation.device import SimulatedDevice
    from simulation.witness import EntryKey, Witness
    from storage.records import Accepted, Entries

__all__ = ["Audience"]

COMMIT_S_MAX: Final = 10.0
"""Longer than a list is on its way to the slowest disk."""


class Audience:
    """What follows from the lists of devices.

    Args:
        witness: Who sees what becomes durable.

    Attributes:
        supplied: By device, conversation and seq: what was brought to a device that had been passed by.
        passed_by: The same of all that is to be brought, or was.
    """

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._lists: dict[str, frozenset[bytes]] = {}
        self.supplied: set[tuple[bytes, str, int]] = set()
        self.passed_by: set[tuple[bytes, str, int]] = set()
        self._started_s: dict[int, float] = {}
        self._named_s: dict[bytes, float] = {}

    def listed(self, value: bytes) -> None:
        """An account is on stable storage, as it is from now on."""
        account, _, _, devices, *_ = msgspec.msgpack.decode(value[1:])  # behind a byte for its schema
        self.note(account, frozenset(device for device, *_ in devices))

    def note(self, account: str, devices: frozenset[bytes]) -> None:
        """An account has these devices from now on."""
        self._lists[account] = devices
        for device in devices:
            self._named_s.setdefault(device, self._witness.world.agenda.now_s)

    def expected(self, record: Accepted, account: str) -> list[SimulatedDevice]:
        """The devices of an account that are to get a message which was accepted now."""
        ids = self._lists.get(account, frozenset()) - {record.producer}
        return [device for device in self._witness.devices_of(account) if device.id in ids and not device.doomed]

    def passes_by(self, record: Accepted, device: SimulatedDevice) -> bool:
        """Whether a message may pass a device by for now: if the conversation need not know of the account's last list.

        That may be so of an account at another node, or of another shard that has just started anew while the list that
        first names the device was on its way to the disk.

        Then it is brought there. But an account with no other device than the sending one is not asked (decision 75).
        """
        if not self._witness.world.is_cluster and not self._was_forgotten(record, device):
            return False
        if device.account != record.sender or any(account == record.sender for account, _ in record.targets):
            self.passed_by.add((device.id, record.conversation, record.seq))
            coverage = self._witness.world.coverage
            if (device.account, []) in record.targets:
                coverage.reached("a group goes on without word of a member")
            else:
                coverage.reached("a message passes a device by that was linked at another node")
        return True

    def shard_started(self, shard: int) -> None:
        """A shard knows nothing now of what it was writing."""
        self._started_s[shard] = self._witness.world.agenda.now_s

    def _was_forgotten(self, record: Accepted, device: SimulatedDevice) -> bool:
        home = shard_of(AccountId(device.account))
        started_s = self._started_s.get(home, -COMMIT_S_MAX)
        is_recent = self._witness.world.agenda.now_s - started_s < COMMIT_S_MAX
        is_elsewhere = home != shard_of(ConversationId(record.conversation))
        return is_elsewhere and is_recent and self._named_s[device.id] >= started_s

    def brought(self, record: Entries) -> None:
        """A supplement is in the queue of its device."""
        self._witness.world.coverage.reached("a message is brought to a device that missed it")
        for _, devices in record.targets:
            self.supplied |= {(device, record.conversation, record.seq) for device in devices}

    def unrest(self, unheard: Collection[tuple[bytes, EntryKey]]) -> list[str]:
        """What has yet to be brought to a device that was passed by.

        Args:
            unheard: By device: notices that it was too full to be told (decision 10); who is not told brings nothing.
        """
        return [
            f"{conversation} {seq} was not brought to {self._witness.devices[device]}, who was passed by"
            for device, conversation, seq in sorted(self.passed_by)
            if not self._made_good(self._witness.devices[device], conversation, seq, unheard)
        ]

    def _made_good(
        self, device: SimulatedDevice, conversation: str, seq: int, unheard: Collection[tuple[bytes, EntryKey]]
    ) -> bool:
        witness = self._witness
        if (conversation, seq) in device.received or (device.id, conversation, seq) in witness.let_go:
            return True
        record = witness.accepted[conversation, seq]
        notice = (NOTICE_MISSING, conversation, seq, device.account, device.id)
        able = [
            other
            for other in witness.devices_of(record.sender)
            if not other.doomed
            and (other.id, notice) not in unheard
            and (other.id == record.producer or (conversation, seq) in other.received)
        ]
        return device.doomed or not able  # nobody is left who could bring it
