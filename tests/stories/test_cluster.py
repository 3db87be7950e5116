"""Several hosts, each a real node.py with the settings of an operator: they link, or say whose fault it is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from bench.live_node import PROJECT, WORKER, LiveNode, free_port, merged
from gateway import host_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

LINK_WAIT_S: Final = 15.0


def seen_from(node: LiveNode) -> dict[str, str]:
    """What `roostctl nodes` prints on a host: the state of each node and the sentence about it."""
    done = subprocess.run(
        [sys.executable, "-m", "ctl", "nodes", "--config", str(node.folder / "cluster.toml")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    rows = [line.split(maxsplit=3) for line in done.stdout.splitlines()[1:]]
    assert done.returncode == (0 if all(row[3].startswith(("here", "up")) for row in rows) else 1)
    return {row[0]: row[3].rstrip() for row in rows}


class Hosts:
    """Hosts that are not started yet, each with a folder, a key and an entry in everybody's settings."""

    def __init__(self, folder: Path, names: str) -> None:
        self.folder = folder
        self.entries: dict[str, dict[str, Any]] = {}
        for name in names:
            data_folder = folder / name / "data"
            data_folder.mkdir(parents=True)
            link, key = f"127.0.0.1:{free_port()}", host_key(data_folder).public.hex()
            self.entries[name] = {"name": name, "link": link, "key": key}

    def settings(self, name: str) -> dict[str, dict[str, Any]]:
        """What an operator writes on one host."""
        return {"node": {"name": name}, "cluster": {"nodes": [dict(entry) for entry in self.entries.values()]}}

    def node(self, name: str, **differing: dict[str, Any]) -> LiveNode:
        """One of them, with what its operator has made different."""
        return LiveNode(self.folder / name, merged(self.settings(name), differing))


@pytest.fixture
def hosts(tmp_path: Path) -> Hosts:
    """The hosts a and b."""
    return Hosts(tmp_path, "ab")


@pytest.fixture
def started() -> Iterator[ExitStack]:
    """Ends what was started."""
    with ExitStack() as stack:
        yield stack


def refusal(node: LiveNode) -> str:
    """What a node says that does not start, from the settings or from the disk."""
    node.launch()
    assert node.wait() in (1, 2)
    assert "Traceback" not in node.output
    return node.output


def test_three_hosts_link_each_with_each_and_hear_of_an_end_and_of_a_return(tmp_path: Path, started: ExitStack) -> None:
    hosts = Hosts(tmp_path, "abc")
    nodes = {name: started.enter_context(hosts.node(name)) for name in "abc"}
    for name, node in nodes.items():
        for peer in nodes.keys() - {name}:
            node.wait_line(rf'"peer": "{peer}".*"event": "node_up"', LINK_WAIT_S)
    assert {name: state.split()[0] for name, state in seen_from(nodes["a"]).items()} == {
        "a": "here",
        "b": "up",
        "c": "up",
    }
    nodes["b"].kill()
    for name in "ac":
        nodes[name].wait_line(r'"peer": "b".*"why": "[^"]+".*"event": "node_down"', LINK_WAIT_S)
    assert seen_from(nodes["c"])["b"].startswith("down ")
    nodes["b"].start()
    nodes["b"].wait_line(r'"peer": "c".*"event": "node_up"', LINK_WAIT_S)
    for name in "ac":
        assert nodes[name].terminate() == 0
        assert nodes[name].crashes == []


def test_a_worker_that_is_replaced_is_up_again_at_the_other_host_in_a_new_life(
    hosts: Hosts, started: ExitStack
) -> None:
    a, b = (started.enter_context(hosts.node(name)) for name in "ab")
    first = a.wait_line(r'"incarnation": (\d+).*"event": "node_up"', LINK_WAIT_S)[1]
    os.kill(b.processes()[WORKER], signal.SIGKILL)
    a.wait_line(r'"event": "node_down"', LINK_WAIT_S)
    a.wait_line(rf'"incarnation": (?!{first})\d+.*"event": "node_up"', LINK_WAIT_S)


