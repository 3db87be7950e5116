"""A lean client for load: `ClientWire` on a socket, no database, one write for all that one read has caused."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, TypeVar, cast

from protocol import ClientWire, direct_conversation
from protocol.codec import encode_frame
from protocol.ids import ClientId, Epoch
from protocol.messages import (
    Ack,
    Closing,
    Deliver,
    Drained,
    Error,
    Hello,
    Login,
    Ready,
    Receipt,
    Refused,
    Send,
    Sent,
    Welcome,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bench.person import Person
    from protocol import ConversationId
    from protocol.messages import ClientFrame

PAYLOAD = bytes(200)
CONNECTING_AT_ONCE = 100
CONNECTING_S_MAX = 300.0


class LoadWire(ClientWire):
    """A client's wire whose owner is trusted to say nothing wrong: what is sent is not read back for a check."""

    __slots__ = ()

    def say(self, frame: ClientFrame) -> None:
        """Buffer a frame of a session."""
        self._put(encode_frame(frame))


class Client(asyncio.Protocol):
    """One device. Scenarios override what it does about deliveries, ticks and receipts.

    Args:
        person: Whose device it is.
        foreground: What it tells the server of its person.

    Attributes:
        welcomed: Done once the link is encrypted and the version agreed; `login` may follow.
        ready: Done once the login stands.
        lost: What went wrong, if anything did.
        ending: Set before a close that is wanted.
    """

    def __init__(self, person: Person, *, foreground: bool = True) -> None:
        self.person = person
        self.foreground = foreground
        self.wire = LoadWire(person.key)
        loop = asyncio.get_running_loop()
        self.welcomed: asyncio.Future[None] = loop.create_future()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: str | None = None
        self.ending = False
        self.position = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, with the greeting behind it."""
        self._transport = cast("asyncio.Transport", transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Act on frames; one acknowledgement for all of them, as a client does after its commit."""
        wire = self.wire
        shaken = wire.handshake_complete
        before = self.position
        for frame in wire.receive_data(data):
            kind = type(frame)
            if kind is Deliver:
                self.position = frame.position  # type: ignore[union-attr]  # it is one
                self.delivered(frame)
            elif kind is Sent:
                self.sent(frame)
            elif kind is Receipt:
                self.receipt(frame)
            else:
                self.other(frame)
        if self.position != before:
            wire.say(Ack(self.position))
        if not shaken and wire.handshake_complete:
            wire.send(Hello([1], "bench"))
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """A client that goes before its scenario ends spoils it."""
        if not self.ending:
            self.fail(f"the connection ended: {exc}")

    def delivered(self, deliver: Any) -> None:
        """A message has come."""

    def sent(self, sent: Any) -> None:
        """A tick has come."""

    def receipt(self, receipt: Any) -> None:
        """Somebody has received."""

    def drained(self) -> None:
        """All that waited has come."""

    def other(self, frame: Any) -> None:
        """Anything else."""
        match frame:
            case Welcome():
                self.welcomed.set_result(None)
            case Ready():
                self.ready.set_result(None)
            case Drained():
                self.drained()
            case Refused() | Error() | Closing():
                self.fail(frame.sentence)
            case _:
                pass

    def fail(self, why: str) -> None:
        """Remember what went wrong, and wake whoever waits."""
        self.lost = self.lost or why
        for waiting in (self.welcomed, self.ready):
            if not waiting.done():
                waiting.set_exception(RuntimeError(f"{self.person.account}: {why}"))
                waiting.exception()  # whoever waits hears of it; else nobody has to

    def login(self) -> None:
        """Log in; `ready` tells when it stands."""
        epoch = Epoch(os.urandom(8))
        self.wire.send(Login(self.person.account, epoch, self.foreground, 300))
        self.flush()

    def flush(self) -> None:
        """Write what was said."""
        data = self.wire.data_to_send()
        if data and self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Drop the socket."""
        self.ending = True
        if self._transport is not None:
            self._transport.abort()


AnyClient = TypeVar("AnyClient", bound=Client)


class Sender(Client):
    """Writes to one other person."""

    def __init__(self, person: Person, other: Person) -> None:
        super().__init__(person)
        self.partner = other.account
        self.conversation: ConversationId = direct_conversation(person.account, other.account)
        self.number = 0
        self._client_ids = os.urandom(8)

    def say_next(self) -> None:
        """Buffer the next message; `flush` sends it."""
        self.number = number = self.number + 1
        client_id = ClientId(self._client_ids + number.to_bytes(8, "big"))
        self.wire.say(Send(self.conversation, number, client_id, PAYLOAD))


async def each(
    address: str,
    clients: Sequence[AnyClient],
    visit: Callable[[AnyClient], Awaitable[None]],
    source: str | None = None,
) -> None:
    """Connect clients, some at a time.

    Args:
        address: Of the node, as host:port.
        clients: Who connects.
        visit: What each does before it makes room for another.
        source: From which address of this machine they come; any if None.

    Raises:
        RuntimeError: One of them was refused.
        TimeoutError: It takes too long.
    """
    loop = asyncio.get_running_loop()
    host, _, port = address.rpartition(":")
    local = None if source is None else (source, 0)
    places = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def enter(client: AnyClient) -> None:
        async with places:
            await loop.create_connection(lambda: client, host, int(port), local_addr=local)
            await visit(client)

    async with asyncio.timeout(CONNECTING_S_MAX), asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(enter(client))


async def connect(address: str, clients: Sequence[Client], *, login: bool = True, source: str | None = None) -> None:
    """Connect clients and log them in.

    Args:
        address: Of the node, as host:port.
        clients: Who connects.
        login: Whether to log in, too.
        source: From which address of this machine they come; any if None.

    Raises:
        RuntimeError: One of them was refused.
    """

    async def enter(client: Client) -> None:
        await client.welcomed
        if login:
            client.login()
            await client.ready

    await each(address, clients, enter, source)


def leave(clients: Sequence[Client]) -> None:
    """Close all of them.

    Raises:
        RuntimeError: Something went wrong for one of them before.
    """
    for client in clients:
        client.close()
    broken = [client for client in clients if client.lost is not None]
    if broken:
        first = broken[0]
        raise RuntimeError(f"{len(broken)} of {len(clients)} clients failed; {first.person.account}: {first.lost}")
