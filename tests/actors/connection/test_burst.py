"""Frames that came together: which of them go on together."""

from __future__ import annotations

from typing import Any

from actors.accounts.api import Rate, RateLimiter
from actors.connection.api import ConnectionLimits
from actors.connection.routes import TOGETHER_BYTES_MAX, Session, act
from actors.conversation.api import Sender, Submit
from actors.router.api import Router
from protocol import AccountId, ClientId, Code, ConversationId, DeviceId, Epoch, shard_of
from protocol.messages import Mark, Ping, Refused, Send
from runtime import Actor, Kind, Message, Pid, Runtime, SeededScheduler, Signal, VirtualClock

CHAT, OTHER, STRANGE = ConversationId("ann:bob"), ConversationId("ann:cyd"), ConversationId("bob:cyd")
LIMITS = ConnectionLimits(1.0, 1.0, 65_536, 4, 1 << 20, 1.0, 30, 300, 8, presence=True)


class Line:
    """To node b, where the chats are; a port of the runtime, see `runtime.Distribution`."""

    def __init__(self) -> None:
        self.incarnations = {"b": 1}
        self.has_room = True
        self.posts: list[Message] = []

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        if self.has_room:
            self.posts.append(message)
        return self.has_room

    def carry(self, node: str, signal: Signal) -> bool:
        return True

    @property
    def said(self) -> list[list[int] | str]:
        """The numbers of the sends in each message, and what else there was."""
        return [
            [frame.number for frame in message.frames] if isinstance(message, Submit) else type(message).__name__
            for message in self.posts
        ]


class Desk:
    """A session on node a.

    Args:
        rates: Of the operations that are limited.
    """

    def __init__(self, **rates: Rate) -> None:
        runtime, self.line = Runtime(node="a", clock=VirtualClock(), scheduler=SeededScheduler(1)), Line()
        runtime.foreign.attach(self.line)
        router = Router(runtime)
        for chat in (CHAT, OTHER):
            router.places[shard_of(chat)] = "b"
        actor = Actor()
        pid = runtime.start(actor)
        sender = Sender(pid, AccountId("ann"), DeviceId(bytes(16)), Epoch(b"epoch--1"))
        self.answers: list[Any] = []
        self.others: list[Any] = []
        self.session = Session(
            actor.process, sender, pid, bytes(32), router, RateLimiter(rates), LIMITS, self.answers.append
        )

    def hears(self, *frames: Any) -> None:
        """These frames come in one record."""
        act(self.session, frames, self.others.append)

    @property
    def refused(self) -> list[tuple[int, int]]:
        """Which sends were refused, and why."""
        return [(answer.number, answer.code) for answer in self.answers if isinstance(answer, Refused)]


def send(number: int, chat: ConversationId = CHAT, payload: bytes = b"hello") -> Send:
    return Send(chat, number, ClientId(bytes(16)), payload)


def test_sends_to_one_chat_that_stand_together_are_one_message() -> None:
    desk = Desk()
    desk.hears(send(1), send(2), send(3))
    assert desk.line.said == [[1, 2, 3]]
    assert desk.session.in_flight(CHAT) == 3


def test_the_order_of_frames_stays() -> None:
    desk = Desk()
    desk.hears(send(1), Mark(CHAT, 1, 1), send(2), send(1, OTHER), Ping(7), send(2, OTHER))
    assert desk.line.said == [[1], "Advance", [2], [1], [2]]
    assert desk.others == [Ping(7)]


def test_large_sends_do_not_outgrow_a_frame_of_a_link() -> None:
    desk = Desk()
    large = bytes(TOGETHER_BYTES_MAX // 2)
    desk.hears(*(send(number, payload=large) for number in (1, 2, 3)))
    assert desk.line.said == [[1, 2], [3]]


def test_what_does_not_fit_into_the_window_is_refused_alone() -> None:
    desk = Desk()
    desk.hears(*(send(number) for number in (1, 2, 3)))
    desk.hears(*(send(number) for number in (4, 5, 6)))
    assert desk.line.said == [[1, 2, 3], [4]]
    assert desk.refused == [(5, Code.WINDOW_FULL), (6, Code.WINDOW_FULL)]


def test_every_send_takes_its_own_permit() -> None:
    desk = Desk(sends=Rate(2, 0.001))
    desk.hears(*(send(number) for number in (1, 2, 3)))
    assert desk.line.said == [[1, 2]]
    assert desk.refused == [(3, Code.RATE_LIMITED)]


def test_each_send_to_a_chat_of_others_or_without_room_is_refused() -> None:
    desk = Desk()
    desk.hears(send(1, STRANGE), send(2, STRANGE))
    desk.line.has_room = False
    desk.hears(send(3), send(4))
    assert not desk.line.posts
    assert desk.refused == [(1, Code.NOT_MEMBER), (2, Code.NOT_MEMBER), (3, Code.BUSY), (4, Code.BUSY)]
    assert not desk.session.in_flight(CHAT)
