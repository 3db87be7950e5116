"""What the device's queue brings: each entry stored once, and acknowledged only with its storing.

The ack is part of the step whose changes hold the entries, so it leaves after their commit. One ack covers
everything that came since the last step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import SessionToken
from protocol.messages import EPHEMERAL, NOTICE_EXPIRED, NOTICE_OVER_QUOTA, NOTICE_POISON, NOTICE_REVOKED, Ack
from roost.changes import NoticeStored, Received
from roost.content import decode_content, is_shown
from roost.events import MessageReceived, NotDelivered

if TYPE_CHECKING:
    from protocol import MessageId
    from protocol.messages import Deliver, Message, Notice, Ready
    from roost.changes import Snapshot
    from roost.steps import Step

__all__ = ["SEEN_MAX", "Arrivals", "not_delivered_sentence"]

SEEN_MAX: Final = 10_000
"""Message ids remembered. The server sends again only what is not acked, which is far less."""

_REASONS: Final = {
    NOTICE_EXPIRED: "it was not fetched before the message expired",
    NOTICE_OVER_QUOTA: "its queue on the server is full",
    NOTICE_REVOKED: "it was removed from the account",
    NOTICE_POISON: "it failed to take the message again and again",
}


def not_delivered_sentence(account: str, device: bytes, reason: int) -> str:
    """Return why a message did not reach a device, for a person to read."""
    why = _REASONS.get(reason, f"the server gave reason {reason}, which this version does not know")
    return f"Not delivered to device {device.hex()[:8]} of {account}: {why}."


class Arrivals:
    """The incoming half of a session."""

    __slots__ = ("_acked_up_to", "_seen", "received_up_to", "token")

    def __init__(self, snapshot: Snapshot) -> None:
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
            step.changes.append(
                Received(
                    message.conversation,
                    message.seq,
                    message.sender,
                    message.device,
                    message.message_id,
                    message.time_ms,
                    message.flags & ~EPHEMERAL,
                    message.payload,
                )
            )
        content = decode_content(message.payload, message.flags)
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
        """Take a notice that a message of ours did not reach a device; its key makes a repetition harmless."""
        self.received_up_to = max(self.received_up_to, notice.position)
        step.changes.append(NoticeStored(notice.conversation, notice.seq, notice.account, notice.device, notice.reason))
        step.events.append(
            NotDelivered(
                notice.conversation,
                notice.seq,
                notice.account,
                notice.device,
                notice.reason,
                not_delivered_sentence(notice.account, notice.device, notice.reason),
            )
        )

    def acknowledge(self, step: Step) -> None:
        """Ack what this step and the steps before it store."""
        if self.received_up_to > self._acked_up_to:
            self._acked_up_to = self.received_up_to
            step.frames.append(Ack(self.received_up_to))
