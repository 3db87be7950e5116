"""The cluster that the settings describe, and every way in which its hosts can be written down wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config import (
    ClusterConfig,
    ConfigError,
    cluster_nodes,
    parse,
    shared_settings,
    worker_folder,
)

KEYS = {name: f"{number:02x}" * 32 for number, name in enumerate("abc", 1)}


def entry(name: str, /, **differing: Any) -> str:
    """An entry of `cluster.nodes`; None leaves a key out."""
    number = ord(name[0]) - ord("a") + 1
    values = {"name": name, "link": f"10.0.0.{number}:7668", "key": KEYS.get(name, f"{number:02x}" * 32)} | differing
    lines = (
        f'{key} = "{value}"' if isinstance(value, str) else f"{key} = {value}"
        for key, value in values.items()
        if value is not None
    )
    return "[[cluster.nodes]]\n" + "\n".join(lines) + "\n"


def cluster(*entries: str, node: str = 'name = "a"') -> str:
    return f"[node]\n{node}\n" + "".join(entries)


def refusals(text: str) -> list[ConfigError]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [caught.value, *caught.value.others]


def refusal(text: str) -> ConfigError:
    [error] = refusals(text)
    return error


def test_every_worker_of_every_host_is_a_node_under_a_name_of_its_own() -> None:
    config = parse(cluster(entry("a", workers=3, weight=2), entry("b", link="[::1]:80"), node='name="a"\nworkers=3'))
    nodes = cluster_nodes(config)
    assert [(node.name, node.host, node.worker, node.link, node.weight) for node in nodes] == [
        ("a", "a", 1, "tcp://10.0.0.1:7668", 2.0),
        ("a.2", "a", 2, "tcp://10.0.0.1:7669", 2.0),
        ("a.3", "a", 3, "tcp://10.0.0.1:7670", 2.0),
        ("b", "b", 1, "tcp://[::1]:80", 1.0),
    ]
    assert [node.key.hex() for node in nodes] == [KEYS["a"]] * 3 + [KEYS["b"]]


def test_a_lone_host_is_its_workers_and_links_with_nobody_else() -> None:
    assert [node.name for node in cluster_nodes(ClusterConfig())] == ["local"]
    nodes = cluster_nodes(parse('[node]\nname = "hen"\nworkers = 2'))
    assert [(node.name, node.link, node.key) for node in nodes] == [("hen", None, b""), ("hen.2", None, b"")]


def test_the_first_worker_keeps_the_folder_that_a_single_node_had() -> None:
    assert [str(worker_folder(Path("data"), worker)) for worker in (1, 2, 64)] == ["data", "data/2", "data/64"]


@pytest.mark.parametrize(
    ("differing", "key", "fix"),
    [
        ({"name": "B!"}, 'cluster.nodes["B!"].name', "write up to 64 of a-z"),
        ({"name": None}, "cluster.nodes[2].name", "add name: up to 64 of a-z"),
        ({"name": 7}, "cluster.nodes[2].name", "write up to 64 of a-z"),
        ({"link": "10.0.0.2"}, 'cluster.nodes["b"].link', "write the host:port by which the other hosts reach it"),
        ({"link": "10.0.0.2:0"}, 'cluster.nodes["b"].link', "write the host:port"),
        ({"link": "10.0.0.2:65536"}, 'cluster.nodes["b"].link', "write the host:port"),
        ({"link": "0.0.0.0:7668"}, 'cluster.nodes["b"].link', "write the host:port"),
        ({"link": "[::]:7668"}, 'cluster.nodes["b"].link', "write the host:port"),
        ({"link": "tcp://10.0.0.2:7668"}, 'cluster.nodes["b"].link', "write the host:port"),
        ({"link": None}, 'cluster.nodes["b"].link', "add link: the host:port"),
        ({"key": "ab" * 31}, 'cluster.nodes["b"].key', "write the 64 digits that `roostctl node-key` prints"),
        ({"key": "xy" * 32}, 'cluster.nodes["b"].key', "write the 64 digits"),
        ({"key": None}, 'cluster.nodes["b"].key', "add key: the 64 digits"),
        ({"workers": 0}, 'cluster.nodes["b"].workers', "give a number from 1 to 64"),
        ({"workers": "2"}, 'cluster.nodes["b"].workers', "give a whole number: workers = 2"),
        ({"weight": 0}, 'cluster.nodes["b"].weight', "give a number from 0.01 to 100"),
        ({"weight": "heavy"}, 'cluster.nodes["b"].weight', "give a number from 0.01 to 100"),
        ({"burden": 1}, 'cluster.nodes["b"].burden', "remove it; a table has name, link, key, workers, weight"),
    ],
)
def test_a_wrong_value_of_an_entry_is_refused_with_the_entry_the_key_and_the_fix(
    differing: dict[str, Any], key: str, fix: str
) -> None:
    error = refusal(cluster(entry("a"), entry("b", **differing)))
    assert error.key == key
    assert error.fix.startswith(fix)


def test_all_that_is_wrong_in_all_entries_is_told_at_once() -> None:
    errors = refusals(cluster(entry("a", key="k", weight=-1), entry("b", link=None)) + "[log]\nlevel = 1")
    assert [error.key for error in errors] == [
        'cluster.nodes["a"].key',
        'cluster.nodes["a"].weight',
        'cluster.nodes["b"].link',
        "log.level",
    ]


@pytest.mark.parametrize("value", ["5", '"a"', "[1]", '["a"]', "[[]]", "{ a = 1 }", "true"])
def test_what_is_no_list_of_tables_is_refused_with_the_line_to_write(value: str) -> None:
    error = refusal(f"cluster.nodes = {value}")
    assert (error.key, error.fix) == (
        "cluster.nodes",
        "write each as a table of its own, below a line [[cluster.nodes]]",
    )


@pytest.mark.parametrize(
    ("entries", "key", "problem", "fix"),
    [
        ([entry("b")], "node.name", 'is "a", which is no host of', '(they are "b"), or add it'),
        (
            [entry("a", workers=2)],
            "node.workers",
            'is 1, but cluster.nodes["a"].workers says 2 of this same host',
            "make them the same",
        ),
        (
            [entry("a"), entry("b", key=KEYS["a"])],
            'cluster.nodes["b"].key',
            'is that of cluster.nodes["a"]',
            "never copy node.key to another host",
        ),
        (
            [entry("a"), entry("b"), entry("b", link="10.0.0.9:1", key=KEYS["c"])],
            'cluster.nodes["b"].name',
            'makes a node "b", which cluster.nodes["b"] has, too',
            "give each host another name",
        ),
        (
            [entry("a"), entry("b", workers=3), entry("b.3", link="10.0.0.9:1", key=KEYS["c"])],
            'cluster.nodes["b.3"].name',
            'makes a node "b.3", which cluster.nodes["b"] has, too',
            "worker 2 of a is a.2",
        ),
        (
            [entry("a"), entry("b", link="10.0.0.1:7668")],
            'cluster.nodes["b"].link',
            'is where cluster.nodes["a"] listens, too',
            "give each worker of a host a port of its own",
        ),
        (
            [entry("a"), entry("b", workers=2), entry("c", link="10.0.0.2:7669")],
            'cluster.nodes["c"].link',
            'tcp://10.0.0.2:7669 is where cluster.nodes["b"] listens, too',
            "give each worker of a host a port of its own",
        ),
        (
            [entry("a"), entry("b", workers=2, link="10.0.0.2:65535")],
            'cluster.nodes["b"].link',
            "leaves no ports for 2 workers",
            "take a lower port",
        ),
        (
            [entry("a"), entry("b" * 63, workers=2)],
            f'cluster.nodes["{"b" * 60}..."].name',
            "is too long for 2 workers",
            "take a shorter one",
        ),
        (
            [entry("a"), entry("b", workers=64)],
            "cluster.nodes",
            "have 65 workers together",
            "have at most 64, for there are as many shards",
        ),
    ],
)
def test_hosts_that_cannot_be_told_apart_are_refused(entries: list[str], key: str, problem: str, fix: str) -> None:
    error = refusal(cluster(*entries))
    assert error.key == key
    assert problem in error.problem
    assert fix in error.fix


def test_what_all_hosts_must_share_is_told_by_key_and_no_more_than_that() -> None:
    text = cluster(entry("a"), entry("b"))
    shared = shared_settings(parse(text))
    assert list(shared) == [
        'cluster.nodes["a"]',
        'cluster.nodes["b"]',
        "limits.payload_size_bytes_max",
        "limits.send_window",
        "queue.ttl_s_max",
        "presence.enabled",
    ]
    own = text.replace('name = "a"\n', 'name = "b"\nlisten = "127.0.0.1:1"\ndata_folder = "x"\n', 1)
    assert shared_settings(parse(own + '[log]\nlevel = "debug"')) == shared
    for line, key in (("weight = 2", 'cluster.nodes["b"]'), ("[presence]\nenabled = false", "presence.enabled")):
        other = shared_settings(parse(text + line))
        assert [name for name in shared if shared[name] != other[name]] == [key]
