"""All outboxes of a session, and the change of epoch when a restored database has lost its place.

A new epoch makes the server forget who sent what, so it begins only when every message is settled: known
to be accepted, or known not to be. Until then nothing new is sent, and what is uncertain is asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import Code, Epoch, is_group
from protocol.limits import PAYLOAD_SIZE_BYTES_MAX
from protocol.messages import EPHEMERAL, Send
from roost.audiences import Audiences
from roost.changes import Accepted, EpochRenewed, Failed, Queued, Renumbered
from roost.content import decode_content
from roost.errors import OutboxFullError
from roost.events import MessageDelayed, MessageFailed, MessageQueued, MessageSent, ServerComplained
from roost.outbox import WINDOW_DEFAULT, Entry, Outbox, Outcome
from roost.supplements import Supplements

if TYPE_CHECKING:
    from protocol import ClientId, ConversationId
    from protocol.messages import Refused, Sent
    from roost.changes import Snapshot
    from roost.ports import Randomness
    from roost.requests import Requests
    from roost.sealing import Sealing
    from roost.steps import Step

__all__ = ["PENDING_MAX", "Outboxes"]

PENDING_MAX: Final = 10_000
_EPOCH_SIZE_BYTES: Final = 8
_TOLD_DELAY_MS_MIN: Final = 10_000
_OUTBOX_FULL: Final = (
    f"{PENDING_MAX} messages already wait to be sent. Connect to the server, and try again when some have gone."
)


class Outboxes:
    """What this device has still to send, over all conversations."""

    __slots__ = (
        "_active",
        "_doubts",
        "_idle_numbers",
        "_pending",
        "_randomness",
        "_sealing",
        "_unheard",
        "_window",
        "audiences",
        "epoch",
        "renewing",
        "supplements",
    )

    def __init__(
        self, snapshot: Snapshot, randomness: Randomness, requests: Requests, sealing: Sealing | None = None
    ) -> None:
        self.epoch = snapshot.epoch
        self.renewing = False
        self._doubts = False
        self.audiences = Audiences(snapshot, knows_devices=sealing is not None)
        self.supplements = Supplements(requests, sealing)
        for missed in snapshot.missed:
            self.supplements.bring(missed, 0.0)
        self._randomness = randomness
        self._sealing = sealing
        self._window = WINDOW_DEFAULT
        self._idle_numbers = dict(snapshot.next_numbers)
        self._active: dict[ConversationId, Outbox] = {}
        self._unheard: dict[ConversationId, None] = {}
        self._pending = len(snapshot.pending)
        for message in snapshot.pending:
            entry = Entry(message.client_id, message.number, message.payload, message.ttl_s, message.flags)
            self._outbox(message.conversation).restore(entry)

    def __len__(self) -> int:
        return self._pending

    def _outbox(self, conversation: ConversationId) -> Outbox:
        outbox = self._active.get(conversation)
        if outbox is None:
            outbox = Outbox(self._idle_numbers.pop(conversation, 1), self._window)
            self._active[conversation] = outbox
        return outbox

    def _drop_if_empty(self, conversation: ConversationId, outbox: Outbox) -> None:
        if not outbox:
            del self._active[conversation]
            self._idle_numbers[conversation] = outbox.next_number

    def set_window(self, window: int) -> None:
        """Take over the window that the server announced."""
        self._window = window
        for outbox in self._active.values():
            outbox.set_window(window)

    def add(
        self,
        conversation: ConversationId,
        client_id: ClientId,
        payload: bytes,
        ttl_s: int,
        flags: int,
        time_ms: int,
        step: Step,
    ) -> None:
        """Queue a message; it goes out when it is on disk and the connection is ready.

        Raises:
            OutboxFullError: too many messages wait already.
        """
        if self._pending >= PENDING_MAX:
            raise OutboxFullError(_OUTBOX_FULL)
        self._pending += 1
        entry = self._outbox(conversation).add(client_id, payload, ttl_s, flags)
        step.changes.append(Queued(conversation, client_id, entry.number, payload, ttl_s, flags, time_ms))
        step.events.append(MessageQueued(conversation, client_id.hex(), decode_content(payload), time_ms))

    def transmit(self, now_s: float, step: Step) -> None:
        """Send what is due."""
        for conversation, outbox in self._active.items():
            due = outbox.due(now_s, only_uncertain=self.renewing)
            if due and self._sealing is not None and not is_group(conversation):
                step.frames += [self._sealed(self._sealing, conversation, entry) for entry in due]
                continue
            lists = self.audiences.named(conversation) if due else []
            for entry in due:
                step.frames.append(
                    Send(conversation, entry.number, entry.client_id, entry.payload, entry.ttl_s, entry.flags, lists)
                )
        self.supplements.advance(now_s, step)

    def _sealed(self, sealing: Sealing, conversation: ConversationId, entry: Entry) -> Send:
        """A message with a payload for each device, or with none as long as these are not known.

        A bundle may be as large as one payload. Of a larger one only something too large for any server leaves, so that
        it is refused, unless the message was accepted before.
        """
        lists, devices = self.audiences.addressed(conversation)
        bundle = [] if devices is None else sealing.bundle(conversation, entry.payload, devices)
        if sum(len(own.payload) for own in bundle) > PAYLOAD_SIZE_BYTES_MAX:
            too_large = bytes(PAYLOAD_SIZE_BYTES_MAX + 1)
            return Send(conversation, entry.number, entry.client_id, too_large, entry.ttl_s, entry.flags, lists)
        return Send(conversation, entry.number, entry.client_id, b"", entry.ttl_s, entry.flags, lists, bundle)

    def transmit_ephemeral(self, conversation: ConversationId, client_id: ClientId, payload: bytes, step: Step) -> None:
        """Send something for this moment only."""
        if self._sealing is not None and not is_group(conversation):
            step.frames.append(self._sealed(self._sealing, conversation, Entry(client_id, 0, payload, 0, EPHEMERAL)))
        else:
            lists = self.audiences.known(conversation)
            step.frames.append(Send(conversation, 0, client_id, payload, 0, EPHEMERAL, lists))

    def sent(self, answer: Sent, step: Step) -> None:
        """Take a ✓."""
        outbox = self._active.get(answer.conversation)
        entry = outbox.sent(answer.number) if outbox else None
        if outbox is None or entry is None:
            return
        self._pending -= 1
        if entry.uncertain:
            self._unheard[answer.conversation] = None
        self._drop_if_empty(answer.conversation, outbox)
        step.changes.append(
            Accepted(answer.conversation, entry.client_id, answer.seq, answer.message_id, answer.time_ms)
        )
        step.events.append(MessageSent(answer.conversation, entry.client_id.hex(), answer.seq, answer.time_ms))

    def heard_late(self) -> list[ConversationId]:
        """Conversations in which the server may have accepted messages unheard here, when all of these are settled."""
        found = [it for it in self._unheard if it not in self._active or not self._active[it].is_uncertain]
        for conversation in found:
            del self._unheard[conversation]
        return found

    def refused(self, answer: Refused, now_s: float, step: Step) -> None:
        """Take a refusal: wait and retry, give up with a reason, or prepare a new epoch."""
        if not answer.number:
            if answer.stale is None or not self.audiences.learn(answer.conversation, answer.stale, step):
                step.events.append(ServerComplained(answer.code, answer.sentence))
            return  # it was for that moment
        outbox = self._active.get(answer.conversation)
        if outbox is None:
            return
        stale = answer.stale if answer.code == Code.DEVICES_STALE else None
        repaired = stale is not None and self.audiences.learn(answer.conversation, stale, step)
        outcome, entry = outbox.refused(answer, now_s, self._randomness, repaired=repaired)
        if entry is None:
            return
        match outcome:
            case Outcome.FAILED:
                self._pending -= 1
                self._fail(answer, entry, outbox, step)
            case Outcome.EPOCH_LOST:
                self.renewing = True
            case Outcome.DOUBTFUL:
                self._doubts = True
            case Outcome.RETRY:
                self._delay(answer, entry, step)
            case Outcome.STALE:
                pass
        self._drop_if_empty(answer.conversation, outbox)

    @staticmethod
    def _fail(answer: Refused, entry: Entry, outbox: Outbox, step: Step) -> None:
        step.changes.append(Failed(answer.conversation, entry.client_id, answer.code, answer.sentence))
        step.changes.append(Renumbered(answer.conversation, outbox.numbers(), outbox.next_number))
        step.events.append(MessageFailed(answer.conversation, entry.client_id.hex(), answer.code, answer.sentence))

    @staticmethod
    def _delay(answer: Refused, entry: Entry, step: Step) -> None:
        """A wait that a person notices is told, once for each reason."""
        if answer.retry_after_ms >= _TOLD_DELAY_MS_MIN and entry.delayed_by != answer.code:
            entry.delayed_by = answer.code
            step.events.append(MessageDelayed(answer.conversation, entry.client_id.hex(), answer.code, answer.sentence))

    @property
    def asks_anew(self) -> bool:
        """Whether something hangs on a message of which this connection cannot tell any more if the server has it."""
        return (self.renewing or self._doubts) and any(outbox.is_ambiguous for outbox in self._active.values())

    def renew_if_settled(self, step: Step) -> bool:
        """Begin the new epoch if one is needed and nothing is uncertain; if so, return True: a login has to follow."""
        if not self.renewing or not all(outbox.settled for outbox in self._active.values()):
            return False
        self.renew(step)
        return True

    def renew(self, step: Step) -> None:
        """Begin a new epoch: every conversation counts from 1 again, the messages keep their client ids."""
        self.renewing = False
        self.epoch = Epoch(self._randomness.bytes(_EPOCH_SIZE_BYTES))
        self._idle_numbers.clear()
        step.changes.append(EpochRenewed(self.epoch))
        for conversation, outbox in self._active.items():
            outbox.renew()
            step.changes.append(Renumbered(conversation, outbox.numbers(), outbox.next_number))

    def disconnected(self) -> None:
        """Expect no more answers on the old connection."""
        self._doubts = False
        for outbox in self._active.values():
            outbox.disconnected()
        self.supplements.disconnected()

    def next_deadline_s(self) -> float | None:
        """Return when `transmit` is to be called again although nothing arrived."""
        deadlines = [outbox.next_deadline_s() for outbox in self._active.values()]
        deadlines.append(self.supplements.next_deadline_s())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)
