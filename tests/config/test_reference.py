"""The shipped documents say what the schema says."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from config import ClusterConfig, parse
from config.reference import cluster_toml, configuration_page, write
from config.schema import HostConfig, NodeConfig
from config.setting import Folder, Number, Switch, Tables, Whole, setting_of
from config.units import BYTES, SECONDS, number_meant, unit_of

ROOT = Path(__file__).parents[2]
DEFAULTS = ClusterConfig()
SECTIONS = [section.name for section in fields(ClusterConfig)]


def test_the_shipped_file_holds_every_key_at_its_default() -> None:
    text = (ROOT / "cluster.toml").read_text(encoding="utf-8")
    assert parse(text) == DEFAULTS
    document = tomllib.loads(text)
    assert list(document) == SECTIONS
    for section in SECTIONS:
        keys = fields(getattr(DEFAULTS, section))
        assert list(document[section]) == [key.name for key in keys if not isinstance(setting_of(key), Tables)]


def test_the_shipped_file_and_page_show_a_table_that_needs_only_a_real_key() -> None:
    comments = (ROOT / "cluster.toml").read_text(encoding="utf-8").split("\n# [[cluster.nodes]]\n")[1]
    example = "[[cluster.nodes]]\n" + comments.split("\n\n")[0].replace("# ", "")
    assert f"```toml\n{example}\n```" in configuration_page()
    [shown] = tomllib.loads(example)["cluster"]["nodes"]
    assert list(shown) == [key.name for key in fields(HostConfig)]
    [entry] = parse(f'node.name = "a"\n{example.replace(shown["key"], "5f" * 32)}').cluster.nodes
    assert entry == HostConfig(name="a", link="10.0.0.1:7668", key="5f" * 32)


def test_the_shipped_file_and_page_are_those_of_the_schema(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    write(tmp_path)
    for name in ("cluster.toml", "docs/configuration.md"):
        written = (tmp_path / name).read_text(encoding="utf-8")
        assert written == (ROOT / name).read_text(encoding="utf-8"), f"{name} is stale: run make reference"


def test_the_page_names_every_key_with_its_meaning() -> None:
    page, shipped = configuration_page(), cluster_toml().replace("\n# ", " ")
    for section in SECTIONS:
        part = getattr(DEFAULTS, section)
        inner = [below for key in fields(part) for below in fields(getattr(setting_of(key), "kind", part))]
        for key in (*fields(part), *inner):
            assert f"| `{key.name}` |" in page
            assert setting_of(key).meaning in page
            assert setting_of(key).meaning in shipped


@pytest.mark.parametrize("section", SECTIONS)
def test_every_default_keeps_its_own_limits(section: str) -> None:
    for key in fields(getattr(DEFAULTS, section)):
        default: Any = str(key.default) if isinstance(key.default, Path) else key.default
        assert setting_of(key).read(key.name, default) == key.default


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_reads_the_type_its_field_declares(section: str) -> None:
    part = getattr(DEFAULTS, section)
    hints = get_type_hints(type(part))
    for key in fields(part):
        reads = {Whole: int, Number: float, Switch: bool, Folder: Path}.get(type(setting_of(key)), str)
        setting = setting_of(key)
        expected = (
            f"tuple[{setting.kind.__module__}.{setting.kind.__name__}, ...]" if isinstance(setting, Tables) else ""
        )
        assert hints[key.name] is reads or str(hints[key.name]) == expected


def test_a_sections_class_is_named_after_it() -> None:
    names = [f"{n.title()}Config" for n in SECTIONS]
    names[SECTIONS.index("cluster")] = "MembersConfig"  # ClusterConfig is all of cluster.toml
    assert [type(getattr(DEFAULTS, name)).__name__ for name in SECTIONS] == names
    assert isinstance(DEFAULTS.node, NodeConfig)


@pytest.mark.parametrize(
    ("key", "written", "number"),
    [
        ("ttl_s_max", "90 days", 7_776_000),
        ("ttl_s_max", "1.5 h", 5400),
        ("commit_patience_ms", "1 s", 1000),
        ("free_space_bytes_min", "1 GiB", 1 << 30),
        ("free_space_bytes_min", "1 GB", 10**9),
        ("entries_max", "10", 10),
        ("entries_max", "10 s", None),
        ("ttl_s_max", "soon", None),
        ("ttl_s_max", "-1 s", None),
        ("sends_per_minute", "1 s", None),
    ],
)
def test_a_number_with_a_unit_is_understood_in_the_unit_of_its_key(
    key: str, written: str, number: float | None
) -> None:
    assert number_meant(key, written) == number


def test_a_value_is_described_in_the_largest_unit_that_keeps_it_whole() -> None:
    assert [SECONDS.describe(value) for value in (59, 60, 90, 7200, 86400)] == ["", "1 minute", "", "2 hours", "1 day"]
    assert [BYTES.describe(value) for value in (1000, 1024, 3 << 20)] == ["", "1 KiB", "3 MiB"]
    assert unit_of("send_window") is None
