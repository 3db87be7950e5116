"""What a shard tells connections at the end of a commit."""

from __future__ import annotations

from typing import Any

from actors.conversation.api import Sender, Submit
from actors.shard.api import Answers
from protocol import AccountId, ClientId, ConversationId, Epoch
from protocol.messages import Send, Sent
from tests.actors.office import Office, Visitor, device_of

CHAT = ConversationId("ann:bob")


class Counting(Visitor):
    """Keeps the messages as they come, too."""

    __slots__ = ("messages",)

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Any] = []

    def handle_cast(self, message: Any) -> None:
        self.messages.append(message)
        super().handle_cast(message)


def test_each_connection_is_told_once_a_commit() -> None:
    office, phone, tablet = Office(), Counting(), Counting()
    office.employ("ann", "phone", "tablet")
    office.employ("bob", "desk")
    for device, visitor in (("phone", phone), ("tablet", tablet)):
        sender = Sender(office.runtime.start(visitor), AccountId("ann"), device_of(device)[0], Epoch(b"epoch--1"))
        sends = [Send(CHAT, number, ClientId(bytes([number]) * 16), b"hello") for number in (1, 2, 3)]
        office.runtime.cast(office.router.conversation(CHAT), Submit(sender, sends))
    office.settle()
    for visitor in (phone, tablet):
        assert [type(message) for message in visitor.messages] == [Answers]
        assert [(type(frame), frame.number) for frame in visitor.heard] == [(Sent, 1), (Sent, 2), (Sent, 3)]
    assert sorted(frame.seq for visitor in (phone, tablet) for frame in visitor.heard) == [1, 2, 3, 4, 5, 6]
