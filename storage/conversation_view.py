"""What a conversation knows of its past: the same fold serves the living conversation and its snapshot on disk."""

from __future__ import annotations

from typing import Final

import msgspec

from storage.errors import StoreCorruptError
from storage.records import UNREADABLE, Accepted, Marked, Number, check_version

VIEW_VERSION: Final = 1
RING_SIZE: Final = 32
EPOCHS_PER_DEVICE_MAX: Final = 4
PRODUCERS_MAX: Final = 4_096


class Sent(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One send that was accepted, as needed to answer a retry of it.

    Attributes:
        number: The producer's number.
        client_id: The producer's id of the send.
        message_id: The server's id.
        seq: The place in the conversation.
        time_ms: When it was accepted, wall clock.
    """

    number: Number
    client_id: bytes
    message_id: bytes
    seq: Number
    time_ms: Number


class Producer:
    """One (device, epoch) that sends here: its last number and its last sends.

    Attributes:
        last: The last number accepted; the next must be one higher.
        ring: The last 32 sends, oldest first.
    """

    __slots__ = ("last", "ring")

    def __init__(self, last: int, ring: list[Sent]) -> None:
        self.last = last
        self.ring = ring

    def find(self, number: int) -> Sent | None:
        """Return the send with this number, if it is among the last 32."""
        index = len(self.ring) - 1 - (self.last - number)
        return self.ring[index] if 0 <= index < len(self.ring) else None


class Mark:
    """One member's watermarks; each only grows."""

    __slots__ = ("delivered", "read", "read_shown")

    def __init__(self, delivered: int = 0, read: int = 0, read_shown: int = 0) -> None:
        self.delivered = delivered
        self.read = read
        self.read_shown = read_shown


class _Snapshot(msgspec.Struct, array_like=True):
    next_seq: Number
    producers: list[tuple[bytes, bytes, Number, list[Sent]]]
    marks: msgspec.Raw
    state: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Snapshot).decode
_decode_marks = msgspec.msgpack.Decoder(dict[str, tuple[Number, Number, Number]]).decode


class ConversationView:
    """The fold of a conversation's records.

    Attributes:
        next_seq: The seq that the next message gets; the first is 1.
        producers: By (device, epoch); at most 4 epochs a device and 4,096 in all, the longest silent go first.
        state: What the conversation has said of itself last, such as who its members are; opaque here.
    """

    __slots__ = ("_marks", "_stored_marks", "next_seq", "producers", "state")

    def __init__(self) -> None:
        self.next_seq = 1
        self.producers: dict[tuple[bytes, bytes], Producer] = {}
        self._marks: dict[str, Mark] = {}
        self._stored_marks: msgspec.Raw | None = None  # as long as nobody has asked for them
        self.state = b""

    @property
    def marks(self) -> dict[str, Mark]:
        """The watermarks by account.

        Raises:
            StoreCorruptError: What the snapshot has there are none.
        """
        if self._stored_marks is not None:
            self._marks, self._stored_marks = _opened(self._stored_marks), None
        return self._marks

    def apply(self, record: Accepted | Marked) -> None:
        """Fold one durable record in. To fold all from some record on in once more, in their order, changes nothing."""
        if type(record) is Accepted:
            for account in record.parted:  # also once more: so do the marks that came before it
                self.marks.pop(account, None)
            if record.seq >= self.next_seq:
                self._accept(record)
        elif type(record) is Marked:
            self._mark(record.account, record.delivered, record.read, record.read_shown)
            for account, delivered, read, read_shown in record.others:
                self._mark(account, delivered, read, read_shown)

    def _mark(self, account: str, delivered: int, read: int, read_shown: int) -> None:
        mark = self.marks.get(account)
        if mark is None:
            mark = self.marks[account] = Mark()
        mark.delivered = max(mark.delivered, delivered)
        mark.read = max(mark.read, read)
        mark.read_shown = max(mark.read_shown, read_shown)

    def _accept(self, record: Accepted) -> None:
        self.next_seq = record.seq + 1
        if record.state:
            self.state = record.state
        if not record.producer:
            return
        key = (record.producer, record.epoch)
        producer = self.producers.get(key)
        if producer is None:
            self._make_place(record.producer)
            producer = self.producers[key] = Producer(0, [])
        ring = producer.ring
        if record.number != producer.last + 1:
            ring.clear()  # numbers in a ring are consecutive; `find` counts on it
        producer.last = record.number
        ring.append(Sent(record.number, record.client_id, record.message_id, record.seq, record.time_ms))
        if len(ring) > RING_SIZE:
            del ring[0]

    def _make_place(self, device: bytes) -> None:
        epochs = [key for key in self.producers if key[0] == device]
        if len(epochs) >= EPOCHS_PER_DEVICE_MAX:
            del self.producers[min(epochs, key=self._last_seq)]
        elif len(self.producers) >= PRODUCERS_MAX:
            del self.producers[min(self.producers, key=self._last_seq)]

    def _last_seq(self, key: tuple[bytes, bytes]) -> int:
        ring = self.producers[key].ring
        return ring[-1].seq if ring else 0

    def encode(self) -> bytes:
        """Return the snapshot: one byte of version, then MessagePack."""
        producers = [(device, epoch, it.last, it.ring) for (device, epoch), it in self.producers.items()]
        marks = self._stored_marks
        if marks is None:
            watermarks = {account: (it.delivered, it.read, it.read_shown) for account, it in self._marks.items()}
            marks = msgspec.Raw(_encode(watermarks))
        return bytes((VIEW_VERSION,)) + _encode(_Snapshot(self.next_seq, producers, marks, self.state))

    @classmethod
    def decode(cls, value: bytes | None, *, lazily: bool = False) -> ConversationView:
        """Return the view that a snapshot holds; None gives that of a new conversation.

        Args:
            value: The snapshot.
            lazily: Leave the marks as they are until they are asked for. Then a message to a group of 1,024 is folded
                in and the snapshot encoded in 15 us; with the marks of all members it takes 300.

        Raises:
            StoreVersionError: A newer Roost wrote the snapshot.
            StoreCorruptError: It is no snapshot.
        """
        view = cls()
        if value is None:
            return view
        check_version(value, VIEW_VERSION, "a conversation snapshot")
        try:
            snapshot = _decode(memoryview(value)[1:])
        except UNREADABLE as error:
            raise StoreCorruptError("a conversation snapshot", str(error)) from error
        view.next_seq = snapshot.next_seq
        view.state = snapshot.state
        for device, epoch, last, ring in snapshot.producers:
            if [sent.number for sent in ring] != list(range(last + 1 - len(ring), last + 1)):
                raise StoreCorruptError("a conversation snapshot", "the numbers of a producer have a gap")
            view.producers[device, epoch] = Producer(last, ring)
        view._stored_marks = snapshot.marks
        if not lazily:
            _ = view.marks
        return view


def _opened(stored: msgspec.Raw) -> dict[str, Mark]:
    try:
        return {account: Mark(*watermarks) for account, watermarks in _decode_marks(stored).items()}
    except UNREADABLE as error:
        raise StoreCorruptError("a conversation snapshot", str(error)) from error
