"""The process of a shard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from actors.router.api import Router, UnreachableError, shard_number
from actors.shard.api import (
    Disk,
    Enqueue,
    Expire,
    LoadingActor,
    MarksDurable,
    RemovalDurable,
    Ticket,
    answers,
    device_key,
    holder_of,
)
from actors.shard.logic import Inbound, Job, Outbound
from protocol import AccountId, ClientId, Code, DeviceId
from protocol.messages import Refused
from runtime import Pid, Reason
from storage import Entry, ShardView, StoreCorruptError
from storage.group import Committed
from storage.records import MESSAGE, NOTICE, Accepted, Entries, Marked, Removed, Target

__all__ = ["Commits", "ShardActor"]

TAKEN_INTERVAL_S: Final = 1.0
RESYNC_DELAY_S: Final = 0.2
EXPIRED_MAX: Final = 1_000
OUTBOX_PAGE_RECORDS: Final = 1_000
RETRY_MS: Final = 1_000
WRITE_FAILED: Final = Reason("write_failed")


class Commits(msgspec.Struct, frozen=True):
    """From the journal: what became durable of this shard, in position order."""

    committed: list[Committed]


class Spread(msgspec.Struct, frozen=True):
    """From a source shard: jobs with something for accounts of this one, chained to position `previous`."""

    source: int
    previous: int
    jobs: Sequence[Job]


class Resync(msgspec.Struct, frozen=True):
    """From a target shard: send again everything behind this cursor."""

    target: int
    cursor: int


class Taken(msgspec.Struct, frozen=True):
    """From a target shard: everything up to this position is on its disk."""

    target: int
    up_to: int


class TellTaken:
    """The timer that tells the sources how far this shard has come."""


class SweepExpired:
    """The timer that looks for entries which have outlived their time."""


class AskAgain(NamedTuple):
    """The timer that asks a source shard for what is missing."""

    source: int


class Expired(NamedTuple):
    """From the disk: the devices for which something has expired."""

    devices: list[bytes]


class DeviceFound(NamedTuple):
    """From the disk: whose device that is, or None for one that the directory does not know."""

    device: bytes
    account: bytes | None


class OutboxPage(NamedTuple):
    """From the disk: jobs that some target may not have taken."""

    jobs: list[Job]
    complete: bool


class ShardActor(LoadingActor):
    """Acts on everything that becomes durable in one shard.

    Args:
        disk: The shard's slice of the store.
        router: Where queues and the other shards are found.
        shards: All shards of the cluster.
        sweep_interval_s: How often expired entries are looked for.
    """

    __slots__ = ("_disk", "_inbound", "_outbound", "_router", "_shard", "_shards", "_sweep_interval_s")

    def __init__(self, disk: Disk, router: Router, shards: range, sweep_interval_s: float) -> None:
        super().__init__()
        self._disk = disk
        self._shard = disk.shard
        self._router = router
        self._shards = shards
        self._sweep_interval_s = sweep_interval_s
        self._inbound: dict[int, Inbound] = {}
        self._outbound: dict[int, Outbound] = {}

    def init(self) -> None:
        """Ask for what is still to be spread, and how far this shard has taken what others spread."""
        self._disk.store.load_shard(self._shard, *answers(self.process, lambda view: view))
        self.process.send_after(TAKEN_INTERVAL_S, TellTaken())
        self.process.send_after(self._sweep_interval_s, SweepExpired())

    def receive_info(self, message: Any) -> None:
        """What comes from the disk and from timers."""
        kind = type(message)
        if kind is ShardView:
            self._restore(message)
        elif kind is TellTaken:
            self._tell_taken()
            self.process.send_after(TAKEN_INTERVAL_S, message)
        elif kind is AskAgain:
            self._resync_from(message.source)
        elif kind is SweepExpired:
            now_ms = self.process.runtime.clock.wall_ms()
            self._disk.store.expired(self._shard, now_ms, EXPIRED_MAX, *answers(self.process, Expired))
            self.process.send_after(self._sweep_interval_s, message)
        elif kind is OutboxPage:
            self._restore_outbox(message)
        elif kind is Expired:
            for device in message.devices:
                self._expire(device)
        elif kind is DeviceFound and message.account is not None:
            self._expire_queue(DeviceId(message.device), message.account)

    def _expire(self, device: bytes) -> None:
        found = answers(self.process, lambda account: DeviceFound(device, account))
        self._disk.store.directory.get(device_key(DeviceId(device)), *found)

    def _expire_queue(self, device: DeviceId, value: bytes) -> None:
        try:
            account = holder_of(value)
        except StoreCorruptError as error:
            self._disk.tally.damaged(str(error))  # one record is no reason to end the whole shard, at every sweep
            return
        self._cast_queue(device, account, Expire())

    def _restore(self, view: ShardView) -> None:
        self._inbound = {source: Inbound(cursor) for source, cursor in view.cursors.items()}
        self._restore_outbox(OutboxPage(view.outbox, view.outbox_complete))

    def _restore_outbox(self, page: OutboxPage) -> None:
        """Send again what some target may not have; then this shard is open, and asks the others for the same."""
        jobs: dict[int, list[Job]] = {}
        for job in page.jobs:
            for target in {shard_number(account) for account, _ in job[1].targets} - {self._shard}:
                jobs.setdefault(target, []).append(job)
        for target, waiting in jobs.items():
            self._send_jobs(target, waiting)
        if not page.complete:
            self._disk.store.read_outbox(
                self._shard,
                page.jobs[-1][0],
                OUTBOX_PAGE_RECORDS,
                *answers(self.process, lambda more: OutboxPage(more, len(more) < OUTBOX_PAGE_RECORDS)),
            )
            return
        for source in self._shards:
            if source != self._shard:
                self._resync_from(source)
        self.loaded()

    def _send_jobs(self, target: int, waiting: Sequence[Job]) -> None:
        outbound = self._outbound.get(target)
        if outbound is None:
            outbound = self._outbound[target] = Outbound()
        previous, jobs = outbound.send(waiting)
        if jobs:
            self._send(target, Spread(self._shard, previous, jobs))

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._routes[type(message)](self, message)

    def _commits(self, commits: Commits) -> None:
        spreads: dict[int, list[Job]] = {}
        arrivals: dict[tuple[DeviceId, AccountId], list[Entry]] = {}
        for commit in commits.committed:
            record = commit.record
            if commit.error is not None:
                self._failed(record, commit.token)
            elif isinstance(record, Accepted):
                assert isinstance(commit.token, Ticket), "a conversation gives its ticket along"
                self._tick(commit.token)
                self._route(commit.position, record, spreads, arrivals)
            elif isinstance(record, Entries):
                self._inbound[record.source].durable = record.source_position
                entry = Entry.of(commit.position, record)
                for account, devices in record.targets:
                    for device in devices:
                        arrivals.setdefault((DeviceId(device), AccountId(account)), []).append(entry)
            elif isinstance(record, Marked):
                if isinstance(commit.token, Pid):
                    self.process.insist(commit.token, MarksDurable(AccountId(record.account)))
            elif isinstance(record, Removed):
                self._route(commit.position, record, spreads, arrivals)
                if isinstance(commit.token, Pid):
                    self.process.insist(commit.token, RemovalDurable(record.positions))
        for (device, account), entries in arrivals.items():
            self._cast_queue(device, account, Enqueue(entries))
        for target, jobs in spreads.items():
            self._send_jobs(target, jobs)

    def _tick(self, ticket: Ticket) -> None:
        """The message is durable: ✓ for everyone who waits for it."""
        ticket.done = True
        self._disk.tally.accepted += 1
        for waiter in ticket.waiters:
            self.process.insist(waiter, ticket.sent)

    def _route(
        self,
        position: int,
        record: Accepted | Removed,
        spreads: dict[int, list[Job]],
        arrivals: dict[tuple[DeviceId, AccountId], list[Entry]],
    ) -> None:
        """To the queues of this shard at once: the record is its own entry there; to other shards as a job."""
        last: int | None = None
        for account, devices in record.targets:
            target = shard_number(account)
            if target == self._shard:
                entry = Entry.of(position, record)
                for device in devices:
                    arrivals.setdefault((DeviceId(device), AccountId(account)), []).append(entry)
            elif target != last:
                jobs = spreads.setdefault(target, [])
                if not jobs or jobs[-1][0] != position:
                    jobs.append((position, record))
                last = target

    def _failed(self, record: object, token: object) -> None:
        """A record did not reach the disk: its writer starts anew from what did."""
        if isinstance(token, Ticket):
            token.done = True
            refusal = Refused(
                token.sent.conversation,
                token.sent.number,
                ClientId(token.client_id),
                Code.BUSY,
                Code.BUSY.sentence,
                RETRY_MS,
                0,
            )
            for waiter in token.waiters:
                self.process.insist(waiter, refusal)
            self.process.exit(token.conversation, WRITE_FAILED)
        elif isinstance(token, Pid):
            self.process.exit(token, WRITE_FAILED)
        elif isinstance(record, Entries):
            inbound = self._inbound.get(record.source)  # none: this shard has restarted, and asks for all of it again
            if inbound is not None and inbound.failed(token):
                self.process.send_after(RESYNC_DELAY_S, AskAgain(record.source))

    def _spread(self, spread: Spread) -> None:
        """Take the jobs that are new: one record each, with the entries of all devices of this shard."""
        inbound = self._inbound.get(spread.source)
        if inbound is None:
            inbound = self._inbound[spread.source] = Inbound()
        jobs = inbound.take(spread.previous, spread.jobs)
        if jobs is None:
            self._resync_from(spread.source)
            return
        for position, record in jobs:
            targets = [target for target in record.targets if shard_number(target[0]) == self._shard]
            self._disk.append(_entries(spread.source, position, record, targets), inbound.attempt)

    def _resync_from(self, source: int) -> None:
        inbound = self._inbound.get(source)
        self._send(source, Resync(self._shard, 0 if inbound is None else inbound.appended))

    def _resync(self, resync: Resync) -> None:
        outbound = self._outbound.get(resync.target)
        if outbound is not None:
            jobs = outbound.resend(resync.cursor)
            if jobs:
                self._send(resync.target, Spread(self._shard, resync.cursor, jobs))

    def _tell_taken(self) -> None:
        for source, inbound in self._inbound.items():
            news = inbound.news()
            if news is not None:
                self._send(source, Taken(self._shard, news))

    def _taken(self, taken: Taken) -> None:
        outbound = self._outbound.get(taken.target)
        for position in outbound.taken(taken.up_to) if outbound is not None else ():
            self._disk.store.taken(self._shard, position, taken.target)

    def _send(self, shard: int, message: object) -> None:
        """To another shard; one that is away asks by itself when it is back."""
        try:
            self.process.cast(self._router.shard(shard), message)
        except UnreachableError:
            return

    def _cast_queue(self, device: DeviceId, account: AccountId, message: object) -> None:
        """To a queue; one that cannot start now reads its entries from the store when it does."""
        try:
            self.process.insist(self._router.queue(device, account), message)
        except UnreachableError:
            return

    _routes: Final[dict[type, Any]] = {Commits: _commits, Spread: _spread, Resync: _resync, Taken: _taken}


def _entries(source: int, position: int, record: Accepted | Removed, targets: list[Target]) -> Entries:
    """The record with which a target shard takes its part of a job."""
    if isinstance(record, Removed):
        ((_, conversation, seq),) = record.notices
        return Entries(source, position, targets, NOTICE, conversation, seq, record.account, 0, 0, record.bodies[0])
    return Entries(
        source,
        position,
        targets,
        MESSAGE,
        record.conversation,
        record.seq,
        record.sender,
        record.expires_ms,
        record.flags,
        record.body,
    )
