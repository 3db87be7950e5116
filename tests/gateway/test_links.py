"""What the settings say of the other nodes, what the log says of them, and what `roostctl nodes` is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cluster import LinkCode, NodeClock, NodeDown, NodeRefused, NodeStatus, NodeUp
from config import ClusterConfig, HostConfig, MembersConfig, NodeConfig, cluster_nodes
from gateway.links import REPEATED_S, node_changes_logged, peers_of
from gateway.nodes import node_rows

CONFIG = ClusterConfig(
    node=NodeConfig(name="a", workers=2),
    cluster=MembersConfig(
        nodes=(
            HostConfig(name="a", link="10.0.0.1:7668", key="aa" * 32, workers=2),
            HostConfig(name="b", link="10.0.0.2:7668", key="bb" * 32, workers=2),
        )
    ),
)
NODES = cluster_nodes(CONFIG)
REFUSED = NodeRefused("b", LinkCode.SETTINGS_DIFFER, "a and b differ in queue.ttl_s_max; make them the same.")


class Log:
    """Keeps the events, with whom they are about."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, event: str, peer: str, **fields: Any) -> None:
        self.said.append(f"{event} {peer}")

    warning = info


def test_the_workers_of_a_host_meet_in_its_folder_and_the_others_at_their_links() -> None:
    assert {name: peer.address for name, peer in peers_of(CONFIG, NODES, NODES[1], b"\xaa" * 32).items()} == {
        "a": "unix:data/link.sock",
        "b": "tcp://10.0.0.2:7668",
        "b.2": "tcp://10.0.0.2:7669",
    }
    peers = peers_of(CONFIG, NODES, NODES[0], b"\xaa" * 32)
    assert peers["a.2"].address == "unix:data/2/link.sock"
    assert [peer.public_key.hex()[:2] for peer in peers.values()] == ["aa", "bb", "bb"]


def test_a_refusal_is_logged_once_and_again_after_a_while_or_when_it_is_another() -> None:
    log, now_s = Log(), [0.0]
    told = node_changes_logged(log, lambda: now_s[0])
    for _ in range(3):
        told(REFUSED)
    assert log.said == ["node_refused b"]
    told(replace(REFUSED, sentence="another"))
    told(replace(REFUSED, node="c"))
    assert log.said[1:] == ["node_refused b", "node_refused c"]
    now_s[0] = REPEATED_S
    told(replace(REFUSED, node="c"))
    told(NodeUp("c", 1))
    told(replace(REFUSED, node="c"))
    assert log.said[3:] == ["node_refused c", "node_up c", "node_refused c"]


def test_who_is_down_and_whose_clock_is_wrong_is_logged_by_name() -> None:
    log = Log()
    told = node_changes_logged(log, lambda: 0.0)
    told(NodeDown("b", 7, LinkCode.LOST, "The connection broke."))
    told(NodeClock("b", -600.0))
    told(NodeClock("b", 0.0))
    assert log.said == ["node_down b", "clock_apart b", "clock_agrees b"]


def test_every_node_of_the_settings_is_told_with_its_state_and_a_sentence() -> None:
    down = NodeDown("b", 7, LinkCode.SILENT, "Nothing was heard of b for 3.5 s.")
    statuses = [NodeStatus("a.2", True, NodeUp("a.2", 5), 600.0), NodeStatus("b", False, down)]
    rows = node_rows(NODES, NODES[0], 3, statuses)
    assert [(row["node"], row["host"], row["worker"], row["state"], row["incarnation"]) for row in rows] == [
        ("a", "a", 1, "here", 3),
        ("a.2", "a", 2, "up", 5),
        ("b", "b", 1, "down", None),
        ("b.2", "b", 2, "unheard", None),
    ]
    assert [row["sentence"] for row in rows[1:3]] == [
        "is linked; its clock is 600 s ahead",
        "Nothing was heard of b for 3.5 s.",
    ]
    assert "is it started" in str(rows[3]["sentence"])
    [refused] = node_rows(NODES[2:3], NODES[0], 3, [NodeStatus("b", False, REFUSED)])
    assert (refused["state"], refused["sentence"]) == ("refused", REFUSED.sentence)
