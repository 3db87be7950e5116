"""`roostctl node-key` and `roostctl nodes`: what they print, and what they say where there is nothing to print."""

from __future__ import annotations

import socket
import threading
import tomllib
from typing import TYPE_CHECKING

import pytest

from config import parse
from ctl.command import main
from gateway import CONTROL_SOCKET, host_key

if TYPE_CHECKING:
    from pathlib import Path

Output = pytest.CaptureFixture[str]


def settings(folder: Path, text: str) -> list[str]:
    """A settings file, as arguments."""
    path = folder / "cluster.toml"
    path.write_text(text)
    return ["--config", str(path)]


def test_the_first_call_makes_the_key_and_the_second_prints_the_same_entry(tmp_path: Path, capsys: Output) -> None:
    arguments = settings(tmp_path, '[node]\nname = "a"\nworkers = 2\nlisten = "10.0.0.1:7667"\n')
    assert main(["node-key", *arguments]) == 0
    printed = capsys.readouterr().out
    assert main(["node-key", *arguments]) == 0
    assert capsys.readouterr().out == printed
    key = host_key(tmp_path / "data").public.hex()
    assert tomllib.loads(printed)["cluster"]["nodes"] == [
        {"name": "a", "link": "10.0.0.1:7668", "key": key, "workers": 2, "weight": 1.0}
    ]
    assert (tmp_path / "data" / "node.key").stat().st_mode & 0o777 == 0o600
    assert parse(f'[node]\nname = "a"\nworkers = 2\n{printed}').cluster.nodes[0].key == key


@pytest.mark.parametrize("listen", ["127.0.0.1:7667", "0.0.0.0:7667", "[::]:7667", "localhost:1"])
def test_an_address_that_other_hosts_cannot_reach_is_left_to_fill_in_and_not_taken_as_it_is(
    listen: str, tmp_path: Path, capsys: Output
) -> None:
    assert main(["node-key", *settings(tmp_path, f'[node]\nlisten = "{listen}"\n')]) == 0
    printed = capsys.readouterr().out
    assert 'link = "<address of this host>:7668"' in printed
    again = settings(tmp_path, f'[node]\nlisten = "{listen}"\n{printed}')
    assert main(["node-key", *again]) == 0
    assert main(["nodes", *again]) == 1


def test_entries_that_lack_their_keys_yet_are_no_hindrance_and_right_ones_are_kept(
    tmp_path: Path, capsys: Output
) -> None:
    unfinished = '[node]\nname = "a"\n[[cluster.nodes]]\nname = "a"\nlink = "10.1.1.1:9"\nweight = 2.0\n'
    assert main(["node-key", *settings(tmp_path, unfinished)]) == 0
    [entry] = tomllib.loads(capsys.readouterr().out)["cluster"]["nodes"]
    finished = settings(tmp_path, f'{unfinished}key = "{entry["key"]}"\n')
    assert main(["node-key", *finished]) == 0
    [entry] = tomllib.loads(capsys.readouterr().out)["cluster"]["nodes"]
    assert (entry["link"], entry["weight"]) == ("10.1.1.1:9", 2.0)


def test_what_is_wrong_with_the_settings_or_the_key_is_a_sentence(tmp_path: Path, capsys: Output) -> None:
    for command in ("node-key", "nodes"):
        assert main([command, "--config", str(tmp_path / "none.toml")]) == 1
        assert "the file is not there" in capsys.readouterr().err
        assert main([command, *settings(tmp_path, "[node]\nname = 5\n")]) == 1
        assert "roostctl: " in (said := capsys.readouterr().err)
        assert "node.name is 5" in said
    arguments = settings(tmp_path, "")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "node.key").write_text("rust")
    assert main(["node-key", *arguments]) == 1
    assert "node.key is not a key: restore it from a copy" in capsys.readouterr().err


def test_a_node_that_does_not_run_or_died_is_told_with_its_folder(tmp_path: Path, capsys: Output) -> None:
    arguments = settings(tmp_path, "")
    (tmp_path / "data").mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        for _ in range(2):
            assert main(["nodes", *arguments]) == 1
            assert f"no node runs with the data folder {tmp_path / 'data'}: start it" in capsys.readouterr().err
            if not (tmp_path / "data" / CONTROL_SOCKET).exists():
                dead.bind(str(tmp_path / "data" / CONTROL_SOCKET))


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"SSH-2.0-junk\r\n\r\n", "said what roostctl cannot read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{", "said what roostctl cannot read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n" + b'[{"node":"a"}]', "said what roostctl cannot read"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b"[" * 9_000, "said what roostctl cannot read"),
        (b'HTTP/1.1 409 Conflict\r\nContent-Length: 18\r\n\r\n{"error": "later"}', "roostctl: later"),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\n[]", "the node answered 500; see its log"),
        (b"", "cannot be asked: Remote end closed connection"),
    ],
)
def test_an_answer_that_is_none_is_told(answer: bytes, sentence: str, tmp_path: Path, capsys: Output) -> None:
    arguments = settings(tmp_path, "")
    (tmp_path / "data").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "data" / CONTROL_SOCKET))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        assert main(["nodes", *arguments]) == 1
        server.join()
    assert sentence in capsys.readouterr().err
