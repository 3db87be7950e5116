"""The two documents that the schema writes: cluster.toml and docs/configuration.md.

`python -m config.reference` (or `make reference`) writes both into the folder it is run in; a test holds them to it.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, fields
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from config.schema import ClusterConfig
from config.setting import Tables, setting_of, written
from config.units import unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.setting import Setting

_LINE_WIDTH: Final = 118

_TOML_HEAD: Final = """\
# The settings of a Roost node. Every line is a default and may go; every default works on a laptop.
# A key's name ends in its unit, so values are bare numbers. A key, type or unit that is wrong is refused by name.
# Written from config/schema.py by `make reference`.
"""

_PAGE_HEAD: Final = """\
# Configuration

`node.py` reads `cluster.toml` once, at start. Every key has the default below, so the file may hold only what differs,
or be absent. A key's name ends in its unit: values are bare numbers (`drain_timeout_s = 5`, never `"5s"`). An unknown
key, a wrong type or unit and a value outside its limits are refused at start, each with its key and the fix.

Rates are token buckets: `_burst` at once, then `_per_minute`. A client that meets one is told which, and when to try
again. Some settings must agree: a message fits the delivery window, the window fits the outbound buffer, minimum and
default do not exceed their maximum. This page and `cluster.toml` are written from `config/schema.py` by
`make reference`.
"""


def cluster_toml() -> str:
    """The shipped cluster.toml: every key with its default, its meaning, its unit and its limits."""
    blocks = [_TOML_HEAD]
    for name, section in _sections():
        blocks.append(f"\n# {_tour(section)}\n[{name}]\n")
        blocks.extend(_toml_lines(key) for key in fields(section))
    return "".join(blocks)


def configuration_page() -> str:
    """docs/configuration.md: the same as tables."""
    blocks = [_PAGE_HEAD]
    for name, section in _sections():
        blocks.append(
            f"\n## [{name}]\n\n{_tour(section)}\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n"
        )
        blocks.extend(_table_row(key) for key in fields(section))
        blocks.extend(_tables(f"{name}.{key.name}", setting_of(key)) for key in fields(section))
    return "".join(blocks)


def _sections() -> Iterator[tuple[str, Any]]:
    defaults = ClusterConfig()
    return ((section.name, getattr(defaults, section.name)) for section in fields(ClusterConfig))


def _tour(section: object) -> str:
    return (type(section).__doc__ or "").strip().partition("\n")[0]


def _tables(name: str, setting: Setting) -> str:
    """The keys of a table that may stand more than once, with an example; nothing for any other setting."""
    if not isinstance(setting, Tables):
        return ""
    head = f"\n### [[{name}]]\n\n| key | default | allowed | meaning |\n|---|---|---|---|\n"
    rows = [_table_row(key) for key in fields(setting.kind)]
    return f"{head}{''.join(rows)}\n```toml\n{setting.example}```\n"


def _toml_lines(key: Field[Any]) -> str:
    """A key at its default; tables, of which there are none by default, as an example in a comment."""
    setting = setting_of(key)
    if isinstance(setting, Tables):
        keys = [f"{name}: {each.meaning} ({each.allowed})" for name, each in setting.settings.items()]
        comment = [line for text in (setting.meaning, *keys) for line in wrap(text, _LINE_WIDTH)]
        return "".join(f"# {line}\n" for line in (*comment, *setting.example.splitlines()))
    unit, size = unit_of(key.name), _in_words(key)
    limits = f"{unit.name}, {setting.allowed}" if unit else setting.allowed
    meaning = "".join(f"# {line}\n" for line in wrap(f"{setting.meaning} ({limits})", _LINE_WIDTH))
    return f"{meaning}{key.name} = {written(key.default)}{f'  # {size}' if size else ''}\n"


def _table_row(key: Field[Any]) -> str:
    setting, unit, size = setting_of(key), unit_of(key.name), _in_words(key)
    default = f"`{written(key.default)}`{f' ({size})' if size else ''}"
    if key.default in (MISSING, ()):
        default = "none" if key.default == () else "must be given"
    limits = f"{setting.allowed} {unit.name}" if unit else setting.allowed
    return f"| `{key.name}` | {default} | {limits} | {setting.meaning} |\n"


def _in_words(key: Field[Any]) -> str:
    unit, default = unit_of(key.name), key.default
    return unit.describe(default) if unit and isinstance(default, int | float) else ""


def write(folder: Path) -> None:
    """Write both documents into a copy of the project."""
    (folder / "cluster.toml").write_text(cluster_toml(), encoding="utf-8")
    (folder / "docs" / "configuration.md").write_text(configuration_page(), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