def test_settings_that_differ_are_refused_on_both_hosts_with_the_key(hosts: Hosts, started: ExitStack) -> None:
    a = started.enter_context(hosts.node("a"))
    hosts.entries["a"]["weight"] = 2.0
    b = started.enter_context(hosts.node("b", presence={"enabled": False}))
    for node, peer in ((a, "b"), (b, "a")):
        line = node.wait_line(rf'"peer": "{peer}".*SETTINGS_DIFFER.*"event": "node_refused"', LINK_WAIT_S).string
        assert r"differ in cluster.nodes[\"a\"], presence.enabled; make these settings the same" in line
        assert seen_from(node)[peer].startswith("refused ")
        assert 'differ in cluster.nodes["a"], presence.enabled' in seen_from(node)[peer]


def test_a_host_with_another_key_than_the_others_know_is_refused_by_them_and_told(
    hosts: Hosts, started: ExitStack
) -> None:
    a = started.enter_context(hosts.node("a"))
    (hosts.folder / "b" / "data" / "node.key").unlink()
    hosts.entries["b"]["key"] = new = host_key(hosts.folder / "b" / "data").public.hex()
    b = started.enter_context(hosts.node("b"))
    assert new in a.wait_line(r'"code": "KEY_UNKNOWN".*"event": "node_refused"', LINK_WAIT_S).string
    a.wait_line(r'"peer": "b", "code": "KEY_WRONG".*check the key of b', LINK_WAIT_S)
    b.wait_line(r'"peer": "a", "code": "KEY_UNKNOWN".*put that key into the settings', LINK_WAIT_S)
    assert seen_from(a)["b"].startswith("refused ")


def test_a_host_whose_own_key_is_not_the_one_in_the_settings_does_not_start(hosts: Hosts) -> None:
    own = hosts.entries["a"]["key"]
    hosts.entries["a"]["key"] = "ab" * 32
    said = refusal(hosts.node("a"))
    assert 'cluster.nodes["a"].key is not that of' in said
    assert f"write {own} there on every host" in said


def test_a_link_address_in_use_or_of_another_machine_is_refused_with_its_key(hosts: Hosts) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        hosts.entries["a"]["link"] = f"127.0.0.1:{other.getsockname()[1]}"
        said = refusal(hosts.node("a"))
    assert 'Address already in use; change cluster.nodes["a"].link on every host' in said
    hosts.entries["a"]["link"] = "192.0.2.1:7668"
    assert "tcp://192.0.2.1:7668: Cannot assign requested address" in refusal(hosts.node("a"))


def test_the_folder_of_another_node_is_refused_and_a_lone_node_may_still_change_its_name(
    hosts: Hosts, tmp_path: Path
) -> None:
    with LiveNode(tmp_path / "a", {"node": {"name": "local"}}) as alone:
        assert alone.terminate() == 0
    with hosts.node("a") as grown:
        assert grown.terminate() == 0
    hosts.entries["a"]["name"] = "c"
    said = refusal(LiveNode(tmp_path / "a", hosts.settings("c")))
    assert 'has the data of the node "a", and the settings call this one "c"' in said
    assert "to rename the node, stop every host" in said
    (tmp_path / "a" / "data" / "node.name").write_text("c\n")
    with LiveNode(tmp_path / "a", hosts.settings("c")) as renamed:
        assert renamed.terminate() == 0


def test_a_worker_too_many_for_one_process_and_a_host_that_is_not_listed_are_refused(hosts: Hosts) -> None:
    assert 'node.name is "z", which is no host of [[cluster.nodes]]' in refusal(hosts.node("a", node={"name": "z"}))
    lone = LiveNode(hosts.folder / "z", {"node": {"workers": 2}}, arguments=["--single"])
    assert "--single is one process, and node.workers is 2: set it to 1." in refusal(lone)
