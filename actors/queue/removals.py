"""What leaves a queue without the device's ack: with a notice to the sender, or for good with its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from actors.accounts.api import AccountView, Show
from actors.queue.api import NoticeBody
from actors.router.api import Router, UnreachableError
from protocol import AccountId, DeviceId
from storage.records import MESSAGE, Removed

if TYPE_CHECKING:
    from actors.shard.api import Disk
    from runtime import Process
    from storage import Entry

__all__ = ["Removals", "RetryRemovals"]

RETRY_S: Final = 1.0

_encode = msgspec.msgpack.Encoder().encode


class RetryRemovals:
    """The timer that asks again for the accounts which removals wait for."""


class Removals:
    """The removals of one queue; made with the first one, so that a quiet queue pays nothing for them.

    Args:
        process: The process of the queue.
        device: Whose queue it is.
        account: Whose device it is.
        disk: The account's shard of the store.
        router: Where accounts are found.

    Attributes:
        leaving: Positions that wait for the view of their sender, or whose removal is on its way to the disk.
    """

    __slots__ = ("_account", "_asked", "_device", "_disk", "_process", "_router", "leaving")

    def __init__(self, process: Process, device: DeviceId, account: AccountId, disk: Disk, router: Router) -> None:
        self._process = process
        self._device = device
        self._account = account
        self._disk = disk
        self._router = router
        self._asked: dict[int, tuple[Entry, int]] = {}
        self.leaving: dict[int, None] = {}

    def begin(self, entry: Entry, reason: int) -> None:
        """Take an entry out, as soon as it is known which devices of its sender are to be told.

        Args:
            entry: What goes. A notice goes without one of its own.
            reason: One of the reasons of a notice.
        """
        self.leaving[entry.position] = None
        if entry.kind != MESSAGE:
            self._write(entry, reason, None)
            return
        self._asked[entry.position] = (entry, reason)
        self._ask(entry.sender)
        if len(self._asked) == 1:
            self._process.send_after(RETRY_S, RetryRemovals())

    def _ask(self, sender: str) -> None:
        try:
            self._process.cast(self._router.account(AccountId(sender)), Show(self._process.pid))
        except UnreachableError:
            return  # the timer asks again

    def ask_again(self) -> None:
        """An answer was lost, or the sender's shard was away."""
        if self._asked:
            for sender in {entry.sender for entry, _ in self._asked.values()}:
                self._ask(sender)
            self._process.send_after(RETRY_S, RetryRemovals())

    def sender_known(self, view: AccountView) -> None:
        """The devices of a sender are known: whatever waited for them is written."""
        for entry, reason in [pair for pair in self._asked.values() if pair[0].sender == view.account]:
            del self._asked[entry.position]
            self._write(entry, reason, view)

    def durable(self, positions: list[int]) -> None:
        """These are off the disk, and their notices are on it."""
        for position in positions:
            self.leaving.pop(position, None)

    def _write(self, entry: Entry, reason: int, sender: AccountView | None) -> None:
        device, account = self._device, self._account
        devices = [] if sender is None else [other for other in sender.devices if other != device]
        if devices:
            body = _encode(NoticeBody(entry.conversation, entry.seq, account, device, reason))
            notices = [(entry.sender, entry.conversation, entry.seq)]
            targets: list[tuple[str, list[bytes]]] = [(entry.sender, list(devices))]
            record = Removed(device, account, [entry.position], reason, notices, targets, [body])
        else:
            record = Removed(device, account, [entry.position], reason, [], [], [])
        self._disk.tally.remove(reason)
        self._disk.append(record, self._process.pid)
