"""A conversation that says ✓ too soon: a bug that every run notices, for tests of what a failure looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.conversation.actor import ConversationActor
from actors.tree import Parts
from protocol import ConversationId, MessageId
from protocol.messages import Sent
from simulation import Faults, Scenario

if TYPE_CHECKING:
    from actors.conversation.api import Sender
    from protocol.messages import Send
    from storage import ConversationView

__all__ = ["HASTY", "PROMISE"]

PROMISE: Final = "promise 1: what is accepted is durable"


class HastyConversation(ConversationActor):
    """✓ at the append, not at the commit."""

    __slots__ = ()

    def _accept(self, view: ConversationView, sender: Sender, frame: Send) -> None:
        super()._accept(view, sender, frame)
        known = view.producers[sender.device, sender.epoch].find(frame.number)
        if known is not None:
            chat, message_id = ConversationId(frame.conversation), MessageId(known.message_id)
            self.process.cast(sender.connection, Sent(chat, frame.number, known.seq, message_id, known.time_ms))


HASTY: Final = Scenario(accepted_min=0, faults=Faults(storm_s=20.0), parts=Parts(conversation=HastyConversation))
