"""The process of a shard."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from actors.accounts.api import lists_device
from actors.directory_keys import account_key, device_key, holder_of
from actors.notices.api import collecting_group
from actors.placement.api import PLACEMENT, Unowned
from actors.router.api import Router, UnreachableError
from actors.shard.api import (
    Answers,
    ChangeDurable,
    ChangeTicket,
    Disk,
    Enqueue,
    Expire,
    LoadingActor,
    MarksDurable,
    PaceLimits,
    Reachable,
    RemovalDurable,
    Supplied,
    SupplyTicket,
    Ticket,
    answers,
)
from actors.shard.pulse import Beat, Pulse
from actors.shard.spreading import AskAgain, OutboxPage, Resync, SendAgain, Spread, Spreading, Step, Taken, parts_of
from protocol import AccountId, ClientId, Code, DeviceId, shard_of
from protocol.messages import Refused, Sent
from runtime import Pid, Reason
from storage import Entry, ShardView, StoreCorruptError, StoreVersionError
from storage.group import Committed
from storage.records import Accepted, Entries, Marked, Owned, Removed

if TYPE_CHECKING:
    from actors.shard.absent import Absent
    from actors.shard.logic import Job
    from storage.records import Target

__all__ = ["Commits", "ShardActor"]

Answered: TypeAlias = dict[Pid, list[Sent | Refused]]
"""What each connection is told at the end of a commit, in one message."""

EXPIRED_MAX: Final = 1_000
STRAYS_MAX: Final = 32
"""Devices looked up a second: all shards of a node together 2,000, at 15 us each."""
RETRY_MS: Final = 1_000
WRITE_FAILED: Final = Reason("write_failed")


class Commits(msgspec.Struct, frozen=True):
    """From the journal: what became durable of this shard, or failed, in position order; of acks only what failed."""

    committed: list[Committed]


class SweepExpired:
    """The timer that looks for entries which have outlived their time."""


class Expired(NamedTuple):
    """From the disk: the devices for which something has expired."""

    devices: list[bytes]


class DeviceFound(NamedTuple):
    """From the disk: whose device that is, or None for one that the directory does not know."""

    device: bytes
    account: bytes | None


class StrayFound(NamedTuple):
    """From the disk: whose device that is for which something waits."""

    device: DeviceId
    value: bytes | None


class HolderFound(NamedTuple):
    """From the disk: the account of such a device."""

    device: DeviceId
    account: AccountId
    value: bytes | None


class Arrived(NamedTuple):
    """What a commit has brought for one device, and its queue if that runs."""

    account: AccountId
    queue: Pid | None
    entries: list[Entry]


class ShardActor(LoadingActor):
    """Acts on everything that becomes durable in one shard.

    Args:
        disk: The shard's slice of the store.
        router: Where queues and the other shards are found.
        shards: All shards of the cluster.
        sweep_interval_s: How often expired entries are looked for.
        pace: How fast large fan-outs go out.
        absent: Of this shard.
    """

    _pulse: Pulse
    _spreading: Spreading

    __slots__ = (
        "_absent",
        "_disk",
        "_pace",
        "_pulse",
        "_router",
        "_shard",
        "_shards",
        "_spreading",
        "_strays",
        "_sweep_interval_s",
    )

    def __init__(
        self,
        disk: Disk,
        router: Router,
        shards: range,
        sweep_interval_s: float,
        pace: PaceLimits,
        absent: Absent,
    ) -> None:
        super().__init__()
        self._absent = absent
        self._disk = disk
        self._shard = disk.shard
        self._router = router
        self._shards = shards
        self._sweep_interval_s = sweep_interval_s
        self._pace = pace
        self._strays: list[DeviceId] = []  # devices that were removed, perhaps, with something left

    def init(self) -> None:
        """Ask for what is still to be spread, and how far this shard has taken what others spread."""
        self._pulse = Pulse(self.process, self._shard)
        self._router.lists_forgotten(self._shard)
        if not self._disk.store.takes(self._shard, self._disk.epoch):
            self._tell_unowned(self._disk.epoch)
        self._disk.store.load_shard(self._shard, *answers(self.process, lambda view: view))
        # The shards of a node begin together; so they do not all do this in the same millisecond ever after.
        turn = 0.5 + self._shard / (2 * len(self._shards))
        self.process.send_after(self._sweep_interval_s * turn, SweepExpired())

    def receive_info(self, message: Any) -> None:
        """What comes from the disk and from timers."""
        kind = type(message)
        if kind is ShardView:
            self._restore(message)
        elif kind is Beat:
            self._pulse.beaten()
            self._spreading.tell_taken()
            self._look_up_strays()
        elif kind is AskAgain:
            self._spreading.ask_again(message.source)
        elif kind is SendAgain:
            self._spreading.send_again(message.target)
        elif kind is Step:
            self._spreading.step()
        elif kind is SweepExpired:
            now_ms = self.process.runtime.clock.wall_ms()
            self._disk.store.expired(self._shard, now_ms, EXPIRED_MAX, *answers(self.process, Expired))
            self.process.send_after(self._sweep_interval_s, message)
        elif kind is OutboxPage:
            if message.target is None:
                self._restore_outbox(message, message.is_last)
            else:
                self._spreading.send_page(message)
        elif kind is Expired:
            for device in message.devices:
                self._expire(device)
        elif kind is DeviceFound and message.account is not None:
            self._expire_queue(DeviceId(message.device), message.account)
        elif kind is StrayFound or kind is HolderFound:
            self._stray(message)

    def _expire(self, device: bytes) -> None:
        group = collecting_group(DeviceId(device))
        if group is not None:
            self._cast_queue(DeviceId(device), AccountId(group), Expire())
            return
        found = answers(self.process, lambda account: DeviceFound(device, account))
        self._disk.store.directory.get(device_key(DeviceId(device)), *found)

    def _expire_queue(self, device: DeviceId, value: bytes) -> None:
        try:
            account = holder_of(value)
        except StoreCorruptError as error:
            self._disk.tally.damaged(str(error))  # one record is no reason to end the whole shard, at every sweep
            return
        self._cast_queue(device, account, Expire())

    def _look_up_strays(self) -> None:
        """Find out whose devices some are, a few at a time."""
        strays, self._strays = self._strays[:STRAYS_MAX], self._strays[STRAYS_MAX:]
        for stray in strays:
            self._disk.store.directory.get(device_key(stray), *answers(self.process, partial(StrayFound, stray)))
        if self._strays:
            self._pulse.want()

    def _stray(self, found: StrayFound | HolderFound) -> None:
        """What waits may be for a device that was removed: then nobody else will look at it."""
        try:
            if found.value is None:
                return
            if isinstance(found, StrayFound):
                account = holder_of(found.value)
                asked = answers(self.process, partial(HolderFound, found.device, account))
                self._disk.store.directory.get(account_key(account), *asked)
            elif not lists_device(found.value, found.device):
                self._cast_queue(found.device, found.account, Expire(is_due=False))
        except (StoreCorruptError, StoreVersionError) as error:
            self._disk.tally.damaged(str(error))

    def _restore(self, view: ShardView) -> None:
        self._spreading = Spreading(self.process, self._disk, self._router, view.cursors, self._pace, self._pulse)
        self._strays = [device for device in map(DeviceId, view.devices) if collecting_group(device) is None]
        self._restore_outbox(OutboxPage(None, 0, view.outbox), view.outbox_complete)

    def _restore_outbox(self, page: OutboxPage, complete: bool) -> None:
        """Send again what some target may not have; then this shard is open, and asks the others for the same."""
        spreading = self._spreading
        spreading.send_page(page)
        if not complete:
            spreading.read_outbox(None, page.up_to)
            return
        spreading.meet(self._shards)
        self.loaded()
        if self._strays:
            self._pulse.want()

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._routes[type(message)](self, message)

    def _commits(self, commits: Commits) -> None:
        spreads: dict[int, list[Job]] = {}
        prompt: set[int] = set()
        arrivals: dict[bytes, Arrived] = {}
        answered: Answered = {}
        for commit in commits.committed:
            record = commit.record
            if commit.error is not None:
                self._failed(record, commit.token, answered)
            elif isinstance(record, Accepted):
                assert isinstance(commit.token, Ticket | ChangeTicket), "a conversation gives its ticket along"
                self._tick(commit.token, answered)
                self._route(commit.position, record, spreads, prompt, arrivals)
            elif isinstance(record, Entries):
                self._spreading.durable(record)
                if isinstance(commit.token, SupplyTicket):
                    self.process.insist(commit.token.account, Supplied(commit.token.key))
                self._arrive(commit.position, record, record.targets, arrivals)
            elif isinstance(record, Marked):
                if isinstance(commit.token, Pid):
                    self.process.insist(commit.token, MarksDurable(AccountId(record.account)))
            elif isinstance(record, Removed):
                self._route(commit.position, record, spreads, prompt, arrivals)
                if isinstance(commit.token, Pid):
                    self.process.insist(commit.token, RemovalDurable(record.positions))
        for connection, frames in answered.items():
            self.process.insist(connection, Answers(frames))
        for device, arrived in arrivals.items():
            self._enqueue(DeviceId(device), arrived)
        if spreads:
            self._spreading.send_all(spreads, prompt)

    def _arrive(
        self,
        position: int,
        record: Accepted | Entries | Removed,
        targets: list[Target],
        arrivals: dict[bytes, Arrived],
    ) -> None:
        """Note the entries of a record that some queue has to look at: not those that only wait, as most in a group."""
        tails = None if isinstance(record, Removed) else record.tails
        own = Entry.of(position, record)
        weight = self._absent.weight(own)
        queue_here, keeps, gone = self._router.queue_here, self._absent.keeps, self._spreading.latecomers.gone
        for account, devices in targets:
            for device in devices:
                if tails is not None:
                    own = Entry.of(position, record, device)
                    weight = self._absent.weight(own)
                known = arrivals.get(device) if arrivals else None
                if known is not None:
                    known.entries.append(own)
                    continue
                queue = queue_here(device)
                if queue is not None or device in gone or not keeps(device, weight):
                    arrivals[device] = Arrived(AccountId(account), queue, [own])

    def _enqueue(self, device: DeviceId, arrived: Arrived) -> None:
        """To the queue if it runs; one that is started now reads from the store."""
        account, queue, entries = arrived
        gone = self._spreading.latecomers.gone
        if queue is not None:
            self.process.insist(queue, Enqueue(entries))
        else:
            self._queue(device, account)
        if device in gone:
            gone.discard(device)
            self._cast_queue(device, account, Expire(is_due=False))
            self._strays.append(device)  # once more in a moment, if nothing has come of it
            self._pulse.want()

    def _tick(self, ticket: Ticket | ChangeTicket, answered: Answered) -> None:
        """The message is durable: ✓ for everyone who waits for it."""
        ticket.done = True
        if isinstance(ticket, ChangeTicket):
            for connection, done, _ in ticket.waiters:
                self.process.insist(connection, done)
            self.process.insist(ticket.conversation, ChangeDurable(ticket.seq))
            return
        self._disk.tally.accepted += 1
        for waiter in ticket.waiters:
            answered.setdefault(waiter, []).append(ticket.sent)

    def _route(
        self,
        position: int,
        record: Accepted | Removed,
        spreads: dict[int, list[Job]],
        prompt: set[int],
        arrivals: dict[bytes, Arrived],
    ) -> None:
        """To the queues of this shard at once: the record is its own entry there; to other shards as a job."""
        is_small = len(record.targets) < self._pace.targets_min
        for target, part in parts_of(record).items():
            if target == self._shard:
                own = [each for each in part.targets if shard_of(each[0]) == target]
                self._spreading.latecomers.doubt(part)
                self._arrive(position, record, own, arrivals)
                continue
            spreads.setdefault(target, []).append((position, part))
            if is_small:
                prompt.add(target)

    def _failed(self, record: object, token: object, answered: Answered) -> None:
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
                answered.setdefault(waiter, []).append(refusal)
            self.process.exit(token.conversation, WRITE_FAILED)
        elif isinstance(token, ChangeTicket):
            token.done = True
            for waiter, _, error in token.waiters:
                self.process.insist(waiter, error)
            self.process.exit(token.conversation, WRITE_FAILED)
        elif isinstance(token, Pid | SupplyTicket):
            self.process.exit(token if isinstance(token, Pid) else token.account, WRITE_FAILED)
        elif isinstance(record, Entries):
            self._spreading.failed(record, token)
        elif isinstance(record, Owned):
            self._tell_unowned(record.epoch)

    def _tell_unowned(self, epoch: int) -> None:
        """The disk would not note that this shard is ours, or its note was lost on this process."""
        placement = self.process.runtime.whereis(PLACEMENT)
        if placement is not None:  # without one this was the first write of a node, which then does not start
            self.process.cast(placement, Unowned(self._shard, epoch))

    def _cast_queue(self, device: DeviceId, account: AccountId, message: object) -> None:
        queue = self._queue(device, account)
        if queue is not None:
            self.process.insist(queue, message)

    def _queue(self, device: DeviceId, account: AccountId) -> Pid | None:
        """A queue, started if need be; one that cannot start now reads its entries from the store when it does."""
        try:
            return self._router.queue(device, account)
        except UnreachableError:
            return None

    def _spread(self, spread: Spread) -> None:
        self._spreading.spread(spread)

    def _resync(self, resync: Resync) -> None:
        self._spreading.resync(resync)

    def _taken(self, taken: Taken) -> None:
        self._spreading.taken(taken)

    def _meet(self, reachable: Reachable) -> None:
        self._spreading.meet(reachable.shards)

    _routes: Final[dict[type, Any]] = {
        Commits: _commits,
        Spread: _spread,
        Resync: _resync,
        Taken: _taken,
        Reachable: _meet,
    }
