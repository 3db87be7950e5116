"""What a session says to processes of other nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from actors.accounts.api import RateLimiter
from actors.connection.routes import Session
from actors.conversation.api import Sender, Submit
from actors.router.api import Router
from protocol import AccountId, ClientId, ConversationId, DeviceId, Epoch, shard_of
from protocol.messages import Send
from runtime import Actor, Runtime, SeededScheduler, VirtualClock
from runtime.signals import Kind, Signal

if TYPE_CHECKING:
    from runtime import Message, Pid

CHAT = ConversationId("ann:bob")


class Line:
    """To node b; a port of the runtime, see `runtime.Distribution`."""

    def __init__(self) -> None:
        self.incarnations = {"b": 1}
        self.has_room = True
        self.posts: list[tuple[Kind, type]] = []

    def post(self, pid: Pid, kind: Kind, message: Message) -> bool:
        if self.has_room:
            self.posts.append((kind, type(message)))
        return self.has_room

    def carry(self, node: str, signal: Signal) -> bool:
        return True


def test_a_send_is_insisted_on_so_that_a_full_conversation_elsewhere_does_not_swallow_it() -> None:
    """A dropped one would never be answered, and its place in the client's window never be free again."""
    runtime, line = Runtime(node="a", clock=VirtualClock(), scheduler=SeededScheduler(1)), Line()
    runtime.foreign.attach(line)
    router = Router(runtime)
    router.places[shard_of(CHAT)] = "b"
    actor = Actor()
    pid = runtime.start(actor)
    sender = Sender(pid, AccountId("ann"), DeviceId(bytes(16)), Epoch(b"epoch--1"))
    limits, answer = cast("Any", None), cast("Any", None)
    session = Session(actor.process, sender, pid, bytes(32), router, RateLimiter({}), limits, answer)
    send = Send(CHAT, 1, ClientId(bytes(16)), b"hello", 0, 0)
    assert session.submit(CHAT, [send, send])
    assert line.posts == [(Kind.INSISTENT, Submit)]
    line.has_room = False
    assert not session.submit(CHAT, [send, send])
    assert session.in_flight(CHAT) == 2
