"""What changes in a shard while it is copied, by name: a short second round brings what the first one missed.

Only names are kept, no values: whoever reads them later finds the state of then. New entries and new outbox records
need no name of their own, for their positions lie above that of the round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage.records import Accepted, Acked, Entries, Marked, Record, Removed, Target

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES_MAX: Final = 100_000
"""Names in one log, of 100 bytes each."""


class Changes:
    """What has changed in a shard since a moment.

    Args:
        position: The last position that had taken effect at that moment.
        count_max: How many names are kept.

    Attributes:
        position: As given.
        devices: Those whose queue has changed, with positions at or below `position` that were taken out one by one.
        conversations: Those that went on.
        keys: Of the directory, written or deleted.
        jobs: Positions at or below `position` in the outbox of which a part was taken.
        has_overrun: Whether there were too many; then none are kept, and the round has to be given up.
    """

    __slots__ = ("_count_max", "_removed", "conversations", "devices", "has_overrun", "jobs", "keys", "position")

    def __init__(self, position: int, count_max: int = CHANGES_MAX) -> None:
        self._count_max = count_max
        self._removed = 0
        self.position = position
        self.devices: dict[bytes, set[int] | None] = {}
        self.conversations: set[str] = set()
        self.keys: set[bytes] = set()
        self.jobs: set[int] = set()
        self.has_overrun = False

    def __len__(self) -> int:
        return len(self.devices) + self._removed + len(self.conversations) + len(self.keys) + len(self.jobs)

    def note(self, shard: int, record: Record, shard_of: Callable[[str], int]) -> None:
        """A record of the shard has taken effect."""
        match record:
            case Accepted(conversation=conversation, targets=targets):
                self.conversations.add(conversation)
                self._queues(shard, targets, shard_of)
            case Entries(targets=targets):
                for _, devices in targets:
                    for device in devices:
                        self.devices.setdefault(device)
            case Acked(device=device):
                self.devices.setdefault(device)
            case Marked(conversation=conversation):
                self.conversations.add(conversation)
            case Removed(device=device, positions=positions, targets=targets):
                self._remove(device, positions)
                self._queues(shard, targets, shard_of)
        self._bound()

    def note_key(self, key: bytes) -> None:
        """A key of the directory is written or deleted."""
        self.keys.add(key)
        self._bound()

    def note_job(self, position: int) -> None:
        """Somebody has taken a part of a record in the outbox."""
        if position <= self.position:
            self.jobs.add(position)
            self._bound()

    def _queues(self, shard: int, targets: list[Target], shard_of: Callable[[str], int]) -> None:
        for account, devices in targets:
            if shard_of(account) == shard:
                for device in devices:
                    self.devices.setdefault(device)

    def _remove(self, device: bytes, positions: list[int]) -> None:
        known = self.devices.get(device) or set()
        before = len(known)
        known.update(position for position in positions if position <= self.position)
        self._removed += len(known) - before
        self.devices[device] = known or None

    def _bound(self) -> None:
        if self.has_overrun or len(self) > self._count_max:
            self.has_overrun = True
            for names in (self.devices, self.conversations, self.keys, self.jobs):
                names.clear()
            self._removed = 0
