"""The commands as a person or a script runs them: real processes, a real socket, exit codes and sentences."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import segno

import roost
from protocol import AccountId, Code
from roost.command import main
from tests.roost.model_server import Account
from tests.roost.stories import link_in, story
from tests.roost.tcp_server import TcpServer

ROOT = Path(__file__).parents[2]
HOSTILE = "red\x1b[31m\u202eevil\x07"


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


async def start(folder: Path, *words: str, typing_at: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "roost", *words,
        stdin=typing_at, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "ROOST_HOME": str(folder), "PYTHONUTF8": "1"}, cwd=ROOT,
    )  # fmt: skip


async def run(folder: Path, *words: str, typed: str = "") -> Ran:
    process = await start(folder, *words)
    out, err = await process.communicate(typed.encode())
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), err.decode())


async def looked_at(folder: Path, *words: str, typed: str = "") -> str:
    """What a command complains of where a person looks."""
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "roost", *words, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL, stderr=follower, env={**os.environ, "ROOST_HOME": str(folder)}, cwd=ROOT,
    )  # fmt: skip
    await process.communicate(typed.encode())
    assert process.returncode == 0
    os.write(follower, b"end")  # so that there is something to read, even if nothing was said
    said = os.read(leader, 65_536).decode().removesuffix("end")
    os.close(leader)
    os.close(follower)
    return said


async def register(folder: Path, server: TcpServer, *names: str) -> None:
    for name in names:
        await roost.register(name, server=server.address, code="123456", folder=folder)


@story
async def test_a_newcomer_registers_with_the_code_that_was_sent(folder: Path) -> None:
    async with TcpServer() as server:
        ran = await run(folder, "register", "Alice", "--server", server.address, typed="123456\n")
        assert (ran.code, ran.out) == (0, "alice is registered. Now: roost chat\n")
        assert "A code for alice was sent: see log. It holds for 10 minutes." in ran.err
        assert (await run(folder, "accounts")).out == f"alice  {server.address}\n"


@story
async def test_a_wrong_code_is_said_and_exits_with_1(folder: Path) -> None:
    async with TcpServer() as server:
        ran = await run(folder, "register", "alice", "--server", server.address, "--code", "000000")
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == f"roost: {Code.CODE_WRONG.sentence}\n"


@story
async def test_who_registers_what_is_somebodys_is_told_both_ways_with_the_server_in_them(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder / "phone", server, "alice")
        ran = await run(folder, "register", "alice", "--server", server.address, "--code", "123456")
    assert (ran.code, ran.out) == (1, "")
    assert f"Link: roost link --server {server.address}." in ran.err
    assert f"Lost: roost register alice --server {server.address} --recover" in ran.err


@story
async def test_a_registration_that_failed_leaves_no_account_behind(folder: Path) -> None:
    async with TcpServer() as server:
        await run(folder, "register", "alicce", "--server", server.address, "--code", "000000")
        await register(folder, server, "alice")
        assert (await run(folder, "accounts")).out == f"alice  {server.address}\n"
        ran = await run(folder, "settings", "--account", "alicce")
        assert "alicce is not registered on this computer. Register first: roost register alicce" in ran.err


@story
async def test_who_mistypes_the_code_is_asked_again(folder: Path) -> None:
    async with TcpServer() as server:
        person, terminal = pty.openpty()
        process = await start(folder, "register", "alice", "--server", server.address, typing_at=terminal)
        os.write(person, b"000000\n123456\n")
        out, err = await process.communicate()
        os.close(person)
        os.close(terminal)
        assert (process.returncode, out.decode()) == (0, "alice is registered. Now: roost chat\n")
        assert err.decode().count("Code: ") == 2
        assert Code.CODE_WRONG.sentence in err.decode()


@story
async def test_an_interrupt_at_the_question_for_the_code_leaves_at_once(folder: Path) -> None:
    async with TcpServer() as server:
        person, terminal = pty.openpty()
        process = await start(folder, "register", "alice", "--server", server.address, typing_at=terminal)
        assert process.stderr is not None
        await process.stderr.readuntil(b"Code: ")
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        os.close(person)
        os.close(terminal)
        assert (process.returncode, err.decode()) == (130, "")


@story
async def test_who_has_several_accounts_is_told_how_to_say_which(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice")
        ran = await run(folder, "register", "bob", "--server", server.address, "--code", "123456")
        assert ran.out == "bob is registered. Now: roost chat --account bob\n"
        ran = await run(folder, "history", "bob")
        assert ran.err == "roost: There are several accounts here (alice, bob). Say which, such as --account alice\n"


@story
async def test_a_sent_message_shows_its_tick_and_the_listener_prints_it_once(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice", "bob")
        sent = await run(folder, "send", "bob", "hi bob", "--account", "alice")
        assert (sent.code, sent.out) == (0, "✓\n")
        heard = await run(folder, "listen", "--json", "--count", "1", "--account", "bob")
        (message,) = heard.json
        assert (message["from"], message["text"], message["seq"]) == ("alice", "hi bob", 1)
        piped = await run(folder, "send", "bob", "-", "--account", "alice", typed="from a pipe\n")
        assert piped.code == 0
        (message,) = (await run(folder, "listen", "--json", "--count", "1", "--account", "bob")).json
        assert message["text"] == "from a pipe"


@story
async def test_a_listener_survives_a_server_that_goes_and_comes_back(folder: Path) -> None:
    server = TcpServer()
    await server.start()
    await register(folder, server, "alice", "bob")
    listener = await start(folder, "listen", "--json", "--count", "2", "--account", "bob")
    assert listener.stdout is not None
    async with roost.connect("alice", folder=folder) as alice:
        await (await alice.send("bob", "before")).delivered()
        first = json.loads(await listener.stdout.readline())
        await server.stop()
        await alice.send("bob", "after")
        await server.start()
        alice.retry_now()
        second = json.loads(await listener.stdout.readline())
    await listener.communicate()
    await server.stop()
    assert (first["text"], second["text"], listener.returncode) == ("before", "after", 0)


@story
async def test_what_came_while_sending_is_printed_by_the_next_listener(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice", "bob")
        await run(folder, "send", "bob", "for later", "--account", "alice")
        await run(folder, "send", "alice", "hello", "--wait", "delivered", "--timeout", "0.5", "--account", "bob")
        (message,) = (await run(folder, "listen", "--json", "--count", "1", "--account", "bob")).json
        assert message["text"] == "for later"


@story
async def test_a_ghost_device_is_told_once_by_the_listener_and_kept_from_who_does_not_look(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice", "bob")
        assert (await run(folder, "devices", "--account", "alice")).code == 0
        server.model.add("alice", b"l" * 16)  # which nobody has signed
        assert (await run(folder, "limits", "--account", "alice")).err == ""  # a script's standard error is no person
        for expected in (["devices_forged", "message"], ["message"]):
            await run(folder, "send", "alice", "hi", "--account", "bob")
            heard = await run(folder, "listen", "--json", "--count", "1", "--account", "alice")
            assert [line["event"] for line in heard.json] == expected


@story
async def test_a_person_at_any_command_is_told_once_of_a_ghost_device(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice")
        assert (await run(folder, "devices")).code == 0
        server.model.add("alice", b"l" * 16)
        said = [await looked_at(folder, "limits") for _ in range(2)]
    assert "a device to alice (6c6c6c6c) that its primary device has not signed" in said[0]
    assert said[1] == ""


@story
async def test_a_new_device_is_news_on_every_device_but_the_one_where_it_was_confirmed(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice")
        await run(folder, "devices")
        for device in ("laptop", "tablet"):
            code, linking = await link_in(folder / device, server, device)
            said = await looked_at(folder, "devices", "link", code.text, typed="y\n")
            assert await linking == "alice"
            assert f"{device} [linux]" in said
            assert "If that was not you" not in said
            if device == "laptop":
                await run(folder / device, "devices")
        assert await looked_at(folder, "limits") == ""
        assert "A new device of yours, tablet" in await looked_at(folder / "laptop", "limits")


def modules(lines: list[str]) -> list[list[bool]]:
    """What a scanner sees of half blocks on a dark screen: True for each dark module, row by row."""
    lit = {" ": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
    return [[not lit[character][half] for character in line] for line in lines for half in (0, 1)]


async def shown_by_link(folder: Path, server: TcpServer) -> list[str]:
    """What `roost link` shows on a terminal."""
    leader, follower = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "roost", "link", "--server", server.address, stdin=follower, stdout=follower,
        stderr=follower, env={**os.environ, "ROOST_HOME": str(folder), "PYTHONUTF8": "1"}, cwd=ROOT,
    )  # fmt: skip
    os.close(follower)
    said = b""
    while b"seconds.\r\n" not in said:
        said += await asyncio.to_thread(os.read, leader, 65_536)
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 130
    os.close(leader)
    return said.decode().split("\r\n")


@story
async def test_the_picture_on_the_screen_of_a_new_device_is_its_code_module_by_module(folder: Path) -> None:
    async with TcpServer() as server:
        lines = await shown_by_link(folder, server)
    assert len(lines) <= 24
    *picture, code_line, _, end = lines
    assert end == ""
    code = roost.LinkCode.parse(code_line.removeprefix("On the primary device: roost devices link "))
    expected = segno.make_qr(code.qr_text, error="l", boost_error=False).matrix_iter(border=4)
    rows = modules(picture)
    assert rows.pop() == [True] * len(rows[0]), "the half line below is no part of it, and left as dark as the screen"
    assert rows == [[bool(module) for module in row] for row in expected]


@story
async def test_whoever_reads_the_code_from_a_file_is_shown_no_picture(folder: Path) -> None:
    async with TcpServer() as server:
        process = await start(folder, "link", "--server", server.address)
        assert process.stderr is not None
        first = (await process.stderr.readline()).decode()
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert first.startswith("On the primary device: roost devices link ")


@story
async def test_without_a_server_the_message_is_kept_and_the_sentence_says_so(folder: Path) -> None:
    server = TcpServer()
    await server.start()
    await register(folder, server, "alice", "bob")
    await server.stop()
    ran = await run(folder, "send", "bob", "hi", "--account", "alice", "--timeout", "0.2")
    assert ran.code == 1
    assert "Not sent within 0.2 seconds" in ran.err
    assert "The message is kept" in ran.err
    kept = (await run(folder, "history", "bob", "--account", "alice", "--json")).json
    assert [(message["text"], message["state"]) for message in kept] == [("hi", "pending")]


@story
async def test_a_hostile_text_cannot_steer_the_terminal(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice", "bob")
        async with roost.connect("alice", folder=folder) as alice:
            await (await alice.send("bob", HOSTILE)).sent()
        heard = await run(folder, "listen", "--count", "1", "--account", "bob")
        shown = await run(folder, "history", "alice", "--account", "bob")
        for text in (heard.out, shown.out):
            assert "red" in text
            assert not {"\x1b", "\x07", "\u202e"} & set(text)


@story
async def test_settings_devices_limits_and_people_are_shown_and_changed(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice")
        server.model.accounts[AccountId("bob")] = Account("Bob")
        changed = await run(folder, "settings", "--read-receipts", "off", "--last-seen", "nobody", "--name", "Alice A.")
        assert changed.out.splitlines() == [
            "name           Alice A.", "read receipts  off", "last seen      nobody", "online         everyone"
        ]  # fmt: skip
        assert "(primary, this one)" in (await run(folder, "devices")).out
        assert (await run(folder, "devices", "--remove", "zz")).err.startswith("roost: No device begins with 'zz'")
        assert "send" in (await run(folder, "limits")).out
        assert (await run(folder, "block", "bob")).out == "bob is blocked.\n"
        assert (await run(folder, "contacts")).out == "blocked  bob\n"
        assert (await run(folder, "unblock", "bob")).code == 0
        assert (await run(folder, "contact", "bob")).code == 0
        assert (await run(folder, "contacts")).out == "contact  bob\n"


@story
async def test_somebody_is_called_something_until_the_name_is_taken_back(folder: Path) -> None:
    async with TcpServer() as server:
        await register(folder, server, "alice")
        for name in ("bob", "carol", "dave"):
            server.model.accounts[AccountId(name)] = Account(name)
        await run(folder, "contact", "bob")
        await run(folder, "block", "carol")
        for who, name in (("Bob", " Bobby B. "), ("carol", "Pest"), ("dave", "Davy")):
            ran = await run(folder, "contact", who, "--name", name)
            assert (ran.code, ran.out, ran.err) == (0, f"{who.lower()} is called {name.strip()} on your devices.\n", "")
        named = "contact  bob  Bobby B.\nblocked  carol  Pest\nnamed    dave  Davy\n"
        assert (await run(folder, "contacts")).out == named
        refused = await run(folder, "contact", "bob", "--name", "\u202e")
        assert (refused.code, refused.out) == (1, "")
        assert "invisible or reorders text" in refused.err
        assert (await run(folder, "contacts")).out == named
        assert (await run(folder, "contact", "dave", "--name", "")).out == "dave has no name of yours any more.\n"
    ran = await run(folder, "contact", "bob", "--name", "Bob at work")
    assert (ran.code, ran.out) == (0, "bob is called Bob at work on your devices.\n")
    assert "Your other devices hear of it" in ran.err
    async with server:
        assert (await run(folder, "contacts")).out == "contact  bob  Bob at work\nblocked  carol  Pest\n"


@pytest.mark.parametrize("words", [[], ["sing"], ["send", "bob"], ["send", "bob", "x", "--timeout", "soon"]])
def test_wrong_arguments_exit_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: roost")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["send", "bob", "hi"], "No account is registered on this computer. Register first"),
        (["history", "bob", "--account", "No Such"], "That is not an address"),
        (["register", "alice", "--server", "::1"], "write it in brackets"),
        (["register", "alice", "--server", "host:99999"], "99999 is not a port"),
        (["register", "alice", "--server-key", "xyz", "--code", "1"], "64 hexadecimal digits"),
        (["register", "alice", "--name", "\u202e", "--code", "1"], "That name cannot be shown"),
        (
            ["register", "alice", "--server", "127.0.0.1:1", "--code", "1"],
            "Cannot reach 127.0.0.1:1: connection refused. Is a node running there?",
        ),
        (["accounts"], "No account is registered in"),
    ],
)
def test_every_failure_is_a_sentence_and_exits_with_1(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROOST_HOME", str(tmp_path))
    assert main(words) == 1
    err = capsys.readouterr().err
    assert err.startswith("roost: ")
    assert sentence in err
    assert "Traceback" not in err
