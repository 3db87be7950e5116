"""The process that tells for a group what did not reach its members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from actors.accounts.api import AccountView, Show
from actors.notices.api import decode_missed
from actors.notices.logic import Collection
from actors.queue.api import NoticeBody
from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, Enqueue, Expire, LoadingActor, RemovalDurable, answers
from protocol import AccountId, ConversationId
from storage.records import Removed

if TYPE_CHECKING:
    from actors.notices.logic import Telling
    from storage import Entry

__all__ = ["CollectorActor"]

COLLECT_S: Final = 1.0
RETIRE_S: Final = 60.0
PAGE_COUNT: Final = 1_024
PAGE_BYTES: Final = 1 << 20

_encode = msgspec.msgpack.Encoder().encode


class Page(NamedTuple):
    """What waits at the group, from the disk."""

    entries: list[Entry]


class Collect:
    """The timer that tells what has come; again and again until every sender was found."""


class Retire:
    """The timer that ends a collector that has nothing to do."""


class CollectorActor(LoadingActor):
    """Takes out of a group's own queue what came together, and tells each sender in one notice a message.

    Args:
        group: Whose it is.
        disk: The group's shard of the store.
        router: Where the senders' accounts are found.
    """

    __slots__ = ("_collecting", "_collection", "_disk", "_group", "_router")

    def __init__(self, group: ConversationId, disk: Disk, router: Router) -> None:
        super().__init__()
        self._group = group
        self._disk = disk
        self._router = router
        self._collection = Collection()
        self._collecting = False

    def init(self) -> None:
        """Ask what waits."""
        self._read()
        self.process.send_after(RETIRE_S, Retire())

    def _read(self) -> None:
        page = answers(self.process, Page)
        after, device = self._collection.tail, self._group.encode()
        self._disk.store.read_queue(self._disk.shard, device, after, PAGE_COUNT, PAGE_BYTES, *page)

    def receive_info(self, message: Any) -> None:
        """What comes from the disk and from timers."""
        kind = type(message)
        if kind is Page:
            self._add(message.entries)
            if message.entries:
                self._read()
            elif not self.is_loaded:
                self.loaded()
        elif kind is Collect:
            self._collecting = False
            self._collect()
        elif kind is Retire:
            if self._collection.is_empty and self.is_loaded:
                self.process.stop()
            else:
                self.process.send_after(RETIRE_S, message)

    def receive(self, message: Any) -> None:
        """Act on a message."""
        self._routes[type(message)](self, message)

    def _add(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._collection.add(entry.position, decode_missed(entry.body))
        if self._collection.is_full:
            self._collect()
        self._collect_later()

    def _collect_later(self) -> None:
        if not self._collecting and self._collection.senders:
            self._collecting = True
            self.process.send_after(COLLECT_S, Collect())

    def _collect(self) -> None:
        """Ask for the devices of those who are to be told; whoever does not answer is asked again."""
        for sender in self._collection.senders:
            try:
                self.process.cast(self._router.account(AccountId(sender)), Show(self.process.pid))
            except UnreachableError:
                continue
        self._collect_later()

    def _enqueued(self, enqueue: Enqueue) -> None:
        self._add(enqueue.entries)

    def _expire(self, _: Expire) -> None:
        """The shard has found something: word of it may have been lost."""
        if self._collection.is_empty:
            self._read()

    def _account_known(self, view: AccountView) -> None:
        for telling in self._collection.take(view.account):
            self._tell(telling, view)

    def _tell(self, telling: Telling, sender: AccountView) -> None:
        group, (first, *others) = self._group, telling.missed
        own = {missed.device for missed in telling.missed}
        devices = [device for device in sender.devices if own != {device}]  # nobody is told of himself alone
        body = NoticeBody(
            group,
            first.seq,
            first.account,
            first.device,
            first.reason,
            [(missed.account, missed.device, missed.reason) for missed in others],
        )
        notices: list[tuple[str, str, int]] = [(sender.account, group, first.seq)]
        targets: list[tuple[str, list[bytes]]] = [(sender.account, list(devices))]
        bodies = [_encode(body)]
        if not devices:
            notices, targets, bodies = [], [], []
        record = Removed(group.encode(), group, telling.positions, first.reason, notices, targets, bodies)
        self._disk.append(record, self.process.pid)

    def _durable(self, removal: RemovalDurable) -> None:
        self._collection.leaving.difference_update(removal.positions)

    _routes: Final[dict[type, Any]] = {
        Enqueue: _enqueued,
        Expire: _expire,
        AccountView: _account_known,
        RemovalDurable: _durable,
    }
