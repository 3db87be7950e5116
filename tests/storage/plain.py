"""The plain model: all that ever became durable, in order, and everything else worked out from it the slow way."""

from __future__ import annotations

from dataclasses import dataclass, field

from storage import (
    MESSAGE,
    NOTICE,
    Accepted,
    Acked,
    ConversationView,
    Entries,
    Entry,
    Marked,
    Owned,
    QueueView,
    Record,
    Removed,
)
from storage.records import ENTRY_OVERHEAD_BYTES

SHARDS = 3


def shard_of(account: str) -> int:
    """The last character of an account or conversation is its shard."""
    return int(account[-1]) % SHARDS


def directory_shard(key: bytes, value: bytes) -> int | None:
    """A key that begins with `shard` and a digit is of that shard; every other is the node's own."""
    return key[5] - ord("0") if key.startswith(b"shard") and key[5:6].isdigit() else None


def contents(view: ConversationView) -> tuple[object, ...]:
    """What a view says, of whatever lies where in its snapshot."""
    producers = {key: (it.last, it.ring) for key, it in view.producers.items()}
    marks = {account: (it.delivered, it.read, it.read_shown) for account, it in view.marks.items()}
    return view.next_seq, producers, marks, view.state


@dataclass(slots=True)
class Plain:
    """What a store has to look like."""

    journal: list[tuple[int, int, Record]] = field(default_factory=list)
    directory: dict[bytes, bytes] = field(default_factory=dict)
    taken: set[tuple[int, int, int]] = field(default_factory=set)
    taken_lost: set[tuple[int, int, int]] = field(default_factory=set)

    def waiting(self, device: bytes) -> list[Entry]:
        entries: dict[int, Entry] = {}
        for position, shard, record in self.journal:
            match record:
                case Accepted() | Entries():
                    kind = MESSAGE if isinstance(record, Accepted) else record.kind
                    if any(device in devices and shard_of(account) == shard for account, devices in record.targets):
                        entries[position] = Entry(
                            position,
                            kind,
                            record.conversation,
                            record.seq,
                            record.sender,
                            record.expires_ms,
                            record.flags,
                            record.body if record.tails is None else record.body + record.tails[device],
                        )
                case Removed(notices=[(_, conversation, seq)]):
                    if any(device in devices and shard_of(account) == shard for account, devices in record.targets):
                        entries[position] = Entry(
                            position, NOTICE, conversation, seq, record.account, 0, 0, record.bodies[0]
                        )
                case _:
                    pass
            if isinstance(record, Removed) and record.device == device:
                entries = {at: entry for at, entry in entries.items() if at not in record.positions}
            elif isinstance(record, Acked) and record.device == device:
                entries = {at: entry for at, entry in entries.items() if at > record.up_to}
        return list(entries.values())

    def queue_view(self, device: bytes) -> QueueView:
        entries = self.waiting(device)
        if not entries:
            return QueueView(0, 0, 0, 0)
        size = sum(len(entry.body) + ENTRY_OVERHEAD_BYTES for entry in entries)
        return QueueView(len(entries), size, entries[0].position, entries[-1].position)

    def conversation(self, name: str) -> ConversationView:
        view = ConversationView()
        for _, _, record in self.journal:
            if isinstance(record, Accepted | Marked) and record.conversation == name:
                view.apply(record)
        return view

    def next_seq(self, name: str) -> int:
        return 1 + sum(isinstance(it, Accepted) and it.conversation == name for _, _, it in self.journal)

    def cursors(self, shard: int) -> dict[int, int]:
        found: dict[int, int] = {}
        for _, at, record in self.journal:
            if isinstance(record, Entries) and at == shard:
                found[record.source] = record.source_position
        return found

    def epoch(self, shard: int) -> int:
        return max((it.epoch for _, at, it in self.journal if isinstance(it, Owned) and at == shard), default=0)

    def remote_targets(self, shard: int) -> dict[int, set[int]]:
        """Outbox positions of a shard, with the other shards that they were for."""
        jobs: dict[int, set[int]] = {}
        for position, at, record in self.journal:
            told = isinstance(record, Accepted) or (isinstance(record, Removed) and bool(record.notices))
            if told and isinstance(record, Accepted | Removed) and at == shard:
                targets = {shard_of(account) for account, _ in record.targets} - {shard}
                if targets:
                    jobs[position] = targets
        return jobs

    def reopened(self) -> None:
        """A replay knows by the durable cursors what was taken; a part that waits in the table may be offered again."""
        for shard in range(SHARDS):
            for position, targets in self.remote_targets(shard).items():
                for target in targets:
                    if self.cursors(target).get(shard, 0) >= position:
                        self.taken.add((shard, position, target))

    def untaken(self, shard: int) -> dict[int, set[int]]:
        jobs = self.remote_targets(shard)
        left = {at: {it for it in targets if (shard, at, it) not in self.taken} for at, targets in jobs.items()}
        return {at: targets for at, targets in left.items() if targets}

    def outbox_allowed(self, shard: int) -> set[int]:
        """After a crash a part that was taken may be offered once more."""
        jobs = self.remote_targets(shard)
        return {at for at, targets in jobs.items() if any((shard, at, it) in self.taken_lost for it in targets)}

    def expired(self, shard: int, devices: dict[bytes, str], now_ms: int) -> set[bytes]:
        return {
            device
            for device, account in devices.items()
            if shard_of(account) == shard and any(0 < it.expires_ms <= now_ms for it in self.waiting(device))
        }
