"""The socket: one TCP connection with its encrypted link, as frames in and frames out."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from typing import TYPE_CHECKING, Final, Self

from protocol import ClientWire, Code, RemoteProtocolError, State
from protocol.messages import Alert, UnknownFrame
from roost.errors import ConnectionClosedError, RefusedError, ServerKeyChangedError, ServerUnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from protocol import StaticKey
    from protocol.messages import Frame
    from roost.address import ServerAddress

__all__ = ["Connection"]

_CONNECT_WAIT_S: Final = 10.0
_CLOSE_WAIT_S: Final = 1.0
_DRAIN_WAIT_S: Final = 20.0
_READ_SIZE_BYTES: Final = 65_536
_ERROR_NUMBER: Final = re.compile(r"\[Errno (\d+)\]")
_ALERT_RETRY_MS_MAX: Final = 60_000
"""An alert is not authenticated: whoever forges one may delay a client by a minute, not for good."""


class Connection:
    """An encrypted connection to a server; made by `open`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: ClientWire) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = wire
        self._error: RemoteProtocolError | None = None

    @classmethod
    async def open(cls, address: ServerAddress, static_key: StaticKey, pinned_server_key: bytes | None) -> Self:
        """Connect and shake hands.

        Args:
            address: where the server listens.
            static_key: this device's identity.
            pinned_server_key: the key the server must hold; None to trust it on first use.

        Raises:
            ServerUnreachableError: nobody answered, or not as a Roost server does.
            ServerKeyChangedError: the server holds another key than the pinned one.
            RefusedError: the server takes no connection now; `retry_after_ms` says when to try again.
        """
        try:
            async with asyncio.timeout(_CONNECT_WAIT_S):
                reader, writer = await asyncio.open_connection(address.host, address.port)
                connection = cls(reader, writer, ClientWire(static_key, pinned_server_key))
                try:
                    await connection._shake_hands(address)
                except BaseException:
                    writer.transport.abort()
                    raise
        except TimeoutError as error:
            raise ServerUnreachableError(f"The server {address} did not answer within 10 seconds.") from error
        except OSError as error:
            raise ServerUnreachableError(_unreachable(address, error)) from error
        return connection

    async def _shake_hands(self, address: ServerAddress) -> None:
        wire = self._wire
        self._writer.write(wire.data_to_send())
        while not wire.handshake_complete:
            data = await self._reader.read(_READ_SIZE_BYTES)
            if not data:
                raise ServerUnreachableError(f"The server {address} closed the connection during the handshake.")
            try:
                events = wire.receive_data(data)
            except RemoteProtocolError as error:
                if error.code == Code.HANDSHAKE_FAILED and wire.remote_static_key is not None:
                    raise ServerKeyChangedError(error.sentence, error.code) from error
                raise ServerUnreachableError(f"What answers at {address} is not a Roost server.", error.code) from error
            for event in events:
                if isinstance(event, Alert):
                    raise _refused(event)
        self._writer.write(wire.data_to_send())

    @property
    def server_key(self) -> bytes:
        """The static key that the server has proved to hold."""
        key = self._wire.remote_static_key
        assert key is not None, "a connection is returned after its handshake"
        return key

    async def receive(self) -> list[Frame]:
        """Wait for the next frames.

        Raises:
            ConnectionClosedError: the connection ended, or the server broke the protocol.
            RefusedError: the server refused the connection after all.
        """
        while self._error is None:
            try:
                data = await self._reader.read(_READ_SIZE_BYTES)
            except OSError as error:
                raise ConnectionClosedError(f"The connection to the server broke: {_reason(error)}.") from error
            if not data:
                raise ConnectionClosedError("The server closed the connection.")
            frames = self._decoded(data)
            if frames:
                return frames
        raise ConnectionClosedError(f"The server broke the protocol: {self._error.sentence}", self._error.code)

    def _decoded(self, data: bytes) -> list[Frame]:
        try:
            events: Iterable[object] = self._wire.receive_data(data)
        except RemoteProtocolError as error:
            self._error = error
            events = error.frames
        frames: list[Frame] = []
        for event in events:
            if isinstance(event, Alert):
                raise _refused(event)
            if not isinstance(event, UnknownFrame):
                frames.append(event)  # type: ignore[arg-type]  # the wire yields nothing else
        return frames

    def send(self, frames: Iterable[Frame]) -> None:
        """Write frames; those that a closed link cannot take are dropped, as if lost on the way.

        Raises:
            LocalProtocolError: a frame may not be sent in this state, or has a wrong field.
        """
        for frame in frames:
            if self._wire.state in (State.CLOSED, State.LEAVING):
                return
            self._wire.send(frame)  # type: ignore[arg-type]  # checked by the wire's own table
        data = self._wire.data_to_send()
        if not self._writer.is_closing():  # uvloop raises where asyncio would only drop
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the network has taken most of what was written; give the connection up if it takes too long."""
        try:
            async with asyncio.timeout(_DRAIN_WAIT_S):
                await self._writer.drain()
        except OSError:
            pass  # the reader hears of it as well, and says so
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close, after what was written has left if that takes no longer than a second."""
        self._writer.close()
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()


def _refused(alert: Alert) -> RefusedError:
    return RefusedError(alert.sentence, alert.code, min(alert.retry_after_ms, _ALERT_RETRY_MS_MAX))


def _unreachable(address: ServerAddress, error: OSError) -> str:
    hint = " Is a node running there?" if _number(error) == errno.ECONNREFUSED else ""
    return f"Cannot reach {address}: {_reason(error)}.{hint}"


def _number(error: OSError) -> int:
    """The system's number of an error, or 0; asyncio joins those of several addresses in one text without a number."""
    if error.errno is not None:
        return error.errno
    joined = _ERROR_NUMBER.findall(str(error))
    return int(joined[-1]) if joined else 0


def _reason(error: OSError) -> str:
    # The system's own words: asyncio writes "Connect call failed ('127.0.0.1', 7667)" in their place. What a resolver
    # reports has a negative number and words of its own.
    number = _number(error)
    words = os.strerror(number) if number > 0 else error.strerror or str(error) or type(error).__name__
    return words.rstrip(".").lower()
