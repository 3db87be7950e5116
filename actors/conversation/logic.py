"""Whether a send is accepted, answered again, or refused. Pure.

The numbering is Kafka's idempotent producer: a producer (device, epoch) numbers its sends in a conversation from 1;
exactly the next is accepted, one of the last 32 is answered with its original id and seq, anything else is refused
with a code that says what to do. A refused send changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from protocol import AccountId, Code, ConversationId, DeviceId, MessageId
from protocol.messages import Refused, Send, Sent
from storage.conversation_view import EPOCHS_PER_DEVICE_MAX, PRODUCERS_MAX, ConversationView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.accounts.api import AccountView
    from actors.conversation.api import ConversationLimits, Sender
    from protocol.messages import Stale
    from storage.records import Target

__all__ = ["FullQueues", "Refusal", "authorise", "recall", "refused", "targets_of", "within_limits"]


FULL_RETRY_MS: Final = 15_000
DOUBT_RETRY_MS: Final = 1_000
NEWS_S: Final = 1.0
"""How long word of a full queue is taken for true; after that the queue is asked again."""


class Refusal(NamedTuple):
    """Why a send is not accepted."""

    code: Code
    expected: int = 0
    retry_after_ms: int = -1
    stale: Stale | None = None


def refused(frame: Send, refusal: Refusal) -> Refused:
    """The answer that a refusal becomes."""
    code = refusal.code
    return Refused(
        frame.conversation,
        frame.number,
        frame.client_id,
        code,
        code.sentence,
        refusal.retry_after_ms,
        refusal.expected,
        refusal.stale,
    )


def authorise(sender: Sender, members: Mapping[AccountId, AccountView]) -> Refusal | None:
    """Whether this sender may say anything here; None if so."""
    account = sender.account
    if account not in members:
        return Refusal(Code.NOT_MEMBER)
    for member, view in members.items():
        if not view.exists:
            return Refusal(Code.RECIPIENT_UNKNOWN)
        if account in view.blocked or member in members[account].blocked:
            return Refusal(Code.NOT_ALLOWED)
    if sender.device not in members[account].devices:
        return Refusal(Code.DEVICE_REVOKED)
    return None


def within_limits(frame: Send, limits: ConversationLimits) -> Refusal | None:
    """Whether one message is small and short-lived enough; None if so."""
    size_bytes = sum(len(own.payload) for own in frame.payloads) if frame.payloads else len(frame.payload)
    if size_bytes > limits.payload_size_bytes_max:
        return Refusal(Code.PAYLOAD_TOO_LARGE)
    if frame.ttl_s > limits.ttl_s_max:
        return Refusal(Code.TTL_INVALID)
    return None


def recall(view: ConversationView, sender: Sender, frame: Send) -> Sent | Refusal | None:
    """What the producer's history says of a send: its old answer, a refusal, or None if it is the next one."""
    producer = view.producers.get((sender.device, sender.epoch))
    number = frame.number
    if producer is None:
        return None if number == 1 else _unknown_producer(view, sender)
    last = producer.last
    if number == last + 1:
        return None
    if number > last or number < 1:
        return Refusal(Code.NUMBER_GAP, expected=last + 1)
    known = producer.find(number)
    if known is None:
        return Refusal(Code.ALREADY_ACCEPTED)
    if known.client_id != frame.client_id:
        return Refusal(Code.NUMBER_REUSED, expected=last + 1)
    return Sent(ConversationId(frame.conversation), number, known.seq, MessageId(known.message_id), known.time_ms)


def _unknown_producer(view: ConversationView, sender: Sender) -> Refusal:
    """A producer that is not known here begins with 1, unless its history may have been dropped: then it is over."""
    epochs = sum(device == sender.device for device, _ in view.producers)
    if epochs >= EPOCHS_PER_DEVICE_MAX or len(view.producers) >= PRODUCERS_MAX:
        return Refusal(Code.EPOCH_UNKNOWN, expected=1)
    return Refusal(Code.NUMBER_GAP, expected=1)


def targets_of(members: Iterable[AccountView], sender: Sender) -> list[tuple[str, list[bytes]]]:
    """Every device that a message goes to: all devices of all members but the one that sent it."""
    own = sender.device
    targets: list[tuple[str, list[bytes]]] = []
    for view in members:
        devices: list[bytes] = [device for device in view.devices if device != own]
        if devices:
            targets.append((view.account, devices))
    return targets


class FullQueues:
    """The devices whose queues have turned a message of this conversation away, and not said since that they have room.

    Empty, and so false, for nearly every conversation.
    """

    __slots__ = ("_heard_s",)

    def __init__(self) -> None:
        self._heard_s: dict[DeviceId, float] = {}

    def __bool__(self) -> bool:
        return bool(self._heard_s)

    def heard(self, device: DeviceId, full: bool, now_s: float) -> None:
        """Word from a queue."""
        if full:
            self._heard_s[device] = now_s
        else:
            self._heard_s.pop(device, None)

    def forget_all(self) -> None:
        """The devices have changed."""
        self._heard_s.clear()

    def judge(self, own_account: AccountId, targets: list[Target], now_s: float) -> tuple[Refusal | None, list[Target]]:
        """Whether a message may pass: not while it would reach no device at all of one of its recipients.

        Args:
            own_account: The sender's. Its other devices hold nothing up.
            targets: Whom the message goes to.
            now_s: The present time.

        Returns:
            A refusal or None, and the devices that are to be asked whether they are still full.
        """
        heard_s = self._heard_s
        stuck = [
            (account, devices)
            for account, devices in targets
            if account != own_account and all(device in heard_s for device in devices)
        ]
        if not stuck:
            return None, []
        doubted: list[Target] = []
        for account, devices in stuck:
            asked = [device for device in devices if now_s - heard_s[DeviceId(device)] >= NEWS_S]
            if asked:
                doubted.append((account, asked))
        return Refusal(Code.OVER_QUOTA, 0, DOUBT_RETRY_MS if doubted else FULL_RETRY_MS), doubted
