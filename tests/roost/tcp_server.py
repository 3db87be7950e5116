"""The model server behind a real socket with the real encrypted link."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from protocol import Code, ServerWire, StaticKey, device_id_of
from tests.roost.model_server import Link, ModelServer

if TYPE_CHECKING:
    from types import TracebackType


class TcpServer:
    """Listens on a free port of this machine; `stop` and `start` keep the state, the port and the key."""

    def __init__(self, model: ModelServer | None = None) -> None:
        self.model = model or ModelServer()
        self.key = StaticKey.generate()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._ends: dict[int, tuple[Link, ServerWire, asyncio.StreamWriter]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Vanish, as a killed process does."""
        assert self._server is not None
        self._server.close()
        for _, _, writer in list(self._ends.values()):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_all(self) -> None:
        """Cut every connection, and go on listening."""
        for _, _, writer in list(self._ends.values()):
            writer.transport.abort()

    def close_all(self, code: Code, retry_after_ms: int = -1) -> None:
        """Close every connection with a code."""
        for link, _, _ in list(self._ends.values()):
            self.model.close(link, code, retry_after_ms)
        self.flush()

    def flush(self) -> None:
        """Write what the model has for each connection."""
        for link, wire, writer in list(self._ends.values()):
            while link.out:
                wire.send(link.out.pop(0))
            if data := wire.data_to_send():
                writer.write(data)
            if link.closed and not writer.transport.is_closing():
                writer.write_eof()  # a close with something unread would reset the line, and lose what was said last

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = ServerWire(self.key)
        link: Link | None = None
        try:
            while data := await reader.read(65_536):
                frames = wire.receive_data(data)
                if link is None and wire.remote_static_key is not None:
                    link = self.model.connect(device_id_of(wire.remote_static_key))
                    self._ends[id(link)] = (link, wire, writer)
                for frame in frames:
                    assert link is not None
                    self.model.receive(link, frame)
                if link is None:
                    writer.write(wire.data_to_send())
                self.flush()
        except (OSError, asyncio.CancelledError):
            pass  # cancelled by `stop`; asyncio 3.11 would log it as a fault
        finally:
            self._tasks.discard(task)
            if link is not None:
                self._ends.pop(id(link), None)
                self.model.disconnect(link)
                self.flush()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
