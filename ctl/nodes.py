"""`roostctl nodes`: who is up, as the node of this host sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from rich import box
from rich.console import Console
from rich.table import Table

from ctl.control import ask

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Node", "nodes"]


class Node(TypedDict):
    """A node, as another one sees it."""

    node: str
    host: str
    link: str | None
    state: str
    sentence: str


def nodes(config: Path | None) -> int:
    """Print a row for each node of the cluster.

    Args:
        config: The settings file of the host.

    Returns:
        0 if all are up, else 1.

    Raises:
        NotAnsweredError: No node runs here, or it does not answer.
        ConfigError: The settings file cannot be used.
    """
    rows: list[Node] = ask(config, "GET", "/nodes", list[Node])
    console = Console(highlight=False, markup=False)
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for column in ("node", "host", "link", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("", overflow="fold")
    for row in rows:
        table.add_row(row["node"], row["host"], row["link"] or "", row["state"], row["sentence"])
    if console.is_terminal:
        console.print(table)
    else:  # somebody's pipe: one line a node, however long
        Console(highlight=False, markup=False, width=1_000).print(table)
    return 0 if all(row["state"] in ("here", "up") for row in rows) else 1
