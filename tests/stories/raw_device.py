"""A device at the level of frames: it says what the test tells it to say, right or wrong."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from protocol import (
    AccountId,
    ClientId,
    ClientWire,
    ConversationId,
    DeviceId,
    Epoch,
    SessionToken,
    StaticKey,
    device_id_of,
    direct_conversation,
)
from protocol.messages import (
    Alert,
    Closing,
    CodeSent,
    Error,
    Hello,
    Login,
    Ping,
    Pong,
    Ready,
    Refused,
    Register,
    Registered,
    RequestCode,
    Send,
    Welcome,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = TypeVar("Kind")


class RawDevice:
    """One device key, with one connection after another."""

    def __init__(self, address: str, server_key: bytes, key: StaticKey | None = None) -> None:
        self.key = key or StaticKey.generate()
        self.device: DeviceId = device_id_of(self.key.public)
        self.account = AccountId("")
        self.epoch = Epoch(os.urandom(8))
        self.session = SessionToken(b"")
        self.at(address)
        self._server_key = server_key
        self._frames: deque[Any] = deque()
        self.wire: ClientWire
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    def at(self, address: str) -> None:
        """Where the next connection goes."""
        self._host, _, port = address.partition(":")
        self._port = int(port)

    async def open(self) -> None:
        """A TCP connection, on which nothing was said yet."""
        self.drop()
        self._frames.clear()
        self.wire = ClientWire(self.key, self._server_key)
        self.reader, self.writer = await asyncio.open_connection(self._host, self._port)

    async def shake_hands(self) -> None:
        """A connection whose link is encrypted."""
        await self.open()
        self.flush()
        while not self.wire.handshake_complete:
            assert await self.read(), f"the server closed during the handshake: {list(self._frames)}"
        self.flush()

    async def greet(self) -> None:
        """A connection on which the versions are agreed."""
        await self.shake_hands()
        await self.ask(Hello([1], "raw/1"), Welcome)

    async def register(self, address: str, code_for: Callable[[str], str]) -> None:
        """Become a device of an account."""
        await self.ask(RequestCode(1, address), CodeSent)
        registered = await self.ask(Register(2, address, code_for(address), "Raw", "raw"), Registered)
        self.account = registered.account

    async def log_in(self, *, resume: bool = False, received_up_to: int = 0) -> Ready:
        """Begin a session, or go on with the last one."""
        token = self.session if resume else SessionToken(b"")
        ready = await self.ask(Login(self.account, self.epoch, True, 60, token, received_up_to), Ready)
        self.session = ready.session
        return ready

    async def come_back(self, *, resume: bool = False, received_up_to: int = 0) -> Ready:
        """A new connection of the same device, up to Ready."""
        await self.greet()
        return await self.log_in(resume=resume, received_up_to=received_up_to)

    def conversation_with(self, account: str) -> ConversationId:
        """The direct chat with an account."""
        return direct_conversation(self.account, AccountId(account))

    def a_send(self, conversation: str, number: int, text: bytes = b"\x00", **fields: Any) -> Send:
        """A Send with a client id of its own."""
        return Send(ConversationId(conversation), number, ClientId(os.urandom(16)), text, **fields)

    def say(self, *frames: Any) -> None:
        """Say frames that the protocol allows."""
        for frame in frames:
            self.wire.send(frame)
        self.flush()

    def say_bytes(self, frame: bytes) -> None:
        """Say the bytes of a frame, whatever they are, well encrypted."""
        self.say_stream(len(frame).to_bytes(3, "big") + frame)

    def say_stream(self, data: bytes) -> None:
        """Put bytes into the encrypted stream, without the wire's own checks."""
        self.wire._plaintext = bytearray(data)
        self.flush()

    def flush(self) -> None:
        """Hand to the network what the wire has to say."""
        self.writer.write(self.wire.data_to_send())

    async def read(self) -> bool:
        """Take in what has come; False at the end of the connection."""
        data = await self.reader.read(65_536)
        self._frames.extend(self.wire.receive_data(data))
        return bool(data)

    async def next_frame(self) -> Any:
        """The next frame of the server, or None at the end of the connection."""
        while not self._frames:
            if not await self.read():
                return None
        return self._frames.popleft()

    async def expect(self, kind: type[Kind]) -> Kind:
        """The next frame of a kind. Refusals and the end are told, unless they are expected."""
        while True:
            frame = await self.next_frame()
            if isinstance(frame, kind):
                return frame
            if frame is None or isinstance(frame, Error | Refused | Closing | Alert):
                raise AssertionError(f"expected {kind.__name__}, got {frame}")

    async def ask(self, frame: Any, kind: type[Kind]) -> Kind:
        """Say something and take the answer."""
        self.say(frame)
        return await self.expect(kind)

    async def ping(self, token: int = 1) -> Pong:
        """The server has dealt with everything before this."""
        return await self.ask(Ping(token), Pong)

    async def last_words(self) -> Closing | Alert:
        """What the server says before it closes the connection, which it must."""
        words: Closing | Alert | None = None
        while (frame := await self.next_frame()) is not None:
            if isinstance(frame, Closing | Alert):
                words = frame
        assert words is not None, "the server closed without a word"
        return words

    def drop(self) -> None:
        """The connection breaks."""
        if hasattr(self, "writer"):
            self.writer.transport.abort()
