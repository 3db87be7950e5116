"""What leaves a queue without the device's ack: what has expired, is too much, is poison, or was a removed device's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from actors.accounts.api import AccountView, Show
from actors.notices.api import DUE_MS, Missed, encode_missed, target_of
from actors.queue.api import NoticeBody
from actors.router.api import Router, UnreachableError
from actors.shard.api import Disk, answers
from protocol import AccountId, DeviceId, is_group
from protocol.messages import NOTICE_EXPIRED, NOTICE_REVOKED
from storage.records import MESSAGE, Entry, Removed

if TYPE_CHECKING:
    from actors.queue.logic import QueueState
    from runtime import Process

__all__ = ["Removals", "RetryRemovals", "Sweep"]

RETRY_S: Final = 1.0
SWEEP_PAGE_COUNT: Final = 256
SWEEP_PAGE_BYTES: Final = 1 << 20

_encode = msgspec.msgpack.Encoder().encode


class Sweep(NamedTuple):
    """Entries that were read to be removed: the expired ones, or all of a revoked device."""

    entries: list[Entry]


class RetryRemovals:
    """The timer that asks again for the accounts which removals wait for."""


class Removals:
    """The removals of one queue; made with the first one, so that a quiet queue pays nothing for them.

    Args:
        process: The process of the queue.
        device: Whose queue it is.
        account: Whose device it is.
        state: What the queue holds.
        disk: The account's shard of the store.
        router: Where accounts are found.

    Attributes:
        leaving: Positions that wait for the view of their sender, or whose removal is on its way to the disk.
        revoked: Whether the device is no longer one of its account: then everything leaves, and the queue ends.
    """

    __slots__ = (
        "_account",
        "_asked",
        "_asking",
        "_device",
        "_disk",
        "_doubted",
        "_due",
        "_process",
        "_retrying",
        "_router",
        "_state",
        "_sweeping",
        "leaving",
        "revoked",
    )

    def __init__(
        self, process: Process, device: DeviceId, account: AccountId, state: QueueState, disk: Disk, router: Router
    ) -> None:
        self._process = process
        self._device = device
        self._account = account
        self._state = state
        self._disk = disk
        self._router = router
        self._asked: dict[str, list[tuple[Entry, int]]] = {}  # by sender, whose devices are not known yet
        self._asking = False
        self._doubted = False
        self._due = False
        self._retrying = False
        self._sweeping = False
        self.leaving: dict[int, None] = {}
        self.revoked = False

    @property
    def busy(self) -> bool:
        """Whether something leaves, or is looked for."""
        return self._sweeping or bool(self.leaving)

    def begin(self, entry: Entry, reason: int) -> None:
        """Take an entry out, as soon as it is known which devices of its sender are to be told.

        Args:
            entry: What goes. A notice goes without one of its own.
            reason: One of the reasons of a notice.
        """
        self._state.remove([entry])
        self.leaving[entry.position] = None
        if entry.kind != MESSAGE:
            self._write(entry, reason, None)
            return
        if is_group(entry.conversation):
            self._write_to_group(entry, reason)
            return
        asked = self._asked.get(entry.sender)
        if asked is not None:
            asked.append((entry, reason))  # the answer that is on its way serves this one as well
            return
        self._asked[entry.sender] = [(entry, reason)]
        self._ask(entry.sender)
        self._ask_again_later()

    def _ask(self, account: str) -> None:
        try:
            self._process.cast(self._router.account(AccountId(account)), Show(self._process.pid))
        except UnreachableError:
            return  # the timer asks again

    def _ask_again_later(self) -> None:
        if not self._retrying:
            self._retrying = True
            self._process.send_after(RETRY_S, RetryRemovals())

    def ask_again(self) -> None:
        """An answer was lost, or the sender's shard was away."""
        self._retrying = False
        if self._asking:
            self._ask(self._account)
        for sender in self._asked:
            self._ask(sender)
        if self._asking or self._asked:
            self._ask_again_later()

    def account_known(self, view: AccountView) -> None:
        """The devices of an account are known: whatever waited for that is done."""
        for entry, reason in self._asked.pop(view.account, ()):
            self._write(entry, reason, view)
        if self._asking and view.account == self._account:
            due, self._asking, self._due = self._due, False, False
            if self._device not in view.devices:
                self.revoke()  # the queue died in the middle of its revocation, or never heard of it
            elif due:
                self._sweep_from(0)

    def doubt(self) -> bool:
        """Once, when nobody comes for what waits: find out whether the device is there at all.

        A node that was cut off may have accepted for it long after it was removed.
        """
        if self._doubted:
            return False
        self._doubted = self._asking = True
        self._ask(self._account)
        return True

    def look(self, *, is_due: bool) -> None:
        """Find out whether the device is there at all; and if something may have expired, what has.

        Args:
            is_due: Whether something may.
        """
        if not self._sweeping:
            self._due, self._asking = self._due or is_due, True
            self._ask(self._account)
            self._ask_again_later()

    def revoke(self) -> None:
        """The device is no longer one of its account."""
        self.revoked = True
        self._sweep_from(0)

    def _sweep_from(self, position: int) -> None:
        self._sweeping = True
        self._disk.store.read_queue(
            self._disk.shard, self._device, position, SWEEP_PAGE_COUNT, SWEEP_PAGE_BYTES, *answers(self._process, Sweep)
        )

    def sweep(self, entries: list[Entry]) -> None:
        """Take out what is due of a page, and read the next one."""
        now_ms = self._process.runtime.clock.wall_ms()
        for entry in entries:
            if entry.position in self.leaving or entry.position <= self._state.acked_up_to:
                continue
            if self.revoked:
                self.begin(entry, NOTICE_REVOKED)
            elif entry.expires_ms and entry.expires_ms <= now_ms:
                self.begin(entry, NOTICE_EXPIRED)
        if entries:
            self._sweep_from(entries[-1].position)
        else:
            self._sweeping = False

    def durable(self, positions: list[int]) -> None:
        """These are off the disk, and their notices are on it."""
        for position in positions:
            self.leaving.pop(position, None)

    def _write_to_group(self, entry: Entry, reason: int) -> None:
        """The group tells: with a thousand members the sender would hear of nothing else."""
        device, account, group = self._device, self._account, entry.conversation
        body = encode_missed(Missed(entry.sender, entry.seq, account, device, reason))
        notices = [(entry.sender, group, entry.seq)]
        self._disk.tally.remove(reason)
        self._disk.append(
            Removed(device, account, [entry.position], reason, notices, [target_of(group)], [body], DUE_MS),
            self._process.pid,
        )

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
