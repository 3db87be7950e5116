"""The stranger's client talks to a real node: the document alone is enough to write one."""

from __future__ import annotations

import ast
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from examples.minimal_client import payload_of, text_of
from roost.content import Text, decode_content, encode_text

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
CLIENT: Final = ROOT / "examples" / "minimal_client.py"
ANSWER_TIMEOUT_S: Final = 30  # a guard against hanging, never waited for
PACKAGES_ALLOWED: Final = {"msgpack", "cryptography", "nacl"}


class Node:
    """A node in a process and a folder of its own, on a port that it chose; its lines are read as they come."""

    def __init__(self, folder: Path) -> None:
        config = folder / "node.toml"
        config.write_text(f'[node]\nlisten = "127.0.0.1:0"\ndata_folder = {json.dumps(str(folder / "data"))}\n')
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "node.py"), "--config", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
        )
        self.address, self.key = self.read(r"is at (\S+), .*key ([0-9a-f]{64})")

    def read(self, pattern: str) -> tuple[str, ...]:
        """Wait for the line with this pattern; what its groups matched."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if match := re.search(pattern, line):
                return match.groups()
        raise AssertionError(f"the node ended without saying {pattern}")

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=ANSWER_TIMEOUT_S)


class People:
    """Those who use the example, all from one folder."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self.folder = node, folder

    def start(self, *words: str, pin: str = "") -> subprocess.Popen[str]:
        options = ["--server", self.node.address, "--folder", str(self.folder), "--pin", pin]
        return subprocess.Popen(
            [sys.executable, str(CLIENT), *options, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # The example sees none of our packages even where the project is installed: only what it stands beside.
            cwd=self.folder,
        )

    def run(self, *words: str, pin: str = "") -> tuple[int, list[str], str]:
        process = self.start(*words, pin=pin)
        said, complained = process.communicate(timeout=ANSWER_TIMEOUT_S)
        return process.returncode, said.splitlines(), complained

    def register(self, address: str) -> None:
        process = self.start("register", address, pin=self.node.key)
        account = address.strip().lower()
        (code,) = self.node.read(rf"verification code for {re.escape(account)}: (\d+)")
        said, complained = process.communicate(code + "\n", timeout=ANSWER_TIMEOUT_S)
        assert process.returncode == 0, complained
        assert said.endswith(f"registered {account}\n")


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    node = Node(tmp_path)
    try:
        yield People(node, tmp_path)
    finally:
        node.stop()


@pytest.mark.slow
def test_a_client_written_from_the_document_alone_talks_to_a_node(people: People) -> None:
    people.register("Ann")
    people.register("bob")

    for number, text in enumerate(["hello", "how are you?", "grüß dich ✓ \x1b[31m"], start=1):
        assert people.run("send", "ann", "bob", text) == (0, [f"✓ ann:bob {number}"], "")

    first = people.run("listen", "bob", "--count", "2")
    assert first == (0, ["ann:bob 1 ann: hello", "ann:bob 2 ann: how are you?"], "")
    rest = people.run("listen", "bob", "--count", "1")
    assert rest == (0, ["ann:bob 3 ann: grüß dich ✓ \N{REPLACEMENT CHARACTER}[31m"], "")

    assert people.run("send", "bob", "ann", "fine")[:2] == (0, ["✓ ann:bob 4"])
    code, said, _ = people.run("listen", "ann", "--count", "1")
    assert code == 0
    assert said[0] == "ann:bob 4 bob: fine"

    for account in ("ann", "bob"):
        assert stat.S_IMODE((people.folder / f"{account}.json").stat().st_mode) == 0o600


@pytest.mark.slow
def test_a_listener_sees_receipts_and_a_refused_message_does_not_stop_the_next(people: People) -> None:
    people.register("ann")
    people.register("bob")
    code, said, complained = people.run("send", "ann", "nobody-here", "hello?")
    assert (code, said) == (1, [])
    assert "(code 300)" in complained
    assert people.run("send", "ann", "bob", "hello")[:2] == (0, ["✓ ann:bob 1"])

    listener = people.start("listen", "ann")
    try:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ann:bob bob ✓✓ up to 0, read up to 0\n"
        assert people.run("listen", "bob", "--count", "1")[0] == 0
        assert any("✓✓ up to 1, read up to 1" in line for line in listener.stdout)
    finally:
        listener.kill()
        listener.communicate(timeout=ANSWER_TIMEOUT_S)


@pytest.mark.slow
def test_what_is_written_on_an_old_copy_of_the_examples_file_gets_no_tick_of_an_older_message(people: People) -> None:
    people.register("ann")
    people.register("bob")
    file = people.folder / "ann.json"
    before = file.read_text()
    device = json.loads(before)
    device["outbox"] = [{"conversation": "ann:bob", "client_id": f"{n:032x}", "text": f"{n}"} for n in range(1, 35)]
    file.write_text(json.dumps(device))
    assert people.run("send", "ann", "bob", "35")[1][-1] == "✓ ann:bob 35"
    file.write_text(before)
    assert people.run("send", "ann", "bob", "from the copy") == (0, ["✓ ann:bob 36"], "")
    assert people.run("listen", "bob", "--count", "36")[1][-1] == "ann:bob 36 ann: from the copy"


@pytest.mark.slow
def test_the_example_refuses_a_server_with_another_key(people: People) -> None:
    code, said, complained = people.run("register", "ann", pin="11" * 32)
    assert (code, said) == (1, [])
    assert "differs from the pinned one" in complained


def test_the_example_and_our_own_client_understand_each_other() -> None:
    assert decode_content(payload_of("grüß dich")) == Text("grüß dich")
    assert text_of(encode_text("grüß dich")) == "grüß dich"


@pytest.mark.parametrize("payload", [b"", b"hello", b"\xc1", b"\x91" * 5000, b"\x81\x91\x01\x01", b"\xa1\xff"])
def test_the_example_says_so_when_a_stranger_sends_what_is_no_message(payload: bytes) -> None:
    assert text_of(payload) == "(a message that cannot be read)"


def test_the_example_imports_nothing_of_the_project() -> None:
    imported = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(CLIENT.read_text(encoding="utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - sys.stdlib_module_names == PACKAGES_ALLOWED
