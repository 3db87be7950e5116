"""What other rooms may say to the queue of a device, and what its connection hears."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from protocol import DeviceId
from runtime import Pid
from storage import StoreCorruptError
from storage.records import UNREADABLE, Number

__all__ = [
    "Acknowledge",
    "Attach",
    "Attached",
    "Batch",
    "Detach",
    "Fault",
    "Flow",
    "Full",
    "NoticeBody",
    "Pass",
    "Probe",
    "QueueLimits",
    "Report",
    "Turn",
    "decode_notice",
    "unseen_max",
]


class Attach(msgspec.Struct, array_like=True, frozen=True):
    """A connection of the device is there.

    Attributes:
        connection: Whom to deliver to.
        session: Token of an earlier session that it wants to resume, or empty.
        received_up_to: Position up to which the device has committed itself, by its own word.
        foreground: Whether a person looks.
        power: How the device is fed, one of the POWER values of the protocol.
        opened_s: When the connection was opened, by the clock of its host; 0 from a node that does not say.
    """

    connection: Pid
    session: bytes
    received_up_to: int
    foreground: bool
    power: int
    opened_s: float = 0.0

    def given_up_for(self, other: Pid, opened_s: float) -> bool:
        """Whether the client had left this connection for that one, and only the Login was under way for long.

        On different nodes nobody can tell: whoever comes last counts as the newer one.
        """
        here = self.connection
        return (here.node, here.incarnation) == (other.node, other.incarnation) and self.opened_s < opened_s


class Attached(msgspec.Struct, array_like=True, frozen=True):
    """Answer to `Attach`: deliveries follow."""

    queue: Pid
    session: bytes
    resumed: bool
    waiting: int


class Batch(msgspec.Struct, array_like=True, frozen=True):
    """To a connection: entries to deliver, as (position, kind, body), in position order."""

    entries: list[tuple[int, int, bytes]]


class Acknowledge(msgspec.Struct, array_like=True, frozen=True):
    """The device has committed everything up to this position."""

    connection: Pid
    up_to: int


class Detach(msgspec.Struct, array_like=True, frozen=True):
    """The client says goodbye on this connection."""

    connection: Pid


class Flow(msgspec.Struct, array_like=True, frozen=True):
    """The connection's socket takes more, or does not at this moment."""

    connection: Pid
    open: bool


class NoticeBody(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a notice says, as it waits in the store: which message did not reach which device, and why.

    Attributes:
        conversation: Where the message was written.
        seq: Its place.
        account: Whose device it is.
        device: The device.
        reason: Why.
        others: Further devices that it did not reach: account, device, why.
    """

    conversation: str
    seq: Number
    account: str
    device: bytes
    reason: Number
    others: list[tuple[str, bytes, Number]] = []


_decode_notice = msgspec.msgpack.Decoder(NoticeBody).decode


def decode_notice(body: bytes) -> NoticeBody:
    """The notice that waited in the store.

    Raises:
        StoreCorruptError: It is none.
    """
    try:
        return _decode_notice(body)
    except UNREADABLE as error:
        raise StoreCorruptError("a notice that waits for its device", str(error)) from error


class Turn(msgspec.Struct, array_like=True, frozen=True):
    """The application on the device went to the foreground or background, or its power has changed."""

    connection: Pid
    foreground: bool
    power: int


class Report(msgspec.Struct, array_like=True, frozen=True):
    """From the presence of the account: say whether your device is here."""

    presence: Pid


class Pass(msgspec.Struct, array_like=True, frozen=True):
    """An ephemeral message for the device, if it is connected now."""

    body: bytes


class Full(msgspec.Struct, array_like=True, frozen=True):
    """To a conversation: this device's queue had to turn a message away, or has room again."""

    device: DeviceId
    full: bool


class Probe(msgspec.Struct, array_like=True, frozen=True):
    """From a conversation that knows the queue to be full: answered with `Full`, whether it still is."""

    conversation: Pid


class Fault(msgspec.Struct, array_like=True, frozen=True):
    """To a connection: close with this code."""

    code: int


UNSEEN_PART: Final = 16


def unseen_max(device: DeviceId, quota: int) -> int:
    """How much may come for a device that is away until its queue does something about it: starts, or ends.

    A sixteenth of its quota, or down to a half of that, by the device: else one message to a large group would start a
    thousand queues at once (15 us and a read of the store each).
    """
    return quota // UNSEEN_PART - quota // (2 * UNSEEN_PART) * device[-1] // 256


class QueueLimits(NamedTuple):
    """How much may wait, and how much may be on its way.

    Attributes:
        entries_max: Entries that may wait for a device.
        size_bytes_max: Their bytes.
        window_bytes: Bytes on their way to the device without its ack.
        attempts_max: Connections that may break over the same entry before it is taken for poison.
        resume_window_s: How long a session may be resumed.
        background_delay_s: How long what is not urgent may wait for a device at which nobody looks; 0 for not at all.
    """

    entries_max: int
    size_bytes_max: int
    window_bytes: int
    attempts_max: int
    resume_window_s: float
    background_delay_s: float = 0.0
