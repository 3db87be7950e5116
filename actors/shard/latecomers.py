"""Devices that were linked while a message was on its way, found where it arrives: at the shard of their account.

A conversation works with its own copy of the lists of devices. The record of a message says which versions that copy
had; the shard compares them with the accounts as they are written here, before it takes its part. What it finds is on
the disk before that part, and before word of it leaves: so no crash of anyone lets a device be passed by.

Devices that were removed are found in the same way. What came for them is for their queues to take out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.directory_keys import owed_key
from actors.queue.api import NoticeBody
from actors.router.api import UnreachableError
from actors.shard.api import Owed, encode_owed
from protocol import AccountId, ConversationId, DeviceId, shard_of
from protocol.messages import NOTICE_MISSING
from storage.records import Accepted, Removed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.accounts.api import AccountView
    from actors.router.api import Router
    from actors.shard.api import Disk
    from runtime import Process
    from storage.records import Target

__all__ = ["Latecomers"]

_encode = msgspec.msgpack.Encoder().encode


class Latecomers:
    """Finds them for one shard.

    Args:
        process: The process of the shard.
        disk: The shard's slice of the store.
        router: Where accounts are found.

    Attributes:
        gone: Devices for which something was taken that their accounts have no more, or may not have.
    """

    __slots__ = ("_disk", "_noted", "_process", "_router", "_shard", "_writing", "gone")

    def __init__(self, process: Process, disk: Disk, router: Router) -> None:
        self._process = process
        self._disk = disk
        self._router = router
        self._shard = disk.shard
        self.gone: set[DeviceId] = set()
        self._noted: set[bytes] = set()  # what is durably owed, in chains that have yet to be taken
        self._writing: set[bytes] = set()  # what will be; a slow disk is not asked again each time a chain comes again

    def plain(self, record: Accepted | Removed) -> list[Target] | None:
        """Whom of this shard a record goes to if nothing is to be seen to, as nearly always; None if something is."""
        shard, versions = self._shard, () if isinstance(record, Removed) else record.versions
        if not versions:
            if isinstance(record, Removed) and record.reason == NOTICE_MISSING:
                return None
            return [target for target in record.targets if shard_of(target[0]) == shard]
        lists = self._router.lists_of(shard)  # of no account of another shard
        own: list[Target] = []
        for target, version in zip(record.targets, versions, strict=False):
            view = lists.get(target[0])  # type: ignore[call-overload]  # the name of an account is its id
            if view is not None:
                if view.devices_version > version:
                    return None
                own.append(target)
            elif shard_of(target[0]) == shard:
                return None
        return own

    def unknown(self, records: Iterable[Accepted | Removed], *, unheard_only: bool = False) -> set[AccountId]:
        """The accounts of this shard that have to be asked about some records, and are not loaded.

        Args:
            records: Whoever is in them.
            unheard_only: Only those of which the conversation knew no device: without them a record reaches nobody.
        """
        shard, lists = self._shard, self._router.lists_of(self._shard)
        return {
            AccountId(account)
            for record in records
            if (record.reason == NOTICE_MISSING if isinstance(record, Removed) else record.versions)
            for account, devices in record.targets
            if account not in lists and shard_of(account) == shard and not (devices and unheard_only)
        }

    def look_up(self, accounts: Iterable[AccountId]) -> None:
        """Have accounts read from the disk: each that is started shows itself."""
        for account in accounts:
            try:
                self._router.account(account)
            except UnreachableError:
                continue  # it is asked for again

    def targets(self, record: Accepted | Removed) -> list[Target]:
        """Whom of this shard a record goes to, after what is missing was seen to."""
        shard, lists = self._shard, self._router.lists_of(self._shard)
        if isinstance(record, Removed):
            own = [target for target in record.targets if shard_of(target[0]) == shard]
            return _all_devices(own, lists) if record.reason == NOTICE_MISSING else own
        targets: list[Target] = []
        versions = record.versions
        for index, target in enumerate(record.targets):
            account = AccountId(target[0])
            if shard_of(account) != shard:
                continue
            view = lists.get(account) if versions else None
            if view is not None and view.devices_version > versions[index]:
                late = _late(record, target, view, versions[index])
                if not _is_exact(record, versions[index]):
                    target = account, [*target[1], *late]
                else:
                    for device in late:
                        self._tell_missing(record, view.account, device)
            targets.append(target)
        return targets

    def doubt(self, record: Accepted | Removed) -> None:
        """Note the devices of this shard to which a record goes although they may have been removed."""
        if isinstance(record, Removed):
            return
        shard, lists = self._shard, self._router.lists_of(self._shard)
        for (account, devices), version in zip(record.targets, record.versions, strict=False):
            if shard_of(account) == shard:
                view = lists.get(AccountId(account))
                if view is None or view.devices_version > version:
                    self.gone.update(
                        DeviceId(device) for device in devices if view is None or device not in view.devices
                    )

    def settle(self, records: Iterable[Accepted | Removed], settled: Callable[[object], None]) -> bool:
        """Whether some records have to wait until it is on the disk what the devices which they miss are owed.

        Args:
            records: Whoever is in them is known here.
            settled: Is called when something is there.
        """
        lists = self._router.lists_of(self._shard)
        waits = False
        for record in records:
            if isinstance(record, Removed) or not record.is_exact:
                continue
            for target, version in zip(record.targets, record.versions, strict=False):
                view = lists.get(AccountId(target[0]))
                if view is not None and view.devices_version > version and _is_exact(record, version):
                    for device in _late(record, target, view, version):
                        waits = self._owe(record, view.account, device, settled) or waits
        return waits

    def _owe(self, record: Accepted, account: AccountId, device: DeviceId, settled: Callable[[object], None]) -> bool:
        """Keep what a device has yet to get; whether that has to be waited for."""
        key = owed_key(account, device, ConversationId(record.conversation), record.seq)
        if key in self._noted or key in self._writing:
            return key in self._writing
        owed = Owed(
            record.conversation,
            record.seq,
            record.sender,
            record.producer,
            record.message_id,
            record.time_ms,
            record.flags,
            record.expires_ms,
        )

        def written(ok: bool) -> None:
            self._writing.discard(key)
            if ok:
                self._noted.add(key)
            settled(ok)

        self._writing.add(key)
        self._disk.store.directory.put(
            owed_key(account, device, ConversationId(record.conversation), record.seq), encode_owed(owed), written
        )
        return True

    def _tell_missing(self, record: Accepted, account: AccountId, device: DeviceId) -> None:
        """Word to all devices of the sender; each of them that has the message may bring it."""
        sender = AccountId(record.sender)
        self._noted.discard(owed_key(account, device, ConversationId(record.conversation), record.seq))
        targets: list[Target] = [(sender, [record.producer])]
        if shard_of(sender) == self._shard:
            targets = _all_devices(targets, self._router.lists_of(self._shard))
        body = _encode(NoticeBody(record.conversation, record.seq, account, device, NOTICE_MISSING))
        notices = [(record.sender, record.conversation, record.seq)]
        self._disk.append(Removed(device, account, [], NOTICE_MISSING, notices, targets, [body]))


def _is_exact(record: Accepted, version: int) -> bool:
    """Whether a record is for the devices of one list and no other.

    What is the same for all is also for an account of which the conversation knew no list: who named the group's lists
    has said nothing of that one.
    """
    return record.is_exact and (version > 0 or record.tails is not None)


def _late(record: Accepted, target: Target, view: AccountView, version: int) -> list[DeviceId]:
    """The devices of an account that are newer than what a record knew of it."""
    return [
        device
        for device, since in zip(view.devices, view.since, strict=False)
        if (since > version or not version) and device not in target[1] and device != record.producer
    ]


def _all_devices(targets: list[Target], lists: Mapping[AccountId, AccountView]) -> list[Target]:
    """Accounts with all devices that they have now, for each of these may know what is asked for."""
    found: list[Target] = []
    for account, devices in targets:
        view = lists.get(AccountId(account))
        found.append((account, devices if view is None or not view.devices else list(view.devices)))
    return found
