"""The door for whoever runs the node: a Unix socket in its data folder that speaks HTTP and JSON, for `roostctl`.

aiohttp takes 150 ms and 11 MiB, so it is imported when somebody asks for the first time, in a thread, and not before.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cluster import bound_node_socket
from runtime import Actor, CallError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from aiohttp.web import Application, Request, StreamResponse

    from runtime import Reason

__all__ = ["CONTROL_SOCKET", "Control", "ControlError", "Route", "decode_body"]

CONTROL_SOCKET: Final = "control.sock"
BODY_SIZE_BYTES_MAX: Final = 1 << 16

_UNHEARD: Final = logging.Logger("roost.control", logging.CRITICAL + 1)
"""aiohttp's own log: what an asker does wrong is told to the asker, and what goes wrong here is in the node's log."""

Answer = Callable[[Mapping[str, str], Mapping[str, Any]], Awaitable[object]]


class ControlError(Exception):
    """A request that cannot be granted.

    Attributes:
        status: Of HTTP: 400 if it is the asker's fault, 404 if there is no such thing, 409 if it cannot be now.
        sentence: Why, and what to do.
        code: What a program can tell it by, where there is more than the status.
    """

    def __init__(self, status: int, sentence: str, code: str = "") -> None:
        super().__init__(status, sentence)
        self.status = status
        self.sentence = sentence
        self.code = code


@dataclass(frozen=True, slots=True)
class Route:
    """Something that may be asked for.

    Attributes:
        method: GET, or POST for what changes something.
        path: As `/nodes`, or with parts to fill in, as `/shards/{number}/move`.
        answer: Is given these parts and the JSON object of the body, and returns what JSON can write. A `ControlError`
            or the `CallError` of an actor that does not answer becomes the error of that status, or 503.
    """

    method: str
    path: str
    answer: Answer


class Control(Actor):
    """Answers the operator while it lives; its own troubles are a warning in the log and never the node's end.

    Args:
        path: Of the socket; only this user can open it.
        routes: What may be asked for.
        log: A structured logger.
    """

    __slots__ = ("_listening", "_log", "_path", "_routes", "_runner", "_server", "_serving")

    def __init__(self, path: Path, routes: Sequence[Route], log: Any) -> None:
        self._path = path
        self._routes = routes
        self._log = log
        self._listening: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None
        self._runner: Any = None

    def init(self) -> None:
        """Open the socket, and wait for somebody to ask."""
        try:
            self._listening = bound_node_socket(f"unix:{self._path}")
        except OSError as error:
            self._closed(error, "a shorter node.data_folder, or whatever else has this socket")
            return
        asyncio.get_running_loop().add_reader(self._listening.fileno(), self._asked)

    def _closed(self, error: BaseException, fix: str) -> None:
        self._log.warning("control_closed", path=str(self._path), why=f"{type(error).__name__}: {error}", fix=fix)

    def _asked(self) -> None:
        """The first asker waits in the socket until HTTP is there."""
        assert self._listening is not None, "it was bound"
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening.fileno())
        self._serving = loop.create_task(self._serve(self._listening.dup()))
        self._serving.add_done_callback(self._served)

    def _served(self, serving: asyncio.Task[None]) -> None:
        if not serving.cancelled() and (error := serving.exception()) is not None:
            self._closed(error, "install what setup.cfg lists, with make run")

    async def _serve(self, listening: socket.socket) -> None:
        web = await asyncio.to_thread(importlib.import_module, "aiohttp.web")
        self._runner = web.AppRunner(
            _application(web, self._routes, self._log), access_log=None, logger=_UNHEARD, handle_signals=False
        )
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_unix_server(self._runner.server, sock=listening)

    def terminate(self, reason: Reason) -> None:
        """Answer nobody any more."""
        if self._listening is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening.fileno())
        self._listening.close()
        self._path.unlink(missing_ok=True)
        if self._serving is not None:
            self._serving.cancel()
        if self._server is not None:
            self._server.close()
            self._serving = loop.create_task(self._runner.cleanup())


_decode_body = msgspec.json.Decoder(dict[str, Any]).decode


def decode_body(data: bytes) -> dict[str, Any]:
    """The body of a request; no bytes are an object without fields.

    Raises:
        ControlError: It is no JSON object.
    """
    try:
        return _decode_body(data) if data else {}
    except (ValueError, RecursionError) as error:  # a DecodeError and bad UTF-8 are both ValueError
        raise ControlError(400, "the body has to be a JSON object") from error


def _application(web: Any, routes: Sequence[Route], log: Any) -> Application:
    @web.middleware  # type: ignore[untyped-decorator]
    async def errors(request: Request, handler: Callable[[Request], Awaitable[StreamResponse]]) -> StreamResponse:
        code = ""
        try:
            return await handler(request)
        except ControlError as error:
            status, sentence, code = error.status, error.sentence, error.code
        except CallError as error:
            status, sentence = 503, f"the part of the node that knows did not answer ({error.reason}); ask again"
        except web.HTTPException as error:
            status = error.status
            sentence = (
                f"{request.method} {request.path} is not understood ({error.reason}); update roostctl or the node"
            )
        except Exception as error:
            log.error("control_failed", path=request.path, error=type(error).__name__)
            status, sentence = 500, f"the node failed to answer ({type(error).__name__}); its log says more"
        body = {"error": sentence, "code": code} if code else {"error": sentence}
        return web.json_response(body, status=status)  # type: ignore[no-any-return]

    application: Application = web.Application(middlewares=[errors], client_max_size=BODY_SIZE_BYTES_MAX)
    for route in routes:
        application.router.add_route(route.method, route.path, _handler(web, route))
    return application


def _handler(web: Any, route: Route) -> Callable[[Request], Awaitable[StreamResponse]]:
    async def handle(request: Request) -> StreamResponse:
        body = decode_body(await request.read())
        return web.json_response(await route.answer(dict(request.match_info), body))  # type: ignore[no-any-return]

    return handle
