"""Messages that a device of the account missed while it was linked, brought by whoever sent them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.directory_keys import owed_key, owed_prefix
from actors.shard.api import Supplied, SupplyTicket, answers, decode_owed, inform
from protocol import Code, ConversationId, DeviceId, MessageId, encode_message
from protocol.messages import Done, Error, Message
from storage.records import MESSAGE, Entries

if TYPE_CHECKING:
    from actors.accounts.api import Supply
    from actors.accounts.owner import Owner
    from storage.directory import Pair

__all__ = ["OwedFound", "OwedListed", "Supplements"]

RETRY_MS: Final = 1_000
PAGE: Final = 256


class OwedFound(NamedTuple):
    """From the disk: what a device has yet to get; None if it is nothing, or not any more."""

    key: bytes
    value: bytes | None


class OwedListed(NamedTuple):
    """From the disk: what a device that left had yet to get."""

    device: DeviceId
    pairs: list[Pair]


class Supplements:
    """What the devices of one account have yet to get.

    A message is put into the queue first, and is owed until it is there durably; so a crash between the two lets it
    come twice, under one message id, and never not at all.

    Args:
        owner: The account's process.
    """

    __slots__ = ("_owner", "_waiting")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._waiting: dict[bytes, list[Supply]] = {}

    @property
    def busy(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)

    def supply(self, supply: Supply) -> None:
        """Somebody brings a message: look whether it is owed. Who brings it at the same time waits for the same."""
        owner, frame = self._owner, supply.frame
        if owner.account is None or owner.account.device(frame.device) is None:
            unknown, busy = Code.DEVICE_UNKNOWN, Code.BUSY  # the first is final, and a removal may not arrive
            owner.settled(partial(self._refuse, supply, unknown), partial(self._refuse, supply, busy, RETRY_MS))
            return
        full = owner.disk.store.accepting()
        if full is not None:
            self._refuse(supply, Code.STORAGE_FULL if full.full else Code.BUSY, RETRY_MS)
            return
        key = owed_key(owner.id, frame.device, frame.conversation, frame.seq)
        waiting = self._waiting.setdefault(key, [])
        waiting.append(supply)
        if len(waiting) == 1:
            found = answers(owner.process, lambda value: OwedFound(key, value))
            owner.disk.store.directory.get(owed_key(owner.id, frame.device, frame.conversation, frame.seq), *found)

    def found(self, found: OwedFound) -> None:
        """Put it into the queue, if it is owed, and by this sender."""
        owner, key, waiting = self._owner, found.key, self._waiting[found.key]
        owed = None if found.value is None else decode_owed(found.value)
        theirs = [supply for supply in waiting if owed is None or supply.sender == owed.sender]
        for supply in waiting:
            if supply not in theirs:
                self._refuse(supply, Code.NOT_ALLOWED)
        if owed is None or not theirs:
            del self._waiting[key]
            for supply in theirs:
                owner.process.cast(supply.connection, Done(supply.frame.request))  # it came before
            return
        self._waiting[key] = theirs
        frame = theirs[0].frame
        message = Message(
            ConversationId(owed.conversation),
            owed.seq,
            theirs[0].sender,
            DeviceId(owed.producer),
            MessageId(owed.message_id),
            owed.time_ms,
            owed.flags,
            frame.payload,
        )
        owner.disk.append(
            Entries(
                owner.disk.shard,
                0,
                [(owner.id, [frame.device])],
                MESSAGE,
                owed.conversation,
                owed.seq,
                owed.sender,
                owed.expires_ms,
                owed.flags,
                encode_message(message),
            ),
            SupplyTicket(owner.process.pid, key),
        )

    def supplied(self, supplied: Supplied) -> None:
        """It is in its queue, on the disk: it is owed no more."""
        owner = self._owner
        for supply in self._waiting.pop(supplied.key, ()):
            frame = supply.frame
            owner.disk.store.directory.delete(
                owed_key(owner.id, frame.device, frame.conversation, frame.seq), lambda _: None
            )
            owner.process.cast(supply.connection, Done(frame.request))

    def left(self, device: DeviceId) -> None:
        """A device is gone: nothing is owed to it."""
        owner = self._owner
        listed = inform(owner.process, lambda pairs: OwedListed(device, pairs))
        owner.disk.store.directory.scan(owed_prefix(owner.id, device), PAGE, listed)

    def listed(self, listed: OwedListed) -> None:
        """Forget a page of what it had yet to get."""
        owner = self._owner
        for owed in (decode_owed(value) for _, value in listed.pairs):
            owner.disk.store.directory.delete(
                owed_key(owner.id, listed.device, ConversationId(owed.conversation), owed.seq), lambda _: None
            )
        if len(listed.pairs) == PAGE:
            self.left(listed.device)

    def _refuse(self, supply: Supply, code: Code, retry_after_ms: int = -1) -> None:
        answer = Error(supply.frame.request, code, code.sentence, retry_after_ms)
        self._owner.process.cast(supply.connection, answer)
