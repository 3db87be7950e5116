from __future__ import annotations

from typing import TYPE_CHECKING

from bench.live_cluster import cluster_settings, loopback
from gateway import host_key

if TYPE_CHECKING:
    from pathlib import Path


def test_all_hosts_are_told_the_same_of_each_other_and_each_its_own_name(tmp_path: Path) -> None:
    settings = cluster_settings(tmp_path, {"a": "10.0.0.1:7668", "b": "10.0.0.2:7668"})
    assert [settings[name]["node"]["name"] for name in "ab"] == ["a", "b"]
    entries = settings["a"]["cluster"]["nodes"]
    assert entries == settings["b"]["cluster"]["nodes"]
    assert [entry["link"] for entry in entries] == ["10.0.0.1:7668", "10.0.0.2:7668"]
    assert [entry["key"] for entry in entries] == [host_key(tmp_path / name / "data").public.hex() for name in "ab"]
    assert cluster_settings(tmp_path, {"a": "10.0.0.1:7668", "b": "10.0.0.2:7668"}) == settings


def test_hosts_of_one_machine_share_no_port() -> None:
    addresses = [address for spot in loopback("abc").values() for address in (spot.listen, spot.link)]
    assert len(set(addresses)) == 6
