"""The operator's door: a socket of one user, what it answers, and what it does when asked wrongly."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from gateway import CONTROL_SOCKET, Control, ControlError, Route
from gateway.shards import wanted_move
from protocol.ids import SHARDS
from runtime import SHUTDOWN, TIMEOUT, CallError, Runtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


class Log:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.said.append((event, fields))

    error = warning


async def greet(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
    return {"hello": parts["name"], "with": body}


async def refuse(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
    raise ControlError(409, "shard 7 is on its way already; wait")


async def give_up(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
    raise ControlError(409, "nothing has moved", "11 STALLED")


async def wait_in_vain(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
    raise CallError(TIMEOUT)


async def fail(parts: Mapping[str, str], body: Mapping[str, Any]) -> object:
    raise ZeroDivisionError("a private word")


ROUTES = (
    Route("POST", "/greet/{name}", greet),
    Route("POST", "/refuse", refuse),
    Route("POST", "/give-up", give_up),
    Route("GET", "/wait", wait_in_vain),
    Route("GET", "/fail", fail),
)


@asynccontextmanager
async def control(path: Path, log: Log) -> AsyncIterator[None]:
    runtime = Runtime()
    pid = runtime.start(Control(path, ROUTES, log))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        runtime.exit(pid, SHUTDOWN)
        await asyncio.sleep(0)
        runtime.close()
    assert CONTROL_SOCKET not in os.listdir(path.parent)


async def ask(path: Path, method: str, place: str, body: str = "") -> tuple[int, Any]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    content = body.encode()
    writer.write(f"{method} {place} HTTP/1.0\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
    head, _, content = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(content)


def test_what_is_no_http_harms_nobody_and_is_not_logged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, log = tmp_path / CONTROL_SOCKET, Log()

    async def play() -> None:
        async with control(path, log):
            for junk in (b"\0" * 300, b"GET /wait HTTP/1.1\r\n\r\n", b"x" * 20_000, b"\r\n\r\n\xff\r\n\r\n"):
                reader, writer = await asyncio.open_unix_connection(str(path))
                writer.write(junk)
                writer.write_eof()
                assert b" 200 " not in await reader.read()
                writer.close()
            assert (await ask(path, "POST", "/refuse"))[0] == 409

    asyncio.run(play())
    assert log.said == []
    assert capfd.readouterr() == ("", "")


def test_what_is_asked_is_answered_and_what_cannot_be_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path, log = tmp_path / CONTROL_SOCKET, Log()

    async def play() -> None:
        async with control(path, log):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert await ask(path, "POST", "/greet/bob", '{"a": 1}') == (200, {"hello": "bob", "with": {"a": 1}})
            assert await ask(path, "POST", "/greet/bob") == (200, {"hello": "bob", "with": {}})
            assert await ask(path, "POST", "/refuse") == (409, {"error": "shard 7 is on its way already; wait"})
            refused = {"error": "nothing has moved", "code": "11 STALLED"}
            assert await ask(path, "POST", "/give-up") == (409, refused)
            for body in ("{", "[1]", "\xff", "7", '{"to": "\\ud800"}', '{"to": ' + "[" * 60_000):
                assert await ask(path, "POST", "/greet/bob", body) == (
                    400,
                    {"error": "the body has to be a JSON object"},
                )
            status, answer = await ask(path, "GET", "/wait")
            assert status == 503
            assert "did not answer (timeout); ask again" in answer["error"]
            for method, place, expected in (("GET", "/nothing", 404), ("GET", "/refuse", 405)):
                status, answer = await ask(path, method, place)
                assert status == expected
                assert f"{method} {place} is not understood" in answer["error"]
            assert (await ask(path, "POST", "/greet/bob", '"' + "x" * 70_000 + '"'))[0] == 413
            assert log.said == []
            status, answer = await ask(path, "GET", "/fail")
            assert status == 500
            assert log.said == [("control_failed", {"path": "/fail", "error": "ZeroDivisionError"})]
            assert "private" not in f"{answer}{log.said}"

    uvloop.run(play())


@pytest.mark.parametrize("number", [str(SHARDS), "-1", "x", "²", "9" * 5_000])
def test_a_shard_that_there_is_not_is_told_in_a_short_sentence_however_long_its_number(number: str) -> None:
    with pytest.raises(ControlError) as refused:
        wanted_move({"number": number}, {"to": "b"})
    assert refused.value.status == 404
    assert refused.value.sentence.startswith("there is no shard ")
    assert len(refused.value.sentence) < 100


def test_askers_at_once_all_wait_for_the_first_ones_http(tmp_path: Path) -> None:
    path = tmp_path / CONTROL_SOCKET

    async def play() -> None:
        async with control(path, Log()):
            answers = await asyncio.gather(*(ask(path, "POST", f"/greet/{number}") for number in range(20)))
            assert [answer["hello"] for _, answer in answers] == list(map(str, range(20)))

    asyncio.run(play())


def test_the_socket_of_a_dead_node_is_taken_over_and_one_that_cannot_be_had_is_only_a_warning(tmp_path: Path) -> None:
    path = tmp_path / CONTROL_SOCKET

    async def play() -> None:
        async with control(path, Log()):
            assert (await ask(path, "POST", "/refuse"))[0] == 409
        log = Log()
        runtime = Runtime()
        pid = runtime.start(Control(tmp_path / ("x" * 120), ROUTES, log))
        await asyncio.sleep(0)
        assert runtime.is_alive(pid)
        assert [event for event, _ in log.said] == ["control_closed"]
        assert "too long" in log.said[0][1]["why"]
        runtime.close()

    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    uvloop.run(play())


def test_nobody_pays_for_http_who_does_not_ask(tmp_path: Path) -> None:
    code = "import sys, gateway, asyncio; print(sorted(m for m in sys.modules if m.startswith('aiohttp')))"

    async def play() -> bytes:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
        return (await child.communicate())[0]

    assert asyncio.run(play()).strip() == b"[]"
