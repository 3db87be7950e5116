"""What other rooms may do with a shard: write to its slice of the disk, load from it, and be spread to.

`Disk` is the only way the messenger touches `storage`. Completions come back as messages to the actor
that asked, never as return values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from protocol import AccountId
from protocol.messages import Refused, Sent
from runtime import MAILBOX_FULL, Actor, Pid, Process, UnhandledError
from storage import Entry, StorageError, Store, StoreCorruptError
from storage.records import UNREADABLE, Number

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.tally import Tally
    from protocol.messages import Error, GroupDone, GroupStale
    from storage.records import Record

__all__ = [
    "Answers",
    "ChangeDurable",
    "ChangeTicket",
    "Disk",
    "Enqueue",
    "Expire",
    "LoadingActor",
    "MarksDurable",
    "Owed",
    "PaceLimits",
    "Reachable",
    "RemovalDurable",
    "Supplied",
    "SupplyTicket",
    "Ticket",
    "answers",
    "decode_owed",
    "encode_owed",
    "inform",
]

STASH_MAX: Final = 10_000


class Ticket:
    """A send on its way to the disk: who waits for its ✓, and the frame that is the ✓.

    Mutable on purpose: a retry of a send whose commit is in flight joins `waiters`, and so is
    answered by that commit and never before it.
    """

    __slots__ = ("client_id", "conversation", "done", "sent", "waiters")

    def __init__(self, conversation: Pid, sent: Sent, client_id: bytes, waiter: Pid) -> None:
        self.conversation = conversation
        self.sent = sent
        self.client_id = client_id
        self.waiters = [waiter]
        self.done = False


class ChangeTicket:
    """A change of a group on its way to the disk: who waits for it, with the answer for when it is there, or is not.

    Mutable for the same reason as `Ticket`.
    """

    __slots__ = ("conversation", "done", "seq", "waiters")

    def __init__(self, conversation: Pid, seq: int) -> None:
        self.conversation = conversation
        self.seq = seq
        self.waiters: list[tuple[Pid, GroupDone | GroupStale | Error, Error]] = []
        self.done = False


class SupplyTicket(NamedTuple):
    """A supplement on its way to the disk: the account that hears when it is there, and under which key it was owed."""

    account: Pid
    key: bytes


class Supplied(msgspec.Struct, frozen=True):
    """To an account: what was owed under this key is in its device's queue, durably."""

    key: bytes


class ChangeDurable(msgspec.Struct, frozen=True):
    """To a group: the change at this place of its sequence is on disk."""

    seq: int


class MarksDurable(msgspec.Struct, frozen=True):
    """To a conversation: the watermarks of this member that it wrote last are on disk."""

    account: AccountId


