"""What the device's queue brings: each entry stored once, and acknowledged only with its storing.

The ack is part of the step whose changes hold the entries, so it leaves after their commit. One ack covers
everything that came since the last step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import SessionToken
from protocol.messages import (
    EPHEMERAL,
    NOTICE_EXPIRED,
    NOTICE_MISSING,
    NOTICE_OVER_QUOTA,
    NOTICE_POISON,
    NOTICE_REVOKED,
    Ack,
)
from roost.changes import Missed, NoticeStored, Received
from roost.content import decode_content, is_shown
from roost.events import MessageReceived, NotDelivered

if TYPE_CHECKING:
    from collections.abc import Sequence, Sized

    from protocol import MessageId
    from protocol.messages import Deliver, Message, Notice, Ready
    from roost.changes import Snapshot
    from roost.sealing import Sealing
    from roost.steps import Step

__all__ = ["SEEN_MAX", "WAITING_MUCH", "Arrivals", "not_delivered_sentences"]

SEEN_MAX: Final = 10_000
"""Message ids remembered. The server sends again only what is not acked, which is far less."""

WAITING_MUCH: Final = 1_000
"""So much waits at a login for a device whose queue may have been full, and which may have missed something."""

_REASONS: Final = {
    NOTICE_EXPIRED: "it was not fetched before the message expired",
    NOTICE_OVER_QUOTA: "its queue on the server is full",
    NOTICE_REVOKED: "it was removed from the account",
    NOTICE_POISON: "it failed to take the message again and again",
}


NAMED_MAX: Final = 3
"""So many devices are named; of more it is told how many they are, for each reason."""


def not_delivered_sentences(missed: Sequence[tuple[str, bytes, int]]) -> tuple[str, ...]:
    """Return why a message did not reach devices, for a person to read.

    Args:
        missed: Account, device and reason of each.
    """
    if len(missed) <= NAMED_MAX:
        return tuple(
            f"Not delivered to device {device.hex()[:8]} of {account}: {_why(reason)}."
            for account, device, reason in missed
        )
    by_reason: dict[int, list[str]] = {}
    for account, _, reason in missed:
        by_reason.setdefault(reason, []).append(account)
    return tuple(
        f"Not delivered to {_count(accounts, 'device')} of {_count(set(accounts), 'member')}: {_why(reason)}."
        for reason, accounts in sorted(by_reason.items())
    )


def _count(things: Sized, noun: str) -> str:
    return f"1 {noun}" if len(things) == 1 else f"{len(things)} {noun}s"


def _why(reason: int) -> str:
    return _REASONS.get(reason, f"the server gave reason {reason}, which this version does not know")


class Arrivals:
    """The incoming half of a session."""

    __slots__ = ("_acked_up_to", "_sealing", "_seen", "received_up_to", "token")

    def __init__(self, snapshot: Snapshot, sealing: Sealing | None = None) -> None:
        self._sealing = sealing
        self._seen: dict[MessageId, None] = dict.fromkeys(snapshot.seen)
        self.token = SessionToken(b"")
        self.received_up_to = 0
        self._acked_up_to = 0

    def ready(self, ready: Ready) -> None:
        """Begin or resume. Positions of an earlier session mean nothing in a new one, so nothing of it is acked."""
        self.token = ready.session
        if not ready.resumed:
            self.received_up_to = 0
        self._acked_up_to = 0  # the last ack may have been lost with the connection: say it again

    def deliver(self, deliver: Deliver, step: Step) -> Message | None:
        """Take a message; return it if it is new.

        A message that was shown already is only acked again.
        """
        message = deliver.message
        ephemeral = deliver.position == 0
        if not ephemeral:
            self.received_up_to = max(self.received_up_to, deliver.position)
            if message.message_id in self._seen:
                return None
            self._remember(message.message_id)
        payload = message.payload if self._sealing is None else self._sealing.opened(message)
        if not ephemeral:
            step.changes.append(
                Received(
                    message.conversation,
                    message.seq,
                    message.sender,
                    message.device,
                    message.message_id,
                    message.time_ms,
                    message.flags & ~EPHEMERAL,
                    payload,
                )
            )
        content = decode_content(payload, message.flags)
        if not is_shown(content):
            return message  # what it comes to is told when it is stored; of the moment it comes to nothing
        step.events.append(
            MessageReceived(
                message.conversation,
                message.message_id.hex(),
                message.seq,
                message.sender,
                message.device,
                message.message_id,
                message.time_ms,
                content,
                ephemeral,
            )
        )
        return message

    def _remember(self, message_id: MessageId) -> None:
        self._seen[message_id] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]

    def notice(self, notice: Notice, step: Step) -> None:
        """Take a notice that a message of ours did not reach devices; their keys make a repetition harmless."""
        self.received_up_to = max(self.received_up_to, notice.position)
        if notice.reason == NOTICE_MISSING:
            step.changes.append(Missed(notice.conversation, notice.seq, notice.account, notice.device))
            return
        others = tuple((it.account, it.device, it.reason) for it in notice.others)
        missed = ((notice.account, notice.device, notice.reason), *others)
        step.changes += [NoticeStored(notice.conversation, notice.seq, *each) for each in missed]
        sentence = " ".join(not_delivered_sentences(missed))
        step.events.append(NotDelivered(notice.conversation, notice.seq, *missed[0], sentence, others))

    def acknowledge(self, step: Step) -> None:
        """Ack what this step and the steps before it store."""
        if self.received_up_to > self._acked_up_to:
            self._acked_up_to = self.received_up_to
            step.frames.append(Ack(self.received_up_to))