class Owed(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A message that a device of this shard has yet to get by a supplement: all of it but the payload.

    Attributes:
        conversation: Where it was sent.
        seq: Its place there.
        sender: The account that sent it, and may supplement it.
        producer: The device that sent it.
        message_id: The server's id.
        time_ms: When it was accepted.
        flags: The sender's flags.
        expires_ms: When it expires, wall clock; 0 means never.
    """

    conversation: str
    seq: Number
    sender: str
    producer: bytes
    message_id: bytes
    time_ms: Number
    flags: Number
    expires_ms: Number


encode_owed = msgspec.msgpack.Encoder().encode
_decode_owed = msgspec.msgpack.Decoder(Owed).decode


def decode_owed(value: bytes) -> Owed:
    """What a device has yet to get.

    Raises:
        StoreCorruptError: The value says nothing of that kind.
    """
    try:
        return _decode_owed(value)
    except UNREADABLE as error:
        raise StoreCorruptError("the directory's record of a message to be supplemented", str(error)) from error


class RemovalDurable(msgspec.Struct, frozen=True):
    """To a queue: these entries are off the disk, and their notices are on it."""

    positions: list[int]


class Answers(msgspec.Struct, array_like=True, frozen=True):
    """To a connection: what became of its sends by one commit."""

    frames: list[Sent | Refused]


class Enqueue(msgspec.Struct, frozen=True):
    """To a queue: these entries of its device are on disk."""

    entries: list[Entry]


class Expire(msgspec.Struct, frozen=True):
    """To a queue: something of yours has outlived its time, or else only its device may be gone."""

    is_due: bool = True


class PaceLimits(NamedTuple):
    """How fast a shard hands out what it has for many others.

    Attributes:
        targets_min: A message to so many accounts is held to the pace.
        shards_burst: Shards that may be given something at once, after a while without.
        shards_per_s: So many more every second: 31 messages a second, each for all 64 shards, never wait.
        step_shards: Shards that are given something in a step, once some wait.
        step_s: The time between two steps. With one shard each 2 ms a chat beside a hot group took 1.37 and 1.64 times
            as long as without, with 8 each 4 ms 2.26 and 1.78 times (in turns, `--only hot`, decision 78).
    """

    targets_min: int = 256
    shards_burst: int = 128
    shards_per_s: float = 2_000.0
    step_shards: int = 1
    step_s: float = 0.002


class Reachable(msgspec.Struct, frozen=True):
    """To the process of a shard: these can be reached anew, after a link or a node was away, or they have moved."""

    shards: tuple[int, ...]


class Disk:
    """One shard's slice of the store.

    Args:
        store: The node's store.
        shard: Number of the shard.
        epoch: Ownership epoch under which this node may write to the shard.
        tally: Where the node counts what becomes of messages.
    """

    __slots__ = ("_append", "epoch", "shard", "store", "tally")

    def __init__(self, store: Store, shard: int, epoch: int, tally: Tally) -> None:
        self.tally = tally
        self.store = store
        self.shard = shard
        self.epoch = epoch
        self._append = store.append

    def append(self, record: Record, token: object = None) -> None:
        """Write a record; when it is durable, the shard actor acts on `token`."""
        self._append(self.shard, self.epoch, record, token)


def inform(process: Process, wrap: Callable[[Any], object]) -> Callable[[Any], None]:
    """A completion callback that turns what came from the disk into a message to `process`.

    One whose mailbox is full would wait for it for ever: it ends, and starts anew from the disk.
    """
    pid, runtime = process.pid, process.runtime
    send = runtime.send

    def completed(value: Any) -> None:
        if not send(pid, wrap(value)):
            runtime.exit(pid, MAILBOX_FULL)

    return completed


def answers(
    process: Process, wrap: Callable[[Any], object]
) -> tuple[Callable[[Any], None], Callable[[StorageError], None]]:
    """Both callbacks of a read: that of `inform`, and one that ends a `LoadingActor` with what it cannot read."""
    return inform(process, wrap), inform(process, lambda error: error)


class LoadingActor(Actor):
    """An actor whose state is on disk: casts that arrive before it is loaded wait, in order.

    Subclasses ask for their state in `init`, call `loaded` once they have it, and take casts in `receive`, everything
    else in `receive_info`. What cannot be read from the disk ends the actor: the crash names the value and the fix.
    """

    __slots__ = ("_stash",)

    def __init__(self) -> None:
        self._stash: list[Any] | None = []

    def handle_cast(self, message: Any) -> None:
        """Act on a message, or keep it until the state is there."""
        stash = self._stash
        if stash is None:
            self.receive(message)
        elif len(stash) < STASH_MAX:
            stash.append(message)
        else:
            self.process.stop(MAILBOX_FULL)  # better to start anew from the disk than to miss what must be heard

    def handle_info(self, message: Any) -> None:
        """Act on what the disk, a timer or a monitor tells.

        Raises:
            StorageError: The disk told that something cannot be read.
        """
        if isinstance(message, StorageError):
            raise message
        self.receive_info(message)

    def receive_info(self, message: Any) -> None:
        """Act on what the disk, a timer or a monitor tells."""

    def receive(self, message: Any) -> None:
        """Act on a message.

        Raises:
            UnhandledError: The class takes no casts.
        """
        raise UnhandledError(type(self).__name__, "receive", type(message).__name__)

    @property
    def is_loaded(self) -> bool:
        """Whether the state is there."""
        return self._stash is None

    def loaded(self) -> None:
        """The state is there: act on what waited."""
        stash, self._stash = self._stash, None
        for message in stash or ():
            self.receive(message)
